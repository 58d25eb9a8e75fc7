import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { randomNumbers } from '../../src/testing/support.js'
import type { VectorIndex } from '../../src/vector-index/types.js'
import { dimensions, epochsKept, openForCampaign, perEpoch, vectorsOf } from './vector-save-index.js'

export interface SaveCampaignResult {
  /** Of saves that were acknowledged, over all kills. */
  readonly saves: number
  /** Kills after which the index began with what was saved; after the others it began empty, which only a kill before the first save allows. */
  readonly kept: number
}

/** Kills a process that saves its index, at random times, and looks at what each has left. */
export async function vectorSaveCampaign({
  directory,
  seed,
  kills,
}: {
  readonly directory: string
  readonly seed: number
  readonly kills: number
}): Promise<SaveCampaignResult> {
  const random = randomNumbers(seed)
  let saves = 0
  let kept = 0
  let acknowledged = 0
  for (let kill = 0; kill < kills; kill++) {
    const before = acknowledged
    const saved = await runUntilKilled(directory, { reports: 2 + Math.floor(random() * 5), afterMs: random() * 60 })
    acknowledged = Math.max(acknowledged, saved)
    saves += acknowledged - before
    const problems: Error[] = []
    const index = await openForCampaign(directory, (problem) => problems.push(problem))
    try {
      // Whatever was acknowledged is there, and one more at most: that of the save under way.
      expect(index.epoch).toBeGreaterThanOrEqual(acknowledged)
      expect(problems).toEqual([])
      if (index.epoch > 0) kept++
      acknowledged = index.epoch
      await expectEpoch(index)
    } finally {
      await index.close()
    }
  }
  return { saves, kept }
}

/** The last epoch the process acknowledged as saved before it was killed. */
async function runUntilKilled(
  directory: string,
  { afterMs, reports }: { readonly afterMs: number; readonly reports: number },
): Promise<number> {
  const script = fileURLToPath(new URL('./vector-save.child.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  let output = ''
  child.stdout.on('data', (bytes) => {
    output += String(bytes)
    // A moment after a report, so that it hits every phase of the save that follows.
    if (output.split('\n').length > reports) setTimeout(() => child.kill('SIGKILL'), afterMs)
  })
  const [, signal] = await ended
  expect(signal).toBe('SIGKILL')
  // The last line may be cut.
  return Math.max(0, ...output.split('\n').slice(0, -1).map(Number))
}

/** All vectors of the epochs that are kept are there with their scores, and nothing else. */
async function expectEpoch(index: VectorIndex): Promise<void> {
  const { epoch } = index
  const expected: { number: number; score: number }[] = []
  const query = vectorsOf(1_000_000).slice(0, dimensions)
  for (let kept = Math.max(1, epoch - epochsKept + 1); kept <= epoch; kept++) {
    const rows = vectorsOf(kept)
    for (let i = 0; i < perEpoch; i++) {
      let score = 0
      for (let d = 0; d < dimensions; d++) score += (rows[i * dimensions + d] as number) * (query[d] as number)
      expected.push({ number: kept * perEpoch + i, score })
    }
  }
  const byNumber = (a: { number: number }, b: { number: number }) => a.number - b.number
  const found = await index.search(query, { topK: perEpoch * epochsKept * 2, exact: true })
  const sorted = found.toSorted(byNumber)
  expect(sorted.map(({ number }) => number)).toEqual(expected.map(({ number }) => number))
  for (const [i, { score }] of sorted.entries()) expect(score).toBeCloseTo(expected[i]?.score ?? Number.NaN, 5)
  // By the graphs, too: one that was cut short would take the process down.
  expect(await index.search(query, { topK: 10 })).toHaveLength(Math.min(10, expected.length))
}
