import { RagError } from '../../core/errors.js'
import type { Patience } from '../watchdog.js'

/** What every model that is a service can be told. */
export interface RemoteLlmOptions {
  /** Tokens of an answer at most, at least 1. Default: what the service thinks right. What is cut ends with finish reason `'length'`. */
  readonly maxTokens?: number
  /** From 0, always the likeliest word, to 2. Default: the service's own. Some models know only their own. */
  readonly temperature?: number
  /** Only words that make up this share of the likelihood are drawn from, above 0 to 1. Default: the service's own. */
  readonly topP?: number
  /** Texts before which an answer ends. Default: none. */
  readonly stop?: readonly string[]
  /** Asks for the same answer to the same prompt, where the service can do that. Default: none. */
  readonly seed?: number
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Name of the model in cache keys, in place of its name and where it is. Set it when the same model moves and its answers are to be
   * kept, or when another model takes over a name.
   */
  readonly identity?: string

  /** Milliseconds until an attempt gives a first sign of life, a thought included: 1 to 300,000 (Node's `fetch` waits no longer). Default 60,000. */
  readonly firstTokenTimeoutMs?: number
  /** Milliseconds between two signs of life, 1 to 300,000. Default 30,000. Time that the reader takes does not count. */
  readonly idleTimeoutMs?: number
  /** Characters of an answer at most, at least 1: a model that does not stop is stopped. Default 100,000. Then the finish reason is `'length'`. */
  readonly maxAnswerChars?: number
  /** Attempts per answer in all, 1 to 10. Default 3. Only what fails before the first word is tried again, and not what took too long. */
  readonly maxAttempts?: number
  /** Longest `Retry-After` that is waited for, in milliseconds; a longer one is a failure at once. 0 to 600,000. Default 10,000. */
  readonly maxRetryAfterMs?: number
}

/** What limits an answer and the attempts at it, complete. */
export interface RemoteLimits extends Patience {
  readonly maxAnswerChars: number
  readonly maxAttempts: number
  readonly maxRetryAfterMs: number
}

const usual: RemoteLimits = {
  firstTokenTimeoutMs: 60_000,
  idleTimeoutMs: 30_000,
  maxAnswerChars: 100_000,
  maxAttempts: 3,
  maxRetryAfterMs: 10_000,
}

const ranges: Readonly<Record<keyof RemoteLimits | 'maxTokens', readonly [least: number, most: number]>> = {
  firstTokenTimeoutMs: [1, 300_000],
  idleTimeoutMs: [1, 300_000],
  maxAnswerChars: [1, Number.MAX_SAFE_INTEGER],
  maxAttempts: [1, 10],
  maxRetryAfterMs: [0, 600_000],
  maxTokens: [1, Number.MAX_SAFE_INTEGER],
}

/** Checks options and completes the limits. Throws `BAD_OPTION`. */
export function resolveLimits(options: RemoteLlmOptions): RemoteLimits {
  for (const [name, [least, most]] of Object.entries(ranges)) {
    const value = options[name as keyof typeof ranges]
    if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) continue
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
    throw new RagError('BAD_OPTION', `${name} is a whole number ${range}.`, {
      data: { [name]: typeof value === 'number' ? value : typeof value },
    })
  }
  const limits = Object.keys(usual) as (keyof RemoteLimits)[]
  return Object.fromEntries(limits.map((name) => [name, options[name] ?? usual[name]])) as unknown as RemoteLimits
}
