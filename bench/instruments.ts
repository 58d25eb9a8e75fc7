import allocate from './children/allocate.js'
import type { Bench } from './lib/bench.js'
import { measureLoopDelay } from './lib/loop-delay.js'
import { compare, formatNumber, formatRatio, formatTimes } from './lib/measure.js'
import { measureMemory } from './lib/memory.js'

/** How far can the bench's own instruments be trusted? Each measures something whose true figure is known. */
const bench: Bench = async (context) => {
  const stall = 120
  const block = 64
  const spin = (ms: number) => {
    const end = performance.now() + ms
    while (performance.now() < end);
  }
  const comparisons = await compare(
    [
      { name: '1 ms', run: () => spin(1) },
      { name: '1 ms again', run: () => spin(1) },
      { name: '2 ms', run: () => spin(2) },
    ],
    { warmup: 3, blocks: context.quick ? 3 : 7, repetitions: 10 },
  )
  context.table([
    ['busy wait', 'median (quartiles)', 'against the first (blocks)'],
    ...comparisons.map((one) => [one.name, formatTimes(one.times), formatRatio(one)]),
  ])
  const delay = await measureLoopDelay(async () => {
    await new Promise((resolve) => setTimeout(resolve, 500))
    spin(stall)
    await new Promise((resolve) => setTimeout(resolve, 500))
  })
  const memory = await measureMemory(() => allocate(block))
  const child = await context.child<number>('children/allocate.ts', block)
  const megabytes = (bytes: number) => bytes / 2 ** 20
  context.table([
    ['instrument', 'truth', 'reading'],
    ['longest delay, ms', stall, formatNumber(delay.maxMs)],
    ['lost share of wall time', (stall / delay.wallMs).toFixed(3), delay.lostShare.toFixed(3)],
    ['peak memory here, MiB', block, formatNumber(megabytes(memory.peakBytes - memory.beforeBytes))],
    ['peak memory of a child, MiB', `${block} + Node`, formatNumber(megabytes(child.peakAnonymousBytes))],
  ])
  return {
    'ratio.same': comparisons[1]!.ratio,
    'ratio.double': comparisons[2]!.ratio,
    'delay.maxMs': delay.maxMs,
    'delay.lostShare': delay.lostShare,
    'delay.idleP99Ms': delay.idle.p99Ms,
    'memory.peakMiB': megabytes(memory.peakBytes - memory.beforeBytes),
    'memory.childPeakMiB': megabytes(child.peakAnonymousBytes),
  }
}
export default bench
