import type { Job } from 'bullmq'
import { RagError, type SerializedRagError } from '../../core/errors.js'
import type { JobProgress, JobResult, JobState, JobStatus } from '../types.js'
import type { Payload } from './payload.js'

/** What BullMQ keeps as the reason of a failure: our error as JSON, or that the job was cancelled. */
type Reason = SerializedRagError | { readonly cancelled: true }

/** What BullMQ is told of a job that was cancelled while it ran. */
export const cancelledReason = JSON.stringify({ cancelled: true } satisfies Reason)

/** An error whose message is read by {@link readReason}, without a stack: that would be kept as well, and tell nobody anything. */
export function reasonError(name: string, reason: string): Error {
  const error = new Error(reason)
  error.name = name
  error.stack = ''
  return error
}

/** `'cancelled'`, or why a job failed. BullMQ's own reasons are those of workers that died. */
export function readReason(reason: string | undefined): 'cancelled' | SerializedRagError | undefined {
  if (reason === undefined || reason === '') return undefined
  try {
    const read = JSON.parse(reason) as Reason
    if ('cancelled' in read) return 'cancelled'
    if ('code' in read) return read
  } catch {
    // Not ours: below.
  }
  if (!/stalled/.test(reason)) return new RagError('WORKER', 'The job failed.', { retryable: true }).toJSON()
  return new RagError('WORKER', 'The job was given up: the workers that had it died, or gave no sign of life.', {
    hint: 'Look at what the document does to a worker (memory, a crash); retry() lets it wait again.',
  }).toJSON()
}

const states: Readonly<Record<string, JobState>> = {
  active: 'active',
  completed: 'completed',
  failed: 'failed',
}

/** A job of BullMQ as ours. */
export function toStatus(job: Job<Payload, JobResult>, stateName: string, isCancelled: boolean): JobStatus {
  const { source, namespace, priority } = job.data
  const reason = readReason(job.failedReason)
  const known = states[stateName] ?? 'waiting'
  const state =
    known !== 'completed' && (reason === 'cancelled' || (isCancelled && known !== 'active')) ? 'cancelled' : known
  const hasFailed = reason !== undefined && reason !== 'cancelled' && state !== 'completed'
  return {
    id: job.id as string,
    state,
    source,
    namespace,
    priority,
    attempts: job.attemptsMade,
    enqueuedAt: job.timestamp,
    ...(job.processedOn === undefined ? {} : { startedAt: job.processedOn }),
    ...(job.finishedOn === undefined ? {} : { finishedAt: job.finishedOn }),
    ...(isProgress(job.progress) ? { progress: job.progress } : {}),
    ...(state === 'completed' && job.returnvalue ? { result: job.returnvalue } : {}),
    ...(hasFailed ? { error: reason } : {}),
  }
}

function isProgress(progress: unknown): progress is JobProgress {
  return typeof progress === 'object' && progress !== null && 'documentsDone' in progress
}
