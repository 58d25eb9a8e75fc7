import { dot } from '../util/vector-math.js'
import { QuantisedRows } from './flat-kernel.js'

/** Rows of one allocation. Small, because a namespace with three chunks should not pay for thousands. */
const rowsPerBlock = 32
/**
 * Below this a plain scan takes well under a millisecond, and many small namespaces need no WebAssembly memory each.
 */
export const accelerateFrom = 512

/** Vectors by row, in blocks that never move; rows that were appended are never changed. */
export class RowTable {
  readonly #dimensions: number
  readonly #blocks: Float32Array[] = []
  /** The coarse copy, once there are enough rows. It holds all rows or is absent. */
  quantised: QuantisedRows | undefined
  #accelerate: boolean
  #count = 0

  constructor(dimensions: number, accelerate: boolean) {
    this.#dimensions = dimensions
    this.#accelerate = accelerate
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#blocks.length * rowsPerBlock * this.#dimensions * 4 + (this.quantised?.bytes ?? 0)
  }

  append(vectors: Float32Array, start: number): void {
    const within = this.#count % rowsPerBlock
    if (within === 0) this.#blocks.push(new Float32Array(rowsPerBlock * this.#dimensions))
    const block = this.#blocks.at(-1) as Float32Array
    block.set(vectors.subarray(start, start + this.#dimensions), within * this.#dimensions)
    this.#count++
    if (this.#accelerate && this.#count >= accelerateFrom) this.#quantise()
  }

  /** Forgets the rows from `count` on. */
  truncate(count: number): void {
    this.#count = count
    this.#blocks.length = Math.ceil(count / rowsPerBlock)
    this.quantised?.truncate(count)
  }

  /** The block that holds a row, and where in it. */
  row(row: number): [block: Float32Array, start: number] {
    return [this.#blocks[Math.floor(row / rowsPerBlock)] as Float32Array, (row % rowsPerBlock) * this.#dimensions]
  }

  dot(vector: Float32Array, row: number): number {
    const block = this.#blocks[Math.floor(row / rowsPerBlock)] as Float32Array
    return dot(vector, 0, block, (row % rowsPerBlock) * this.#dimensions, this.#dimensions)
  }

  #quantise(): void {
    this.quantised ??= QuantisedRows.create(this.#dimensions)
    let room = this.quantised !== undefined
    while (room && this.quantised !== undefined && this.quantised.count < this.#count) {
      room = this.quantised.append(...this.row(this.quantised.count))
    }
    if (room) return
    this.quantised = undefined
    this.#accelerate = false
  }
}
