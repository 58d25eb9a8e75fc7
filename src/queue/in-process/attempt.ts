import { stopError } from '../outcome.js'
import type { ActiveJob, JobHandler, JobProgress, JobResult } from '../types.js'
import type { Entry } from './entry.js'

/** How an attempt ended. */
export type AttemptOutcome = { readonly result: JobResult } | { readonly error: unknown }

/** Has a handler try a job, which `entry.stop` stops. Never rejects. */
export async function attempt(
  entry: Entry,
  handler: JobHandler,
  onProgress: (progress: JobProgress) => void,
): Promise<AttemptOutcome> {
  const controller = new AbortController()
  entry.stopped = undefined
  entry.stop = (reason) => {
    // A job that is cancelled while its worker closes is cancelled, and must not wait again.
    if (entry.stopped === undefined || reason === 'cancelled') entry.stopped = reason
    controller.abort(stopError(reason))
  }
  const { id, input, source, namespace } = entry.job
  const active: ActiveJob = {
    id,
    input,
    source,
    namespace,
    attempt: entry.attempts + 1,
    signal: controller.signal,
    report: (progress) => {
      if (entry.stop === undefined) return
      entry.facts = { ...entry.facts, progress }
      onProgress(progress)
    },
    confirm: async () => controller.signal.throwIfAborted(),
  }
  // Whoever enqueues must not run the handler's first stretch.
  await new Promise(setImmediate)
  try {
    controller.signal.throwIfAborted()
    return { result: await handler(active) }
  } catch (error) {
    return { error }
  }
}
