import { abortable } from './abort.js'

interface Run<Value> {
  readonly iterator: AsyncIterator<Value>
  readonly stop: AbortController
  readonly values: Value[]
  /** The next value is on its way; whoever needs it waits for this. */
  next: Promise<void> | undefined
  readers: number
  ended: boolean
}

/**
 * Reads one stream for all who want it at the same time: a latecomer gets what came before at once. The source advances as fast as the
 * fastest reader asks. A reader that leaves, or is aborted, leaves alone; the source is aborted when nobody reads it any more. What
 * failed is not kept: the next reader begins anew.
 */
export class SharedIteration<Value> {
  readonly #runs = new Map<string, Run<Value>>()

  /** `begin` gets a signal of its own. Rejects with what the source threw, or with `signal.reason`. */
  async *read(
    key: string,
    begin: (signal: AbortSignal) => AsyncIterable<Value>,
    signal?: AbortSignal,
  ): AsyncGenerator<Value, void, undefined> {
    signal?.throwIfAborted()
    const run = this.#runs.get(key) ?? this.#begin(key, begin)
    run.readers++
    try {
      for (let place = 0; ; place++) {
        while (place >= run.values.length) {
          if (run.ended) return
          run.next ??= this.#advance(key, run)
          await abortable(run.next, signal)
        }
        yield run.values[place] as Value
        signal?.throwIfAborted()
      }
    } finally {
      run.readers--
      if (run.readers === 0 && !run.ended) {
        // Whoever comes now must not join what is being given up.
        this.#forget(key, run)
        run.stop.abort(signal?.reason)
        // A source that still waits is nobody's concern any more, nor how it ends.
        Promise.resolve(run.iterator.return?.()).catch(() => {})
      }
    }
  }

  #begin(key: string, begin: (signal: AbortSignal) => AsyncIterable<Value>): Run<Value> {
    const stop = new AbortController()
    const iterator = begin(stop.signal)[Symbol.asyncIterator]()
    const run: Run<Value> = { iterator, stop, values: [], next: undefined, readers: 0, ended: false }
    this.#runs.set(key, run)
    return run
  }

  #advance(key: string, run: Run<Value>): Promise<void> {
    const step = async (): Promise<void> => {
      const { done, value } = await run.iterator.next()
      if (done !== true) {
        run.values.push(value)
        return
      }
      run.ended = true
      this.#forget(key, run)
    }
    const next = step()
    next.then(
      () => {
        run.next = undefined
      },
      // The promise stays, so that every reader comes to the error.
      () => this.#forget(key, run),
    )
    return next
  }

  #forget(key: string, run: Run<Value>): void {
    if (this.#runs.get(key) === run) this.#runs.delete(key)
  }
}
