import type { Clock } from '../../util/clock.js'
import { waitAtMost } from '../../util/wait-at-most.js'
import type { JobHandler, ProcessOptions } from '../types.js'
import type { Entry } from './entry.js'

/** Milliseconds that a stopped handler may take to end before nobody waits for it any more. */
const stopMs = 5_000

/** Who runs jobs of an in-process queue. */
export class Processor {
  readonly handler: JobHandler
  readonly concurrency: number
  readonly target: string
  readonly ended: Promise<void>
  readonly #clock: Clock
  /** Jobs that run, and when each has come to its end. */
  readonly #running = new Map<Entry, Promise<void>>()
  #settle!: { readonly resolve: () => void; readonly reject: (error: unknown) => void }
  #isClosed = false

  constructor(handler: JobHandler, { concurrency, target }: ProcessOptions, clock: Clock) {
    this.handler = handler
    this.concurrency = concurrency
    this.target = target
    this.#clock = clock
    this.ended = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.ended.catch(() => {
      // Who asks for `ended` sees it; nobody has to.
    })
  }

  /** Whether it may be given another job. */
  get isFree(): boolean {
    return !this.#isClosed && this.#running.size < this.concurrency
  }

  /** Takes a job. `run` resolves when it has come to its end. */
  take(entry: Entry, run: () => Promise<void>): void {
    this.#running.set(entry, run())
  }

  /** A job's attempt has ended: there is room for another. */
  release(entry: Entry): void {
    this.#running.delete(entry)
  }

  /** It cannot work: `ended` rejects with the reason, and what it runs is given back. */
  fail(error: unknown): void {
    this.#settle.reject(error)
    void this.close(0)
  }

  async close(waitMs: number): Promise<void> {
    this.#isClosed = true
    const runs = Promise.all(this.#running.values())
    await waitAtMost(runs, waitMs, this.#clock)
    for (const { stop } of this.#running.keys()) stop?.('given-back')
    await waitAtMost(runs, stopMs, this.#clock)
    this.#settle.resolve()
  }
}
