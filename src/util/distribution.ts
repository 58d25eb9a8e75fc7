/** What is known of many numbers that are no longer there. */
export interface DistributionSummary {
  readonly count: number
  readonly mean: number
  /** Sample standard deviation (divisor n - 1); 0 below two values. */
  readonly std: number
  readonly min: number
  readonly max: number
  /** Nearest-rank percentiles: exact up to 256 values, within 1% beyond. */
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

/** Values kept as they are; beyond them only bucket counts are. */
const exactValues = 256
/** Buckets grow by 2%, so the geometric middle of a bucket is within 1% of everything in it. */
const growth = Math.log(1.02)
/** Below this (a nanosecond, in milliseconds) everything shares the lowest bucket. */
const smallest = 1e-6
/** Up to 1e9 (eleven days, in milliseconds); beyond, the highest bucket with `max` as its value. */
const buckets = Math.ceil(Math.log(1e9 / smallest) / growth)

/**
 * Count, mean, deviation, extremes and percentiles of non-negative numbers in bounded memory: at most 14 KiB however many values
 * are added. Mean and deviation by Welford's method, which does not cancel for large values close together.
 */
export class Distribution {
  #count = 0
  #mean = 0
  #squares = 0
  #min = Number.POSITIVE_INFINITY
  #max = 0
  #exact: number[] = []
  #counts: Float64Array | undefined

  /** Adds a finite number of at least 0. */
  add(value: number): void {
    this.#count++
    const distance = value - this.#mean
    this.#mean += distance / this.#count
    this.#squares += distance * (value - this.#mean)
    this.#min = Math.min(this.#min, value)
    this.#max = Math.max(this.#max, value)
    if (this.#counts !== undefined) this.#tally(this.#counts, value)
    else if (this.#exact.push(value) > exactValues) this.#compress()
  }

  /** All zero when nothing was added. */
  summary(): DistributionSummary {
    if (this.#count === 0) return { count: 0, mean: 0, std: 0, min: 0, max: 0, p50: 0, p95: 0, p99: 0 }
    const percentile = this.#percentiles()
    return {
      count: this.#count,
      mean: this.#mean,
      std: this.#count < 2 ? 0 : Math.sqrt(this.#squares / (this.#count - 1)),
      min: this.#min,
      max: this.#max,
      p50: percentile(0.5),
      p95: percentile(0.95),
      p99: percentile(0.99),
    }
  }

  #compress(): void {
    const counts = new Float64Array(buckets)
    for (const value of this.#exact) this.#tally(counts, value)
    this.#counts = counts
    this.#exact = []
  }

  #tally(counts: Float64Array, value: number): void {
    const bucket = Math.floor(Math.log(Math.max(value, smallest) / smallest) / growth)
    const place = Math.min(bucket, buckets - 1)
    counts[place] = (counts[place] ?? 0) + 1
  }

  #percentiles(): (share: number) => number {
    const rank = (share: number) => Math.max(1, Math.ceil(share * this.#count))
    const counts = this.#counts
    if (counts === undefined) {
      const sorted = Float64Array.from(this.#exact).sort()
      return (share) => sorted[rank(share) - 1] ?? this.#max
    }
    return (share) => {
      let left = rank(share)
      const bucket = counts.findIndex((count) => (left -= count) <= 0)
      if (bucket === buckets - 1) return this.#max
      const middle = smallest * Math.exp((bucket + 0.5) * growth)
      return Math.min(Math.max(middle, this.#min), this.#max)
    }
  }
}
