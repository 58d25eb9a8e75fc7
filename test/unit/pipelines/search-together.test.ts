import { describe, expect, it } from 'vitest'
import { RangeSet } from '../../../src/core/range-set.js'
import { createJoint } from '../../../src/pipelines/steps/search-together.js'
import { createFlatIndex } from '../../../src/vector-index/flat.js'
import type { VectorIndex } from '../../../src/vector-index/types.js'

/** A flat index that takes many vectors at once, and keeps how many each time; 0 stands for a search of one. */
async function counting(fails = false): Promise<{ index: VectorIndex; calls: number[] }> {
  const flat = createFlatIndex({ dimensions: 2, fingerprint: 'test' })
  const update = flat.update()
  const angles = Array.from({ length: 50 }, (_, i) => i / 10)
  await update.add([...angles.keys()], Float32Array.from(angles.flatMap((angle) => [Math.cos(angle), Math.sin(angle)])))
  await update.publish(1)
  const calls: number[] = []
  const index: VectorIndex = {
    id: 'counting',
    dimensions: 2,
    capabilities: { exact: true },
    epoch: 1,
    stats: () => flat.stats(),
    update: () => flat.update(),
    persist: () => flat.persist(),
    close: () => flat.close(),
    search: (vector, options) => {
      calls.push(0)
      return flat.search(vector, options)
    },
    searchMany: async (vectors, options) => {
      calls.push(vectors.length / 2)
      if (fails) throw new Error('The index is gone.')
      const rows = Array.from({ length: vectors.length / 2 }, (_, i) => vectors.slice(i * 2, i * 2 + 2))
      return Promise.all(rows.map((row) => flat.search(row, options)))
    },
  }
  return { index, calls }
}

const query = (angle: number) => Float32Array.of(Math.cos(angle), Math.sin(angle))

describe('searches of one turn', () => {
  it('go to the index together where their options are the same, and each gets its own matches', async () => {
    const { index, calls } = await counting()
    const joint = createJoint(index)
    const allow = RangeSet.from([[10, 20]])
    const angles = [0.1, 1.2, 2.3, 3.4]
    const found = await Promise.all([
      ...angles.map((angle) => joint.search(query(angle), { topK: 3 })),
      ...angles.map((angle) => joint.search(query(angle), { topK: 3, allow })),
      joint.search(query(0.5), { topK: 7 }),
    ])
    expect(calls).toEqual([4, 4, 0])
    const alone = await Promise.all([
      ...angles.map((angle) => index.search(query(angle), { topK: 3 })),
      ...angles.map((angle) => index.search(query(angle), { topK: 3, allow })),
      index.search(query(0.5), { topK: 7 }),
    ])
    expect(found).toEqual(alone)
    expect(new Set(found.map((matches) => JSON.stringify(matches))).size).toBeGreaterThan(4)
  })

  it('fail together, and the next ones do not', async () => {
    const { index } = await counting(true)
    const joint = createJoint(index)
    const both = await Promise.allSettled([joint.search(query(1), { topK: 1 }), joint.search(query(2), { topK: 1 })])
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect((await joint.search(query(1), { topK: 1 }))[0]?.number).toBe(10)
  })
})
