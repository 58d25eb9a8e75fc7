import { RagError, type RagErrorCode } from '../core/errors.js'

/** What a client is told of a failure: no data, cause, hint or stack. */
export interface PublicError {
  /** `'ABORTED'`: the server's own signal ended the answer; `'INTERNAL'`: something that is no `RagError` was thrown. */
  readonly code: RagErrorCode | 'ABORTED' | 'INTERNAL'
  readonly message: string
  /** Whether the same question may be answered later. */
  readonly retryable: boolean
}

/**
 * A failure as a client may see it. What is wrong with the question is told; other messages name files, services and settings of the server, and
 * what others throw may hold anything: of these only the code, or that there was one, is passed on. `message` replaces the text.
 */
export function toPublicError(error: unknown, message: string | undefined): PublicError {
  const told = describe(error)
  return message === undefined ? told : { ...told, message }
}

/** Codes of what the client can mend, or wait for. */
const aboutTheQuestion: ReadonlySet<RagErrorCode> = new Set([
  'BAD_FILTER',
  'BAD_INPUT',
  'DEADLINE',
  'LIMIT',
  'OVERLOADED',
  'TIMEOUT',
])

function describe(error: unknown): PublicError {
  if (RagError.isInstance(error)) {
    const message = aboutTheQuestion.has(error.code) ? error.message : 'The answer could not be completed.'
    return { code: error.code, message, retryable: error.retryable }
  }
  if (error instanceof Error && error.name === 'AbortError') {
    return { code: 'ABORTED', message: 'The answer was aborted.', retryable: false }
  }
  if (error instanceof Error && error.name === 'TimeoutError') {
    return { code: 'TIMEOUT', message: 'The answer took too long.', retryable: true }
  }
  return { code: 'INTERNAL', message: 'The answer could not be completed.', retryable: false }
}
