import type { BatchShape, SpeedResult, SpeedTask } from '../children/session-speed.js'
import type { SessionSpec } from '../lib/bare-session.js'
import type { BenchContext } from '../lib/bench.js'
import { formatRatio, formatTimes, quantile } from '../lib/measure.js'

/** A question, and two batches near the budget that is best on processors. */
const shapes: readonly BatchShape[] = [
  { rows: 1, tokens: 16 },
  { rows: 8, tokens: 128 },
  { rows: 32, tokens: 32 },
]

/** Names of the shapes, for the head of a table. */
export const shapeNames = shapes.map(({ rows, tokens }) => `${rows} x ${tokens}`)

/** Runs sessions in turns. */
export async function speedOf(specs: readonly SessionSpec[], context: BenchContext): Promise<SpeedResult> {
  const task: SpeedTask = { specs, shapes, blocks: context.quick ? 3 : 8 }
  return (await context.child<SpeedResult>('children/session-speed.ts', task)).result
}

/** One line per session, with the ratio of its time to that of the first. */
export function printSpeed(title: string, speed: SpeedResult, context: BenchContext): void {
  context.log(`\n${title}`)
  const [first = []] = speed
  context.table([
    ['', ...shapeNames],
    ...first.map(({ name }, place) => [
      name,
      ...speed.map((comparisons) =>
        place === 0 ? formatTimes(comparisons[place]!.times) : formatRatio(comparisons[place]!),
      ),
    ]),
  ])
}

/** Time against the first session: the median over the two batches and their blocks. A question is no batch and stays out. */
export function batchRatio(speed: SpeedResult, place: number): number {
  return quantile(
    speed.slice(1).flatMap((comparisons) => comparisons[place]!.blockRatios),
    0.5,
  )
}
