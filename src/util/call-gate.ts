import type { Clock } from './clock.js'

export interface GateOptions {
  /** Calls, and tokens, that may start per minute; `Infinity` for any number. */
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  /** Milliseconds between the starts of two calls. */
  readonly delayMs: number
  readonly clock: Clock
}

interface Waiter {
  readonly tokens: number
  readonly isUrgent: boolean
  readonly enter: () => void
}

/**
 * Lets calls start no faster than a service allows: two token buckets, a least distance between starts, and a pause when the service
 * asks for one. Each bucket holds a second's worth, so calls are spread evenly and no minute sees more than 61 seconds' worth. Who
 * waits is let in in order, the urgent first.
 */
export class CallGate {
  readonly #clock: Clock
  readonly #requests: Bucket
  readonly #tokens: Bucket
  readonly #delayMs: number
  readonly #waiting: Waiter[] = []
  #nextStart = Number.NEGATIVE_INFINITY
  #pausedUntil = Number.NEGATIVE_INFINITY
  #isAdmitting = false
  #nap = new AbortController()

  constructor({ requestsPerMinute, tokensPerMinute, delayMs, clock }: GateOptions) {
    this.#clock = clock
    this.#requests = new Bucket(requestsPerMinute, clock)
    this.#tokens = new Bucket(tokensPerMinute, clock)
    this.#delayMs = delayMs
  }

  /** Resolves when a call of so many tokens may start, or rejects with `signal.reason`. */
  async pass(call: {
    readonly tokens: number
    readonly isUrgent: boolean
    readonly signal: AbortSignal
  }): Promise<void> {
    const { tokens, isUrgent, signal } = call
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const waiter: Waiter = { tokens, isUrgent, enter }
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        this.#nap.abort()
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      const place = isUrgent ? this.#waiting.findIndex((other) => !other.isUrgent) : -1
      this.#waiting.splice(place === -1 ? this.#waiting.length : place, 0, waiter)
      this.#nap.abort()
      void this.#admit()
    })
  }

  /** Puts right what a call was estimated to cost. */
  settle(estimatedTokens: number, tokens: number): void {
    this.#tokens.give(estimatedTokens - tokens)
    this.#nap.abort()
  }

  /** Lets nobody in for so long. */
  pause(milliseconds: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock.now() + milliseconds)
  }

  async #admit(): Promise<void> {
    if (this.#isAdmitting) return
    this.#isAdmitting = true
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const waitMs = this.#waitMs(first.tokens)
      if (waitMs > 0) {
        this.#nap = new AbortController()
        // Whoever ends the nap has changed something that decides how long it is to be.
        await this.#clock.sleep(waitMs, this.#nap.signal).catch(() => {})
        continue
      }
      this.#waiting.shift()
      this.#requests.take(1)
      this.#tokens.take(first.tokens)
      this.#nextStart = this.#clock.now() + this.#delayMs
      first.enter()
    }
    this.#isAdmitting = false
  }

  /** Whole milliseconds, so that rounding never makes a wait of nothing that must be waited again. */
  #waitMs(tokens: number): number {
    const now = this.#clock.now()
    const until = Math.max(this.#pausedUntil, this.#nextStart) - now
    return Math.ceil(Math.max(0, until, this.#requests.waitMs(1), this.#tokens.waitMs(tokens)))
  }
}

/** A token bucket: it fills evenly, and what is taken may leave a debt, so that a call larger than the bucket can be made at all. */
class Bucket {
  readonly #clock: Clock
  readonly #perMs: number
  readonly #capacity: number
  #level: number
  #filledAt: number

  constructor(perMinute: number, clock: Clock) {
    this.#clock = clock
    this.#perMs = perMinute / 60_000
    this.#capacity = Math.max(1, perMinute / 60)
    this.#level = this.#capacity
    this.#filledAt = clock.now()
  }

  waitMs(amount: number): number {
    if (this.#perMs === Number.POSITIVE_INFINITY) return 0
    this.give(0)
    return Math.max(0, Math.min(amount, this.#capacity) - this.#level) / this.#perMs
  }

  take(amount: number): void {
    this.give(-amount)
  }

  give(amount: number): void {
    if (this.#perMs === Number.POSITIVE_INFINITY) return
    const now = this.#clock.now()
    this.#level = Math.min(this.#capacity, this.#level + (now - this.#filledAt) * this.#perMs + amount)
    this.#filledAt = now
  }
}
