import type { RagError } from '../core/errors.js'
import type { Closable } from '../core/lifecycle.js'
import type { RangeSet } from '../core/range-set.js'

/**
 * Finds the nearest of many unit-length vectors. Ids are chunk numbers (see `store/types.ts`). Scores are inner products: higher is
 * better. Updates are staged and become visible at once with `publish()`: a search sees one epoch, never half an update.
 */
export interface VectorIndex extends Closable {
  readonly id: string
  readonly dimensions: number
  readonly capabilities: VectorIndexCapabilities
  /** Store epoch that a search reflects. */
  readonly epoch: number
  /** What can be found now. */
  stats(): VectorStats
  /** Opens an update; one at a time. */
  update(): VectorUpdate
  /**
   * Writes what can be found to where the index lives, so that the next process need not rebuild it; does nothing for an index in
   * memory or when nothing has changed. Only one process may call it at a time; others may open and search meanwhile.
   */
  persist(): Promise<void>
  /** Resolves once `stats().building` is false; absent where it always is. Never rejects: what failed was told by `warn`. */
  settled?(): Promise<void>
  /**
   * Best first; equal scores in the order of their numbers. Fewer than `topK` only when fewer are allowed. Never blocks the event loop
   * for more than a few milliseconds.
   */
  search(vector: Float32Array, options: VectorSearchOptions): Promise<VectorMatch[]>
  /** Searches many vectors (`count x dimensions` values) of one epoch in one call; absent where that gains nothing. */
  searchMany?(vectors: Float32Array, options: VectorSearchOptions): Promise<VectorMatch[][]>
}

export interface VectorIndexCapabilities {
  /** Returns the true nearest, always. */
  readonly exact: boolean
}

export interface VectorStats {
  readonly vectors: number
  readonly segments: number
  /** Bytes held in memory, true within 10% of what `close()` releases; files that are mapped do not count. */
  readonly bytes: number
  /**
   * Whether the index is at work in the background: joins segments, builds graphs, looks at files it has opened. Searches are right meanwhile, and
   * may be slower.
   */
  readonly building: boolean
}

/** Changes that are being prepared. Calls take effect in their order, also when they are not awaited. */
export interface VectorUpdate {
  /**
   * Stages `numbers.length x dimensions` values, which must not change until it resolves. A number that is there, or comes again,
   * is replaced. Refuses NaN, infinite and wrong-length vectors with `BAD_INPUT`: nothing of the call is staged then, and the
   * update goes on. Resolves when more can be taken.
   */
  add(numbers: readonly number[], vectors: Float32Array): Promise<void>
  /** Stages the removal of every number in the ranges; unknown ones are ignored. */
  remove(ranges: readonly (readonly [start: number, end: number])[]): void
  /** Makes everything staged visible, as of this store epoch. */
  publish(epoch: number): Promise<void>
  /** Forgets everything staged. Safe when the update has ended. */
  abort(): void
}

export interface VectorSearchOptions {
  readonly topK: number
  /** Only these numbers may be found. */
  readonly allow?: RangeSet
  /** Looks at every allowed vector, however long that takes: for measuring recall. Default false; an exact index always does. */
  readonly exact?: boolean
  readonly signal?: AbortSignal
}

export interface VectorMatch {
  readonly number: number
  readonly score: number
}

/** What every kind of index is made with. */
export interface VectorIndexOptions {
  /** Values per vector, 1 to 65,536. */
  readonly dimensions: number
  /** Of the embedder whose vectors these are: a snapshot with another one is not used. */
  readonly fingerprint: string
  /** Folder of the index alone, for snapshots; made by the first `persist()`. Absent: the index lives in memory. */
  readonly directory?: string
  /** Never write: `persist()` rejects with `READ_ONLY`. Default false. */
  readonly readOnly?: boolean
  /** Shares the event loop with others that compute (`util/yield.ts`). Default: turns of its own, 4 ms per turn of the loop. */
  readonly turns?: { next(): Promise<void> }
  /** Told when something was made in the background that took long enough to be kept by a `persist()` now: a graph. Default: nobody. */
  readonly improved?: () => void
  /** Told why a snapshot was not used or background work failed; the index goes on. Default: nobody. */
  readonly warn?: (problem: RagError) => void
}
