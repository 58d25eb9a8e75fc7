import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { randomNumbers } from '../../../src/testing/support.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'
import { openFlatIndex } from '../../../src/vector-index/flat.js'
import { createShardedIndex } from '../../../src/vector-index/sharded.js'
import type { VectorIndex, VectorIndexOptions } from '../../../src/vector-index/types.js'
import { createUsearchIndex } from '../../../src/vector-index/usearch.js'
import { inSoak } from '../../lib/soak.js'

const dimensions = 8
/** Three times as many numbers as stay together: they lie in several shards, whatever their number. */
const count = 3_300
let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ufrag-sharded-'))
})
afterEach(async () => {
  await rm(root, { recursive: true, force: true })
})

const random = randomNumbers(4)
const vectors = Float32Array.from({ length: count * dimensions }, () => random() - 0.5)
for (let start = 0; start < vectors.length; start += dimensions) {
  const row = vectors.subarray(start, start + dimensions)
  const length = Math.hypot(...row)
  row.set(row.map((value) => value / length))
}

async function fill(index: VectorIndex): Promise<void> {
  const update = index.update()
  await update.add(
    Array.from({ length: count }, (_, number) => number),
    vectors,
  )
  await update.publish(1)
}

/** Every vector is its own nearest. */
async function numbersOf(index: VectorIndex): Promise<number[]> {
  const found = await index.search(vectors.slice(0, dimensions), { topK: count * 2, exact: true })
  return found.map(({ number }) => number).sort((a, b) => a - b)
}

describe('an index in shards', () => {
  it.each([
    ['flat', openFlatIndex],
    ['usearch', createUsearchIndex],
  ] as const)(
    'of %s that is opened with another number of them begins empty, and keeps every vector it is given again',
    async (_name, open) => {
      const opened = (shards: number) =>
        createShardedIndex({
          dimensions,
          fingerprint: 'test',
          directory: join(root, 'index'),
          shards,
          open: async (one) => open(one),
        })
      const all = Array.from({ length: count }, (_, number) => number)
      for (const shards of [2, 5, 3, 1]) {
        const other = await opened(shards)
        expect([shards, other.epoch, other.stats().vectors]).toEqual([shards, 0, 0])
        await fill(other)
        await other.persist()
        await other.close()
        const same = await opened(shards)
        expect([same.epoch, same.stats().vectors]).toEqual([1, count])
        expect(await numbersOf(same)).toEqual(all)
        await same.close()
      }
    },
  )

  it('is being built while one of them is', async () => {
    const building: boolean[] = [false, false]
    let settle = () => {}
    const settled = new Promise<void>((resolve) => {
      settle = resolve
    })
    const open = async (options: VectorIndexOptions, shard: number): Promise<VectorIndex> => {
      const index = await openFlatIndex(options)
      return Object.assign(index, {
        stats: () => ({ vectors: 0, segments: 0, bytes: 0, building: building[shard] === true }),
        ...(shard === 1 ? { settled: () => settled } : {}),
      })
    }
    let opened = 0
    const index = await createShardedIndex({
      dimensions,
      fingerprint: 'test',
      shards: 2,
      open: (options) => open(options, opened++),
    })
    expect(index.stats().building).toBe(false)
    building[1] = true
    expect(index.stats().building).toBe(true)
    const waited: boolean[] = []
    void index.settled?.().then(() => waited.push(true))
    await new Promise(setImmediate)
    expect(waited).toEqual([])
    building[1] = false
    settle()
    await index.settled?.()
    expect(waited).toEqual([true])
    await index.close()
  })

  inSoak('is filled again from the store where their number has changed', async () => {
    const text = Array.from({ length: 400 }, (_, i) => `Sentence ${i} tells of thing ${i % 89} and of nothing else.`)
    const open = (shards: number) =>
      new UltraFastRAG({
        storage: root,
        embedder: 'hashing',
        chunkSize: 60,
        chunkOverlap: 0,
        minChunkSize: 0,
        vectorIndex: { kind: 'sharded', shards, index: 'flat' },
      })
    const first = open(2)
    await first.ingest([{ id: 'a', text: text.join(' ') }])
    const before = (await first.stats()).indexes.vector?.vectors
    const answers = await first.retrieve('thing 42', { topK: 20 })
    await first.close()
    expect(before).toBeGreaterThan(200)
    for (const shards of [4, 1]) {
      const again = open(shards)
      expect(await again.retrieve('thing 42', { topK: 20 })).toEqual(answers)
      expect((await again.stats()).indexes.vector?.vectors).toBe(before)
      await again.close()
    }
  })
})
