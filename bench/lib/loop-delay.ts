import { closeSync, openSync, readSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { quantile } from './measure.js'

/** How long the event loop kept others waiting. */
export interface LoopDelay {
  /** 99th percentile of the delay of a timer, milliseconds. A long stall is one sample, however many timers it held up. */
  readonly p99Ms: number
  /** Longest single delay, milliseconds. */
  readonly maxMs: number
  /** Part of the wall time (0 to 1) spent in delays longer than 20 ms; such a delay counts whole. */
  readonly lostShare: number
  /**
   * Longest time this thread itself computed between two ticks of a timer of 2 ms, milliseconds: on a machine that does other work, a delay is mostly the
   * wait for a core. An upper bound of the longest turn of the loop, since several short ones may lie between two ticks. `NaN` off Linux.
   */
  readonly maxRunMs: number
}

export interface LoopDelayReading<Result> extends LoopDelay {
  readonly result: Result
  readonly wallMs: number
  /** The same loop with nothing to do; already subtracted from the figures above. */
  readonly idle: LoopDelay
}

/** Delays beyond this are felt. */
const stallMs = 20
const resolutionMs = 10
const idleMs = 1000

/**
 * Runs something and tells how much it delayed this thread's event loop. Two instruments watch: Node's delay histogram, whose samples
 * contain its own resolution, and a timer of ours that adds up lost time, which percentiles of a histogram cannot show.
 */
export async function measureLoopDelay<Result>(run: () => Promise<Result> | Result): Promise<LoopDelayReading<Result>> {
  const idle = await watch(() => new Promise((resolve) => setTimeout(resolve, idleMs)))
  const busy = await watch(run)
  return {
    result: busy.result,
    wallMs: busy.wallMs,
    p99Ms: Math.max(0, busy.p99Ms - idle.p99Ms),
    maxMs: Math.max(0, busy.maxMs - idle.maxMs),
    lostShare: Math.max(0, busy.lostShare - idle.lostShare),
    maxRunMs: busy.maxRunMs,
    idle: { p99Ms: idle.p99Ms, maxMs: idle.maxMs, lostShare: idle.lostShare, maxRunMs: idle.maxRunMs },
  }
}

async function watch<Result>(
  run: () => Promise<Result> | Result,
): Promise<LoopDelay & { result: Result; wallMs: number }> {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs })
  const delays: number[] = []
  let last = performance.now()
  const note = () => {
    const now = performance.now()
    delays.push(Math.max(0, now - last - resolutionMs))
    last = now
  }
  histogram.enable()
  const timer = setInterval(note, resolutionMs)
  const computing = watchComputing()
  const began = performance.now()
  try {
    const result = await run()
    // A stall that ends with the work would be missed without one more turn of the loop.
    await new Promise((resolve) => setTimeout(resolve, 2 * resolutionMs))
    const wallMs = performance.now() - began
    const seen = histogram.count > 0
    const lostMs = delays.reduce((sum, delay) => (delay > stallMs ? sum + delay : sum), 0)
    return {
      result,
      wallMs,
      p99Ms: seen ? Math.max(0, histogram.percentile(99) / 1e6 - resolutionMs) : quantile(delays, 0.99),
      maxMs: Math.max(seen ? histogram.max / 1e6 - resolutionMs : 0, maximum(delays)),
      lostShare: lostMs / wallMs,
      maxRunMs: computing.longestMs(),
    }
  } finally {
    clearInterval(timer)
    computing.stop()
    histogram.disable()
  }
}

/** How long this thread has run, by the kernel's own count, from tick to tick. */
function watchComputing(): { longestMs(): number; stop(): void } {
  let descriptor: number
  try {
    descriptor = openSync('/proc/self/schedstat', 'r')
  } catch {
    // Not Linux.
    return { longestMs: () => Number.NaN, stop: () => {} }
  }
  const buffer = Buffer.alloc(128)
  const ranMs = () => Number.parseInt(buffer.toString('latin1', 0, readSync(descriptor, buffer, 0, 128, 0)), 10) / 1e6
  let before = ranMs()
  let longest = 0
  const timer = setInterval(() => {
    const now = ranMs()
    longest = Math.max(longest, now - before)
    before = now
  }, 2)
  return {
    longestMs: () => longest,
    stop: () => {
      clearInterval(timer)
      closeSync(descriptor)
    },
  }
}

/** Without spreading: a long run has more samples than a call has arguments. */
function maximum(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0)
}
