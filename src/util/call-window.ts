import pLimit, { type LimitFunction } from 'p-limit'

/** The calls of one order, such as an `embed()`. */
export interface CallQueue {
  /** Runs a call when it is its turn. */
  run<Result>(call: () => Promise<Result>): Promise<Result>
  /** Forgets the calls that have not begun. Their promises are never settled. */
  drop(): void
}

interface Waiting {
  readonly isUrgent: boolean
  readonly calls: (() => Promise<void>)[]
}

/**
 * The calls that run at once: a window that slides on as each of them ends. `p-limit` holds the places; whose call takes a free one is
 * decided when it is free: questions go first, otherwise orders take turns, so that a large one does not hold up the
 * others. It halves when the service says "too many" and grows by one place after a round without (AIMD).
 */
export class CallWindow {
  readonly #most: number
  readonly #places: LimitFunction
  #waiting: Waiting[] = []
  #successes = 0
  #narrowings = 0

  constructor(maxConcurrency: number) {
    this.#most = maxConcurrency
    this.#places = pLimit(maxConcurrency)
  }

  /** Places now. */
  get width(): number {
    return this.#places.concurrency
  }

  /** Counts how often it became narrower: hand it to {@link narrow} with the outcome of a call that began then. */
  get narrowings(): number {
    return this.#narrowings
  }

  open(options: { readonly isUrgent: boolean }): CallQueue {
    const waiting: Waiting = { isUrgent: options.isUrgent, calls: [] }
    return {
      run: (call) =>
        new Promise((resolve, reject) => {
          if (waiting.calls.length === 0) this.#waiting.push(waiting)
          waiting.calls.push(() => call().then(resolve, reject))
          void this.#places(async () => this.#next()?.())
        }),
      drop: () => {
        waiting.calls.length = 0
        this.#waiting = this.#waiting.filter((other) => other !== waiting)
      },
    }
  }

  /** A call succeeded. */
  widen(): void {
    if (this.width === this.#most || ++this.#successes < this.width) return
    this.#successes = 0
    this.#places.concurrency++
  }

  /** A call was one too many. Calls that began before the window last became narrower say nothing new. */
  narrow(begunAt: number): void {
    if (begunAt < this.#narrowings) return
    this.#narrowings++
    this.#successes = 0
    this.#places.concurrency = Math.max(1, Math.floor(this.width / 2))
  }

  #next(): (() => Promise<void>) | undefined {
    const urgent = this.#waiting.findIndex(({ isUrgent }) => isUrgent)
    const [waiting] = this.#waiting.splice(Math.max(0, urgent), 1)
    const call = waiting?.calls.shift()
    if (waiting !== undefined && waiting.calls.length > 0) this.#waiting.push(waiting)
    return call
  }
}
