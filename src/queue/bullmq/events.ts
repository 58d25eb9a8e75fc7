import type { QueueEvents } from 'bullmq'
import type { Clock } from '../../util/clock.js'
import type { JobEvent, JobResult, JobStatus } from '../types.js'
import { loadBullmq } from './connection.js'
import { readReason } from './record.js'

/** Tells what happens to the jobs of a queue, in whatever process. It connects by itself, as often as it takes. */
export async function listen(
  {
    clock,
    name,
    ...connection
  }: {
    readonly name: string
    readonly prefix: string
    readonly connection: Record<string, unknown>
    readonly clock: Clock
  },
  emit: (event: JobEvent) => void,
): Promise<QueueEvents> {
  const bullmq = await loadBullmq()
  const events = new bullmq.QueueEvents(name, { ...connection, skipVersionCheck: true })
  events.on('error', () => {
    // It connects again by itself; calls and workers tell what is wrong.
  })
  events.on('waiting', ({ jobId: id }) => emit({ type: 'waiting', id }))
  events.on('active', ({ jobId: id }) => emit({ type: 'active', id }))
  events.on('stalled', ({ jobId: id }) => emit({ type: 'stalled', id }))
  events.on('progress', ({ jobId: id, data }) => {
    emit({ type: 'progress', id, progress: data as unknown as JobStatus['progress'] & object })
  })
  events.on('completed', ({ jobId: id, returnvalue }) => {
    emit({ type: 'completed', id, result: returnvalue as unknown as JobResult })
  })
  events.on('delayed', ({ jobId: id, delay }) => {
    emit({ type: 'retrying', id, delayMs: Math.max(0, delay - clock.date()) })
  })
  events.on('failed', ({ jobId: id, failedReason }) => {
    const reason = readReason(failedReason)
    if (reason === 'cancelled') emit({ type: 'cancelled', id })
    else if (reason !== undefined) emit({ type: 'failed', id, error: reason })
  })
  events.on('removed', ({ jobId: id, prev }) => {
    // What is over is removed when it is forgotten or enqueued again.
    if (prev !== 'completed' && prev !== 'failed') emit({ type: 'cancelled', id })
  })
  return events
}
