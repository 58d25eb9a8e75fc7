import assert from 'node:assert/strict'
import { embeddingModel } from '../lib/embedding-model.js'
import { startChild } from './child.js'
import type { LaneMemoryOptions } from './lane-memory.child.js'

/** Runs batches of every shape in one lane: in the second half its memory may grow no more. Returns the samples in bytes. */
export async function laneMemory({ runs }: { readonly runs: number }): Promise<readonly number[]> {
  const model = embeddingModel({ layers: 1, hidden: 64, maxTokens: 256, weights: ['int8'] })
  const options: LaneMemoryOptions = { model, runs, samples: 40, tokens: 256 }
  const child = startChild('./lane-memory.child.ts', options)
  assert.equal(await child.ended, 0, child.errors())
  const samples = child.lines.map(Number)
  const peak = (part: readonly number[]) => Math.max(...part)
  const early = peak(samples.slice(0, samples.length / 2))
  const late = peak(samples.slice(-samples.length / 4))
  // Heaps settle within some thousand runs by less than this; the buffers of one run, were they kept, are 64 kB.
  const growth = late - early
  assert.ok(growth < 16 << 20, `memory grew: ${samples.map((bytes) => (bytes / 2 ** 20).toFixed(0)).join(' ')} MiB`)
  return samples
}
