import { inspect } from 'node:util'
import OpenAI, { AzureOpenAI } from 'openai'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import {
  createOpenAiCompatibleEmbedder,
  type OpenAiCompatibleEmbedderOptions,
} from '../../../src/embed/openai-compatible.js'
import type { OpenAiEmbeddingsClient } from '../../../src/embed/remote/openai-endpoint.js'
import type { Embedder } from '../../../src/embed/types.js'
import { type ApiReply, apiError, type EmbeddingsApi, startEmbeddingsApi } from '../../lib/embeddings-api.js'

const dimensions = 16
const passage = { kind: 'passage' } as const
const secret = 'sk-live-Zq81kTn0pXw7Rb3uVd9e'

let api: EmbeddingsApi
const opened: Embedder[] = []

beforeEach(async () => {
  api = await startEmbeddingsApi({ dimensions })
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await Promise.all(opened.splice(0).map((embedder) => embedder.close()))
  await api.close()
})

/** With dimensions, so that the first request is the first of the test. */
async function open(options: Partial<OpenAiCompatibleEmbedderOptions> = {}): Promise<Embedder> {
  const embedder = await createOpenAiCompatibleEmbedder(
    { model: 'test-model', baseURL: api.baseURL, apiKey: secret, dimensions, ...options },
    // No wait between attempts but the one the service asks for.
    { random: () => 0 },
  )
  opened.push(embedder)
  return embedder
}

/** Answers the first requests so, the others as it should. */
function replies(...script: (ApiReply | undefined)[]): void {
  api.reply = (_, place) => script[place]
}

function rowsOf({ vectors }: { readonly vectors: Float32Array }, width = dimensions): number[][] {
  return Array.from({ length: vectors.length / width }, (_, row) => [...vectors.slice(row * width, (row + 1) * width)])
}

/** What a sound service makes of the texts. */
async function expected(texts: readonly string[]): Promise<number[][]> {
  const sound = await startEmbeddingsApi({ dimensions })
  const embedder = await createOpenAiCompatibleEmbedder({ model: 'sound', baseURL: sound.baseURL, dimensions })
  const rows = rowsOf(await embedder.embed(texts, passage))
  await embedder.close()
  await sound.close()
  return rows
}

async function failureOf(promise: Promise<unknown>): Promise<RagError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!RagError.isInstance(error)) throw new Error(`Not a RagError: ${inspect(error)}`)
  return error
}

const texts = ['one fish', 'two fish', 'red fish', 'blue fish', 'old fish', 'new fish']
const waitNot = { headers: { 'retry-after-ms': '1' } } as const

describe('what is asked', () => {
  it('is the API of OpenAI, with the key, the model and the texts', async () => {
    const embedder = await open({ passagePrefix: 'passage: ' })
    await embedder.embed(['a', 'b'], passage)
    const [request] = api.requests
    expect(api.requests.length).toBe(1)
    expect(request?.path).toBe('/v1/embeddings')
    expect(request?.headers.authorization).toBe(`Bearer ${secret}`)
    expect(request?.body).toEqual({
      model: 'test-model',
      input: ['passage: a', 'passage: b'],
      encoding_format: 'base64',
      dimensions,
    })
  })

  it('has the prefix and the parameters of its kind', async () => {
    const embedder = await open({
      queryPrefix: 'q: ',
      passagePrefix: 'p: ',
      queryParameters: { input_type: 'query' },
      passageParameters: { input_type: 'passage' },
    })
    await embedder.embed(['a'], { kind: 'query' })
    await embedder.embed(['a'], passage)
    expect(api.requests.map(({ body }) => [body.input[0], body.input_type])).toEqual([
      ['q: a', 'query'],
      ['p: a', 'passage'],
    ])
  })

  it('never holds texts of white space, nor half a surrogate pair', async () => {
    const embedder = await open({ passagePrefix: 'p: ' })
    const { vectors, failed } = await embedder.embed(['', 'a\uD800', ' \n\t\u3000'], passage)
    expect(api.requests[0]?.body.input).toEqual(['p: a\uFFFD'])
    expect(failed.map(({ index, error }) => [index, (error as RagError).code])).toEqual([
      [0, 'EMPTY'],
      [2, 'EMPTY'],
    ])
    expect(rowsOf({ vectors }).map((row) => row.some((value) => value !== 0))).toEqual([false, true, false])
  })

  it('is nothing when there is nothing to embed', async () => {
    const embedder = await open()
    expect((await embedder.embed([], passage)).vectors.length).toBe(0)
    expect((await embedder.embed(['', ' '], passage)).failed.length).toBe(2)
    expect(api.requests.length).toBe(0)
  })

  it('carries no key of the environment to a host it was not given for', async () => {
    vi.stubEnv('OPENAI_API_KEY', secret)
    vi.stubEnv('OPENAI_ORG_ID', 'org-mine')
    vi.stubEnv('OPENAI_PROJECT_ID', 'project-mine')
    vi.stubEnv('OPENAI_ADMIN_KEY', 'admin-mine')
    vi.stubEnv('OPENAI_CUSTOM_HEADERS', 'X-Proxy-Key: proxy-mine\nAuthorization: Bearer proxy-mine\nnonsense')
    const embedder = await createOpenAiCompatibleEmbedder({ model: 'm', baseURL: api.baseURL, dimensions })
    await embedder.embed(['a'], passage)
    const headers = JSON.stringify(api.requests[0]?.headers)
    for (const value of [secret, 'org-mine', 'project-mine', 'admin-mine', 'proxy-mine', 'authorization']) {
      expect(headers).not.toContain(value)
    }
    await embedder.close()
  })

  it('carries its own key where the environment has another', async () => {
    vi.stubEnv('OPENAI_API_KEY', 'not-this')
    vi.stubEnv('OPENAI_CUSTOM_HEADERS', 'authorization: Bearer not-this\nx-other: not-this')
    const embedder = await open()
    await embedder.embed(['a'], passage)
    expect(api.requests[0]?.headers.authorization).toBe(`Bearer ${secret}`)
    expect(JSON.stringify(api.requests[0]?.headers)).not.toContain('not-this')
  })

  it('writes nothing to the console, whatever OPENAI_LOG says', async () => {
    vi.stubEnv('OPENAI_LOG', 'debug')
    const spies = (['log', 'debug', 'info', 'warn', 'error'] as const).map((name) => vi.spyOn(console, name))
    replies(apiError(500, 'oops'))
    const embedder = await open()
    await embedder.embed(['secret text'], passage)
    for (const spy of spies) expect(spy).not.toHaveBeenCalled()
  })

  it('has the headers of the options, also one in place of the key', async () => {
    const embedder = await open({ apiKey: '', headers: { 'api-key': 'x', Authorization: 'Basic abc' } })
    await embedder.embed(['a'], passage)
    expect(api.requests[0]?.headers).toMatchObject({ 'api-key': 'x', authorization: 'Basic abc' })
  })

  it('goes through a client of the caller, without its own repetitions', async () => {
    const client: OpenAiEmbeddingsClient = new OpenAI({ apiKey: 'theirs', baseURL: api.baseURL, maxRetries: 7 })
    api.reply = () => apiError(500, 'oops')
    const embedder = await createOpenAiCompatibleEmbedder({ model: 'm', client, dimensions, maxAttempts: 1 })
    await failureOf(embedder.embed(['a'], passage))
    // The failed one and the look whether the service works at all.
    expect(api.requests.length).toBe(2)
    expect(api.requests[0]?.headers.authorization).toBe('Bearer theirs')
    await embedder.close()
  })

  it('goes to a deployment of Azure through its client', async () => {
    const endpoint = new URL(api.baseURL).origin
    const client: OpenAiEmbeddingsClient = new AzureOpenAI({ apiKey: 'theirs', endpoint, apiVersion: '2024-10-21' })
    const embedder = await createOpenAiCompatibleEmbedder({ model: 'mine', client })
    expect(embedder.dimensions).toBe(dimensions)
    expect(api.requests[0]?.path).toBe('/openai/deployments/mine/embeddings?api-version=2024-10-21')
    await embedder.close()
  })
})

describe('dimensions', () => {
  it('are learnt from the service when they are not given', async () => {
    const embedder = await createOpenAiCompatibleEmbedder({ model: 'm', baseURL: api.baseURL })
    expect(embedder.dimensions).toBe(dimensions)
    expect(api.requests.length).toBe(1)
    expect(api.requests[0]?.body.dimensions).toBeUndefined()
    await embedder.warmUp?.()
    expect(api.requests.length).toBe(1)
    await embedder.close()
  })

  it('that are given need no request before the first text', async () => {
    const embedder = await open({ dimensions: 8 })
    expect(embedder.dimensions).toBe(8)
    expect(api.requests.length).toBe(0)
    const { vectors } = await embedder.embed(['a'], passage)
    expect(vectors.length).toBe(8)
    expect(api.requests[0]?.body.dimensions).toBe(8)
  })

  it('are not asked for again when the service refuses to be asked', async () => {
    api.reply = ({ body }) => ('dimensions' in body ? apiError(400, 'Model does not support matryoshka') : undefined)
    const embedder = await open()
    expect((await embedder.embed(texts, passage)).failed).toEqual([])
    const first = api.requests.length
    await embedder.embed(texts, passage)
    expect(api.requests.length).toBe(first + 1)
    expect(api.requests.at(-1)?.body.dimensions).toBeUndefined()
  })

  it('are not asked for when the options say so', async () => {
    const embedder = await open({ requestDimensions: false })
    await embedder.embed(['a'], passage)
    expect(api.requests[0]?.body).not.toHaveProperty('dimensions')
  })

  it('that are not those of the model are an error that names both, at once', async () => {
    const embedder = await open({ dimensions: 8, requestDimensions: false })
    const error = await failureOf(embedder.embed(texts, passage))
    expect(error.code).toBe('PROVIDER')
    expect(error.data).toMatchObject({ model: 'test-model', reason: 'wrong_dimensions' })
    expect(error.hint).toContain('16')
    expect(error.retryable).toBe(false)
    expect(api.requests.length).toBe(1)
  })
})

describe('the form of the answer', () => {
  it('is base64 where the service honours it, and numbers give the same vectors', async () => {
    const base64 = await open()
    const numbers = await open({ encodingFormat: 'float' })
    const rows = rowsOf(await base64.embed(texts, passage))
    expect(rowsOf(await numbers.embed(texts, passage))).toEqual(rows)
    expect(api.requests.map(({ body }) => body.encoding_format)).toEqual(['base64', 'float'])
  })

  it('may be numbers although base64 was asked for', async () => {
    api.reply =
      ({ body }) =>
      (response, honest) => {
        const data = honest.data.map((entry, index) => ({
          ...entry,
          embedding: numbersOf(body.input[index] as string),
        }))
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...honest, data }))
      }
    const embedder = await open({ requestDimensions: false })
    const rows = rowsOf(await embedder.embed(['a', 'bb'], passage))
    for (const [place, text] of ['a', 'bb'].entries()) {
      const numbers = numbersOf(text)
      const length = Math.hypot(...numbers)
      for (const [column, value] of numbers.entries()) expect(rows[place]?.[column]).toBeCloseTo(value / length, 6)
    }
  })

  it('is numbers, from the second request on at once, where the service refuses base64', async () => {
    api.reply = ({ body }) => (body.encoding_format === 'base64' ? apiError(422, 'only float') : undefined)
    const embedder = await open()
    expect(rowsOf(await embedder.embed(texts, passage))).toEqual(await expected(texts))
    await embedder.embed(texts, passage)
    expect(api.requests.map(({ body }) => body.encoding_format)).toEqual(['base64', 'float', 'float'])
  })

  it('is not learnt from an answer without vectors', async () => {
    replies(html, html)
    api.reply = (
      (script) => (request, place) =>
        script(request, place) ?? ('dimensions' in request.body ? apiError(400, 'no matryoshka') : undefined)
    )(api.reply)
    const embedder = await open()
    expect(rowsOf(await embedder.embed(texts, passage))).toEqual(await expected(texts))
    expect(api.requests.at(-1)?.body).toMatchObject({ encoding_format: 'base64' })
  })

  it.each<[string, (index: number) => number | undefined]>([
    ['out of order', (index) => (index + 2) % texts.length],
    ['without the index that is 0', (index) => (index === 0 ? undefined : index)],
    ['without any index', () => undefined],
    ['all numbered 0', () => 0],
  ])('may have vectors %s', async (name, indexOf) => {
    api.reply = () => (response, honest) => {
      const isShuffled = name === 'out of order'
      const data = honest.data.map((_, place) => {
        const entry = honest.data[isShuffled ? (indexOf(place) as number) : place]
        return { object: 'embedding', embedding: entry?.embedding, index: indexOf(place) }
      })
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...honest, data }))
    }
    const embedder = await open()
    expect(rowsOf(await embedder.embed(texts, passage))).toEqual(await expected(texts))
  })

  it('has rows scaled to length 1', async () => {
    api.reply = () => (response, honest) => {
      const data = honest.data.map(({ index }) => ({ index, embedding: Array.from({ length: dimensions }, () => 7) }))
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ data }))
    }
    const embedder = await open()
    for (const row of rowsOf(await embedder.embed(texts, passage))) expect(Math.hypot(...row)).toBeCloseTo(1, 6)
  })
})

function numbersOf(text: string): number[] {
  return Array.from({ length: dimensions }, (_, column) => (text.charCodeAt(0) % 7) / 7 - column / 11 + 0.01)
}

/** Changes the vectors of a sound answer. */
function withRows(change: (rows: unknown[]) => unknown[]): ApiReply {
  return (response, honest) => {
    const plain = honest.data.map(({ embedding }) => (typeof embedding === 'string' ? decode(embedding) : embedding))
    const data = change(plain).map((embedding, index) => ({ object: 'embedding', index, embedding }))
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...honest, data }))
  }
}

function decode(text: string): number[] {
  const bytes = Buffer.from(text, 'base64')
  return [...new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))]
}

function base64Of(values: readonly number[]): string {
  return Buffer.from(Float32Array.from(values).buffer).toString('base64')
}

const html: ApiReply = {
  headers: { 'content-type': 'text/html' },
  body: '<html><body>Welcome to nginx!</body></html>',
}
const wrongAnswers: readonly [string, ApiReply][] = [
  ['half a JSON', { body: '{"object":"list","data":[{"embedd' }],
  ['a page of HTML', html],
  ['a page of HTML that calls itself JSON', { body: '<html>' }],
  ['nothing', { body: '' }],
  ['null', { body: 'null' }],
  ['an empty object', { body: {} }],
  ['an error with status 200', { body: { error: { message: 'no', code: 500 } } }],
  ['too few vectors', withRows((rows) => rows.slice(1))],
  ['too many vectors', withRows((rows) => [...rows, rows[0]])],
  ['one vector that is too short', withRows(([first, ...rows]) => [(first as number[]).slice(1), ...rows])],
  ['strings for numbers', withRows((rows) => rows.map((row) => (row as number[]).map(String)))],
  ['null for a number', withRows(([, ...rows]) => [Array.from({ length: dimensions }, () => null), ...rows])],
  ['NaN in base64', withRows((rows) => rows.map(() => base64Of(Array.from({ length: dimensions }, () => Number.NaN))))],
  [
    'numbers beyond single precision',
    withRows((rows) => rows.map(() => Array.from({ length: dimensions }, () => 1e300))),
  ],
  ['base64 that ends within a number', withRows((rows) => rows.map(() => base64Of([1, 2, 3]).slice(0, 14)))],
  ['a vector of zeros', withRows(([, ...rows]) => [Array.from({ length: dimensions }, () => 0), ...rows])],
  ['vectors that are missing', withRows((rows) => rows.map(() => undefined))],
  [
    'one place twice',
    (response, honest) => {
      const data = honest.data.map((entry) => ({ ...entry, index: Math.max(1, entry.index) }))
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...honest, data }))
    },
  ],
  [
    'a connection that breaks within the answer',
    (response, honest) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100000' })
      response.write(JSON.stringify(honest).slice(0, 50), () => response.destroy())
    },
  ],
  ['a connection that breaks before the answer', (response) => void response.destroy()],
]

describe('a failure that may pass', () => {
  it.each<[string, ApiReply]>([
    ['408', { ...waitNot, status: 408, body: {} }],
    ['409', { ...waitNot, status: 409, body: {} }],
    ['429', { ...waitNot, status: 429, body: {} }],
    ['500', { ...waitNot, status: 500, body: {} }],
    ['502 with HTML', { status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad Gateway</h1>' }],
    ['503', { ...waitNot, status: 503, body: '' }],
    ['529', { ...waitNot, status: 529, body: {} }],
    ...wrongAnswers,
  ])('is tried again: %s', async (_, reply) => {
    replies(reply)
    const embedder = await open()
    const result = await embedder.embed(texts, passage)
    expect(result.failed).toEqual([])
    expect(rowsOf(result)).toEqual(await expected(texts))
    expect(api.requests.length).toBe(2)
    expect(embedder.stats?.()).toMatchObject({ texts: texts.length, failed: 0, batches: 2, retries: 1, queued: 0 })
  })

  it.each<[string, ApiReply]>([
    ['500', { status: 500, body: { error: { message: `broke on "${texts[2]}" with key ${secret}`, code: 'oops' } } }],
    ...wrongAnswers,
  ])('that does not pass is an error that names the service: %s', async (_, reply) => {
    api.reply = () => reply
    const embedder = await open({ maxAttempts: 2 })
    const error = await failureOf(embedder.embed(texts, passage))
    expect(error.code).toBe('PROVIDER')
    expect(error.retryable).toBe(true)
    expect(error.data).toMatchObject({ provider: new URL(api.baseURL).host, model: 'test-model' })
    expect(error.hint?.length).toBeGreaterThan(10)
    // Two attempts, and one look whether the service embeds anything at all.
    expect(api.requests.length).toBe(3)
    for (const shown of [inspect(error, { depth: 9 }), JSON.stringify(error), error.stack ?? '']) {
      for (const text of [...texts, secret]) expect(shown).not.toContain(text)
    }
  })

  it('is not tried more often than the options say', async () => {
    api.reply = () => ({ ...waitNot, status: 429, body: {} })
    const embedder = await open({ maxAttempts: 4 })
    const error = await failureOf(embedder.embed(['a'], passage))
    expect(error.data).toMatchObject({ status: 429 })
    expect(api.requests.length).toBe(4)
    expect(embedder.stats?.().retries).toBe(3)
  })

  it('is not tried again when the service says so, or when the account is empty', async () => {
    replies({ status: 503, headers: { 'x-should-retry': 'false' }, body: {} })
    const embedder = await open({ maxAttempts: 4 })
    await embedder.embed(['a'], passage)
    // Refused, a look, and once more, alone, as part of what failed.
    const first = api.requests.length
    api.reply = () => apiError(429, 'You exceeded your current quota', 'insufficient_quota')
    expect((await failureOf(embedder.embed(['a'], passage))).data.reason).toBe('insufficient_quota')
    expect(api.requests.length).toBe(first + 1)
  })
})

describe('a failure that does not pass', () => {
  it.each([401, 402, 403, 404, 405, 410])('is not tried again: %d', async (status) => {
    const words = `status of ${texts[0]} and ${secret}`
    api.reply = () => apiError(status, words, 'some_code')
    const embedder = await open({ maxConcurrency: 1, maxItemsPerCall: 2 })
    const error = await failureOf(embedder.embed(texts, passage))
    expect(error.code).toBe('PROVIDER')
    expect(error.retryable).toBe(false)
    expect(error.data).toEqual({
      provider: new URL(api.baseURL).host,
      model: 'test-model',
      status,
      reason: 'some_code',
    })
    expect(api.requests.length).toBe(1)
    expect(inspect(error, { depth: 9 })).not.toContain(texts[0])
    expect(inspect(error, { depth: 9 })).not.toContain(secret)
    expect(embedder.stats?.().queued).toBe(0)
  })

  it('at opening says what the service said, without the key', async () => {
    api.reply = () =>
      apiError(404, `model "test-model" not found, try pulling it first. Key: ${secret}, Bearer ${secret}`)
    const error = await failureOf(open({ dimensions: undefined as never }))
    expect(error.message).toContain('model "test-model" not found, try pulling it first')
    expect(error.hint).toContain('"/embeddings"')
    expect(inspect(error, { depth: 9 })).not.toContain(secret)
  })

  it('at warming up is forgotten, and tried again by the next', async () => {
    replies(apiError(404, 'no such model'))
    const embedder = await open()
    const [one, other] = await Promise.allSettled([embedder.warmUp?.(), embedder.warmUp?.()])
    expect([one?.status, other?.status]).toEqual(['rejected', 'rejected'])
    expect(api.requests.length).toBe(1)
    await embedder.warmUp?.()
    await embedder.warmUp?.()
    expect(api.requests.length).toBe(2)
  })

  it('is an address where nobody answers', async () => {
    const baseURL = api.baseURL
    await api.close()
    const error = await failureOf(open({ baseURL, maxAttempts: 2 }).then((embedder) => embedder.embed(['a'], passage)))
    expect(error.data).toMatchObject({ provider: new URL(baseURL).host, reason: 'ECONNREFUSED' })
    expect(error.retryable).toBe(true)
  })
})

describe('a text that the service refuses', () => {
  it.each([400, 413, 422])('fails alone, and the others do not: %d', async (status) => {
    const bad = new Set(['two fish', 'new fish'])
    api.reply = ({ body }) =>
      body.input.some((text) => bad.has(text)) ? apiError(status, `too long: ${body.input}`, 'too_long') : undefined
    const embedder = await open()
    await embedder.warmUp?.()
    const { failed, vectors } = await embedder.embed(texts, passage)
    expect(failed.map(({ index }) => index).toSorted()).toEqual([1, 5])
    for (const { error } of failed) {
      expect((error as RagError).code).toBe('PROVIDER')
      expect((error as RagError).data).toMatchObject({ status, reason: 'too_long', model: 'test-model' })
      expect(inspect(error, { depth: 9 })).not.toContain('fish')
    }
    const rows = rowsOf({ vectors })
    const sound = await expected(texts)
    for (const [place, text] of texts.entries()) {
      expect(rows[place]).toEqual(bad.has(text) ? Array.from({ length: dimensions }, () => 0) : sound[place])
    }
    expect(embedder.stats?.()).toMatchObject({ texts: 4, failed: 2, queued: 0 })
  })

  it('costs as many calls as halving takes', async () => {
    const many = Array.from({ length: 32 }, (_, place) => `text ${place}`)
    api.reply = ({ body }) => (body.input.includes('text 19') ? apiError(400, 'no') : undefined)
    const embedder = await open()
    await embedder.warmUp?.()
    const before = api.requests.length
    const { failed } = await embedder.embed(many, passage)
    expect(failed.map(({ index }) => index)).toEqual([19])
    // The whole, a look at the service, and both halves at each of five levels.
    expect(api.requests.length - before).toBe(1 + 1 + 2 * 5)
  })

  it('is found also when the service fails on it instead of refusing it', async () => {
    api.reply = ({ body }) => (body.input.includes('red fish') ? { ...waitNot, status: 500, body: 'NaN' } : undefined)
    const embedder = await open({ maxAttempts: 2 })
    const { failed, vectors } = await embedder.embed(texts, passage)
    expect(failed.map(({ index }) => index)).toEqual([2])
    expect(failed[0]?.error).toMatchObject({ code: 'PROVIDER', data: { status: 500 } })
    expect(rowsOf({ vectors })[5]).toEqual((await expected(texts))[5])
  })

  it('is not to blame when the service refuses everything: then the call fails, and warming up tells why', async () => {
    api.reply = () => apiError(400, 'This model does not make embeddings')
    const embedder = await open({ encodingFormat: 'float', requestDimensions: false })
    const error = await failureOf(embedder.embed(texts, passage))
    expect(error.data.status).toBe(400)
    expect(error.hint).toContain('warmUp()')
    expect(api.requests.length).toBe(2)
    const said = await failureOf(embedder.warmUp?.() as Promise<void>)
    expect(said.message).toContain('This model does not make embeddings')
  })

  it('is not to blame when the service goes away meanwhile', async () => {
    // Refused once, then a sign of life, then nothing any more.
    api.reply = (_, place) => (place === 0 ? apiError(400, 'no') : place === 1 ? undefined : { status: 500, body: {} })
    const embedder = await open({ encodingFormat: 'float', requestDimensions: false, maxAttempts: 2 })
    const error = await failureOf(embedder.embed(texts, passage))
    expect(error.data.status).toBe(500)
  })

  it('is none when only their number was too large, and the next calls are smaller', async () => {
    api.reply = ({ body }) => (body.input.length > 10 ? apiError(400, 'batch size is too large') : undefined)
    const many = Array.from({ length: 64 }, (_, place) => `text ${place}`)
    const embedder = await open({ maxConcurrency: 1 })
    expect((await embedder.embed(many, passage)).failed).toEqual([])
    const before = api.requests.length
    expect(rowsOf(await embedder.embed(many, passage))).toEqual(await expected(many))
    const sizes = api.requests.slice(before).map(({ body }) => body.input.length)
    expect(sizes).toEqual([8, 8, 8, 8, 8, 8, 8, 8])
  })
})

describe('time', () => {
  it('for one call is limited, to the end of its answer', async () => {
    api.reply = () => (response, honest) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write(JSON.stringify(honest).slice(0, 20))
    }
    const embedder = await open({ timeoutMs: 100, maxAttempts: 1 })
    const error = await failureOf(embedder.embed(['a'], passage))
    expect(error.code).toBe('TIMEOUT')
    expect(error.retryable).toBe(true)
    expect(error.hint).toContain('timeoutMs')
  })

  it('that was too short for many texts may do for fewer', async () => {
    api.reply = ({ body }) => (body.input.length > 2 ? () => {} : undefined)
    const embedder = await open({ timeoutMs: 1_500, maxItemsPerCall: 4 })
    expect(rowsOf(await embedder.embed(texts.slice(0, 4), passage))).toEqual(await expected(texts.slice(0, 4)))
    expect(api.requests.map(({ body }) => body.input.length)).toEqual([4, 1, 2, 2])
    await embedder.embed(texts.slice(0, 4), passage)
    expect(api.requests.slice(4).map(({ body }) => body.input.length)).toEqual([2, 2])
  })

  it('asked for by the service is given, up to a limit', async () => {
    const embedder = await open({ maxRetryAfterMs: 60 })
    replies({ status: 429, headers: { 'retry-after': '3600' }, body: {} })
    expect((await embedder.embed(['a'], passage)).failed).toEqual([])
    expect(api.requests.length).toBe(2)
  })
})

describe('calls at once', () => {
  it('are as many as the options say, refilled as they end, over all calls of embed', async () => {
    const held: (() => void)[] = []
    api.reply = () => new Promise((resolve) => held.push(() => resolve(undefined)))
    const embedder = await open({ maxConcurrency: 3, maxItemsPerCall: 2 })
    const work = Promise.all([embedder.embed(texts, passage), embedder.embed(texts, passage)])
    for (let released = 0; released < 6; released++) {
      await vi.waitFor(() => expect(held.length).toBeGreaterThan(0))
      await vi.waitFor(() => expect(api.running).toBe(Math.min(3, 6 - released)))
      held.shift()?.()
    }
    const results = await work
    const sound = await expected(texts)
    for (const result of results) expect(rowsOf(result)).toEqual(sound)
    expect(api.mostRunning).toBe(3)
    expect(api.requests.length).toBe(6)
  })

  it('keep the order of the texts, whichever is answered first', async () => {
    const many = Array.from({ length: 40 }, (_, place) => `text number ${place}`)
    api.reply = async ({ body }) => {
      await new Promise((resolve) => setTimeout(resolve, (body.input[0]?.length ?? 0) % 3 === 0 ? 20 : 0))
      return undefined
    }
    const embedder = await open({ maxItemsPerCall: 3 })
    expect(rowsOf(await embedder.embed(many, passage))).toEqual(await expected(many))
  })

  it('warn of nothing, however many listen to one signal', async () => {
    const warnings: Error[] = []
    const note = (warning: Error) => warnings.push(warning)
    process.on('warning', note)
    const embedder = await open({ maxConcurrency: 50, maxItemsPerCall: 1 })
    const many = Array.from({ length: 200 }, (_, place) => `text ${place}`)
    await embedder.embed(many, { ...passage, signal: new AbortController().signal })
    await new Promise(setImmediate)
    process.off('warning', note)
    expect(warnings).toEqual([])
  })
})

describe('an end before the end', () => {
  it('by a signal rejects with its reason at once and ends the requests', async () => {
    api.reply = () => () => {}
    const embedder = await open({ maxItemsPerCall: 1, maxConcurrency: 3 })
    const controller = new AbortController()
    const work = embedder.embed(texts, { ...passage, signal: controller.signal })
    await vi.waitFor(() => expect(api.requests.length).toBe(3))
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(work).rejects.toBe(reason)
    await vi.waitFor(() => expect(api.running).toBe(0))
    expect(api.requests.length).toBe(3)
    expect(embedder.stats?.()).toMatchObject({ queued: 0, texts: 0 })
  })

  it('by a signal ends also a wait for the next attempt', async () => {
    api.reply = () => ({ status: 429, headers: { 'retry-after': '600' }, body: {} })
    const embedder = await open({ maxRetryAfterMs: 600_000 })
    const controller = new AbortController()
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    const work = embedder.embed(['a'], { ...passage, signal: controller.signal })
    const other = embedder.embed(['b'], { ...passage, signal: controller.signal })
    await vi.waitFor(() => expect(api.requests.length).toBe(2))
    await new Promise((resolve) => setTimeout(resolve, 20))
    controller.abort('enough')
    await expect(work).rejects.toBe('enough')
    await expect(other).rejects.toBe('enough')
    expect(timers()).toBeLessThanOrEqual(before + 1)
  })

  it('by close is CLOSED for what runs, what waits and what comes', async () => {
    api.reply = () => () => {}
    const embedder = await open({ maxItemsPerCall: 1, maxConcurrency: 2 })
    const work = [embedder.embed(texts, passage), embedder.embed(['q'], { kind: 'query' })]
    await vi.waitFor(() => expect(api.requests.length).toBe(2))
    await Promise.all([embedder.close(), embedder.close()])
    for (const one of work) expect((await failureOf(one)).code).toBe('CLOSED')
    expect((await failureOf(embedder.embed(['a'], passage))).code).toBe('CLOSED')
    expect((await failureOf(embedder.warmUp?.() as Promise<void>)).code).toBe('CLOSED')
    await vi.waitFor(() => expect(api.running).toBe(0))
  })
})

describe('the fingerprint', () => {
  it('is of the model, where it is, its dimensions, the prefixes and parameters', async () => {
    const base = (await open()).fingerprint
    const differing: Partial<OpenAiCompatibleEmbedderOptions>[] = [
      { model: 'other' },
      { baseURL: `${api.baseURL}/other` },
      { dimensions: 8 },
      { queryPrefix: 'q' },
      { passagePrefix: 'q' },
      { queryParameters: { task: 'x' } },
      { passageParameters: { task: 'x' } },
      { identity: 'mine' },
    ]
    const all = await Promise.all(differing.map(async (options) => (await open(options)).fingerprint))
    expect(new Set([base, ...all]).size).toBe(differing.length + 1)
    const same: Partial<OpenAiCompatibleEmbedderOptions>[] = [
      { apiKey: 'other' },
      { baseURL: `${api.baseURL}/` },
      { maxConcurrency: 1 },
      { encodingFormat: 'float' },
      { queryPrefix: '', queryParameters: {} },
    ]
    for (const options of same) expect((await open(options)).fingerprint).toBe(base)
    expect(base).not.toContain(secret)
  })

  it('is what identity says when the model has moved', async () => {
    const here = await open({ identity: 'nomic' })
    const there = await open({ identity: 'nomic', baseURL: 'http://example.com/v1' })
    expect(there.fingerprint).toBe(here.fingerprint)
  })
})

describe('options', () => {
  it.each<[string, Partial<OpenAiCompatibleEmbedderOptions>]>([
    ['no model', { model: '' }],
    ['a host without a protocol', { baseURL: 'localhost:11434/v1' }],
    ['a password in the address', { baseURL: `http://user:${secret}@localhost/v1` }],
    ['a query in the address', { baseURL: `http://localhost/v1?key=${secret}` }],
    ['a file', { baseURL: 'file:///etc/passwd' }],
    ['a client and an address', { client: new OpenAI({ apiKey: 'x' }) }],
    ['no dimensions', { dimensions: 0 }],
    ['half a dimension', { dimensions: 1.5 }],
    ['a number as a string', { maxConcurrency: '5' as never }],
    ['no attempts', { maxAttempts: 0 }],
    ['a negative delay', { delayMs: -1 }],
    ['a rate of nothing', { requestsPerMinute: 0 }],
    ['a prefix that is no text', { queryPrefix: 5 as never }],
  ])('with %s are refused before anything is sent', async (_, options) => {
    const error = await failureOf(open(options))
    expect(error.code).toBe('BAD_OPTION')
    expect(inspect(error)).not.toContain(secret)
    expect(api.requests.length).toBe(0)
  })

  it('for OpenAI need a key', async () => {
    vi.stubEnv('OPENAI_API_KEY', '')
    const error = await failureOf(createOpenAiCompatibleEmbedder({ model: 'text-embedding-3-small', dimensions: 1536 }))
    expect(error.code).toBe('BAD_OPTION')
    expect(error.hint).toContain('OPENAI_API_KEY')
    vi.stubEnv('OPENAI_API_KEY', secret)
    const embedder = await createOpenAiCompatibleEmbedder({ model: 'text-embedding-3-small', dimensions: 1536 })
    expect(embedder.fingerprint).toContain('text-embedding-3-small@api.openai.com/v1/1536')
    for (const shown of [inspect(embedder, { depth: 9, showHidden: true }), JSON.stringify(embedder)]) {
      expect(shown).not.toContain(secret)
    }
    await embedder.close()
  })
})
