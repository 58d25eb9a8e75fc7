import type { StopReason } from '../outcome.js'
import type { PreparedJob } from '../prepare-job.js'
import type { JobState, JobStatus } from '../types.js'

/** A job of an in-process queue, from the moment on at which it was accepted. */
export interface Entry {
  /** Without its input once that is not needed any more. */
  job: PreparedJob
  state: JobState
  attempts: number
  readonly enqueuedAt: number
  /** Ends the wait for another attempt. */
  wake: AbortController | undefined
  /** What stops the attempt that runs. */
  stop: ((reason: StopReason) => void) | undefined
  stopped: StopReason | undefined
  facts: Pick<JobStatus, 'startedAt' | 'finishedAt' | 'progress' | 'result' | 'error'>
}

export function createEntry(job: PreparedJob, enqueuedAt: number): Entry {
  return {
    job,
    state: 'waiting',
    attempts: 0,
    enqueuedAt,
    wake: undefined,
    stop: undefined,
    stopped: undefined,
    facts: {},
  }
}

export function isOver({ state }: Entry): boolean {
  return state === 'completed' || state === 'failed' || state === 'cancelled'
}

/** What callers see of it. */
export function describe({ job, state, attempts, enqueuedAt, facts }: Entry): JobStatus {
  const { id, source, namespace, priority } = job
  return { id, state, source, namespace, priority, attempts, enqueuedAt, ...facts }
}
