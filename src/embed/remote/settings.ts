import { RagError } from '../../core/errors.js'

/** What every embedder that asks a service can be told. */
export interface RemoteEmbedderOptions {
  /**
   * Values per vector, 1 to 65,536. Absent: learnt by embedding one short text when the embedder is opened, which then needs the
   * network. Vectors of another width are refused.
   */
  readonly dimensions?: number
  /** Put before every question. Default: nothing. Changes the fingerprint. */
  readonly queryPrefix?: string
  /** Put before every passage. Default: nothing. Changes the fingerprint. */
  readonly passagePrefix?: string
  /**
   * Name of the model in the fingerprint, in place of its name and where it is. Set it when the same model moves (another host, a proxy)
   * and its vectors are to be kept, or when another model takes over a name.
   */
  readonly identity?: string

  /** Calls at once, 1 to 1,000. Default 5. Halved when the service says 429, raised again one by one. */
  readonly maxConcurrency?: number
  /** Calls that start per minute, at least 1. Default: any number. */
  readonly requestsPerMinute?: number
  /** Tokens sent per minute, at least 1: estimated before a call, put right by what the service counted. Default: any number. */
  readonly tokensPerMinute?: number
  /** Least milliseconds between the starts of two calls, 0 to 600,000. Default 0. */
  readonly delayMs?: number

  /** Texts per call, 1 to 2,048. Default: what the service takes and the main thread reads in about 10 ms; see the documentation. */
  readonly maxItemsPerCall?: number
  /** Tokens per call, estimated as a third of the bytes, at least 1. Default: by service. A longer text goes alone. */
  readonly maxTokensPerCall?: number
  /** UTF-8 bytes of text per call, at least 1. Default 524,288. A longer text goes alone. */
  readonly maxBytesPerCall?: number

  /** Milliseconds for one call, 1 to 300,000 (Node's `fetch` waits no longer for an answer to begin). Default 60,000. */
  readonly timeoutMs?: number
  /** Attempts per call in all, 1 to 100. Default 5. 1: nothing is tried again. */
  readonly maxAttempts?: number
  /** Longest `Retry-After` that is obeyed, in milliseconds; a longer one counts as this. 0 to 3,600,000. Default 60,000. */
  readonly maxRetryAfterMs?: number
}

/** What is usual with a service. */
export interface ServiceDefaults {
  readonly maxItemsPerCall: number
  readonly maxTokensPerCall: number
}

/** The options, complete. */
export interface RemoteSettings {
  readonly dimensions: number | undefined
  readonly prefixes: { readonly query: string; readonly passage: string }
  readonly maxConcurrency: number
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  readonly delayMs: number
  readonly maxItemsPerCall: number
  /** Whether the caller said so; then the size of answers is the caller's concern. */
  readonly hasOwnMaxItems: boolean
  readonly maxTokensPerCall: number
  readonly maxBytesPerCall: number
  readonly timeoutMs: number
  readonly maxAttempts: number
  readonly maxRetryAfterMs: number
}

const many = Number.MAX_SAFE_INTEGER

/** Checks and completes options. Throws `BAD_OPTION`. */
export function resolveSettings(options: RemoteEmbedderOptions, defaults: ServiceDefaults): RemoteSettings {
  const whole = (name: keyof RemoteEmbedderOptions, least: number, most: number): number | undefined => {
    const value = options[name]
    if (value === undefined) return undefined
    if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number
    const range = most === many ? `of at least ${least}` : `from ${least} to ${most.toLocaleString('en')}`
    throw new RagError('BAD_OPTION', `${name} is a whole number ${range}.`, {
      data: { [name]: typeof value === 'number' ? value : typeof value },
    })
  }
  const text = (name: keyof RemoteEmbedderOptions): string | undefined => {
    const value = options[name]
    if (value === undefined || typeof value === 'string') return value
    throw new RagError('BAD_OPTION', `${name} is a string.`, { data: { [name]: typeof value } })
  }
  text('identity')
  return {
    dimensions: whole('dimensions', 1, 65_536),
    prefixes: { query: text('queryPrefix') ?? '', passage: text('passagePrefix') ?? '' },
    maxConcurrency: whole('maxConcurrency', 1, 1_000) ?? 5,
    requestsPerMinute: whole('requestsPerMinute', 1, many) ?? Number.POSITIVE_INFINITY,
    tokensPerMinute: whole('tokensPerMinute', 1, many) ?? Number.POSITIVE_INFINITY,
    delayMs: whole('delayMs', 0, 600_000) ?? 0,
    maxItemsPerCall: whole('maxItemsPerCall', 1, 2_048) ?? defaults.maxItemsPerCall,
    hasOwnMaxItems: options.maxItemsPerCall !== undefined,
    maxTokensPerCall: whole('maxTokensPerCall', 1, many) ?? defaults.maxTokensPerCall,
    maxBytesPerCall: whole('maxBytesPerCall', 1, many) ?? 524_288,
    timeoutMs: whole('timeoutMs', 1, 300_000) ?? 60_000,
    maxAttempts: whole('maxAttempts', 1, 100) ?? 5,
    maxRetryAfterMs: whole('maxRetryAfterMs', 0, 3_600_000) ?? 60_000,
  }
}
