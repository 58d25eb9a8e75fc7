import { RagError } from '../core/errors.js'
import { Distribution, type DistributionSummary } from '../util/distribution.js'
import type { Recorder } from './types.js'

export interface PerformanceTrackerOptions {
  /** Milliseconds from any fixed point, never going back. Default `performance.now`. */
  readonly clock?: () => number
  /** Bytes the process holds now. Default `process.memoryUsage()`: heap in use, and resident set. */
  readonly memory?: () => MemoryReading
}

export interface MemoryReading {
  readonly heapUsed: number
  readonly rss: number
}

/** Milliseconds; `std` is the sample standard deviation, percentiles are exact up to 256 values and within 1% beyond. */
export interface DurationSummary {
  readonly count: number
  readonly totalMs: number
  readonly meanMs: number
  readonly stdMs: number
  readonly minMs: number
  readonly maxMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
}

/** What is known of all runs of one name. Runs that failed count like others, and in `errors`. */
export interface RunSummary extends DurationSummary {
  readonly errors: number
  /** Failures by `RagError` code, or by the error's name. */
  readonly errorsByCode: Readonly<Record<string, number>>
  /** Memory after a run less memory before it. Whatever ran meanwhile is in it: read it for runs one at a time. */
  readonly memory: {
    readonly meanHeapDeltaBytes: number
    readonly maxHeapDeltaBytes: number
    readonly meanRssDeltaBytes: number
    readonly maxRssDeltaBytes: number
  }
}

/** A cache as `cache.NAME.hit` and `cache.NAME.miss` were counted. */
export interface CacheSummary {
  readonly hits: number
  readonly misses: number
  /** Hits of all look-ups, 0 to 1; 0 before the first. */
  readonly hitRate: number
  /** Milliseconds that computing the hits took when it was done, as `cache.NAME.savedMs` was counted. */
  readonly savedMs: number
}

/** Plain data, by name in alphabetical order. */
export interface PerformanceSummary {
  /** Since the tracker was made or reset. */
  readonly elapsedMs: number
  readonly runs: Readonly<Record<string, RunSummary>>
  readonly stages: Readonly<Record<string, DurationSummary>>
  readonly counters: Readonly<Record<string, number>>
  readonly caches: Readonly<Record<string, CacheSummary>>
  /** What parts of the library tell of themselves now; since they were made, whatever was reset here. */
  readonly gauges: Readonly<Record<string, Gauges>>
}

/** Numbers by name, such as `queued` or `paddingWaste`. */
export type Gauges = Readonly<Record<string, number>>

/** Collects how often, how long and with what memory. Its own memory is bounded: 1,000 names of each kind, at most 14 KiB per name. */
export interface PerformanceTracker extends Recorder {
  /**
   * Runs a function, records its duration and memory under `name`, and returns exactly what it returned; a promise is recorded when
   * it settles. What it throws or rejects with is counted and passed on unchanged.
   */
  trackRun<Result>(name: string, run: () => Result): Result
  /** Shows what `read` returns, whenever it is asked, under `gauges`. A later one of the same name takes its place. */
  watch(name: string, read: () => Gauges): void
  /** Everything so far, as plain data; a copy that does not change. */
  summary(): PerformanceSummary
  /** The summary as aligned text. */
  toTable(): string
  /** The same as {@link PerformanceTracker.summary}, so that `JSON.stringify(tracker)` works. */
  toJSON(): PerformanceSummary
  /** Forgets everything. Runs under way are recorded when they end. */
  reset(): void
}

/** Names beyond this many share one entry, so that a name made from user input cannot fill the memory. */
const maxNames = 1000
const overflowName = '(other)'

/** Makes a tracker. Calls cost well below a microsecond, `trackRun` a few (it reads the memory twice). */
export function createPerformanceTracker(options: PerformanceTrackerOptions = {}): PerformanceTracker {
  return new Tracker(options.clock ?? (() => performance.now()), options.memory ?? (() => process.memoryUsage()))
}

class Tracker implements PerformanceTracker {
  readonly #clock: () => number
  readonly #memory: () => MemoryReading
  readonly #runs = new Map<string, Runs>()
  readonly #stages = new Map<string, Durations>()
  readonly #counters = new Map<string, number>()
  readonly #gauges = new Map<string, () => Gauges>()
  #since: number

  constructor(clock: () => number, memory: () => MemoryReading) {
    this.#clock = clock
    this.#memory = memory
    this.#since = clock()
  }

  trackRun<Result>(name: string, run: () => Result): Result {
    const end = this.#begin(name)
    let result: Result
    try {
      result = run()
    } catch (error) {
      end({ error })
      throw error
    }
    if (!isThenable(result)) {
      end()
      return result
    }
    const settled = result.then(
      (value) => {
        end()
        return value
      },
      (error: unknown) => {
        end({ error })
        throw error
      },
    )
    // A promise of the same value stands in for the one that was returned.
    return settled as Result
  }

  stage(name: string, durationMs: number): void {
    entry(this.#stages, name, () => new Durations()).add(durationMs)
  }

  count(name: string, by = 1): void {
    if (!Number.isFinite(by)) return
    const known = nameWithin(this.#counters, name)
    this.#counters.set(known, (this.#counters.get(known) ?? 0) + by)
  }

  watch(name: string, read: () => Gauges): void {
    this.#gauges.set(nameWithin(this.#gauges, name), read)
  }

  summary(): PerformanceSummary {
    return {
      elapsedMs: this.#clock() - this.#since,
      runs: byName(this.#runs, (runs) => runs.summary()),
      stages: byName(this.#stages, (durations) => durations.summary()),
      counters: byName(this.#counters, (count) => count),
      caches: summariseCaches(this.#counters),
      gauges: byName(this.#gauges, readGauges),
    }
  }

  toJSON(): PerformanceSummary {
    return this.summary()
  }

  toTable(): string {
    return formatSummary(this.summary())
  }

  reset(): void {
    this.#runs.clear()
    this.#stages.clear()
    this.#counters.clear()
    this.#since = this.#clock()
  }

  #begin(name: string): (failure?: { readonly error: unknown }) => void {
    const memory = this.#memory()
    const began = this.#clock()
    return (failure) => {
      const durationMs = this.#clock() - began
      const now = this.#memory()
      entry(this.#runs, name, () => new Runs()).add(
        durationMs,
        { heapUsed: now.heapUsed - memory.heapUsed, rss: now.rss - memory.rss },
        failure,
      )
    }
  }
}

/** Durations under one name. What is no duration (NaN, infinite, negative) is left out: a recorder never throws. */
class Durations {
  readonly #distribution = new Distribution()
  #totalMs = 0

  add(durationMs: number): void {
    if (!(durationMs >= 0 && durationMs < Number.POSITIVE_INFINITY)) return
    this.#distribution.add(durationMs)
    this.#totalMs += durationMs
  }

  summary(): DurationSummary {
    return toDurations(this.#distribution.summary(), this.#totalMs)
  }
}

class Runs {
  readonly #durations = new Durations()
  readonly #heap = new Delta()
  readonly #rss = new Delta()
  readonly #errors = new Map<string, number>()

  add(durationMs: number, memory: MemoryReading, failure: { readonly error: unknown } | undefined): void {
    this.#durations.add(durationMs)
    this.#heap.add(memory.heapUsed)
    this.#rss.add(memory.rss)
    if (failure === undefined) return
    const code = nameWithin(this.#errors, errorCode(failure.error))
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1)
  }

  summary(): RunSummary {
    return {
      ...this.#durations.summary(),
      errors: [...this.#errors.values()].reduce((sum, count) => sum + count, 0),
      errorsByCode: byName(this.#errors, (count) => count),
      memory: {
        meanHeapDeltaBytes: this.#heap.mean,
        maxHeapDeltaBytes: this.#heap.max,
        meanRssDeltaBytes: this.#rss.mean,
        maxRssDeltaBytes: this.#rss.max,
      },
    }
  }
}

/** Mean and maximum of numbers of either sign. */
class Delta {
  #count = 0
  mean = 0
  max = 0

  add(value: number): void {
    this.max = this.#count === 0 ? value : Math.max(this.max, value)
    this.#count++
    this.mean += (value - this.mean) / this.#count
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

function errorCode(error: unknown): string {
  if (RagError.isInstance(error)) return error.code
  return error instanceof Error ? error.name : typeof error
}

function entry<Value>(map: Map<string, Value>, name: string, make: () => Value): Value {
  const known = nameWithin(map, name)
  let value = map.get(known)
  if (value === undefined) {
    value = make()
    map.set(known, value)
  }
  return value
}

function nameWithin(map: ReadonlyMap<string, unknown>, name: string): string {
  return map.size < maxNames || map.has(name) ? name : overflowName
}

/** A null prototype, so that a name like `__proto__` is a name. */
function byName<Value, Result>(
  map: ReadonlyMap<string, Value>,
  toResult: (value: Value) => Result,
): Record<string, Result> {
  const result: Record<string, Result> = Object.create(null)
  for (const name of [...map.keys()].sort()) result[name] = toResult(map.get(name) as Value)
  return result
}

function toDurations(summary: DistributionSummary, totalMs: number): DurationSummary {
  return {
    count: summary.count,
    totalMs,
    meanMs: summary.mean,
    stdMs: summary.std,
    minMs: summary.min,
    maxMs: summary.max,
    p50Ms: summary.p50,
    p95Ms: summary.p95,
    p99Ms: summary.p99,
  }
}

/** A part that cannot tell is no reason to tell nothing of the others. */
function readGauges(read: () => Gauges): Gauges {
  try {
    return { ...read() }
  } catch {
    return {}
  }
}

function summariseCaches(counters: ReadonlyMap<string, number>): Record<string, CacheSummary> {
  const names = new Map<string, string>()
  for (const counter of counters.keys()) {
    const match = /^cache\.(.+)\.(?:hit|miss)$/.exec(counter)
    if (match?.[1] !== undefined) names.set(match[1], match[1])
  }
  return byName(names, (name) => {
    const hits = counters.get(`cache.${name}.hit`) ?? 0
    const misses = counters.get(`cache.${name}.miss`) ?? 0
    const savedMs = counters.get(`cache.${name}.savedMs`) ?? 0
    return { hits, misses, hitRate: hits + misses === 0 ? 0 : hits / (hits + misses), savedMs }
  })
}

function formatSummary(summary: PerformanceSummary): string {
  const milliseconds = (value: number) => value.toFixed(value < 10 ? 3 : 1)
  const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
  const durations = (row: DurationSummary) =>
    [row.meanMs, row.stdMs, row.minMs, row.p50Ms, row.p95Ms, row.maxMs].map(milliseconds)
  const heading = ['count', 'mean ms', 'std', 'min', 'p50', 'p95', 'max']
  return [
    table([
      ['run', ...heading, 'errors', 'heap MiB', 'rss MiB'],
      ...Object.entries(summary.runs).map(([name, row]) => [
        name,
        String(row.count),
        ...durations(row),
        String(row.errors),
        megabytes(row.memory.meanHeapDeltaBytes),
        megabytes(row.memory.meanRssDeltaBytes),
      ]),
    ]),
    table([
      ['stage', ...heading],
      ...Object.entries(summary.stages).map(([name, row]) => [name, String(row.count), ...durations(row)]),
    ]),
    table([
      ['cache', 'hits', 'misses', 'hit rate', 'saved ms'],
      ...Object.entries(summary.caches).map(([name, { hits, misses, hitRate, savedMs }]) => [
        name,
        String(hits),
        String(misses),
        `${(hitRate * 100).toFixed(1)}%`,
        savedMs.toFixed(0),
      ]),
    ]),
    table([['counter', 'count'], ...Object.entries(summary.counters).map(([name, count]) => [name, String(count)])]),
    table([['gauge', 'value'], ...Object.entries(summary.gauges).flatMap(formatGauges)]),
  ]
    .filter((text) => text !== '')
    .join('\n\n')
}

function formatGauges([part, gauges]: [string, Gauges]): [name: string, value: string][] {
  return Object.entries(gauges).map(([name, value]) => [`${part}.${name}`, String(Number(value.toFixed(3)))])
}

/** Empty when there is nothing below the heading. */
function table(rows: readonly (readonly string[])[]): string {
  if (rows.length < 2) return ''
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
    .join('\n')
}
