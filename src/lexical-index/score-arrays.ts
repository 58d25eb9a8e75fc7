import { Gate } from '../util/gate.js'

/** Searches that add scores up at the same time: they share one thread, so more would only hold more memory. */
const searchesAtOnce = 2

/**
 * Lends arrays of zeros to searches, and takes them back: a search of 100,000 chunks would otherwise ask the system for half a megabyte and leave it
 * to the collector. Those who wait for their turn hold none.
 */
export class ScoreArrays {
  readonly #gate = new Gate(searchesAtOnce)
  #idle: Float32Array[] = []

  /** Bytes that are kept for the next search. */
  get bytes(): number {
    return this.#idle.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  /** Runs `use` with arrays of these sizes, which are gone when it is done. */
  async while<Result>(
    sizes: readonly number[],
    use: (arrays: readonly Float32Array[]) => Promise<Result>,
  ): Promise<Result> {
    await this.#gate.enter(1)
    const total = sizes.reduce((sum, size) => sum + size, 0)
    const whole = this.#take(total)
    try {
      let end = 0
      return await use(sizes.map((size) => whole.subarray(end, (end += size))))
    } finally {
      whole.fill(0, 0, total)
      this.#give(whole, total)
      this.#gate.leave(1)
    }
  }

  /** Gives back what is kept. */
  clear(): void {
    this.#idle = []
  }

  #take(total: number): Float32Array {
    const idle = this.#idle.pop()
    return idle !== undefined && idle.length >= total ? idle : new Float32Array(Math.ceil(total * 1.25))
  }

  /** An index that has shrunk gives the rest back. */
  #give(whole: Float32Array, total: number): void {
    if (whole.length <= Math.max(1_024, total * 2)) this.#idle.push(whole)
  }
}
