import { describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { describeFault, type FaultContext } from '../../../src/util/fault.js'

const context: FaultContext = {
  endpoint: { secrets: ['topsecret'] },
  texts: ['a long text about max_tokens and fish'],
  quote: false,
  date: 0,
}
const faultOf = (error: unknown, more: Partial<FaultContext> = {}) => describeFault(error, { ...context, ...more })
const withCode = (code: string) => Object.assign(new Error('x'), { code })

describe('a fault', () => {
  it.each([
    [400, 'refused', false],
    [401, 'denied', false],
    [402, 'denied', false],
    [403, 'denied', false],
    [404, 'denied', false],
    [408, 'unavailable', true],
    [409, 'unavailable', true],
    [413, 'refused', false],
    [418, 'denied', false],
    [422, 'refused', false],
    [425, 'unavailable', true],
    [429, 'limited', true],
    [500, 'unavailable', true],
    [599, 'unavailable', true],
    [200, 'answer', true],
    [302, 'denied', false],
  ])('of status %d is %s', (status, kind, again) => {
    expect(faultOf({ status })).toMatchObject({ kind, again, status })
    expect(faultOf({ name: 'Outer', cause: { statusCode: status } })).toMatchObject({ kind, again, status })
  })

  it.each([
    [withCode('ECONNRESET'), 'unavailable'],
    [withCode('ENOTFOUND'), 'unavailable'],
    [withCode('UND_ERR_HEADERS_TIMEOUT'), 'unavailable'],
    [withCode('HPE_INVALID_CONSTANT'), 'unavailable'],
    [new TypeError('fetch failed', { cause: withCode('ECONNREFUSED') }), 'unavailable'],
    [new TypeError('terminated', { cause: withCode('UND_ERR_SOCKET') }), 'unavailable'],
    [new TypeError('terminated'), 'unavailable'],
    [new Error('Connection error.', { cause: new TypeError('fetch failed') }), 'unavailable'],
    [new TypeError('fetch failed', { cause: withCode('CERT_HAS_EXPIRED') }), 'denied'],
    [new TypeError('fetch failed', { cause: withCode('DEPTH_ZERO_SELF_SIGNED_CERT') }), 'denied'],
    [withCode('UND_ERR_INVALID_ARG'), 'denied'],
    [new SyntaxError('Unexpected end of JSON input'), 'answer'],
    [withCode('ENOENT'), 'broken'],
    [new TypeError('x is not a function'), 'broken'],
    ['a string', 'broken'],
    [undefined, 'broken'],
    [null, 'broken'],
    [42, 'broken'],
  ])('of %s without a status is %s', (error, kind) => {
    expect(faultOf(error).kind).toBe(kind)
  })

  it('survives causes that go round in a circle', () => {
    const error: Error & { cause?: unknown } = new Error('round')
    error.cause = error
    expect(faultOf(error).kind).toBe('broken')
  })

  it.each([
    [{ status: 400, code: 'context_length_exceeded', type: 'invalid_request_error' }, 'context_length_exceeded'],
    [{ status: 400, code: null, type: 'invalid_request_error' }, 'invalid_request_error'],
    [{ statusCode: 404, name: 'AI_APICallError', data: { error: { code: 'not_found' } } }, 'not_found'],
    [{ status: 400, code: 400 }, undefined],
    [{ status: 400, code: 'the text about fish' }, undefined],
    [{ status: 400, code: 'fish' }, undefined],
    [{ status: 400, code: 'max_tokens' }, undefined],
    [{ status: 400, code: 'topsecret' }, undefined],
    [{ status: 400, code: 'key-topsecret-unknown' }, undefined],
    [{ status: 400, code: `a${'b'.repeat(64)}` }, undefined],
  ])('of %j has the reason %s: an identifier that is no part of a text or a key', (error, reason) => {
    expect(faultOf(error).reason).toBe(reason)
  })

  it('reads headers of any client', () => {
    expect(faultOf({ status: 429, headers: new Headers({ 'Retry-After': '2' }) }).afterMs).toBe(2_000)
    expect(faultOf({ statusCode: 429, responseHeaders: { 'Retry-After': '2' } }).afterMs).toBe(2_000)
    expect(faultOf({ statusCode: 429, cause: { responseHeaders: { 'retry-after-ms': '30' } } }).afterMs).toBe(30)
    expect(faultOf({ status: 503, headers: { 'x-should-retry': 'false' } }).again).toBe(false)
    expect(faultOf({ status: 429 }).afterMs).toBe(0)
  })

  it('is told by the last attempt of a client that has given up, and by our own errors', () => {
    const lastError = { statusCode: 429, responseHeaders: { 'retry-after': '3' } }
    expect(faultOf({ name: 'AI_RetryError', lastError })).toMatchObject({ kind: 'limited', afterMs: 3_000 })
    expect(faultOf(new RagError('PROVIDER', 'away', { retryable: true }))).toMatchObject({
      kind: 'unavailable',
      again: true,
    })
    expect(faultOf(new RagError('PROVIDER', 'no'))).toMatchObject({ kind: 'broken', again: false })
  })

  it.each(['insufficient_quota', 'billing_hard_limit_reached', 'credits_exhausted'])(
    'of an empty account (%s) is not tried again',
    (code) => {
      expect(faultOf({ status: 429, code })).toMatchObject({ kind: 'denied', again: false })
    },
  )

  it('has the words of the service only when they may be quoted, and then no key', () => {
    const key = 'sk-proj-abcdefghij'
    const message = `no model text-embedding-3-small for ${key} topsecret Bearer abc AbCdEfGh1JkLmNoPqRsTu ${'0af9'.repeat(8)}`
    expect(faultOf({ status: 404, message })).not.toHaveProperty('words')
    expect(faultOf({ status: 401, message }, { quote: true })).not.toHaveProperty('words')
    const { words = '' } = faultOf({ status: 404, message }, { quote: true })
    expect(words).toBe('no model text-embedding-3-small for *** *** Bearer *** *** ***')
    expect(faultOf({ status: 404, message: 'x'.repeat(900) }, { quote: true }).words?.length).toBeLessThan(310)
  })
})
