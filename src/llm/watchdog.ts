import { RagError } from '../core/errors.js'
import { longestTimerMs } from '../util/abort.js'

/** How long a model may be silent; `Infinity` for any time. */
export interface Patience {
  /** Milliseconds until it gives its first sign of life. */
  readonly firstTokenTimeoutMs: number
  /** Milliseconds between two signs. */
  readonly idleTimeoutMs: number
}

/** Watches one answer: ends it when nothing comes for too long. Only the model's time counts, not that of a reader who is slow. */
export class Watchdog {
  readonly #patience: Patience
  readonly #end: (error: RagError) => void
  #began = false
  #timer: NodeJS.Timeout | undefined

  /** `end` is told, at most once for each wait, what to end the answer with. */
  constructor(patience: Patience, end: (error: RagError) => void) {
    this.#patience = patience
    this.#end = end
  }

  /** The model's turn begins, or goes on. */
  wait(): void {
    clearTimeout(this.#timer)
    const { firstTokenTimeoutMs, idleTimeoutMs } = this.#patience
    const reason = this.#began ? 'idle' : 'first_token'
    const timeoutMs = this.#began ? idleTimeoutMs : firstTokenTimeoutMs
    if (timeoutMs <= longestTimerMs) this.#timer = setTimeout(() => this.#end(silent(reason, timeoutMs)), timeoutMs)
  }

  /** It gave a sign of life. */
  heard(): void {
    this.#began = true
    clearTimeout(this.#timer)
  }

  stop(): void {
    clearTimeout(this.#timer)
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
