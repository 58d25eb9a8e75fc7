/**
 * Everything that can go wrong, by name. Codes are part of the public surface: they never change meaning.
 *
 * | code | meaning | who mends it |
 * |---|---|---|
 * | `BAD_OPTION` | an option is unknown, out of range or contradicts another | the caller |
 * | `BAD_FILTER` | a filter uses an unknown operator or a value of the wrong kind | the caller |
 * | `BAD_INPUT` | a document, vector or question is not what the method takes | the caller |
 * | `NOT_FOUND` | a file or folder that was named does not exist | the caller |
 * | `MISSING_PEER` | an optional package is not installed; the hint holds the command | the caller |
 * | `UNSUPPORTED` | the media type, option or adapter is not supported | the caller |
 * | `UNSUPPORTED_VERSION` | written by a newer version of this library; nothing was touched | upgrade |
 * | `ENCRYPTED` | the document needs a password, or the one given is wrong | the caller |
 * | `CORRUPT` | the bytes are not what they claim to be | a sound copy |
 * | `EMPTY` | the document holds no bytes, or only white space | – |
 * | `NO_TEXT` | the document holds pictures of text only | OCR |
 * | `LIMIT` | a documented limit on size, ratio, pages or count was met | raise it |
 * | `TIMEOUT` | one step took longer than its own limit | raise it |
 * | `DEADLINE` | the caller's `deadlineMs` passed | the caller |
 * | `FINGERPRINT` | vectors of two different embedders would be mixed | `reindex()` |
 * | `STORAGE` | the folder cannot be read or written | the operator |
 * | `STORAGE_FULL` | the disk is full; nothing committed was lost | the operator |
 * | `LOCKED` | another process is maintaining the same store | wait |
 * | `READ_ONLY` | a write was asked of a store opened read-only | the caller |
 * | `CLOSED` | the object was closed before or during the call | the caller |
 * | `PROVIDER` | a remote service failed | retry |
 * | `INTEGRITY` | a checksum or a hash does not match | rebuilt, or download again |
 * | `OVERLOADED` | too much is queued already | retry later |
 * | `WORKER` | a worker thread died; its task was given up, the rest goes on | report |
 */
export const ragErrorCodes = [
  'BAD_OPTION',
  'BAD_FILTER',
  'BAD_INPUT',
  'NOT_FOUND',
  'MISSING_PEER',
  'UNSUPPORTED',
  'UNSUPPORTED_VERSION',
  'ENCRYPTED',
  'CORRUPT',
  'EMPTY',
  'NO_TEXT',
  'LIMIT',
  'TIMEOUT',
  'DEADLINE',
  'FINGERPRINT',
  'STORAGE',
  'STORAGE_FULL',
  'LOCKED',
  'READ_ONLY',
  'CLOSED',
  'PROVIDER',
  'INTEGRITY',
  'OVERLOADED',
  'WORKER',
] as const

/** One of {@link ragErrorCodes}. */
export type RagErrorCode = (typeof ragErrorCodes)[number]

/** What a {@link RagError} is made of. */
export interface RagErrorOptions {
  /** The facts of the failure, safe to log: never document text, vectors or credentials. */
  readonly data?: Readonly<Record<string, unknown>>
  /** The error that led to this one. */
  readonly cause?: unknown
  /** What to do next, as an instruction ("install X", "raise Y"). */
  readonly hint?: string
  /** Whether the same call may succeed later without any change. Default `false`. */
  readonly retryable?: boolean
}

const brand = Symbol.for('ultrafast-rag.error')

/**
 * The one error class of the library. The message tells what happened and with what, the `hint` what to do next.
 * Test with {@link RagError.isInstance}, which also holds when two copies of the package are loaded.
 */
export class RagError extends Error {
  override readonly name = 'RagError'
  readonly code: RagErrorCode
  readonly data: Readonly<Record<string, unknown>>
  readonly hint: string | undefined
  readonly retryable: boolean
  readonly [brand] = true

  constructor(code: RagErrorCode, message: string, options: RagErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.data = options.data ?? {}
    this.hint = options.hint
    this.retryable = options.retryable ?? false
  }

  /** True for a `RagError` made by any copy of this package, and with `code` only for that code. */
  static isInstance(value: unknown, code?: RagErrorCode): value is RagError {
    if (typeof value !== 'object' || value === null || !(brand in value)) return false
    return code === undefined || (value as RagError).code === code
  }

  /** A plain object with the public facts (no stack, no cause), for logs and JSON output. */
  toJSON(): SerializedRagError {
    return {
      name: 'RagError',
      code: this.code,
      message: this.message,
      data: this.data,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      retryable: this.retryable,
    }
  }

  /** Turns what {@link RagError.toJSON} made back into an error, for errors that crossed a thread. */
  static fromJSON(error: SerializedRagError): RagError {
    return new RagError(error.code, error.message, {
      data: error.data,
      retryable: error.retryable,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    })
  }
}

/** The JSON form of a {@link RagError}. */
export interface SerializedRagError {
  readonly name: 'RagError'
  readonly code: RagErrorCode
  readonly message: string
  readonly data: Readonly<Record<string, unknown>>
  readonly hint?: string
  readonly retryable: boolean
}
