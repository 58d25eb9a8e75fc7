import { abortable } from './abort.js'

interface Flight<Value> {
  readonly result: Promise<Value>
  readonly stop: AbortController
  waiting: number
}

/**
 * Computes a thing once for all who want it at the same time. One caller's abort rejects that caller only; the work is aborted when
 * nobody waits for it any more. What failed is not kept: the next caller tries again.
 */
export class SingleFlight<Value> {
  readonly #flights = new Map<string, Flight<Value>>()

  /** `compute` gets a signal of its own. Rejects with what it threw, or with `signal.reason`. `shared`: another caller began it. */
  async run(
    key: string,
    compute: (signal: AbortSignal) => Promise<Value>,
    signal?: AbortSignal,
  ): Promise<{ readonly value: Value; readonly shared: boolean }> {
    signal?.throwIfAborted()
    const running = this.#flights.get(key)
    const flight = running ?? this.#begin(key, compute)
    flight.waiting++
    try {
      return { value: await abortable(flight.result, signal), shared: running !== undefined }
    } finally {
      flight.waiting--
      if (flight.waiting === 0) {
        // Whoever comes now must not join what is being given up.
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
        flight.stop.abort(signal?.reason)
      }
    }
  }

  #begin(key: string, compute: (signal: AbortSignal) => Promise<Value>): Flight<Value> {
    const stop = new AbortController()
    const result = (async () => compute(stop.signal))()
    const flight: Flight<Value> = { result, stop, waiting: 0 }
    this.#flights.set(key, flight)
    const end = () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
    // The callers hold the same promise and see the error.
    result.then(end, end)
    return flight
  }
}
