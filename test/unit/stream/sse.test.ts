import { describe, expect, it } from 'vitest'
import type { AnswerEvent } from '../../../src/core/events.js'
import { RagError, toResponse, toSse } from '../../../src/index.js'
import { events, parseSse, readAll, streamOf } from './support.js'

const secret = 'sk-secret'

describe('server-sent events', () => {
  it('are the events, each under its name, and nothing else', async () => {
    const messages = parseSse(await readAll(toSse(streamOf(events))))
    expect(messages.map(({ data }) => JSON.parse(data))).toEqual(events)
    expect(messages.map(({ name }) => name)).toEqual(events.map(({ type }) => type))
  })

  it('survive line ends and separators of every kind in the answer', async () => {
    const text = 'a\r\nb\n\nc\u2028d\u2029data: e\u0000'
    const [message] = parseSse(await readAll(toSse(streamOf([{ type: 'answer-delta', text }]))))
    expect(JSON.parse(message?.data ?? '')).toEqual({ type: 'answer-delta', text })
  })

  it('tell a failure by code and message, without data, cause, hint and stack', async () => {
    const failure = new RagError('OVERLOADED', 'Ask again later.', {
      data: { key: secret },
      cause: new Error(secret),
      hint: secret,
      retryable: true,
    })
    const text = await readAll(toSse(streamOf(events.slice(0, 3), failure)))
    expect(parseSse(text).at(-1)).toEqual({
      name: 'error',
      data: JSON.stringify({
        type: 'error',
        error: { code: 'OVERLOADED', message: 'Ask again later.', retryable: true },
      }),
    })
    expect(text).not.toContain(secret)
  })

  it.each([
    ['an error of somebody else', new Error(secret), 'INTERNAL'],
    ['what fails behind the server', new RagError('NOT_FOUND', secret), 'NOT_FOUND'],
    ['a text', secret, 'INTERNAL'],
    ['an abort', new DOMException(secret, 'AbortError'), 'ABORTED'],
    ['a signal whose time was over', new DOMException(secret, 'TimeoutError'), 'TIMEOUT'],
  ])('tell nothing of %s', async (_name, failure, code) => {
    const text = await readAll(toSse(streamOf([], failure)))
    expect(JSON.parse(parseSse(text)[0]?.data ?? '')).toMatchObject({ type: 'error', error: { code } })
    expect(text).not.toContain(secret)
  })

  it('tell the failure to `onError`, which may word it, and whose own failure changes nothing', async () => {
    const told: unknown[] = []
    const failure = new Error('inside')
    const onError = (error: unknown): string => {
      told.push(error)
      return 'Ask again tomorrow.'
    }
    expect(await readAll(toSse(streamOf([], failure), { onError }))).toContain('"message":"Ask again tomorrow."')
    expect(told).toEqual([failure])
    const failing = (): never => {
      throw new Error(secret)
    }
    expect(await readAll(toSse(streamOf([], failure), { onError: failing }))).toContain('"code":"INTERNAL"')
  })

  it('keep the connection alive while the answer is silent, and never beside it', async () => {
    let speak = (): void => {}
    const silence = new Promise<void>((resolve) => {
      speak = resolve
    })
    async function* thinking(): AsyncGenerator<AnswerEvent, void, undefined> {
      await silence
      yield* events
    }
    const reader = toSse(thinking(), { keepAliveMs: 1 }).getReader()
    const decoder = new TextDecoder()
    const read = async (): Promise<string> => decoder.decode((await reader.read()).value)
    expect([await read(), await read()]).toEqual([': keep-alive\n\n', ': keep-alive\n\n'])
    speak()
    let text = ''
    for (let part = await read(); part !== ''; part = await read()) text += part
    expect(parseSse(text).map(({ data }) => JSON.parse(data))).toEqual(events)
  })

  it('are made as they are read: a reader that reads nothing asks for nothing', async () => {
    let asked = 0
    async function* counted(): AsyncGenerator<AnswerEvent, void, undefined> {
      for (;;) {
        asked++
        yield { type: 'answer-delta', text: 'x' }
      }
    }
    const reader = toSse(counted()).getReader()
    await new Promise(setImmediate)
    expect(asked).toBe(0)
    for (let i = 0; i < 3; i++) await reader.read()
    await new Promise(setImmediate)
    expect(asked).toBe(3)
    await reader.cancel()
  })

  it('end the answer when they are cancelled', async () => {
    let ended = false
    async function* endless(): AsyncGenerator<AnswerEvent, void, undefined> {
      try {
        for (;;) yield { type: 'answer-delta', text: 'x' }
      } finally {
        ended = true
      }
    }
    const body = toSse(endless())
    const reader = body.getReader()
    await reader.read()
    await reader.cancel()
    expect(ended).toBe(true)
  })

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('refuse to be kept alive every %s ms', (keepAliveMs) => {
    expect(() => toSse(streamOf([]), { keepAliveMs })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })
})

describe('a response', () => {
  it('is an event stream that nobody buffers, changes or keeps', async () => {
    const response = toResponse(streamOf(events), { headers: { 'x-request': '7' } })
    expect([response.status, Object.fromEntries(response.headers)]).toEqual([
      200,
      {
        'cache-control': 'no-cache, no-transform',
        'content-type': 'text/event-stream; charset=utf-8',
        'x-accel-buffering': 'no',
        'x-request': '7',
      },
    ])
    expect(parseSse(await response.text()).map(({ data }) => JSON.parse(data))).toEqual(events)
  })

  it('knows its protocols', () => {
    expect(() => toResponse(streamOf([]), { protocol: 'morse' as never })).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringContaining('"ui-message-stream"') }),
    )
  })
})
