import { getEventListeners, setMaxListeners } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { expect } from 'vitest'
import { RagError } from '../../src/core/errors.js'
import { createAiSdkLlm } from '../../src/llm/ai-sdk.js'
import { createBalancedLlm } from '../../src/llm/balance.js'
import { createFallbackLlm } from '../../src/llm/fallback.js'
import { createOpenAiCompatibleLlm } from '../../src/llm/openai-compatible.js'
import type { GenerateEnd, Llm } from '../../src/llm/types.js'
import { fakePrompt } from '../../src/testing/index.js'
import { randomNumbers } from '../../src/util/random.js'
import { cutConnection } from '../lib/api-server.js'
import { beginStream, type ChatReply, delta, endStream, sse, startChatCompletions } from '../lib/chat-completions.js'

export interface AbortModelsOptions {
  readonly answers: number
  readonly seed: number
}

const prompt = fakePrompt('Where is the marmalade?', ['The marmalade is in the teapot.'])
const enough = new Error('enough')
/** Answers at a time. */
const lanes = 25

/**
 * Asks services that fail in every way, alone and together, and aborts, leaves or reads each answer as a seed says. Afterwards no connection is open, nobody
 * listens to the callers' signal any more, and every answer has ended in one of the ways that are promised.
 */
export async function abortModels({
  answers,
  seed,
}: AbortModelsOptions): Promise<{ readonly outcomes: Record<string, number> }> {
  const random = randomNumbers(seed)
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item
  const api = await startChatCompletions(() => pick(replies))
  const models = await openModels(api.baseURL)
  const shared = new AbortController()
  setMaxListeners(lanes, shared.signal)
  const outcomes: Record<string, number> = {}
  let left = answers
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      const plan = pick(['read', 'leave', 'abort', 'abort', 'shared'] as const)
      const outcome = await askOnce(pick(models), plan, {
        patienceMs: random() * 25,
        parts: 1 + Math.floor(random() * 4),
        shared: shared.signal,
      })
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  await Promise.all(models.map((model) => model.close()))
  await api.whenIdle()
  expect(Object.values(outcomes).reduce((sum, count) => sum + count, 0)).toBe(answers)
  expect(getEventListeners(shared.signal, 'abort')).toEqual([])
  await api.close()
  return { outcomes }
}

async function openModels(baseURL: string): Promise<Llm[]> {
  const limits = { firstTokenTimeoutMs: 150, idleTimeoutMs: 150, maxAnswerChars: 2_000, maxAttempts: 2 }
  const openai = await createOpenAiCompatibleLlm({ model: 'a', baseURL, ...limits }, { random: () => 0 })
  const provider = createOpenAICompatible({ name: 'local', baseURL })
  const aiSdk = await createAiSdkLlm({ model: provider.chatModel('b'), ...limits }, { random: () => 0 })
  const both = [async () => openai, async () => aiSdk]
  return [
    openai,
    aiSdk,
    createFallbackLlm({ models: both, restMs: 5 }),
    createBalancedLlm({ models: both, restMs: 5, firstTokenTimeoutMs: 100 }),
  ]
}

interface Reading {
  readonly patienceMs: number
  readonly parts: number
  readonly shared: AbortSignal
}

async function askOnce(
  model: Llm,
  plan: 'read' | 'leave' | 'abort' | 'shared',
  { parts, patienceMs, shared }: Reading,
): Promise<string> {
  const controller = new AbortController()
  const signal = plan === 'abort' ? controller.signal : shared
  const timer = plan === 'abort' ? setTimeout(() => controller.abort(enough), patienceMs) : undefined
  const ends: GenerateEnd[] = []
  let read = 0
  try {
    for await (const part of model.generate(prompt, { signal, onEnd: (end) => void ends.push(end) })) {
      expect(part).not.toBe('')
      if (plan === 'leave' && ++read === parts) break
    }
    if (plan === 'leave' && read === parts) {
      expect(ends).toEqual([])
      return 'left'
    }
    expect(ends).toHaveLength(1)
    return 'answered'
  } catch (error) {
    expect(ends).toEqual([])
    if (error === enough) {
      expect(controller.signal.aborted).toBe(true)
      return 'aborted'
    }
    if (!RagError.isInstance(error)) throw error
    expect(error.message).not.toMatch(/marmalade|teapot/)
    return error.code
  } finally {
    clearTimeout(timer)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  }
}

const streaming =
  (then: (response: ServerResponse) => void): ChatReply =>
  (response) => {
    beginStream(response)
    response.write(sse(delta('It ')), () => then(response))
  }

const replies: readonly ChatReply[] = [
  ['It ', 'is ', 'there ', '[1].'],
  [],
  () => {},
  streaming(() => {}),
  streaming((response) => setTimeout(() => response.destroyed || endStream(response), 10)),
  streaming(cutConnection),
  streaming((response) => void response.end()),
  streaming((response) => void response.end('data: {"choices"\n\n')),
  cutConnection,
  { status: 500, body: { error: { message: 'The marmalade is gone.' } } },
  { status: 429, headers: { 'retry-after-ms': '2' }, body: {} },
  { status: 401, body: { error: { message: 'Where is the marmalade?' } } },
  async (response) => {
    beginStream(response)
    while (response.writable) {
      response.write(sse(delta('more and more ')))
      await new Promise(setImmediate)
    }
  },
]
