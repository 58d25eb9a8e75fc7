import { describe, expect, it, vi } from 'vitest'
import { createMemoryCache } from '../../../src/cache/memory.js'
import type { Cache } from '../../../src/cache/types.js'
import { createCachedEmbedder } from '../../../src/embed/cached.js'
import type { Embedder } from '../../../src/embed/types.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'
import { randomNumbers } from '../../../src/testing/support.js'

/** An embedder whose calls are noted. */
function noted(embedder: Embedder = createFakeEmbedder()): { embedder: Embedder; calls: string[][] } {
  const calls: string[][] = []
  return {
    calls,
    embedder: {
      ...embedder,
      embed: (texts, options) => {
        calls.push([...texts])
        return embedder.embed(texts, options)
      },
    },
  }
}

function setUp(given: Partial<Parameters<typeof createCachedEmbedder>[1]> = {}, inner?: Embedder) {
  const cache = createMemoryCache()
  const onLookup = vi.fn()
  const { embedder, calls } = noted(inner)
  return {
    cache,
    calls,
    onLookup,
    plain: embedder,
    cached: createCachedEmbedder(embedder, { cache, onLookup, ...given }),
  }
}

const passage = { kind: 'passage' } as const

describe('a cached embedder', () => {
  it('gives what the embedder gives, for any mixture of known, new and repeated texts', async () => {
    const { cached } = setUp()
    const plain = createFakeEmbedder()
    const random = randomNumbers(2)
    for (let round = 0; round < 60; round++) {
      const texts = Array.from({ length: Math.floor(random() * 12) }, () => `text ${Math.floor(random() * 40)}`)
      const { vectors, failed } = await cached.embed(texts, passage)
      expect(vectors).toEqual((await plain.embed(texts, passage)).vectors)
      expect(failed).toEqual([])
    }
  })

  it('has each text made once', async () => {
    const { cached, calls, onLookup } = setUp()
    await cached.embed(['a', 'b', 'a', 'c', 'b'], passage)
    await cached.embed(['c', 'd', 'a'], passage)
    await cached.embed(['d', 'd', 'b'], passage)
    expect(calls).toEqual([['a', 'b', 'c'], ['d']])
    expect(onLookup.mock.calls.map(([found]) => found)).toEqual([
      { hits: 0, misses: 3 },
      { hits: 2, misses: 1 },
      { hits: 2, misses: 0 },
    ])
  })

  it('embeds a question once that many ask at the same time, and gives each a vector of their own', async () => {
    const { cached, calls } = setUp()
    const query = { kind: 'query' } as const
    const impatient = AbortSignal.abort('enough')
    await expect(cached.embed(['a'], { ...query, signal: impatient })).rejects.toBe('enough')
    const results = await Promise.all(Array.from({ length: 100 }, () => cached.embed(['a'], query)))
    expect(calls).toEqual([['a']])
    results[0]?.vectors.fill(0)
    expect(results[1]?.vectors).toEqual((await createFakeEmbedder().embed(['a'], query)).vectors)
  })

  it('keeps questions and passages apart, and the vectors of two models', async () => {
    const { cache, cached, calls } = setUp()
    await cached.embed(['a'], passage)
    await cached.embed(['a'], { kind: 'query' })
    expect(calls).toEqual([['a'], ['a']])
    const other = noted({ ...createFakeEmbedder(), fingerprint: 'another' })
    await createCachedEmbedder(other.embedder, { cache }).embed(['a'], passage)
    expect(other.calls).toEqual([['a']])
  })

  it('looks up only the kinds it is told to', async () => {
    const { cached, calls } = setUp({ kinds: ['query'] })
    for (const kind of ['passage', 'passage', 'query', 'query'] as const) await cached.embed(['a'], { kind })
    expect(calls).toHaveLength(3)
  })

  it('keeps no vector of a text that failed, and reports it at each of its places', async () => {
    const inner = createFakeEmbedder({ failure: (text) => (text === 'bad' ? new Error('bad') : undefined) })
    const { cached, calls } = setUp({}, inner)
    for (const texts of [
      ['a', 'bad', 'b', 'bad'],
      ['bad', 'b', 'bad'],
    ]) {
      const { vectors, failed } = await cached.embed(texts, passage)
      expect(failed.map(({ index }) => texts[index])).toEqual(['bad', 'bad'])
      for (const { index } of failed) {
        const row = vectors.subarray(index * cached.dimensions, (index + 1) * cached.dimensions)
        expect(row.every((value) => value === 0)).toBe(true)
      }
    }
    expect(calls).toEqual([['a', 'bad', 'b'], ['bad']])
  })

  it('takes bytes that are no vector for a miss, and mends them', async () => {
    const { cache, cached, calls } = setUp()
    const set = vi.spyOn(cache, 'set')
    await cached.embed(['a'], passage)
    const key = set.mock.calls[0]?.[0][0]?.key ?? ''
    const width = cached.dimensions * 4
    for (const value of [
      new Uint8Array(0),
      new Uint8Array(width - 1),
      new Uint8Array(width + 4),
      new Uint8Array(new Float32Array(cached.dimensions).fill(Number.NaN).buffer),
    ]) {
      await cache.set([{ key, value }])
      calls.length = 0
      await cached.embed(['a'], passage)
      await cached.embed(['a'], passage)
      expect(calls).toEqual([['a']])
    }
  })

  it('makes a vector anew when its time is over', async () => {
    const time = { now: 1_000 }
    const cache = createMemoryCache({}, { now: () => 0, date: () => time.now, sleep: async () => {} })
    const { embedder, calls } = noted()
    const cached = createCachedEmbedder(embedder, { cache, ttlMs: 500, now: () => time.now })
    await cached.embed(['a'], passage)
    time.now = 1_499
    await cached.embed(['a'], passage)
    expect(calls).toHaveLength(1)
    time.now = 1_500
    await cached.embed(['a'], passage)
    expect(calls).toHaveLength(2)
  })

  it('is not spoiled by a caller who writes into the vectors', async () => {
    const { cached } = setUp()
    const { vectors } = await cached.embed(['a'], passage)
    const before = vectors.slice()
    vectors.fill(9)
    const again = await cached.embed(['a'], passage)
    expect(again.vectors).toEqual(before)
  })

  it('goes on when its cache cannot write', async () => {
    const broken: Cache = {
      ...createMemoryCache(),
      id: 'broken',
      get: async (keys) => keys.map(() => undefined),
      set: async () => {
        throw new Error('full')
      },
    }
    const { cached } = setUp({ cache: broken })
    expect((await cached.embed(['a'], passage)).failed).toEqual([])
  })
})
