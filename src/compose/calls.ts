import type { RagError } from '../core/errors.js'
import type { WaitOptions } from '../core/lifecycle.js'
import { abortable, type FollowingAbort, followSignal, withDeadline } from '../util/abort.js'

/** A call under way: `signal` fires with the caller's own, with its deadline, or when everything is closed. */
export interface OpenCall {
  readonly signal: AbortSignal
  /** Ends what still works for it. For a call whose caller has left before its end. */
  abandon(): void
  /** Lets go of the caller's signal, which may live long. */
  dispose(): void
}

/** The calls of one instance, which its `close()` must end. */
export class Calls {
  readonly #closedError: () => RagError
  readonly #open = new Set<FollowingAbort>()
  readonly #running = new Set<Promise<unknown>>()
  #ended = false

  constructor(closedError: () => RagError) {
    this.#closedError = closedError
  }

  /** Whether {@link end} was called. */
  get ended(): boolean {
    return this.#ended
  }

  /** Runs a task under the caller's signal and deadline. Rejects as soon as it is aborted; {@link end} waits for the task itself. */
  async run<Result>(options: WaitOptions, task: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const { signal, dispose } = this.begin(options)
    const running = task(signal)
    this.#running.add(running)
    try {
      return await abortable(running, signal)
    } finally {
      running.catch(() => {}).finally(() => this.#running.delete(running)) // Its error went to the caller.
      dispose()
    }
  }

  /** Throws `CLOSED` when it is too late. */
  begin(options: WaitOptions): OpenCall {
    if (this.#ended) throw this.#closedError()
    const { signal, dispose } = withDeadline(options)
    const call = followSignal(signal)
    this.#open.add(call)
    return {
      signal: call.signal,
      // Nobody is there to see the reason.
      abandon: () => call.abort('abandoned'),
      dispose: () => {
        this.#open.delete(call)
        call.dispose()
        dispose()
      },
    }
  }

  /** Ends every call with `CLOSED` and waits for the tasks. */
  async end(): Promise<void> {
    this.#ended = true
    for (const call of this.#open) call.abort(this.#closedError())
    await Promise.allSettled(this.#running)
  }
}
