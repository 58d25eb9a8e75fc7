import { abortable } from './abort.js'

/** What a stream tells of the work behind it, once it has begun. */
export interface RunningStream {
  /** Fires when the work is to end before its time. */
  readonly signal: AbortSignal
  /** Makes `signal` fire, for a reader that has left and after a failure; does nothing when the work is done. */
  abandon(): void
}

/**
 * A generator that can be left at any moment. One of the language queues `return()` behind a `next()` that still waits, so a reader who
 * leaves while a model is silent waits with it; and one that nobody asks any more keeps what it holds although its signal has fired. Here
 * `return()` ends the work at once, and so does the signal: what waits rejects with its reason, what nobody waits for is unwound, and the
 * next `next()` rejects.
 */
export class EndableStream<Value> implements AsyncGenerator<Value, void, undefined> {
  readonly #source: AsyncGenerator<Value, void, undefined>
  #running: RunningStream | undefined
  /** Calls of `next()` that wait. */
  #waiting = 0
  #left = false
  /** Whether the source is told to end, or has ended. */
  #unwound = false
  /** What the signal said while nobody was there to be told. */
  #untold: { readonly reason: unknown } | undefined

  /** `begin` makes the source; the source calls what it is given when its work begins. */
  constructor(begin: (onRunning: (running: RunningStream) => void) => AsyncGenerator<Value, void, undefined>) {
    this.#source = begin((running) => {
      this.#running = running
      running.signal.addEventListener('abort', () => this.#unwindUnread(), { once: true })
      // Left before it began to work.
      if (this.#left) running.abandon()
    })
  }

  async next(): Promise<IteratorResult<Value, void>> {
    if (this.#untold !== undefined) {
      const { reason } = this.#untold
      this.#untold = undefined
      throw reason
    }
    if (this.#unwound) return ended
    this.#waiting++
    try {
      const step = await abortable(this.#source.next(), this.#running?.signal)
      return this.#left ? ended : step
    } catch (error) {
      this.#unwind()
      // What else was begun for it is of no use any more.
      this.#running?.abandon()
      if (this.#left) return ended
      throw error
    } finally {
      this.#waiting--
    }
  }

  /** Resolves when everything behind it has ended. */
  async return(): Promise<IteratorResult<Value, void>> {
    this.#left = true
    this.#unwound = true
    this.#untold = undefined
    this.#running?.abandon()
    // How the work ended is nobody's concern any more.
    await this.#source.return().catch(() => {})
    return ended
  }

  async throw(error: unknown): Promise<IteratorResult<Value, void>> {
    await this.return()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #unwindUnread(): void {
    if (this.#waiting > 0 || this.#left) return
    this.#untold = { reason: this.#running?.signal.reason }
    this.#unwind()
  }

  /** Takes effect when the source comes to its next `yield`, or at once. */
  #unwind(): void {
    this.#unwound = true
    this.#source.return().catch(() => {})
  }
}

const ended = { done: true, value: undefined } as const
