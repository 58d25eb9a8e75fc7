import type { RangeSet } from '../../core/range-set.js'
import type { Segment, SegmentView } from './view.js'

/** Where segments lie, and who writes, joins and searches them. */
export interface SegmentStorage<Of extends Segment> {
  /** Whether every search finds the true nearest. */
  readonly exact: boolean
  /** Whether there is a place for snapshots. */
  readonly keepsSnapshots: boolean
  /** Bytes that open segments hold in memory. */
  readonly bytes: number
  /** The snapshot of an earlier process; `undefined` when there is none that can be used, of which the host is warned. */
  read(): Promise<StoredSnapshot<Of> | undefined>
  /** Replaces the snapshot in one step. */
  write(snapshot: Pick<StoredSnapshot<Of>, 'epoch' | 'views'>): Promise<void>
  /** Looks at what a snapshot only promises, in the background. */
  verify(): Promise<void>
  /** Makes a segment; the rows are taken over. */
  seal(rows: NumberedVectors): Promise<Of>
  /** All rows of a segment, removed ones included. */
  rowsOf(segment: Of): Promise<Float32Array>
  /** Whether a segment is too dear to make for its rows to go back into memory. */
  isPrecious(segment: Of): boolean
  /** Whether the snapshot is what this process has read or written last. Absent: nobody can tell. */
  isOurs?(): Promise<boolean>
  /** Does the next thing worth doing: joins segments, or makes one faster. `undefined` when there is nothing. */
  improve(views: readonly SegmentView<Of>[]): Promise<Improvement<Of> | undefined>
  /** Resolves when segments can be searched at once. */
  open(views: readonly SegmentView<Of>[]): Promise<void>
  search(search: StorageSearch<Of>, signal: AbortSignal | undefined): Promise<SegmentMatches>
  /** Frees segments, but for what living ones or the snapshot need. */
  discard(segments: readonly Of[]): Promise<void>
  /** Ends what is going on: it fails. */
  stop(): Promise<void>
  /** Deletes what no snapshot needs, after {@link stop}. */
  tidy(): Promise<void>
}

/** What a storage may ask of the index it is part of. */
export interface SegmentHost<Of extends Segment> {
  /** What searches and snapshots need. */
  living(): readonly Of[]
  /** Puts other views in the place of those there are now. */
  exchange(change: (view: SegmentView<Of>) => SegmentView<Of>): void
  /** Looks for something to improve, in the background. */
  workSoon(): void
  /** Forgets everything: at epoch 0 the caller adds everything again. */
  startAgain(problem: unknown): void
  warn(problem: unknown): void
}

export interface StoredSnapshot<Of extends Segment> {
  readonly epoch: number
  readonly views: readonly SegmentView<Of>[]
  /** Whether the views are all that was written. */
  readonly isWhole: boolean
}

export interface NumberedVectors {
  /** Ascending, in shared memory. */
  readonly numbers: Float64Array
  readonly rows: Float32Array
}

export interface Improvement<Of extends Segment> {
  readonly before: readonly SegmentView<Of>[]
  /** Takes the place of those before. */
  readonly made: SegmentView<Of>
}

export interface StorageSearch<Of extends Segment> {
  readonly views: readonly SegmentView<Of>[]
  /** `count x dimensions` values. */
  readonly queries: Float32Array
  readonly topK: number
  readonly allow: RangeSet | undefined
  readonly exact: boolean
}

export interface SegmentMatches {
  /** Of all queries, one after the other. */
  readonly numbers: Float64Array
  readonly scores: Float64Array
  /** Matches of each query. */
  readonly counts: Uint32Array
  /** Bytes that open segments hold in this thread. */
  readonly bytes: number
}

/** Start and end of ranges, one after the other. */
export function boundsOf({ starts, ends }: RangeSet): Float64Array {
  const flat = new Float64Array(starts.length * 2)
  for (let i = 0; i < starts.length; i++) {
    flat[2 * i] = starts[i] as number
    flat[2 * i + 1] = ends[i] as number
  }
  return flat
}

/** The inverse of {@link boundsOf}. */
export function* pairsOf(bounds: Float64Array): Generator<readonly [start: number, end: number]> {
  for (let i = 0; i < bounds.length; i += 2) yield [bounds[i] as number, bounds[i + 1] as number]
}

/** Matches of several queries as arrays that cross threads. */
export function packMatches(
  results: readonly (readonly { readonly number: number; readonly score: number }[])[],
  bytes: number,
): SegmentMatches {
  const flat = results.flat()
  return {
    numbers: Float64Array.from(flat, ({ number }) => number),
    scores: Float64Array.from(flat, ({ score }) => score),
    counts: Uint32Array.from(results, ({ length }) => length),
    bytes,
  }
}
