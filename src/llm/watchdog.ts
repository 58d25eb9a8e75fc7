import { RagError } from '../core/errors.js'
import { longestTimerMs } from '../util/abort.js'

/** How long a model may be silent; `Infinity` for any time. */
export interface Patience {
  /** Milliseconds until it gives its first sign of life. */
  readonly firstTokenTimeoutMs: number
  /** Milliseconds between two signs. */
  readonly idleTimeoutMs: number
}

/**
 * Watches one answer: ends it when nothing comes for too long. Only the model's time counts, not that of a reader who is slow. It has one
 * timer, which looks how things are when it goes off: to set one for each part takes longer than the part.
 */
export class Watchdog {
  readonly #patience: Patience
  readonly #end: (error: RagError) => void
  #began = false
  /** When the wait is over; `undefined` while it is not the model's turn. */
  #deadline: number | undefined
  #timer: NodeJS.Timeout | undefined
  /** When the timer goes off. */
  #alarm = Number.POSITIVE_INFINITY

  /** `end` is told, once, what to end the answer with. */
  constructor(patience: Patience, end: (error: RagError) => void) {
    this.#patience = patience
    this.#end = end
  }

  /** The model's turn begins, or goes on. */
  wait(): void {
    const timeoutMs = this.#timeoutMs
    if (timeoutMs > longestTimerMs) return
    this.#deadline = performance.now() + timeoutMs
    // One that goes off too early is set anew then.
    if (this.#alarm > this.#deadline) this.#set(timeoutMs)
  }

  /** It gave a sign of life. */
  heard(): void {
    this.#began = true
    this.#deadline = undefined
  }

  stop(): void {
    this.#deadline = undefined
    clearTimeout(this.#timer)
  }

  get #timeoutMs(): number {
    return this.#began ? this.#patience.idleTimeoutMs : this.#patience.firstTokenTimeoutMs
  }

  #set(milliseconds: number): void {
    clearTimeout(this.#timer)
    this.#alarm = performance.now() + milliseconds
    this.#timer = setTimeout(() => this.#look(), milliseconds)
  }

  #look(): void {
    this.#alarm = Number.POSITIVE_INFINITY
    if (this.#deadline === undefined) return
    const left = this.#deadline - performance.now()
    if (left > 0) this.#set(Math.ceil(left))
    else void this.#endUnlessHeard(this.#deadline)
  }

  /** After a stall of the event loop timers come before what has arrived meanwhile: that is seen first. */
  async #endUnlessHeard(deadline: number): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
    if (this.#deadline === deadline) this.#end(silent(this.#began ? 'idle' : 'first_token', this.#timeoutMs))
  }
}

function silent(reason: 'first_token' | 'idle', timeoutMs: number): RagError {
  const when = reason === 'idle' ? 'in the middle of its answer' : 'before its answer'
  return new RagError('TIMEOUT', `The model was silent for ${timeoutMs} ms ${when}.`, {
    data: { reason, timeoutMs },
    hint:
      reason === 'idle'
        ? 'Raise idleTimeoutMs.'
        : 'Raise firstTokenTimeoutMs, show the model less, or use a faster one.',
    retryable: true,
  })
}
