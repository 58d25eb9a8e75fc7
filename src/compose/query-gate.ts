import { RagError } from '../core/errors.js'
import { Gate } from '../util/gate.js'

interface QueryGateOptions {
  /** Questions that are answered at a time. */
  readonly running: number
  /** Questions that may wait. */
  readonly waiting: number
}

/** Gives a place back; safe twice. */
export type LeavePlace = () => void

/**
 * Bounds the questions that are being answered, and those that wait for it: whoever comes beyond is told at once, instead of waiting for longer
 * than anybody would. Places are given in the order of the calls.
 */
export class QueryGate {
  readonly #options: QueryGateOptions
  readonly #gate: Gate
  #refused = 0

  constructor(options: QueryGateOptions) {
    this.#options = options
    this.#gate = new Gate(options.running)
  }

  /** Questions that have a place, that wait for one, and that were refused. */
  get counts(): { readonly running: number; readonly waiting: number; readonly refused: number } {
    return { running: this.#gate.inside, waiting: this.#gate.waiting, refused: this.#refused }
  }

  /** Resolves with a place, which is given back when `signal` fires at the latest. Rejects with `OVERLOADED`, or with `signal.reason`. */
  async enter(signal: AbortSignal): Promise<LeavePlace> {
    signal.throwIfAborted()
    const { running, waiting } = this.#options
    if (this.#gate.inside >= running && this.#gate.waiting >= waiting) {
      this.#refused++
      throw overloaded(this.#options)
    }
    await this.#gate.enter(1, signal)
    return this.#placeUntil(signal)
  }

  /** A place, if one is free and nobody waits for it. */
  tryEnter(signal: AbortSignal): LeavePlace | undefined {
    if (signal.aborted || this.#gate.waiting > 0 || this.#gate.inside >= this.#options.running) return undefined
    this.#gate.push(1)
    return this.#placeUntil(signal)
  }

  /** A reader that was aborted may never come back to end its stream. */
  #placeUntil(signal: AbortSignal): LeavePlace {
    let isTaken = true
    const leave = (): void => {
      signal.removeEventListener('abort', leave)
      if (isTaken) this.#gate.leave(1)
      isTaken = false
    }
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
    return leave
  }
}

function overloaded({ running, waiting }: QueryGateOptions): RagError {
  return new RagError('OVERLOADED', `${running} questions are being answered and ${waiting} wait already.`, {
    data: { maxConcurrentQueries: running, maxQueuedQueries: waiting },
    hint: 'Ask again later, end streams that are not read any more, or raise maxConcurrentQueries or maxQueuedQueries.',
    retryable: true,
  })
}
