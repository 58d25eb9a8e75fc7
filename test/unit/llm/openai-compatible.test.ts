import type { ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import { OpenAI } from 'openai'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { createOpenAiCompatibleLlm, type OpenAiCompatibleLlmOptions } from '../../../src/llm/openai-compatible.js'
import { buildPrompt } from '../../../src/llm/prompt.js'
import type { GenerateEnd, Llm } from '../../../src/llm/types.js'
import { cutConnection } from '../../lib/api-server.js'
import {
  beginStream,
  type ChatCompletions,
  type ChatReply,
  delta,
  endStream,
  sse,
  startChatCompletions,
} from '../../lib/chat-completions.js'

const secret = 'sk-live-Zq81kTn0pXw7Rb3uVd9e'
const question = 'Where did the marmalade cat hide the lighthouse keys?'
const passage = 'The marmalade cat hid the lighthouse keys beneath a purple teapot on Tuesday.'
const prompt = buildPrompt({
  question,
  sources: [{ marker: 1, title: 'Cats', headings: [], language: 'en', score: 1, text: passage }],
  terms: [],
})

let api: ChatCompletions
const opened: Llm[] = []

beforeEach(async () => {
  api = await startChatCompletions()
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await Promise.all(opened.splice(0).map((llm) => llm.close()))
  await api.close()
})

async function open(options: Partial<OpenAiCompatibleLlmOptions> = {}): Promise<Llm> {
  const llm = await createOpenAiCompatibleLlm(
    { model: 'test-model', baseURL: api.baseURL, apiKey: secret, ...options },
    // No wait between attempts but the one the service asks for.
    { random: () => 0 },
  )
  opened.push(llm)
  return llm
}

interface Answer {
  readonly parts: string[]
  readonly end: GenerateEnd | undefined
  readonly error: unknown
}

async function ask(llm: Llm, signal?: AbortSignal): Promise<Answer> {
  const parts: string[] = []
  const ends: GenerateEnd[] = []
  try {
    const options = { onEnd: (end: GenerateEnd) => void ends.push(end), ...(signal === undefined ? {} : { signal }) }
    for await (const part of llm.generate(prompt, options)) parts.push(part)
  } catch (error) {
    return { parts, end: ends[0], error }
  }
  expect(ends).toHaveLength(1)
  return { parts, end: ends[0], error: undefined }
}

/** The error of an answer that fails, which says nothing of what was asked. */
async function failure(llm: Llm): Promise<RagError> {
  const { error } = await ask(llm)
  if (!RagError.isInstance(error)) throw new Error(`Not a RagError: ${inspect(error)}`)
  const told = inspect(error, { depth: 10 }) + JSON.stringify(error)
  for (const hidden of ['marmalade', 'lighthouse', 'teapot', secret, secret.slice(-8)])
    expect(told).not.toContain(hidden)
  return error
}

/** Answers the first requests so, the others as it should. */
function replies(...script: ChatReply[]): void {
  api.reply = (_, place) => script[place] ?? ['Yes.']
}

const tooMany = { status: 429, headers: { 'retry-after-ms': '1' }, body: { error: { message: 'Slow down.' } } }
const broken = { status: 500, body: { error: { message: 'It broke.' } } }

describe('what is asked', () => {
  it('is the API of OpenAI, with instructions and data as messages of their own', async () => {
    const { parts, end } = await ask(
      await open({ maxTokens: 50, temperature: 0, stop: ['END'], parameters: { user: 'u1' } }),
    )
    expect(parts).toEqual(['Yes.'])
    expect(end).toEqual({ finishReason: 'stop', inputTokens: 7, outputTokens: 1, model: 'test-model-2026' })
    expect(api.requests[0]?.path).toBe('/v1/chat/completions')
    expect(api.requests[0]?.headers.authorization).toBe(`Bearer ${secret}`)
    expect(api.requests[0]?.body).toEqual({
      model: 'test-model',
      messages: [
        { role: 'system', content: prompt.system },
        { role: 'user', content: prompt.text.slice(prompt.system.length).trimStart() },
      ],
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 50,
      temperature: 0,
      stop: ['END'],
      user: 'u1',
    })
  })

  it('has no key but the one that was given for this address', async () => {
    vi.stubEnv('OPENAI_API_KEY', 'sk-of-openai')
    vi.stubEnv('OPENAI_CUSTOM_HEADERS', 'x-tenant: mine')
    const llm = await createOpenAiCompatibleLlm({ model: 'm', baseURL: api.baseURL })
    opened.push(llm)
    await ask(llm)
    expect(api.requests[0]?.headers.authorization).toBeUndefined()
    expect(api.requests[0]?.headers['x-tenant']).toBeUndefined()
  })

  it('may go through a client of the caller, which decides address and key', async () => {
    const client = new OpenAI({ baseURL: api.baseURL, apiKey: 'other', maxRetries: 5 })
    replies(broken)
    const { parts } = await ask(await createOpenAiCompatibleLlm({ model: 'm', client }, { random: () => 0 }))
    expect(parts).toEqual(['Yes.'])
    expect(api.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer other', 'Bearer other'])
  })

  it('is put in other words when the service names a field it does not know, and then stays so', async () => {
    api.reply = ({ max_tokens, stream_options }) => {
      if (stream_options !== undefined)
        return { status: 422, body: { detail: [{ loc: ['body', 'stream_options'], msg: 'extra' }] } }
      if (max_tokens === undefined) return ['Yes.']
      const message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
      return { status: 400, body: { error: { message, param: 'max_tokens' } } }
    }
    const llm = await open({ maxTokens: 9 })
    expect((await ask(llm)).parts).toEqual(['Yes.'])
    expect((await ask(llm)).end).toEqual({ finishReason: 'stop', model: 'test-model-2026' })
    expect(api.requests).toHaveLength(4)
    expect(api.requests[3]?.body).toMatchObject({ max_completion_tokens: 9 })
    expect(api.requests[3]?.body.stream_options).toBeUndefined()
  })

  it('is refused when it cannot be asked', async () => {
    vi.stubEnv('OPENAI_API_KEY', '')
    await expect(createOpenAiCompatibleLlm({ model: 'm' })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    for (const wrong of [
      { model: '' },
      { baseURL: 'ftp://x' },
      { maxAttempts: 0 },
      { idleTimeoutMs: 1.5 },
      { client: {} as never },
    ]) {
      await expect(open(wrong)).rejects.toMatchObject({ code: 'BAD_OPTION' })
    }
  })
})

describe('an answer', () => {
  it('comes as it is written, and tells when it was cut', async () => {
    replies((response) => {
      beginStream(response)
      for (const part of ['It hid ', 'them [1].', '']) response.write(sse(delta(part)))
      endStream(response, { finish: 'length' })
    })
    const { parts, end } = await ask(await open())
    expect(parts).toEqual(['It hid ', 'them [1].'])
    expect(end).toEqual({ finishReason: 'length', model: 'test-model-2026' })
  })

  it('of nothing is an answer of nothing, and is not asked for again', async () => {
    replies([])
    expect(await ask(await open())).toMatchObject({ parts: [], error: undefined, end: { finishReason: 'stop' } })
    expect(api.requests).toHaveLength(1)
  })

  it('leaves the connection to the next one', async () => {
    const llm = await open()
    for (let i = 0; i < 6; i++) await ask(llm)
    expect(api.abandoned).toBe(0)
    const ports = api.requests.map(({ port }) => port as number)
    expect(Math.min(...ports)).toBeGreaterThan(0)
    // The client may still be putting the last one away when it is asked for another.
    expect(new Set(ports).size).toBeLessThanOrEqual(2)
  })

  it('that was cut before its first word is a failure', async () => {
    replies((response) => {
      beginStream(response)
      response.write(sse(delta(null, { reasoning_content: 'The user wants' })))
      endStream(response, { finish: 'length' })
    })
    const error = await failure(await open({ maxTokens: 5 }))
    expect(error).toMatchObject({ code: 'LIMIT', data: { model: 'test-model' } })
    expect(api.requests).toHaveLength(1)
  })

  it('has no thoughts in it, however the service tells them', async () => {
    replies((response) => {
      beginStream(response)
      response.write(sse(delta(null, { reasoning_content: 'The user wants' })))
      for (const part of ['<thi', 'nk>What do I', ' know?</th', 'ink>\n', '\nIt hid', ' them.'])
        response.write(sse(delta(part)))
      endStream(response)
    })
    expect((await ask(await open())).parts.join('')).toBe('It hid them.')
  })

  it('that is refused says so', async () => {
    replies((response) => {
      beginStream(response)
      response.write(sse(delta(null, { refusal: 'I cannot help with that.' })))
      endStream(response)
    })
    expect(await ask(await open())).toMatchObject({ parts: [], end: { finishReason: 'content-filter' } })
  })

  it('may come in lists of parts', async () => {
    replies((response) => {
      beginStream(response)
      response.write(
        sse(
          delta([
            { type: 'thinking', thinking: [] },
            { type: 'text', text: 'Yes' },
          ]),
        ),
      )
      endStream(response)
    })
    expect((await ask(await open())).parts).toEqual(['Yes'])
  })

  it('is not longer than is wanted, and the service is told to stop', async () => {
    replies(async (response) => {
      beginStream(response)
      while (response.writable) {
        response.write(sse(delta('more and more ')))
        await new Promise(setImmediate)
      }
    })
    const { parts, end } = await ask(await open({ maxAnswerChars: 100 }))
    expect(parts.join('')).toHaveLength(100)
    expect(end).toEqual({ finishReason: 'length' })
    await api.whenAbandoned(1)
  })

  it('that the service gives up is a failure', async () => {
    replies((response) => {
      beginStream(response)
      response.write(sse(delta('half an')))
      endStream(response, { finish: 'error' })
    })
    expect(await failure(await open())).toMatchObject({ code: 'PROVIDER', data: { reason: 'model_error' } })
  })

  it('that met the limit of the model is cut', async () => {
    replies((response) => {
      beginStream(response)
      response.write(sse(delta('half an')))
      endStream(response, { finish: 'model_length' })
    })
    expect(await ask(await open())).toMatchObject({ end: { finishReason: 'length' } })
  })

  it('of one event without end is cut off, also when its lines end', async () => {
    replies(async (response) => {
      beginStream(response)
      while (response.writable) {
        response.write(`data: ${'x'.repeat(4_000)}\n`)
        await new Promise(setImmediate)
      }
    })
    expect(await failure(await open())).toMatchObject({ data: { reason: 'endless_line' } })
  })

  it('is not waited for when a model only thinks', async () => {
    replies(async (response) => {
      beginStream(response)
      while (response.writable) {
        response.write(sse(delta(null, { reasoning: 'hmm '.repeat(10) })))
        await new Promise(setImmediate)
      }
    })
    expect(await failure(await open({ maxAnswerChars: 100 }))).toMatchObject({
      code: 'PROVIDER',
      data: { reason: 'endless_thoughts' },
    })
    await api.whenAbandoned(1)
  })
})

describe('a failure before the first word', () => {
  it.each([
    ['too many requests', tooMany],
    ['a failing service', broken],
    ['a broken connection', cutConnection],
    ['a stream that ends without a word', (response) => void response.writeHead(200).end()],
    [
      'a stream cut after its head',
      (response) => {
        beginStream(response)
        setImmediate(() => cutConnection(response))
      },
    ],
    [
      'an event that is no JSON',
      (response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: {"choices":\n\n'),
    ],
    [
      'an error in an event',
      (response) =>
        void response
          .writeHead(200, { 'content-type': 'text/event-stream' })
          .end(sse({ error: { message: question, code: 'overloaded', type: 'server_error' } })),
    ],
  ] as [string, ChatReply][])('is tried again: %s', async (_, reply) => {
    replies(reply)
    expect(await ask(await open())).toMatchObject({ parts: ['Yes.'], error: undefined })
    expect(api.requests).toHaveLength(2)
  })

  it('is told after the last attempt', async () => {
    api.reply = () => broken
    expect(await failure(await open())).toMatchObject({
      code: 'PROVIDER',
      retryable: true,
      data: { status: 500, model: 'test-model' },
    })
    expect(api.requests).toHaveLength(3)
  })

  it('is told at once when the service asks to be left alone for long', async () => {
    api.reply = () => ({ ...tooMany, headers: { 'retry-after': '30' } })
    expect(await failure(await open())).toMatchObject({
      code: 'PROVIDER',
      retryable: true,
      data: { status: 429, retryAfterMs: 30_000 },
    })
    expect(api.requests).toHaveLength(1)
  })

  it.each([
    [
      401,
      `Incorrect API key provided: ${secret}. You can find your key in the settings.`,
      /Incorrect API key provided: \*\*\* You can find/,
    ],
    [401, `Key sk-live-*****${secret.slice(-8)} is unknown`, /Key \*\*\* is unknown/],
    [404, 'The model `test-model` does not exist', /The model `test-model` does not exist/],
    [403, `You may not ask: ${question}`, /refused the call \(403\)\.$/],
    [400, `Not allowed: ${passage}`, /refused what it was sent \(400\)\.$/],
  ])(
    'repeats what the service says about who asks, never the key, and nothing that was sent: %s',
    async (status, said, expected) => {
      replies({ status, body: { error: { message: said, type: 'invalid_request_error', code: null } } })
      const error = await failure(await open())
      expect(error).toMatchObject({ code: 'PROVIDER', retryable: false, data: { status } })
      expect(error.message.replace(' invalid_request_error', '')).toMatch(expected)
      expect(api.requests).toHaveLength(1)
    },
  )

  it.each([200, 500])('is a line that does not end, with status %d', async (status) => {
    replies(async (response) => {
      response.writeHead(status, { 'content-type': 'text/event-stream' })
      response.write('data: {"choices":[{"delta":{"content":"')
      const more = 'x'.repeat(65_536)
      while (response.writable) {
        response.write(more)
        await new Promise(setImmediate)
      }
    })
    const error = await failure(await open({ maxAttempts: 1 }))
    expect(error).toMatchObject({ code: 'PROVIDER' })
    await api.whenAbandoned(1)
  })

  it('is content that is no text', async () => {
    replies((response) => {
      beginStream(response)
      response.write(sse(delta({ image: question })))
      endStream(response)
    })
    expect(await failure(await open())).toMatchObject({ code: 'PROVIDER', data: { reason: 'not_text' } })
    expect(api.requests).toHaveLength(1)
  })

  it('is a service that says nothing for too long, which is not asked again', async () => {
    replies(() => {})
    expect(await failure(await open({ firstTokenTimeoutMs: 100 }))).toMatchObject({
      code: 'TIMEOUT',
      retryable: true,
      data: { reason: 'first_token' },
    })
    expect(api.requests.length).toBeLessThanOrEqual(1)
    await api.whenIdle()
  })

  it('is a service that cannot be reached', async () => {
    const gone = await startChatCompletions()
    await gone.close()
    expect(await failure(await open({ baseURL: gone.baseURL, maxAttempts: 2 }))).toMatchObject({
      code: 'PROVIDER',
      retryable: true,
    })
  })
})

describe('a failure in the middle of an answer', () => {
  it.each([
    ['a broken connection', cutConnection],
    ['an end without a reason', (response) => void response.end()],
    ['an event that is no JSON', (response) => void response.end('data: {"choices"\n\n')],
    [
      'an event that is an error',
      (response) => void response.end(sse({ error: { message: passage, type: 'server_error' } })),
    ],
  ] as [string, (response: ServerResponse) => void][])(
    'is told, with what was written before, and nothing is asked again: %s',
    async (_, fail) => {
      replies((response) => {
        beginStream(response)
        response.write(sse(delta('It hid ')), () => setTimeout(() => fail(response), 5))
      })
      const { parts, end, error } = await ask(await open())
      expect(parts).toEqual(['It hid '])
      expect(end).toBeUndefined()
      expect(error).toMatchObject({ code: 'PROVIDER' })
      expect(inspect(error)).not.toMatch(/marmalade|teapot/)
      expect(api.requests).toHaveLength(1)
    },
  )

  it('is a silence that is too long, unless it is the reader who is slow', async () => {
    replies((response) => {
      beginStream(response)
      response.write(sse(delta('It hid ')))
    })
    const llm = await open({ idleTimeoutMs: 40 })
    expect(await ask(llm)).toMatchObject({ parts: ['It hid '], error: { code: 'TIMEOUT', data: { reason: 'idle' } } })

    api.reply = () => ['a', 'b', 'c']
    const read: string[] = []
    for await (const part of llm.generate(prompt, {})) {
      await new Promise((resolve) => setTimeout(resolve, 60))
      read.push(part)
    }
    expect(read).toEqual(['a', 'b', 'c'])
  })
})

describe('an end that comes from outside', () => {
  it('closes the connection: before the answer, in the middle of it, while it waits to try again', async () => {
    const reason = new Error('enough')
    const llm = await open({ maxRetryAfterMs: 600_000 })
    const stopped = async (reply: ChatReply, isTime: () => Promise<void>): Promise<string[]> => {
      api.reply = () => reply
      const controller = new AbortController()
      const waiting = ask(llm, controller.signal)
      await isTime()
      controller.abort(reason)
      const { error, parts } = await waiting
      expect(error).toBe(reason)
      return parts
    }
    await stopped(
      () => {},
      () => api.whenAsked(1),
    )
    await api.whenAbandoned(1)

    let sent = () => {}
    const isSent = new Promise<void>((resolve) => {
      sent = resolve
    })
    const flowing: ChatReply = (response) => {
      beginStream(response)
      response.write(sse(delta('It ')), sent)
    }
    await stopped(flowing, () => isSent)
    await api.whenAbandoned(2)

    await stopped({ ...tooMany, headers: { 'retry-after': '500' } }, () => api.whenAsked(3))
    await api.whenIdle()
    expect(api.requests).toHaveLength(3)
  })

  it('closes the connection when the reader leaves, and when the model is closed', async () => {
    api.reply = () => (response) => {
      beginStream(response)
      response.write(sse(delta('It ')))
    }
    const llm = await open()
    for await (const _ of llm.generate(prompt, {})) break
    await api.whenAbandoned(1)
    const reading = ask(llm)
    await api.whenAsked(2)
    await llm.close()
    expect((await reading).error).toMatchObject({ code: 'CLOSED' })
    await api.whenAbandoned(2)
    expect((await ask(llm)).error).toMatchObject({ code: 'CLOSED' })
  })
})

describe('what it is known by', () => {
  it('changes with whatever changes what it writes, and with nothing else', async () => {
    const base = { model: 'a', baseURL: 'http://one/v1' }
    const fingerprintOf = async (more: object) => (await createOpenAiCompatibleLlm({ ...base, ...more })).fingerprint
    const own = await fingerprintOf({})
    const same = [{ apiKey: 'k' }, { headers: { a: 'b' } }, { idleTimeoutMs: 5 }, { maxAttempts: 1 }]
    const others = [
      { model: 'b' },
      { baseURL: 'http://two/v1' },
      { temperature: 0 },
      { maxTokens: 5 },
      { stop: ['a'] },
      { parameters: { a: 1 } },
    ]
    for (const more of same) expect(await fingerprintOf(more)).toBe(own)
    expect(new Set([own, ...(await Promise.all(others.map(fingerprintOf)))]).size).toBe(others.length + 1)
    expect(own).not.toContain('k-')
  })
})
