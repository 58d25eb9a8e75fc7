import { Gate } from '../util/gate.js'
import { type BoundArithmetic, type BoundMemory, createBoundMemory } from './bound-kernel.js'

/** Searches that add bounds up at the same time: they share one thread, so more would only hold more memory. */
const searchesAtOnce = 2

/** Arrays of zeros, and what can be done with them. */
export interface LentArrays {
  readonly arrays: readonly Float32Array[]
  readonly arithmetic: BoundArithmetic
}

/** Lends arrays to searches, and takes them back. Those who wait for their turn hold none. */
export class BoundArrays {
  readonly #gate = new Gate(searchesAtOnce)
  #idle: BoundMemory[] = []

  /** Bytes that are kept for the next search. */
  get bytes(): number {
    return this.#idle.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Runs `use` with arrays of these sizes, which are gone when it is done. */
  async while<Result>(sizes: readonly number[], use: (lent: LentArrays) => Promise<Result>): Promise<Result> {
    await this.#gate.enter(1)
    try {
      const { memory, arrays } = this.#take(sizes)
      const result = await use({ arrays, arithmetic: memory })
      this.#give(memory, sizes)
      return result
    } finally {
      this.#gate.leave(1)
    }
  }

  /** Gives back what is kept. */
  clear(): void {
    this.#idle = []
  }

  #take(sizes: readonly number[]): { readonly memory: BoundMemory; readonly arrays: readonly Float32Array[] } {
    const idle = this.#idle.pop()
    const lent = idle?.lend(sizes)
    if (idle !== undefined && lent !== undefined) return { memory: idle, arrays: lent }
    const memory = createBoundMemory(sizes)
    return { memory, arrays: memory.lend(sizes) as readonly Float32Array[] }
  }

  /** An index that has shrunk gives the rest back. */
  #give(memory: BoundMemory, sizes: readonly number[]): void {
    const needed = sizes.reduce((sum, size) => sum + size, 0) * 4
    if (memory.bytes <= Math.max(2 ** 17, needed * 4)) this.#idle.push(memory)
  }
}
