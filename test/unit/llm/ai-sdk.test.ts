import { inspect } from 'node:util'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { type AiSdkLanguageModel, type AiSdkLlmOptions, createAiSdkLlm } from '../../../src/llm/ai-sdk.js'
import { buildPrompt } from '../../../src/llm/prompt.js'
import type { GenerateEnd, Llm } from '../../../src/llm/types.js'
import { cutConnection } from '../../lib/api-server.js'
import {
  beginStream,
  type ChatCompletions,
  delta,
  endStream,
  sse,
  startChatCompletions,
} from '../../lib/chat-completions.js'

const question = 'Where did the marmalade cat hide?'
const prompt = buildPrompt({
  question,
  sources: [{ marker: 1, title: '', headings: [], language: 'en', score: 1, text: 'Under a purple teapot.' }],
  terms: [],
})
const secret = 'sk-live-Zq81kTn0pXw7Rb3uVd9e'

interface Part {
  readonly type: string
  readonly [field: string]: unknown
}

/** A model of a version of the specification that streams these parts; an error is thrown by the call. */
function model(
  parts: readonly Part[] | Error,
  version = 'v3',
): AiSdkLanguageModel & { readonly calls: Record<string, unknown>[] } {
  const calls: Record<string, unknown>[] = []
  return {
    specificationVersion: version,
    provider: 'some.provider',
    modelId: 'some-model',
    calls,
    async doStream(options: Record<string, unknown>) {
      calls.push(options)
      if (parts instanceof Error) throw parts
      return { stream: ReadableStream.from(parts) }
    },
  }
}

const open = (options: AiSdkLlmOptions): Promise<Llm> => createAiSdkLlm(options, { random: () => 0 })

async function ask(llm: Llm, signal?: AbortSignal) {
  const parts: string[] = []
  const ends: GenerateEnd[] = []
  const options = { onEnd: (end: GenerateEnd) => void ends.push(end), ...(signal === undefined ? {} : { signal }) }
  for await (const part of llm.generate(prompt, options)) parts.push(part)
  return { parts, end: ends[0] }
}

async function failure(llm: Llm): Promise<RagError> {
  const error: unknown = await ask(llm).catch((reason: unknown) => reason)
  if (!RagError.isInstance(error)) throw new Error(`Not a RagError: ${inspect(error)}`)
  const told = inspect(error, { depth: 10 }) + JSON.stringify(error)
  for (const hidden of ['marmalade', 'teapot', secret]) expect(told).not.toContain(hidden)
  return error
}

const text = (delta: unknown): Part => ({ type: 'text-delta', id: '1', delta })

describe('any model of the AI SDK', () => {
  it('is given messages and settings, and read part by part (version 3)', async () => {
    const given = model([
      { type: 'stream-start', warnings: [] },
      { type: 'response-metadata', modelId: 'some-model-2026' },
      { type: 'reasoning-delta', id: '0', delta: 'hmm' },
      { type: 'text-start', id: '1' },
      text('It '),
      text(''),
      text('hid [1].'),
      { type: 'text-end', id: '1' },
      {
        type: 'finish',
        finishReason: { unified: 'length', raw: 'MAX' },
        usage: { inputTokens: { total: 9 }, outputTokens: { total: 4, text: 2 } },
      },
    ])
    const llm = await open({
      model: given,
      maxTokens: 5,
      temperature: 0,
      topP: 0.5,
      stop: ['END'],
      seed: 3,
      headers: { 'x-a': 'b' },
      providerOptions: { some: { effort: 'low' } },
    })
    expect(llm.id).toBe('some-model')
    expect(await ask(llm)).toEqual({
      parts: ['It ', 'hid [1].'],
      end: { finishReason: 'length', inputTokens: 9, outputTokens: 4, model: 'some-model-2026' },
    })
    const { abortSignal, ...call } = given.calls[0] ?? {}
    expect(abortSignal).toBeInstanceOf(AbortSignal)
    expect(call).toEqual({
      prompt: [
        { role: 'system', content: prompt.system },
        { role: 'user', content: [{ type: 'text', text: prompt.text.slice(prompt.system.length).trimStart() }] },
      ],
      maxOutputTokens: 5,
      temperature: 0,
      topP: 0.5,
      stopSequences: ['END'],
      seed: 3,
      headers: { 'x-a': 'b' },
      providerOptions: { some: { effort: 'low' } },
    })
  })

  it('may be of version 2', async () => {
    const given = model(
      [text('Yes'), { type: 'finish', finishReason: 'unknown', usage: { inputTokens: 3, outputTokens: undefined } }],
      'v2',
    )
    expect(await ask(await open({ model: given }))).toEqual({
      parts: ['Yes'],
      end: { finishReason: 'other', inputTokens: 3 },
    })
  })

  it.each([
    ['v3', { unified: 'other', raw: undefined }],
    ['v2', 'unknown'],
  ])('whose service broke off is no answer, though its stream ends (%s)', async (version, finishReason) => {
    const given = model([text('half an'), { type: 'finish', finishReason, usage: {} }], version)
    expect(await failure(await open({ model: given }))).toMatchObject({ code: 'PROVIDER', data: { reason: 'cut_off' } })
  })

  it('may be named, and is looked up where the application looks up its models', async () => {
    const given = model([text('Yes'), { type: 'finish', finishReason: 'stop' }])
    vi.stubGlobal('AI_SDK_DEFAULT_PROVIDER', { languageModel: (name: string) => (name === 'a/b' ? given : undefined) })
    expect((await ask(await open({ model: 'a/b' }))).parts).toEqual(['Yes'])
    await expect(open({ model: 'other' })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    vi.unstubAllGlobals()
  })

  it('is refused when it is none, or of a version to come', async () => {
    await expect(open({ model: {} as never })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await expect(open({ model: model([], 'v9') })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(open({ model: model([]), maxTokens: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })

  it.each([
    ['throws', new Error(question), 'PROVIDER', 1],
    ['gives no stream at all', [], 'PROVIDER', 3],
    ['says that something failed, in words', [{ type: 'error', error: question }], 'PROVIDER', 3],
    [
      'says that something failed, in an object',
      [{ type: 'error', error: { type: 'overloaded_error', message: question } }],
      'PROVIDER',
      3,
    ],
    ['ends with an error', [{ type: 'finish', finishReason: { unified: 'error', raw: undefined } }], 'PROVIDER', 3],
    ['gives something other than text', [text({ image: question })], 'PROVIDER', 1],
  ] as [string, Part[] | Error, string, number][])('fails when it %s', async (_, parts, code, calls) => {
    const given = model(parts)
    expect(await failure(await open({ model: given }))).toMatchObject({
      code,
      data: { provider: 'some.provider', model: 'some-model' },
    })
    expect(given.calls).toHaveLength(calls)
  })

  it('is ended when the call is, even if it does not listen', async () => {
    let cancelled = 0
    const deaf: AiSdkLanguageModel = {
      ...model([]),
      doStream: async () => ({ stream: new ReadableStream({ cancel: () => void cancelled++ }) }),
    }
    const controller = new AbortController()
    const waiting = ask(await open({ model: deaf }), controller.signal)
    setTimeout(() => controller.abort(new Error('enough')), 10)
    await expect(waiting).rejects.toThrow('enough')
    await expect(ask(await open({ model: deaf, firstTokenTimeoutMs: 10 }))).rejects.toMatchObject({ code: 'TIMEOUT' })
  })
})

describe('a provider of the AI SDK', () => {
  let api: ChatCompletions
  beforeEach(async () => {
    api = await startChatCompletions()
  })
  afterEach(() => api.close())

  const openProvider = (options: Partial<AiSdkLlmOptions> = {}): Promise<Llm> =>
    open({
      model: createOpenAICompatible({
        name: 'local',
        baseURL: api.baseURL,
        apiKey: secret,
        includeUsage: true,
      }).chatModel('m'),
      ...options,
    })

  it('answers, with its tokens and its model', async () => {
    api.reply = () => ['It ', 'hid.']
    expect(await ask(await openProvider())).toEqual({
      parts: ['It ', 'hid.'],
      end: { finishReason: 'stop', inputTokens: 7, outputTokens: 2, model: 'test-model-2026' },
    })
  })

  it('is asked again after a failure before the first word, by our rules alone', async () => {
    const failing = { status: 500, body: { error: { message: question } } }
    api.reply = (_, place) => (place < 2 ? failing : ['Yes'])
    expect((await ask(await openProvider())).parts).toEqual(['Yes'])
    expect(api.requests).toHaveLength(3)
    api.reply = () => ({ status: 429, headers: { 'retry-after': '60' }, body: { error: { message: 'Slow down.' } } })
    expect(await failure(await openProvider())).toMatchObject({
      code: 'PROVIDER',
      retryable: true,
      data: { status: 429, retryAfterMs: 60_000 },
    })
    expect(api.requests).toHaveLength(4)
  })

  it('says who may not ask, without the key', async () => {
    api.reply = () => ({
      status: 401,
      body: { error: { message: `Incorrect API key provided: ${secret}.`, type: 'x' } },
    })
    expect((await failure(await openProvider())).message).toContain('Incorrect API key provided: ***')
  })

  it.each([
    ['a broken connection', cutConnection],
    ['an end without a reason', (response) => void response.end()],
    ['an event that is no JSON', (response) => void response.end('data: {"choices"\n\n')],
  ] as [string, typeof cutConnection][])('fails in the middle of an answer: %s', async (_, fail) => {
    api.reply = () => (response) => {
      beginStream(response)
      response.write(sse(delta('It ')), () => setTimeout(() => fail(response), 5))
    }
    expect(await failure(await openProvider())).toMatchObject({ code: 'PROVIDER' })
    expect(api.requests).toHaveLength(1)
  })

  it('has its connection closed by an abort, and by a reader who leaves', async () => {
    api.reply = () => (response) => {
      beginStream(response)
      response.write(sse(delta('It ')))
    }
    const controller = new AbortController()
    const reading = ask(await openProvider(), controller.signal)
    await api.whenAsked(1)
    controller.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
    await api.whenAbandoned(1)
    for await (const _ of (await openProvider()).generate(prompt, {})) break
    await api.whenAbandoned(2)
  })

  it('is stopped when it does not stop', async () => {
    api.reply = () => async (response) => {
      beginStream(response)
      while (response.writable) {
        response.write(sse(delta('more and more ')))
        await new Promise(setImmediate)
      }
      endStream(response)
    }
    const { parts, end } = await ask(await openProvider({ maxAnswerChars: 50 }))
    expect(parts.join('')).toHaveLength(50)
    expect(end).toEqual({ finishReason: 'length' })
    await api.whenAbandoned(1)
  })
})
