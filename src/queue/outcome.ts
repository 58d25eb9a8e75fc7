import { RagError, type RagErrorCode } from '../core/errors.js'
import type { JobResult } from './types.js'

/** How often, and how soon, a job that failed is tried again. */
export interface RetryPolicy {
  /** Attempts in all, the first one included. */
  readonly attempts: number
  /** Longest wait before the second attempt; doubled with each further one, up to `longestDelayMs`. */
  readonly retryDelayMs: number
}

/** Milliseconds a job waits for its next attempt at most. */
const longestDelayMs = 10 * 60_000
/** Failures of the place, not of the document: they pass. */
const passing: ReadonlySet<RagErrorCode> = new Set([
  'STORAGE',
  'STORAGE_FULL',
  'LOCKED',
  'OVERLOADED',
  'PROVIDER',
  'WORKER',
])

/** A handler's failure as what is kept of it. Of an error that is not ours the message may quote a document: it is left out. */
export function asJobError(error: unknown): RagError {
  if (RagError.isInstance(error)) return error
  return new RagError('WORKER', 'The job failed for a reason that is not of this library.', {
    cause: error,
    data: { name: error instanceof Error ? error.name : typeof error },
    retryable: true,
  })
}

/**
 * Milliseconds until a job's next attempt, after `attempts` of them; `undefined` when there is none. From half of a limit that doubles
 * to all of it ("equal jitter"): jobs that failed together do not come back together, and none comes back at once.
 */
export function nextAttemptMs(
  error: RagError,
  attempts: number,
  { policy, random = Math.random }: { readonly policy: RetryPolicy; readonly random?: () => number },
): number | undefined {
  if (attempts >= policy.attempts || !isPassing(error)) return undefined
  const limitMs = Math.min(longestDelayMs, policy.retryDelayMs * 2 ** (attempts - 1))
  return limitMs / 2 + (random() * limitMs) / 2
}

/** Whether another attempt may fare better. */
export function isPassing({ retryable, code }: RagError): boolean {
  return retryable || passing.has(code)
}

/** Why a job's signal fires. */
export type StopReason = 'cancelled' | 'given-back' | 'lost'

const stopped = {
  cancelled: 'The job was cancelled.',
  'given-back': 'The worker was closed before the job was done; the job waits again.',
  lost: 'The job was taken over by another worker, as this one gave no sign of life.',
} as const satisfies Record<StopReason, string>

/** The reason of an `ActiveJob.signal`. */
export function stopError(reason: StopReason): RagError {
  return new RagError('CLOSED', stopped[reason], { data: { reason } })
}

/** The failure of a call on a queue that was closed. */
export function closedError(): RagError {
  return new RagError('CLOSED', 'The queue was closed.')
}

/** Thrown by a handler that cannot do this job nor any other: its processor ends, and the job goes to somebody else. */
export class UnfitWorker extends Error {
  constructor(cause: unknown) {
    super('This worker cannot work.', { cause })
  }
}

/** What a job did that came after a newer one of its document. */
export const superseded: JobResult = { documents: 0, unchanged: 0, chunks: 0, superseded: true }

export function unknownJob(id: string): RagError {
  return new RagError('NOT_FOUND', `There is no job "${id.slice(0, 64)}".`, {
    hint: 'It may be over for so long that it was forgotten.',
  })
}

export function otherTarget(): RagError {
  return new RagError('BAD_OPTION', 'The jobs of this queue are written to another storage already.', {
    hint: 'All workers of a queue share one storage, or each would have a part of the documents. Give this one a queue of another name.',
  })
}
