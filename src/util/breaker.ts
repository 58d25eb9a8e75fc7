import type { Clock } from './clock.js'

/** Options of {@link Breaker}. */
export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly failures: number
  /** Milliseconds it stays open at first; doubled each time the attempt after it fails, up to `mostMs`. */
  readonly leastMs: number
  readonly mostMs: number
}

/** Milliseconds between two looks at how the call that was let through fares. */
const probeMs = 50

/**
 * Keeps calls from a service that does not answer: after some failures in a row nobody is let through for a while, then one, whose
 * fate decides for the others (the circuit breaker of Nygard, Release It!, 2007).
 */
export class Breaker {
  readonly #options: BreakerOptions
  readonly #clock: Pick<Clock, 'now'>
  #failures = 0
  #waitMs: number
  #openUntil = Number.NEGATIVE_INFINITY
  #openedAt = Number.POSITIVE_INFINITY
  #probing = false

  constructor(options: BreakerOptions, clock: Pick<Clock, 'now'>) {
    this.#options = options
    this.#clock = clock
    this.#waitMs = options.leastMs
  }

  get isOpen(): boolean {
    return this.#failures >= this.#options.failures
  }

  /** Milliseconds since it opened; 0 while it is shut. */
  get openForMs(): number {
    return Math.max(0, this.#clock.now() - this.#openedAt)
  }

  /** Whether a call that was let through decides for the others just now. */
  get isProbing(): boolean {
    return this.#probing
  }

  /** Milliseconds until a call may try; while one does, a while after which to look again. */
  get waitMs(): number {
    return Math.max(probeMs, Math.ceil(this.#openUntil - this.#clock.now()))
  }

  /** Whether a call may go through now. Whoever is let through tells how it went. */
  admit(): boolean {
    if (!this.isOpen) return true
    if (this.#probing || this.#clock.now() < this.#openUntil) return false
    this.#probing = true
    return true
  }

  succeeded(): void {
    this.#failures = 0
    this.#openedAt = Number.POSITIVE_INFINITY
    this.#probing = false
    this.#waitMs = this.#options.leastMs
  }

  /** A call that was let through ended without a verdict: somebody stopped it. The next one tries. */
  abandoned(): void {
    this.#probing = false
  }

  failed(): void {
    const wasProbe = this.#probing
    this.#failures++
    this.#probing = false
    if (!this.isOpen) return
    this.#openedAt = Math.min(this.#openedAt, this.#clock.now())
    if (wasProbe) this.#waitMs = Math.min(this.#waitMs * 2, this.#options.mostMs)
    this.#openUntil = this.#clock.now() + this.#waitMs
  }
}
