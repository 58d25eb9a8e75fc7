import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LlmChoice, UltraFastRAGOptions } from '../../../src/config/options.js'
import { RagError } from '../../../src/core/errors.js'
import type { AnswerEvent } from '../../../src/core/events.js'
import { createScriptedLlm } from '../../../src/testing/index.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'
import { causalLmFolder } from '../../fixtures/models/causal-lm-folder.js'
import { beginStream, type ChatCompletions, delta, sse, startChatCompletions } from '../../lib/chat-completions.js'

const text = 'The marmalade cat hid the lighthouse keys beneath a purple teapot.'
/** Cut already: no thread need be started to do it. */
const document = { id: 'cats', chunks: [{ text }] }
const question = 'Where did the marmalade cat hide the keys?'

let api: ChatCompletions
const opened: UltraFastRAG[] = []

beforeEach(async () => {
  api = await startChatCompletions(() => ['Beneath a teapot', ' [1].'])
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
  await api.close()
})

async function open(options: UltraFastRAGOptions): Promise<UltraFastRAG> {
  const rag = new UltraFastRAG({ embedder: false, ...options })
  opened.push(rag)
  await rag.ingest([document])
  return rag
}

const service = (more = {}): LlmChoice => ({ kind: 'openai-compatible', model: 'm', baseURL: api.baseURL, ...more })
const nowhere = (): LlmChoice => service({ baseURL: 'http://127.0.0.1:9/v1' })

async function metadata(rag: UltraFastRAG): Promise<Extract<AnswerEvent, { type: 'metadata' }>> {
  for await (const event of rag.stream(question)) if (event.type === 'metadata') return event
  throw new Error('There was no last event.')
}

describe('the option llm', () => {
  it('chooses a service, which is shown instructions and sources apart', async () => {
    const rag = await open({ llm: service({ temperature: 0 }) })
    const { answer, citations, outcome } = await rag.query(question)
    expect({ answer, outcome }).toEqual({ answer: 'Beneath a teapot [1].', outcome: 'answered' })
    expect(citations.map(({ documentId }) => documentId)).toEqual(['cats'])
    const { messages } = api.requests[0]?.body ?? { messages: [] }
    expect(messages.map(({ role }) => role)).toEqual(['system', 'user'])
    expect(messages[0]?.content).not.toContain('teapot')
    expect(messages[1]?.content).toContain('purple teapot')
  })

  it('takes lists, balances and routes of whatever is a model, nested', async () => {
    const instance = createScriptedLlm(['From an instance [1].'])
    const choices: [LlmChoice, string][] = [
      [[nowhere(), service()], 'Beneath a teapot [1].'],
      [[nowhere(), [nowhere(), instance]], 'From an instance [1].'],
      [{ kind: 'balance', models: [nowhere(), instance] }, 'From an instance [1].'],
      [{ kind: 'route', simple: instance, strong: nowhere() }, 'From an instance [1].'],
      [
        {
          kind: 'route',
          simple: nowhere(),
          strong: { kind: 'fallback', models: [nowhere(), service()] },
          rule: () => 'strong',
        },
        'Beneath a teapot [1].',
      ],
      [[nowhere(), 'extractive'], `${text} [1]`],
      [
        [
          nowhere(),
          async function* () {
            yield 'From a function [1].'
          },
        ],
        'From a function [1].',
      ],
    ]
    for (const [llm, expected] of choices) expect((await (await open({ llm })).query(question)).answer).toBe(expected)
  })

  it('keeps answers of services, not those of functions, for whoever asks with the same model', async () => {
    const asked = async (llm: LlmChoice, storage: UltraFastRAGOptions['storage']) => {
      const rag = await open({ llm, ...(storage === undefined ? {} : { storage }), cacheAnswers: true })
      await rag.query(question)
      return (await rag.query(question)).cache.answer
    }
    expect(await asked(service(), undefined)).toBe('hit')
    expect(api.requests).toHaveLength(1)
    expect(await asked([service({ apiKey: 'k' }), 'extractive'], undefined)).toBe('hit')
  })

  it('does not keep the answer of a model that stood in for one that failed', async () => {
    let isDown = true
    api.reply = () => (isDown ? { status: 500, body: {} } : ['Beneath a teapot', ' [1].'])
    const rag = await open({ llm: [service(), 'extractive'], cacheAnswers: true })
    expect(await rag.query(question)).toMatchObject({ answer: `${text} [1]`, cache: { answer: 'miss' } })
    isDown = false
    expect(await rag.query(question)).toMatchObject({ answer: 'Beneath a teapot [1].', cache: { answer: 'miss' } })
    expect(await rag.query(question)).toMatchObject({ answer: 'Beneath a teapot [1].', cache: { answer: 'hit' } })
  })

  it('has a service stop when the question is given up', async () => {
    api.reply = () => (response) => {
      beginStream(response)
      response.write(sse(delta('Beneath ')))
    }
    const rag = await open({ llm: service() })
    await expect(rag.query(question, { deadlineMs: 100 })).rejects.toMatchObject({ code: 'DEADLINE' })
    await api.whenIdle()
    for await (const event of rag.stream(question)) if (event.type === 'answer-delta') break
    await api.whenIdle()
    const asked = api.requests.length
    const waiting = rag.query(question)
    waiting.catch(() => {})
    await api.whenAsked(asked + 1)
    await rag.close()
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
    await api.whenIdle()
  })

  it('says nothing of what was asked when every model fails', async () => {
    api.reply = ({ messages }) => ({ status: 500, body: { error: { message: messages.at(-1)?.content } } })
    const warnings: unknown[] = []
    const note = (...told: unknown[]) => void warnings.push(told)
    const logger = { debug: note, info: note, warn: note, error: note }
    const rag = await open({ llm: [service({ maxAttempts: 1 }), service({ model: 'n', maxAttempts: 1 })], logger })
    const error: unknown = await rag.query(question).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'PROVIDER', data: { failures: [{ model: 'm' }, { model: 'n' }] } })
    expect(warnings).toHaveLength(2)
    expect(inspect([error, warnings, JSON.stringify(error)], { depth: 12 })).not.toMatch(/marmalade|teapot/)
  })

  it('is asked once by those in a chain but the last, unless they say otherwise', async () => {
    api.reply = () => ({ status: 500, headers: { 'retry-after-ms': '1' }, body: {} })
    const rag = await open({
      llm: [service({ model: 'a' }), service({ model: 'b', maxAttempts: 2 }), service({ model: 'c', maxAttempts: 1 })],
    })
    await expect(rag.query(question)).rejects.toMatchObject({ code: 'PROVIDER' })
    expect(api.requests.map(({ body }) => body.model)).toEqual(['a', 'b', 'b', 'c'])
  })

  it('lends a service to rerankers and enrichers, but not the extractive model', async () => {
    api.reply = ({ messages }) =>
      messages[0]?.content.startsWith('Put the numbered') ? ['1'] : ['Beneath a teapot [1].']
    const rag = await open({ llm: ['extractive', service()], rerank: 'llm' })
    await rag.ingest([{ id: 'dogs', chunks: [{ text: 'The dog hid the marmalade keys in a kennel.' }] }])
    expect((await rag.query(question)).outcome).toBe('answered')
    expect(api.requests.map(({ body }) => body.messages[0]?.content.slice(0, 16))).toEqual(['Put the numbered'])
    expect(() => new UltraFastRAG({ llm: ['extractive'], rerank: 'llm' })).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION' }),
    )
  })

  it('gives rerankers and enrichers models of their own', async () => {
    api.reply = ({ messages, model }) =>
      model === 'rank' ? ['1'] : messages[0]?.content.startsWith('Answer') ? ['Beneath a teapot [1].'] : ['About cats.']
    const rag = await open({
      llm: service({ model: 'answer' }),
      rerank: { kind: 'llm', llm: [nowhere(), service({ model: 'rank' })] },
      enrich: 'summary',
      enrichLlm: service({ model: 'enrich' }),
    })
    await rag.ingest([{ id: 'dogs', chunks: [{ text: 'The dog hid the marmalade keys in a kennel.' }] }])
    await rag.query(question)
    expect([...new Set(api.requests.map(({ body }) => body.model))]).toEqual(['enrich', 'rank', 'answer'])
    const wrong = { kind: 'openai-compatible', model: 'm', temprature: 0 } as never
    for (const options of [
      { enrichLlm: wrong },
      { rerank: { kind: 'llm', llm: wrong } },
      { rerank: { kind: 'llm', llm: 'extractive' } },
    ]) {
      expect(() => new UltraFastRAG(options as never)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    }
  })

  it('may be a local model, which has the precision of the top level, and is loaded ahead', async () => {
    const model = causalLmFolder({ answers: { marmalade: ['Beneath a', ' teapot [1].'] }, weights: 'model_q4.onnx' })
    const rag = await open({ llm: [nowhere(), { kind: 'transformers', model, threads: 1 }], quantization: 'int4' })
    await rag.warmUp()
    expect((await rag.query(question)).answer).toBe('Beneath a teapot [1].')
  })

  it('tells in the metadata which model answered', async () => {
    const { finishReason, model, tokens } = await metadata(await open({ llm: service() }))
    expect({ finishReason, model }).toEqual({ finishReason: 'stop', model: 'test-model-2026' })
    expect(tokens).toEqual({ input: 7, output: 2, estimated: false })
    expect((await metadata(await open({ llm: [nowhere(), 'extractive'] }))).model).toBe('extractive')
  })

  it.each([
    [{ kind: 'openai-compatible' }, /"llm.model" must be a string/],
    [{ kind: 'openai-compatible', model: 'm', temprature: 0 }, /Unknown option "llm.temprature"/],
    [{ kind: 'openai-compatible', model: 'm', temperature: 3 }, /"llm.temperature" must be at most 2/],
    [{ kind: 'ai-sdk', model: 5 }, /"llm.model" must be a language model of the AI SDK/],
    [{ kind: 'openai' }, /"llm.kind" must be one of/],
    [[], /"llm.models" must (?:be at least 1|not be empty)/],
    [['extractiv'], /"llm.models.0.kind" must be one of/],
    [[{ kind: 'ai-sdk', model: 'a', maxTokns: 3 }], /Unknown option "llm.models.0.maxTokns"/],
    [{ kind: 'route', simple: 'extractive' }, /"llm.strong" must/],
    [{ kind: 'route', simple: 'extractive', strong: 'extractive', rule: 'x' }, /"llm.rule" must be a function/],
    [{ kind: 'balance', models: ['extractive'], strategy: 'random' }, /"llm.strategy" must be one of/],
    [[{ generate() {} }], /"llm.models.0.instance" must have the method generate\(\) and an id/],
  ])('is refused when it is wrong: %o', (llm, message) => {
    const error = (() => {
      try {
        new UltraFastRAG({ llm: llm as never })
      } catch (reason) {
        return reason
      }
      return undefined
    })()
    expect(RagError.isInstance(error, 'BAD_OPTION')).toBe(true)
    expect((error as RagError).message).toMatch(message)
  })
})
