import { randomNumbers } from '../../src/testing/support.js'
import type { VectorIndex } from '../../src/vector-index/types.js'
import { createUsearchIndex } from '../../src/vector-index/usearch.js'

export const dimensions = 16
export const perEpoch = 150
/** So small that segments are written, joined and given graphs all the time. */
const sizes = { tailRows: 100, graphRows: 200, maxRows: 1_000, rowsPerCandidate: 0.01 }
/** Epochs whose vectors are there at a time: earlier ones were removed. */
export const epochsKept = 12

export function openForCampaign(directory: string, warn: (problem: Error) => void = () => {}): Promise<VectorIndex> {
  return createUsearchIndex({ dimensions, fingerprint: 'campaign', directory, sizes, warn })
}

/** Adds the vectors of the next epoch and removes the oldest. */
export async function publishNext(index: VectorIndex): Promise<void> {
  const epoch = index.epoch + 1
  const update = index.update()
  update.remove([[0, Math.max(0, epoch - epochsKept + 1) * perEpoch]])
  await update.add(
    Array.from({ length: perEpoch }, (_, i) => epoch * perEpoch + i),
    vectorsOf(epoch),
  )
  await update.publish(epoch)
}

export function vectorsOf(epoch: number): Float32Array {
  const random = randomNumbers(epoch + 1)
  const vectors = Float32Array.from({ length: perEpoch * dimensions }, () => random() + random() - 1)
  for (let start = 0; start < vectors.length; start += dimensions) {
    const row = vectors.subarray(start, start + dimensions)
    const length = Math.hypot(...row)
    row.set(row.map((value) => value / length))
  }
  return vectors
}
