/**
 * Lets work in while what is inside weighs less than a capacity, in the order of arrival: the last one in may be of any weight, so
 * nothing is too large to get in. Whoever entered leaves with the same weight. With a `share` (above 0, at most 1) only so much of the capacity
 * is given out as that says at the time; one always gets in.
 */
export class Gate {
  readonly #capacity: number
  readonly #share: () => number
  readonly #waiting = new Set<{ readonly weight: number; readonly admit: () => void }>()
  #inside = 0

  constructor(capacity: number, share: () => number = () => 1) {
    this.#capacity = capacity
    this.#share = share
  }

  /** Weight of what is inside. */
  get inside(): number {
    return this.#inside
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Resolves once there is room, having taken it. A weight of 0 only waits. Rejects with `signal.reason`, having taken nothing. */
  async enter(weight: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.#waiting.size === 0 && this.#hasRoom()) {
      this.#inside += weight
      return
    }
    await new Promise<void>((resolve, reject) => {
      const stop = () => {
        this.#waiting.delete(entry)
        reject(signal?.reason)
      }
      const admit = () => {
        signal?.removeEventListener('abort', stop)
        resolve()
      }
      const entry = { weight, admit }
      this.#waiting.add(entry)
      signal?.addEventListener('abort', stop, { once: true })
    })
  }

  /** Takes room that may not be there: for what exists already and has to be counted. */
  push(weight: number): void {
    this.#inside += weight
  }

  leave(weight: number): void {
    this.#inside -= weight
    this.#admit()
  }

  #hasRoom(): boolean {
    return this.#inside < this.#capacity * this.#share()
  }

  #admit(): void {
    for (const entry of this.#waiting) {
      if (!this.#hasRoom()) return
      this.#waiting.delete(entry)
      this.#inside += entry.weight
      entry.admit()
    }
  }
}
