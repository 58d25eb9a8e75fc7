import type { RangeSet } from '../core/range-set.js'

/** Tells membership of numbers that come in ascending order, without searching for each. */
export class RangeCursor {
  readonly #ranges: RangeSet
  #place: number

  constructor(ranges: RangeSet, first: number) {
    this.#ranges = ranges
    let low = 0
    let high = ranges.ends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((ranges.ends[middle] as number) <= first) low = middle + 1
      else high = middle
    }
    this.#place = low
  }

  has(number: number): boolean {
    return this.hasAny(number, number)
  }

  /** Whether any number from `first` to `last`, both included, is in the set. The next call asks for none before `first`. */
  hasAny(first: number, last: number): boolean {
    const { starts, ends } = this.#ranges
    while (this.#place < ends.length && (ends[this.#place] as number) <= first) this.#place++
    return this.#place < ends.length && (starts[this.#place] as number) <= last
  }
}
