import { RagError } from '../../core/errors.js'
import { Gate } from '../../util/gate.js'
import { closedError } from '../outcome.js'
import type { JobPriority } from '../types.js'
import type { Entry } from './entry.js'

/** The order in which waiting jobs begin. */
export const lanes: readonly JobPriority[] = ['high', 'normal', 'low']

/** Jobs that wait: those that may begin, in order, and those that wait for another attempt. Bounded in jobs and in bytes. */
export class WaitingRoom {
  readonly #maxWaiting: number
  readonly #maxBytes: number
  readonly #jobs: Gate
  readonly #bytes: Gate
  readonly #ready = new Map<JobPriority, Set<Entry>>(lanes.map((lane) => [lane, new Set()]))
  readonly #delayed = new Set<Entry>()

  constructor({ maxBytes, maxWaiting }: { readonly maxWaiting: number; readonly maxBytes: number }) {
    this.#maxWaiting = maxWaiting
    this.#maxBytes = maxBytes
    this.#jobs = new Gate(maxWaiting)
    this.#bytes = new Gate(maxBytes)
  }

  /** Waits for room for one more job, or with `reject` throws `OVERLOADED` when there is none. */
  async enter(bytes: number, { reject, signal }: { readonly reject: boolean; readonly signal: AbortSignal }) {
    const isFull = this.#jobs.inside >= this.#maxWaiting || this.#bytes.inside >= this.#maxBytes
    if (reject && isFull) throw overloaded(this.#jobs.inside, this.#bytes.inside)
    await this.#jobs.enter(1, signal)
    try {
      await this.#bytes.enter(bytes, signal)
    } catch (error) {
      this.#jobs.leave(1)
      throw error
    }
  }

  /** Lets a job in, room or not: what was accepted is kept. */
  push(bytes: number): void {
    this.#jobs.push(1)
    this.#bytes.push(bytes)
  }

  leave(bytes: number): void {
    this.#jobs.leave(1)
    this.#bytes.leave(bytes)
  }

  /** A job that was let in may begin. */
  ready(entry: Entry): void {
    this.#ready.get(entry.job.priority)?.add(entry)
  }

  /** A job that was let in may begin later. */
  delay(entry: Entry): void {
    this.#delayed.add(entry)
  }

  /** A delayed job has waited for long enough; false when it was taken away meanwhile. */
  endDelay(entry: Entry): boolean {
    return this.#delayed.delete(entry)
  }

  /** Takes a job away from where it waits. */
  withdraw(entry: Entry): void {
    entry.wake?.abort(closedError())
    this.#delayed.delete(entry)
    this.#ready.get(entry.job.priority)?.delete(entry)
    this.leave(entry.job.bytes)
  }

  /** The first job that may begin now. */
  next(mayBegin: (entry: Entry) => boolean): Entry | undefined {
    for (const lane of lanes) for (const entry of this.#ready.get(lane) ?? []) if (mayBegin(entry)) return entry
    return undefined
  }
}

function overloaded(waiting: number, waitingBytes: number): RagError {
  return new RagError('OVERLOADED', 'Too many jobs wait already.', {
    data: { waiting, waitingBytes },
    hint: "Enqueue later, with whenFull: 'wait', or raise maxWaiting and maxWaitingBytes.",
    retryable: true,
  })
}
