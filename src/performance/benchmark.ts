import { RagError } from '../core/errors.js'
import { Distribution } from '../util/distribution.js'

/** Options of {@link benchmark}. */
export interface BenchmarkOptions {
  /** Timed calls, 1 to 10,000,000. Default 10. */
  readonly iterations?: number
  /** Untimed calls before them, from 0. Default 1. */
  readonly warmup?: number
  /** Stops between calls: rejects with `signal.reason`. */
  readonly signal?: AbortSignal
  /** Milliseconds from any fixed point. Default `performance.now`. */
  readonly clock?: () => number
}

/** Milliseconds per call. `stdMs` is the sample standard deviation; percentiles are exact up to 256 calls and within 1% beyond. */
export interface BenchmarkResult {
  readonly meanMs: number
  readonly stdMs: number
  readonly minMs: number
  readonly maxMs: number
  readonly p50Ms: number
  readonly p95Ms: number
}

/**
 * Times a function called again and again, one call at a time. What it throws ends the benchmark. Throws `RagError` `BAD_OPTION` for
 * counts that are no whole numbers in range.
 */
export async function benchmark(run: () => unknown, options: BenchmarkOptions = {}): Promise<BenchmarkResult> {
  const { iterations = 10, warmup = 1, signal, clock = () => performance.now() } = options
  requireCount('iterations', iterations, 1)
  requireCount('warmup', warmup, 0)
  for (let call = 0; call < warmup; call++) {
    signal?.throwIfAborted()
    await run()
  }
  const distribution = new Distribution()
  for (let call = 0; call < iterations; call++) {
    signal?.throwIfAborted()
    const began = clock()
    const outcome = run()
    // Awaiting a plain value would add a turn of the microtask queue to every synchronous call.
    if (typeof outcome === 'object' && outcome !== null && 'then' in outcome) await outcome
    distribution.add(Math.max(0, clock() - began))
  }
  const { mean, std, min, max, p50, p95 } = distribution.summary()
  return { meanMs: mean, stdMs: std, minMs: min, maxMs: max, p50Ms: p50, p95Ms: p95 }
}

function requireCount(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least && value <= 1e7) return
  throw new RagError('BAD_OPTION', `benchmark: "${name}" must be a whole number from ${least} to 10,000,000.`, {
    data: { option: name, value },
  })
}
