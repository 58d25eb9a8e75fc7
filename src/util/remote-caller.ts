import { abortable, withDeadline } from './abort.js'
import type { Breaker } from './breaker.js'
import { CallGate } from './call-gate.js'
import type { CallWindow } from './call-window.js'
import type { Clock } from './clock.js'
import { CallFailure, type Fault } from './fault.js'
import type { LatencyWatch } from './latency-watch.js'
import { retry } from './retry.js'

/** How calls of one service are made. */
export interface CallLimits {
  /** Calls, and tokens, that may start per minute; `Infinity` for any number. */
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  /** Milliseconds between the starts of two calls. */
  readonly delayMs: number
  /** Milliseconds one attempt may take. */
  readonly timeoutMs: number
  /** Attempts per call, the first one included. */
  readonly maxAttempts: number
  /** Longest `Retry-After` that is obeyed, in milliseconds. */
  readonly maxRetryAfterMs: number
}

export interface RemoteCallerOptions {
  readonly limits: CallLimits
  /** Made narrower and wider by what the service says. */
  readonly window: CallWindow
  /** Makes it narrower when answers take markedly longer than they did. Absent: only "too many" does. */
  readonly latency?: LatencyWatch
  /** Holds calls back while the service fails. Absent: each call finds out by itself. */
  readonly circuit?: {
    readonly breaker: Breaker
    /** Milliseconds an outage is waited for; calls of a longer one fail at once. */
    readonly patienceMs: number
  }
  readonly clock: Clock
  /** Numbers in [0, 1). */
  readonly random: () => number
}

/** One call and its repetitions. */
export interface RemoteCall<Result> {
  /** Makes an attempt, under a signal that also ends it when its time is over. `tokens`: those the service counted. */
  readonly run: (signal: AbortSignal) => Promise<{ readonly result: Result; readonly tokens: number | undefined }>
  /** Estimate. */
  readonly tokens: number
  /** Whether it starts before those that wait. */
  readonly isUrgent: boolean
  readonly signal: AbortSignal
  /** What an error of `run` tells, unless it is a {@link CallFailure} already. */
  readonly describe: (error: unknown, date: number) => Fault
  /** Default: `maxAttempts`. */
  readonly attempts?: number
  /** Of faults that may pass: whether this call is made again. Default: each. */
  readonly repeats?: (fault: Fault) => boolean
}

/** Makes calls: waits until each may start, gives it its time, tries again what may succeed, and learns from how they went. */
export class RemoteCaller {
  readonly #options: RemoteCallerOptions
  readonly #gate: CallGate
  #running = 0
  #busySince = 0
  #busyMs = 0
  /** Attempts made so far, and how many of them were repetitions. */
  readonly counts = { calls: 0, retries: 0 }

  constructor(options: RemoteCallerOptions) {
    this.#options = options
    this.#gate = new CallGate({ ...options.limits, clock: options.clock })
  }

  /** Milliseconds in which at least one call ran. */
  get busyMs(): number {
    return this.#busyMs + (this.#running > 0 ? this.#options.clock.now() - this.#busySince : 0)
  }

  /** Rejects with {@link CallFailure} or `signal.reason`. */
  async call<Result>(call: RemoteCall<Result>): Promise<Result> {
    const { repeats = () => true, signal } = call
    const { clock, limits, random } = this.#options
    try {
      return await retry(() => this.#attempt(call), {
        attempts: call.attempts ?? limits.maxAttempts,
        again: (error) => {
          if (!(error instanceof CallFailure) || !error.fault.again || !repeats(error.fault)) return false
          return { afterMs: Math.min(error.fault.afterMs, limits.maxRetryAfterMs) }
        },
        onRetry: () => {
          this.counts.retries++
        },
        signal,
        clock,
        random,
      })
    } catch (error) {
      // One that was told "too many" to the end is as little use as one that does not answer.
      if (error instanceof CallFailure && error.fault.kind === 'limited') this.#options.circuit?.breaker.failed()
      throw error
    }
  }

  async #attempt<Result>({ describe, isUrgent, run, signal, tokens }: RemoteCall<Result>): Promise<Result> {
    const { clock, latency, limits, window } = this.#options
    await this.#circuitCloses(signal)
    const verdict = new Verdict(this.#options.circuit?.breaker)
    try {
      await this.#gate.pass({ tokens, isUrgent, signal })
      const { narrowings } = window
      const deadline = withDeadline({ signal, deadlineMs: limits.timeoutMs })
      const callSignal = deadline.signal as AbortSignal
      const began = clock.now()
      this.#begin()
      try {
        const answer = await abortable(run(callSignal), callSignal)
        verdict.give('alive')
        this.#gate.settle(tokens, answer.tokens ?? tokens)
        if (latency?.isSlow(clock.now() - began) === true) window.narrow(narrowings)
        else window.widen()
        return answer.result
      } catch (error) {
        signal.throwIfAborted()
        const isOurs = error instanceof CallFailure
        const fault = isOurs
          ? error.fault
          : callSignal.aborted
            ? ({ kind: 'timeout', again: true, afterMs: 0 } as const)
            : describe(error, clock.date())
        verdict.give(isDown(fault) ? 'down' : fault.kind === 'limited' ? 'busy' : 'alive')
        if (fault.kind === 'limited') window.narrow(narrowings)
        // Whoever is asked to wait speaks for all of us.
        if (fault.afterMs > 0) this.#gate.pause(Math.min(fault.afterMs, limits.maxRetryAfterMs))
        throw isOurs ? error : new CallFailure(fault)
      } finally {
        deadline.dispose()
        this.#end()
      }
    } finally {
      verdict.end()
    }
  }

  /** Resolves when a call may be made; rejects when the service has been away for too long. */
  async #circuitCloses(signal: AbortSignal): Promise<void> {
    const { circuit, clock } = this.#options
    if (circuit === undefined) return
    const { breaker, patienceMs } = circuit
    while (!breaker.admit()) {
      if (breaker.openForMs >= patienceMs && !breaker.isProbing)
        throw new CallFailure({ kind: 'unavailable', again: false, reason: 'circuit_open', afterMs: 0 })
      await clock.sleep(breaker.waitMs, signal)
    }
  }

  #begin(): void {
    this.counts.calls++
    if (this.#running++ === 0) this.#busySince = this.#options.clock.now()
  }

  #end(): void {
    if (--this.#running === 0) this.#busyMs += this.#options.clock.now() - this.#busySince
  }
}

/** Nothing that was sent can be the reason. */
function isDown({ kind }: Fault): boolean {
  return kind === 'unavailable' || kind === 'timeout' || kind === 'denied'
}

/** What a call that was let through tells the breaker, once, however it ends. */
class Verdict {
  readonly #breaker: Breaker | undefined
  #given = false

  constructor(breaker: Breaker | undefined) {
    this.#breaker = breaker
  }

  /** `busy`: it answers, but does not say whether it works. */
  give(verdict: 'alive' | 'busy' | 'down'): void {
    this.#given = true
    if (verdict === 'alive') this.#breaker?.succeeded()
    else if (verdict === 'down') this.#breaker?.failed()
    else this.#breaker?.abandoned()
  }

  end(): void {
    if (!this.#given) this.#breaker?.abandoned()
  }
}
