import { randomNumbers } from '../../src/testing/support.js'
import { openBareSession, randomTexts, type SessionSpec } from '../lib/bare-session.js'
import { processorTime, quantile } from '../lib/measure.js'
import { anonymousBytes } from '../lib/memory.js'

export interface MemoryTask {
  readonly spec: SessionSpec
  readonly runs: number
  readonly maxBatchTokens: number
}

export interface MemoryResult {
  /** Anonymous memory that the session and its runs added: at most, and at the end. */
  readonly highestBytes: number
  readonly lastBytes: number
  /** Median processor time of a run. */
  readonly runMs: number
}

/** Runs batches of one budget and of ever other shapes, as sorted texts give them. */
export default async function watchMemory({ spec, runs, maxBatchTokens }: MemoryTask): Promise<MemoryResult> {
  const random = randomNumbers(5)
  globalThis.gc?.()
  const before = anonymousBytes() ?? Number.NaN
  const session = await openBareSession(spec)
  const times: number[] = []
  let highest = 0
  for (let run = 0; run < runs; run++) {
    const tokens = 16 + Math.floor(random() * 497)
    const batch = randomTexts(new Array<number>(Math.max(1, Math.floor(maxBatchTokens / tokens))).fill(tokens), run)
    const began = processorTime()
    await session.vectors(batch)
    times.push(processorTime() - began)
    // The vectors of tokens lie in buffers that the collector frees when it likes: they are not what is compared.
    globalThis.gc?.()
    highest = Math.max(highest, anonymousBytes() ?? Number.NaN)
  }
  const last = anonymousBytes() ?? Number.NaN
  await session.release()
  return { highestBytes: highest - before, lastBytes: last - before, runMs: quantile(times, 0.5) }
}
