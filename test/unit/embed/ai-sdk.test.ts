import { inspect } from 'node:util'
import { APICallError, createGateway, type EmbeddingModel, LoadAPIKeyError } from 'ai'
import { MockEmbeddingModelV3, MockProviderV3 } from 'ai/test'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { type AiSdkEmbedderOptions, type AiSdkEmbeddingModel, createAiSdkEmbedder } from '../../../src/embed/ai-sdk.js'
import type { Embedder } from '../../../src/embed/types.js'
import { createFakeEmbedder } from '../../../src/testing/index.js'

const dimensions = 16
const passage = { kind: 'passage' } as const
const texts = ['one fish', 'two fish', 'red fish', 'blue fish', 'old fish', 'new fish']
const sound = createFakeEmbedder({ dimensions })

interface CallOptions {
  readonly values: string[]
  readonly abortSignal?: AbortSignal
  readonly headers?: Record<string, string | undefined>
  readonly providerOptions?: unknown
}

afterEach(() => {
  globalThis.AI_SDK_DEFAULT_PROVIDER = undefined
})

async function embeddingsOf(values: readonly string[]): Promise<number[][]> {
  const { vectors } = await sound.embed(values, passage)
  return values.map((_, row) => [...vectors.slice(row * dimensions, (row + 1) * dimensions)])
}

/** A model of the AI SDK's own tests that answers as it should, unless `reply` throws or answers otherwise. */
function mockModel(
  settings: Omit<NonNullable<ConstructorParameters<typeof MockEmbeddingModelV3>[0]>, 'doEmbed'> & {
    readonly reply?: (call: CallOptions, place: number) => unknown
  } = {},
) {
  const calls: CallOptions[] = []
  const { reply, ...rest } = settings
  const model = new MockEmbeddingModelV3({
    provider: 'mock.embedding',
    modelId: 'mock-model',
    maxEmbeddingsPerCall: 100,
    supportsParallelCalls: true,
    ...rest,
    doEmbed: async (options) => {
      calls.push(options)
      const answer = await reply?.(options, calls.length - 1)
      if (answer !== undefined) return answer as never
      return { embeddings: await embeddingsOf(options.values), usage: { tokens: options.values.length }, warnings: [] }
    },
  })
  return { model, calls }
}

function open(model: AiSdkEmbedderOptions['model'], options: Partial<AiSdkEmbedderOptions> = {}): Promise<Embedder> {
  return createAiSdkEmbedder({ model, dimensions, ...options }, { random: () => 0 })
}

function callError(statusCode: number | undefined, more: Partial<ConstructorParameters<typeof APICallError>[0]> = {}) {
  return new APICallError({
    message: `failed on ${texts[0]}`,
    url: 'https://api.example.com/embed?key=secret-key',
    requestBodyValues: { values: texts, key: 'secret-key' },
    ...(statusCode === undefined ? {} : { statusCode }),
    responseHeaders: { 'retry-after-ms': '1' },
    responseBody: JSON.stringify(texts),
    ...more,
  })
}

async function failureOf(promise: Promise<unknown>): Promise<RagError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!RagError.isInstance(error)) throw new Error(`Not a RagError: ${inspect(error)}`)
  return error
}

function rowsOf({ vectors }: { readonly vectors: Float32Array }): number[][] {
  const count = vectors.length / dimensions
  return Array.from({ length: count }, (_, row) => [...vectors.slice(row * dimensions, (row + 1) * dimensions)])
}

describe('a model of the AI SDK', () => {
  it('may be any that its providers make, by its types too', async () => {
    const { model } = mockModel()
    const theirs: EmbeddingModel = model
    const ours: AiSdkEmbedderOptions['model'] = theirs
    const embedder = await open(ours)
    expect(embedder.id).toBe('ai-sdk')
    expect(embedder.fingerprint).toContain('mock.embedding:mock-model/16/')
    expect(rowsOf(await embedder.embed(texts, passage))).toEqual(await embeddingsOf(texts))
  })

  it('is asked for one vector at opening when the dimensions are not given', async () => {
    const { model, calls } = mockModel()
    const embedder = await createAiSdkEmbedder({ model })
    expect(embedder.dimensions).toBe(dimensions)
    expect(calls.map(({ values }) => values.length)).toEqual([1])
  })

  it('gets the prefix, the provider options and the headers', async () => {
    const { model, calls } = mockModel()
    const embedder = await open(model, {
      queryPrefix: 'q: ',
      headers: { 'x-tenant': 'a' },
      queryProviderOptions: { google: { taskType: 'RETRIEVAL_QUERY' } },
    })
    await embedder.embed(['a'], { kind: 'query' })
    await embedder.embed(['a'], passage)
    expect(calls[0]).toMatchObject({
      values: ['q: a'],
      headers: { 'x-tenant': 'a' },
      providerOptions: { google: { taskType: 'RETRIEVAL_QUERY' } },
    })
    expect(calls[1]).toMatchObject({ values: ['a'] })
    expect(calls[1]).not.toHaveProperty('providerOptions')
  })

  it('is held to what it says it can take, whatever the options are', async () => {
    let running = 0
    let most = 0
    const { model, calls } = mockModel({
      maxEmbeddingsPerCall: Promise.resolve(2) as never,
      supportsParallelCalls: false,
      reply: async () => {
        most = Math.max(most, ++running)
        await new Promise(setImmediate)
        running--
      },
    })
    const embedder = await open(model, { maxItemsPerCall: 100, maxConcurrency: 9 })
    expect(embedder.capabilities).toMatchObject({ batchSize: 2, concurrency: 1 })
    await Promise.all([embedder.embed(texts, passage), embedder.embed(texts, passage)])
    expect(calls.map(({ values }) => values.length)).toEqual([2, 2, 2, 2, 2, 2])
    expect(most).toBe(1)
  })

  it('is held to the bytes it says it can take', async () => {
    const { model, calls } = mockModel({ maxInputBytesPerCall: 17 })
    await (await open(model)).embed(texts, passage)
    expect(calls.map(({ values }) => values)).toEqual([
      ['one fish', 'two fish'],
      ['red fish', 'blue fish'],
      ['old fish', 'new fish'],
    ])
  })

  it.each([undefined, Number.POSITIVE_INFINITY, Number.NaN, 0])('that says it takes %s texts works', async (limit) => {
    const { model } = mockModel({ maxEmbeddingsPerCall: limit as never })
    const embedder = await open(model)
    expect((await embedder.embed(texts, passage)).failed).toEqual([])
  })

  it('may follow version 2 of the specification', async () => {
    const model: AiSdkEmbeddingModel = {
      specificationVersion: 'v2',
      provider: 'old',
      modelId: 'older',
      maxEmbeddingsPerCall: undefined,
      supportsParallelCalls: true,
      doEmbed: async ({ values }: CallOptions) => ({ embeddings: await embeddingsOf(values) }),
    }
    const embedder = await open(model)
    const result = await embedder.embed(texts, passage)
    expect(rowsOf(result)).toEqual(await embeddingsOf(texts))
    expect(result.tokens).toBe(0)
  })

  it('of another version is UNSUPPORTED, and what is none is BAD_OPTION', async () => {
    const { model } = mockModel()
    const other = { ...model, doEmbed: model.doEmbed, specificationVersion: 'v1' } as never as AiSdkEmbeddingModel
    expect((await failureOf(open(other))).code).toBe('UNSUPPORTED')
    for (const wrong of [null, {}, 5, [], () => {}]) {
      expect((await failureOf(open(wrong as never))).code).toBe('BAD_OPTION')
    }
  })

  it('may be a name at the default provider of the application', async () => {
    const { model } = mockModel()
    globalThis.AI_SDK_DEFAULT_PROVIDER = new MockProviderV3({ embeddingModels: { 'my/model': model } }) as never
    const embedder = await open('my/model')
    expect(rowsOf(await embedder.embed(texts, passage))).toEqual(await embeddingsOf(texts))
  })

  it('may be a name at the gateway, whose 429 is understood', async () => {
    const served: string[][] = []
    globalThis.AI_SDK_DEFAULT_PROVIDER = createGateway({
      apiKey: 'secret-key',
      fetch: async (_, init) => {
        const { values } = JSON.parse(String(init?.body))
        served.push(values)
        if (served.length > 1) return Response.json({ embeddings: await embeddingsOf(values), usage: { tokens: 7 } })
        const error = { message: 'slow down', type: 'rate_limit_exceeded' }
        return Response.json({ error }, { status: 429, headers: { 'retry-after-ms': '1' } })
      },
    }) as never
    const embedder = await open('openai/text-embedding-3-small')
    const result = await embedder.embed(texts, passage)
    expect(result.tokens).toBe(7)
    expect(rowsOf(result)).toEqual(await embeddingsOf(texts))
    expect(served).toEqual([texts, texts])
    expect(embedder.fingerprint).toContain('gateway:openai/text-embedding-3-small/16/')
  })
})

describe('a failure of a model of the AI SDK', () => {
  it.each([408, 409, 429, 500, 503])('that may pass is tried again, once by us: %d', async (statusCode) => {
    const { model, calls } = mockModel({
      reply: (_, place) => {
        if (place === 0) throw callError(statusCode)
      },
    })
    const embedder = await open(model)
    expect((await embedder.embed(texts, passage)).failed).toEqual([])
    expect(calls.length).toBe(2)
    expect(embedder.stats?.()).toMatchObject({ retries: 1, batches: 2, devices: { 'mock.embedding': 1 } })
  })

  it.each<[string, () => unknown]>([
    ['a broken connection', () => callError(undefined, { message: 'Cannot connect to API', isRetryable: true })],
    ['an answer that is no JSON', () => callError(200, { message: 'Invalid JSON response' })],
    ['fetch that failed', () => Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNRESET' } })],
    ['a limit of time of its own', () => new DOMException('The operation timed out.', 'TimeoutError')],
  ])('that may pass is tried again: %s', async (_, failure) => {
    const { model, calls } = mockModel({
      reply: (_call, place) => {
        if (place === 0) throw failure()
      },
    })
    expect((await (await open(model)).embed(texts, passage)).failed).toEqual([])
    expect(calls.length).toBe(2)
  })

  it.each<[string, (values: string[]) => unknown]>([
    ['nothing', () => null],
    ['no embeddings', () => ({})],
    ['too few', async (values) => ({ embeddings: (await embeddingsOf(values)).slice(1) })],
    ['a hole', async (values) => ({ embeddings: (await embeddingsOf(values)).with(0, undefined as never) })],
    ['NaN', (values) => ({ embeddings: values.map(() => Array.from({ length: dimensions }, () => Number.NaN)) })],
  ])('that is an answer without vectors is tried again: %s', async (_, answer) => {
    const { model, calls } = mockModel({ reply: ({ values }, place) => (place === 0 ? answer(values) : undefined) })
    expect(rowsOf(await (await open(model)).embed(texts, passage))).toEqual(await embeddingsOf(texts))
    expect(calls.length).toBe(2)
  })

  it.each([401, 403, 404])('that does not pass is not tried again: %d', async (statusCode) => {
    const { model, calls } = mockModel({
      reply: () => {
        throw callError(statusCode, { data: { error: { code: 'no_such_thing' } } })
      },
    })
    const error = await failureOf((await open(model)).embed(texts, passage))
    expect(error.code).toBe('PROVIDER')
    expect(error.data).toEqual({
      provider: 'mock.embedding',
      model: 'mock-model',
      status: statusCode,
      reason: 'no_such_thing',
    })
    expect(calls.length).toBe(1)
    for (const shown of [inspect(error, { depth: 9 }), JSON.stringify(error)]) {
      expect(shown).not.toContain('fish')
      expect(shown).not.toContain('secret-key')
    }
  })

  it('that is a missing key says so at opening', async () => {
    const { model, calls } = mockModel({
      reply: () => {
        throw new LoadAPIKeyError({ message: 'OpenAI API key is missing. Pass it using the apiKey parameter.' })
      },
    })
    const error = await failureOf(createAiSdkEmbedder({ model }))
    expect(error.message).toContain('OpenAI API key is missing')
    expect(error.data.reason).toBe('AI_LoadAPIKeyError')
    expect(calls.length).toBe(1)
  })

  it('that one text is the reason of leaves the others', async () => {
    const { model } = mockModel({
      reply: ({ values }) => {
        if (values.includes('blue fish')) throw callError(400)
      },
    })
    const { failed, vectors } = await (await open(model)).embed(texts, passage)
    expect(failed.map(({ index }) => index)).toEqual([3])
    expect(rowsOf({ vectors })[4]).toEqual((await embeddingsOf(texts))[4])
  })

  it('that is its own mistake is not repeated, and named', async () => {
    const { model, calls } = mockModel({
      reply: () => {
        throw new RangeError('a text of a document')
      },
    })
    const error = await failureOf((await open(model)).embed(texts, passage))
    expect(error.data.reason).toBe('RangeError')
    expect(inspect(error, { depth: 9 })).not.toContain('a text of a document')
    expect(calls.length).toBe(1)
  })
})

describe('an end before the end', () => {
  it('reaches the model, and does not wait for one that does not listen', async () => {
    const signals: (AbortSignal | undefined)[] = []
    const { model } = mockModel({
      reply: ({ abortSignal }) => {
        signals.push(abortSignal)
        return new Promise(() => {})
      },
    })
    const embedder = await open(model)
    const controller = new AbortController()
    const reason = new Error('enough')
    const aborted = embedder.embed(texts, { ...passage, signal: controller.signal })
    const closed = embedder.embed(texts, passage)
    await vi.waitFor(() => expect(signals.length).toBe(2))
    controller.abort(reason)
    await expect(aborted).rejects.toBe(reason)
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, false])
    await embedder.close()
    expect((await failureOf(closed)).code).toBe('CLOSED')
    expect(signals[1]?.aborted).toBe(true)
  })

  it('by its own limit of time is TIMEOUT, also when the model does not listen', async () => {
    const { model } = mockModel({ reply: () => new Promise(() => {}) })
    const embedder = await open(model, { timeoutMs: 20, maxAttempts: 1 })
    expect((await failureOf(embedder.embed(['a'], passage))).code).toBe('TIMEOUT')
  })
})
