import type { Closable } from '../core/lifecycle.js'
import type { RangeSet } from '../core/range-set.js'

/** Finds the nearest of many unit-length vectors. Ids are chunk numbers (see `store/types.ts`). Scores are inner products: higher is better. */
export interface VectorIndex extends Closable {
  readonly id: string
  readonly dimensions: number
  readonly capabilities: VectorIndexCapabilities
  /** Vectors that can be found. */
  readonly size: number
  /** Bytes held, true within 10% of what `close()` releases. */
  readonly bytes: number
  /** Adds `numbers.length x dimensions` values. An existing number is replaced. Refuses NaN, infinite and wrong-length vectors with `BAD_INPUT` before anything is changed. */
  add(numbers: readonly number[], vectors: Float32Array): Promise<void>
  /** Removes every number in the ranges; unknown ones are ignored. */
  remove(ranges: readonly (readonly [start: number, end: number])[]): Promise<void>
  /** Best first; equal scores in the order of their numbers. Fewer than `topK` only when fewer are allowed. */
  search(vector: Float32Array, options: VectorSearchOptions): Promise<VectorMatch[]>
}

export interface VectorIndexCapabilities {
  /** Returns the true nearest, always. */
  readonly exact: boolean
}

export interface VectorSearchOptions {
  readonly topK: number
  /** Only these numbers may be found. */
  readonly allow?: RangeSet
}

export interface VectorMatch {
  readonly number: number
  readonly score: number
}
