import { abortable, withDeadline } from '../../util/abort.js'
import type { Clock } from '../../util/clock.js'
import { retry } from '../../util/retry.js'
import type { EmbedOptions } from '../types.js'
import { readAnswer } from './answer.js'
import type { EmbeddingEndpoint } from './endpoint.js'
import { CallFailure, describeFault, type Fault } from './fault.js'
import { CallGate } from './gate.js'
import type { RemoteSettings } from './settings.js'
import type { CallWindow } from './window.js'

/** Attempts of a call that is part of one that failed already, unless the service only says that there are too many. */
const attemptsOfPart = 2

export interface CallerOptions {
  readonly endpoint: EmbeddingEndpoint
  readonly settings: RemoteSettings
  /** Made narrower and wider by what the service says. */
  readonly window: CallWindow
  readonly clock: Clock
  readonly random: () => number
}

/** One call and its repetitions. */
export interface Call {
  readonly texts: readonly string[]
  /** Estimate. */
  readonly tokens: number
  readonly kind: EmbedOptions['kind']
  readonly signal: AbortSignal
  /** Values per vector. Absent: whatever comes. */
  readonly dimensions: number | undefined
  /** `'whole'` is tried as often as the settings say, `'part'` twice, `'once'` once. Default `'whole'`. */
  readonly patience?: 'whole' | 'part' | 'once'
  /** Whether the texts are our own, so that an error may say what the service said. Default `false`. */
  readonly quote?: boolean
}

/** Makes calls: waits until each may start, gives it its time, checks what comes, tries again what may succeed. */
export class EndpointCaller {
  readonly #options: CallerOptions
  readonly #gate: CallGate
  #running = 0
  #busySince = 0
  #busyMs = 0
  /** Calls made so far, and how many of them were repetitions. */
  readonly counts = { calls: 0, retries: 0 }

  constructor(options: CallerOptions) {
    this.#options = options
    this.#gate = new CallGate({ ...options.settings, clock: options.clock })
  }

  /** Milliseconds in which at least one call ran. */
  get busyMs(): number {
    return this.#busyMs + (this.#running > 0 ? this.#options.clock.now() - this.#busySince : 0)
  }

  /** Vectors row by row, of unit length, and the tokens the service counted. Rejects with {@link CallFailure} or `signal.reason`. */
  async call(call: Call): Promise<{ readonly vectors: Float32Array; readonly tokens: number }> {
    const { signal, patience = 'whole' } = call
    const { settings, clock, random } = this.#options
    let failures = 0
    const mayRepeat = ({ kind, again }: Fault): boolean => {
      if (!again) return false
      if (kind === 'limited') return true
      // What took too long will again; in halves it may not.
      if (kind === 'timeout' && call.texts.length > 1) return false
      return patience === 'whole' || ++failures < attemptsOfPart
    }
    return retry(() => this.#attempt(call), {
      attempts: patience === 'once' ? 1 : settings.maxAttempts,
      again: (error) => {
        if (!(error instanceof CallFailure) || !mayRepeat(error.fault)) return false
        return { afterMs: Math.min(error.fault.afterMs, settings.maxRetryAfterMs) }
      },
      onRetry: () => {
        this.counts.retries++
      },
      signal,
      clock,
      random,
    })
  }

  async #attempt({ texts, tokens, kind, signal, dimensions, quote = false }: Call) {
    const { endpoint, settings, window, clock } = this.#options
    await this.#gate.pass({ tokens, isUrgent: kind === 'query', signal })
    const { narrowings } = window
    const deadline = withDeadline({ signal, deadlineMs: settings.timeoutMs })
    const callSignal = deadline.signal as AbortSignal
    this.#begin()
    try {
      const answer = await abortable(endpoint.embed(texts, { kind, signal: callSignal }), callSignal)
      const vectors = readAnswer(answer, texts.length, dimensions)
      const counted = isCount(answer.tokens) ? answer.tokens : undefined
      this.#gate.settle(tokens, counted ?? tokens)
      window.widen()
      return { vectors, tokens: counted ?? 0 }
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof CallFailure) throw error
      const fault = callSignal.aborted
        ? ({ kind: 'timeout', again: true, afterMs: 0 } as const)
        : describeFault(error, { endpoint, texts, quote, date: clock.date() })
      if (fault.kind === 'limited') window.narrow(narrowings)
      // Whoever is asked to wait speaks for all of us.
      if (fault.afterMs > 0) this.#gate.pause(Math.min(fault.afterMs, settings.maxRetryAfterMs))
      throw new CallFailure(fault)
    } finally {
      deadline.dispose()
      this.#end()
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

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
