/**
 * A set of whole numbers as sorted, disjoint, half-open ranges. Chunk numbers of one document are contiguous, so the chunks
 * of a thousand documents are a thousand ranges at most. Immutable.
 */
export class RangeSet {
  /** Where the ranges start and end, ascending. Nobody may write to them. */
  readonly starts: Float64Array
  readonly ends: Float64Array
  /** How many numbers are in the set. */
  readonly size: number

  private constructor(starts: Float64Array, ends: Float64Array) {
    this.starts = starts
    this.ends = ends
    let size = 0
    for (let i = 0; i < starts.length; i++) size += (ends[i] as number) - (starts[i] as number)
    this.size = size
  }

  static readonly empty = new RangeSet(new Float64Array(0), new Float64Array(0))

  /** Builds a set from ranges in any order; overlapping and touching ranges are joined, empty ones dropped. */
  static from(ranges: Iterable<readonly [start: number, end: number]>): RangeSet {
    const sorted = [...ranges].filter(([start, end]) => end > start).sort((a, b) => a[0] - b[0])
    const starts: number[] = []
    const ends: number[] = []
    for (const [start, end] of sorted) {
      const last = ends.length - 1
      if (last >= 0 && start <= (ends[last] as number)) ends[last] = Math.max(ends[last] as number, end)
      else {
        starts.push(start)
        ends.push(end)
      }
    }
    return new RangeSet(Float64Array.from(starts), Float64Array.from(ends))
  }

  /** Builds a set from ranges that ascend and do not touch; the arrays are taken over. */
  static fromSorted(starts: Float64Array, ends: Float64Array): RangeSet {
    return starts.length === 0 ? RangeSet.empty : new RangeSet(starts, ends)
  }

  /** Number of ranges. */
  get length(): number {
    return this.starts.length
  }

  /** Bytes of the ranges. */
  get bytes(): number {
    return this.starts.byteLength + this.ends.byteLength
  }

  has(value: number): boolean {
    const starts = this.starts
    let low = 0
    let high = starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((starts[middle] as number) <= value) low = middle + 1
      else high = middle
    }
    return low > 0 && value < (this.ends[low - 1] as number)
  }

  *[Symbol.iterator](): IterableIterator<readonly [start: number, end: number]> {
    for (let i = 0; i < this.starts.length; i++) yield [this.starts[i] as number, this.ends[i] as number]
  }
}
