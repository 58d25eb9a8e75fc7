import { openBareSession, randomTexts, type SessionSpec } from '../lib/bare-session.js'
import { type Comparison, compare, processorTime } from '../lib/measure.js'

export interface SpeedTask {
  readonly specs: readonly SessionSpec[]
  /** Batches to run. */
  readonly shapes: readonly BatchShape[]
  readonly blocks: number
}

export interface BatchShape {
  readonly rows: number
  readonly tokens: number
}

/** For each shape, each session in processor time against the first one. */
export type SpeedResult = readonly (readonly Comparison[])[]

/** All sessions are open at once and take turns. */
export default async function compareSpeed({ specs, shapes, blocks }: SpeedTask): Promise<SpeedResult> {
  const sessions = []
  for (const spec of specs) sessions.push({ name: spec.name, session: await openBareSession(spec) })
  const results: Comparison[][] = []
  for (const { rows, tokens } of shapes) {
    const batch = randomTexts(new Array<number>(rows).fill(tokens), rows * tokens)
    const contenders = sessions.map(({ name, session }) => ({ name, run: () => session.vectors(batch) }))
    const repetitions = Math.max(1, Math.round(512 / (rows * tokens)))
    results.push(await compare(contenders, { warmup: 1, blocks, repetitions, clock: processorTime }))
  }
  for (const { session } of sessions) await session.release()
  return results
}
