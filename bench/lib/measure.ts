/** Something whose time is compared. */
export interface Contender {
  readonly name: string
  /** One repetition. What it returns is awaited and dropped. */
  run(): unknown
}

export interface CompareOptions {
  /** Untimed repetitions of each contender before the first block. */
  readonly warmup: number
  /** Blocks: in each, every contender runs once in the order given and once in reverse (A B B A), so that drift of the machine hits all alike. */
  readonly blocks: number
  /** Timed repetitions per turn. */
  readonly repetitions: number
  /** What is counted, in milliseconds. Default: time that passes. */
  readonly clock?: () => number
}

/**
 * Milliseconds of processor time that this process has used, all threads together. For contenders that compute in one thread and wait
 * for nothing, on a machine that others use as well: time spent waiting for a core is not counted.
 */
export function processorTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** What was seen of one contender, in milliseconds per repetition. */
export interface Distribution {
  readonly count: number
  readonly median: number
  /** First and third quartile; their distance is the spread. */
  readonly q1: number
  readonly q3: number
  readonly min: number
  readonly max: number
  readonly p95: number
  readonly p99: number
}

export interface Comparison {
  readonly name: string
  readonly times: Distribution
  /** Median time of this contender over that of the first: 2 means that the first is twice as fast. */
  readonly ratio: number
  /** The same ratio within each block; its spread tells how far `ratio` can be trusted. */
  readonly blockRatios: readonly number[]
}

/**
 * Times contenders against the first of them in interleaved blocks. A garbage collection runs between turns when `--expose-gc` is
 * given, so that one contender does not pay for the litter of another.
 */
export async function compare(contenders: readonly Contender[], options: CompareOptions): Promise<Comparison[]> {
  for (const contender of contenders) for (let i = 0; i < options.warmup; i++) await contender.run()
  const blocks: number[][][] = []
  for (let block = 0; block < options.blocks; block++) {
    const samples = contenders.map((): number[] => [])
    const forth = contenders.map((_, place) => place)
    for (const place of [...forth, ...forth.toReversed()]) {
      globalThis.gc?.()
      await takeTurn(contenders[place]!, samples[place]!, options)
    }
    blocks.push(samples)
  }
  return contenders.map(({ name }, place) => {
    const times = describe(blocks.flatMap((samples) => samples[place]!))
    const first = describe(blocks.flatMap((samples) => samples[0]!))
    return {
      name,
      times,
      ratio: times.median / first.median,
      blockRatios: blocks.map((samples) => quantile(samples[place]!, 0.5) / quantile(samples[0]!, 0.5)),
    }
  })
}

/** Times one contender alone. */
export async function measure(
  run: () => unknown,
  options: { readonly warmup: number; readonly repetitions: number },
): Promise<Distribution> {
  for (let i = 0; i < options.warmup; i++) await run()
  const samples: number[] = []
  await takeTurn({ name: '', run }, samples, options)
  return describe(samples)
}

/** Summarises samples; all figures are `NaN` when there are none. */
export function describe(samples: readonly number[]): Distribution {
  return {
    count: samples.length,
    median: quantile(samples, 0.5),
    q1: quantile(samples, 0.25),
    q3: quantile(samples, 0.75),
    min: quantile(samples, 0),
    max: quantile(samples, 1),
    p95: quantile(samples, 0.95),
    p99: quantile(samples, 0.99),
  }
}

/** Quantile by linear interpolation between order statistics (Hyndman and Fan, type 7, as in R and NumPy). */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = Float64Array.from(samples).sort()
  const place = (sorted.length - 1) * share
  const below = sorted[Math.floor(place)] ?? Number.NaN
  const above = sorted[Math.ceil(place)] ?? Number.NaN
  return below + (above - below) * (place - Math.floor(place))
}

/** `median (q1-q3)` in milliseconds, short enough for a table cell. */
export function formatTimes(times: Distribution): string {
  return `${formatNumber(times.median)} ms (${formatNumber(times.q1)}-${formatNumber(times.q3)})`
}

/** `3.21x (3.10-3.35)`: the ratio of medians with the extremes of the ratios per block. */
export function formatRatio(comparison: Comparison): string {
  const low = quantile(comparison.blockRatios, 0)
  const high = quantile(comparison.blockRatios, 1)
  return `${comparison.ratio.toFixed(2)}x (${low.toFixed(2)}-${high.toFixed(2)})`
}

/** Three significant digits, without an exponent. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US')
  if (size >= 100) return value.toFixed(0)
  if (size >= 10) return value.toFixed(1)
  return value.toFixed(size >= 1 ? 2 : 4)
}

async function takeTurn(
  contender: Contender,
  samples: number[],
  { repetitions, clock = () => performance.now() }: Pick<CompareOptions, 'repetitions' | 'clock'>,
): Promise<void> {
  for (let i = 0; i < repetitions; i++) {
    const began = clock()
    const outcome = contender.run()
    // Awaiting a plain value would add a turn of the microtask queue to every synchronous sample.
    if (outcome instanceof Promise) await outcome
    samples.push(clock() - began)
  }
}
