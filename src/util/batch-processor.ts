import { longestTimerMs } from './abort.js'

export interface BatchProcessorOptions<Item, Result> {
  /**
   * Does what is asked, with a result for each item in their order. What it throws, all of them fail with. `signal` aborts when nobody waits for any
   * of them any more.
   */
  readonly process: (items: readonly Item[], signal: AbortSignal) => Promise<readonly Result[]>
  /** Items per batch at most. */
  readonly maxItems: number
  /** Batches at work at once, at most. */
  readonly concurrency: number
  /**
   * Milliseconds that an item waits for others to fill its batch while another batch is at work. Default 0: no longer than until the
   * event loop has seen what else has arrived.
   */
  readonly timeoutMs?: number
}

/**
 * Makes batches of what many ask for at about the same time. Where nothing is at work nobody waits: a lone item is on its way within
 * the turn of the event loop in which it came, together with whatever else came in it. Beyond `concurrency`, items wait and leave
 * together, so the busier it is the larger the batches are.
 */
export class BatchProcessor<Item, Result> {
  readonly #options: BatchProcessorOptions<Item, Result>
  /** In the order they came. */
  readonly #waiting = new Set<Waiting<Item, Result>>()
  #atWork = 0
  #soon: NodeJS.Immediate | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: BatchProcessorOptions<Item, Result>) {
    this.#options = options
  }

  /** Items that are in no batch yet. */
  get queued(): number {
    return this.#waiting.size
  }

  /** Rejects with what the batch rejected with, or with `signal.reason`: then only this item is given up. */
  run(item: Item, signal?: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const waiting: Waiting<Item, Result> = {
        item,
        since: performance.now(),
        settle: (act) => {
          signal?.removeEventListener('abort', abort)
          act({ resolve, reject })
        },
        abandoned: undefined,
      }
      const abort = (): void => {
        reject(signal?.reason)
        if (!this.#waiting.delete(waiting)) waiting.abandoned?.(signal?.reason)
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiting.add(waiting)
      this.#soon ??= setImmediate(() => {
        this.#soon = undefined
        this.#dispatch()
      })
    })
  }

  #dispatch(): void {
    const { concurrency, maxItems, timeoutMs = 0 } = this.#options
    clearTimeout(this.#timer)
    while (this.#waiting.size > 0 && this.#atWork < concurrency) {
      const [oldest] = this.#waiting as Set<Waiting<Item, Result>>
      const left = (oldest as Waiting<Item, Result>).since + timeoutMs - performance.now()
      if (this.#atWork > 0 && this.#waiting.size < maxItems && left > 0) {
        this.#timer = setTimeout(() => this.#dispatch(), Math.min(Math.ceil(left), longestTimerMs))
        return
      }
      void this.#work([...this.#waiting].slice(0, maxItems))
    }
  }

  async #work(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    const stop = new AbortController()
    let wanted = batch.length
    for (const waiting of batch) {
      this.#waiting.delete(waiting)
      waiting.abandoned = (reason) => {
        wanted--
        if (wanted === 0) stop.abort(reason)
      }
    }
    this.#atWork++
    try {
      const results = await this.#options.process(
        batch.map(({ item }) => item),
        stop.signal,
      )
      for (const [index, { settle }] of batch.entries()) settle(({ resolve }) => resolve(results[index] as Result))
    } catch (error) {
      for (const { settle } of batch) settle(({ reject }) => reject(error))
    } finally {
      this.#atWork--
      this.#dispatch()
    }
  }
}

interface Waiting<Item, Result> {
  readonly item: Item
  readonly since: number
  readonly settle: (act: (promise: { resolve(result: Result): void; reject(error: unknown): void }) => void) => void
  /** Set once it is in a batch. */
  abandoned: ((reason: unknown) => void) | undefined
}
