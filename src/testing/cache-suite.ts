import assert from 'node:assert/strict'
import type { Cache, CacheEntry } from '../cache/types.js'
import { type RegisterTest, randomNumbers, rejectsWith } from './support.js'

/** How the suite gets its caches. */
export interface CacheHarness {
  /** An empty cache with room for some megabytes. The suite closes it. Its entries expire by `now`, milliseconds since 1970. */
  create(options: { readonly now: () => number }): Promise<Cache>
}

/**
 * What every {@link Cache} must do. Call it inside a `describe` with the `it` of your test framework:
 * `cacheConformance(it, { create: async ({ now }) => createMyCache({ now }) })`.
 */
export function cacheConformance(it: RegisterTest, harness: CacheHarness): void {
  const withCache = (name: string, run: (cache: Cache, time: { now: number }) => Promise<void>) =>
    it(name, async () => {
      // Ahead of the real time: servers expire by their own clock.
      const time = { now: Date.now() }
      const cache = await harness.create({ now: () => time.now })
      try {
        await run(cache, time)
      } finally {
        await cache.close()
      }
    })

  withCache('is empty at first, and takes nothing for an answer', async (cache) => {
    assert.ok(cache.id.length > 0)
    assert.equal(typeof cache.capabilities.shared, 'boolean')
    assert.equal(typeof cache.capabilities.persistent, 'boolean')
    assert.deepEqual(await cache.get([]), [])
    assert.deepEqual(await values(cache, ['a', 'b']), [undefined, undefined])
    await cache.set([])
    await cache.delete([])
    await cache.delete(['unknown'])
    await cache.clear()
  })

  withCache('gives back the bytes that were set, in the order of the keys', async (cache) => {
    const random = randomNumbers(1)
    const entries = lengths.map((length, place) => ({
      key: `key ${place}`,
      value: Uint8Array.from({ length }, () => Math.floor(random() * 256)),
    }))
    await cache.set(entries)
    const keys = ['none', ...entries.map(({ key }) => key), 'key 0']
    assert.deepEqual(await values(cache, keys), [undefined, ...entries.map(({ value }) => value), entries[0]?.value])
  })

  withCache('keeps apart keys of any kind and length', async (cache) => {
    const entries = oddKeys.map((key, place) => entry(key, place))
    for (const one of entries) await cache.set([one])
    assert.deepEqual(
      await values(cache, oddKeys),
      entries.map(({ value }) => value),
    )
    await cache.delete(oddKeys.slice(0, 3))
    assert.deepEqual(
      (await values(cache, oddKeys)).map((value) => value === undefined),
      oddKeys.map((_, place) => place < 3),
    )
  })

  withCache('replaces what is set again; of a key that comes twice the last counts', async (cache) => {
    await cache.set([entry('a', 1), entry('b', 2), entry('a', 3)])
    assert.deepEqual(await values(cache, ['a', 'b']), [Uint8Array.of(3), Uint8Array.of(2)])
    await cache.set([entry('a', 4)])
    assert.deepEqual(await values(cache, ['a']), [Uint8Array.of(4)])
  })

  withCache('keeps its own copy, and gives one', async (cache) => {
    const pool = Uint8Array.of(9, 1, 2, 9)
    await cache.set([{ key: 'a', value: pool.subarray(1, 3) }])
    pool.fill(0)
    const [first] = await values(cache, ['a'])
    assert.deepEqual(first, Uint8Array.of(1, 2))
    first?.fill(7)
    assert.deepEqual(await values(cache, ['a']), [Uint8Array.of(1, 2)])
  })

  withCache('forgets what was deleted', async (cache) => {
    await cache.set([entry('a', 1), entry('b', 2)])
    await cache.delete(['a', 'unknown'])
    assert.deepEqual(await values(cache, ['a', 'b']), [undefined, Uint8Array.of(2)])
    await cache.set([entry('a', 3)])
    assert.deepEqual(await values(cache, ['a']), [Uint8Array.of(3)])
  })

  withCache('returns nothing from the moment it expires', async (cache, time) => {
    const expiresAt = time.now + 60_000
    await cache.set([
      { ...entry('short', 1), expiresAt },
      { ...entry('long', 2), expiresAt: expiresAt + 1 },
      entry('ever', 3),
    ])
    const [hit] = await cache.get(['short'])
    assert.equal(hit?.expiresAt, expiresAt)
    time.now = expiresAt - 1
    assert.deepEqual(await values(cache, ['short', 'long', 'ever']), [
      Uint8Array.of(1),
      Uint8Array.of(2),
      Uint8Array.of(3),
    ])
    time.now = expiresAt
    assert.deepEqual(await values(cache, ['short', 'long', 'ever']), [undefined, Uint8Array.of(2), Uint8Array.of(3)])
  })

  withCache(
    'forgets the expiry of what is set again without one, and takes what has expired for nothing',
    async (cache, time) => {
      await cache.set([{ ...entry('a', 1), expiresAt: time.now + 1_000 }])
      await cache.set([entry('a', 2)])
      await cache.set([{ ...entry('b', 1), expiresAt: time.now }])
      time.now += 2_000
      assert.deepEqual(await values(cache, ['a', 'b']), [Uint8Array.of(2), undefined])
    },
  )

  withCache('forgets everything with clear()', async (cache) => {
    await cache.set([entry('a', 1), entry('b', 2)])
    await cache.clear()
    assert.deepEqual(await values(cache, ['a', 'b']), [undefined, undefined])
    await cache.set([entry('a', 3)])
    assert.deepEqual(await values(cache, ['a']), [Uint8Array.of(3)])
  })

  withCache('takes many calls at once', async (cache) => {
    const keys = Array.from({ length: 200 }, (_, place) => `key ${place}`)
    await Promise.all(keys.map((key, place) => cache.set([entry(key, place)])))
    const found = await Promise.all(keys.map((key) => values(cache, [key])))
    assert.deepEqual(
      found.map(([value]) => value),
      keys.map((_, place) => Uint8Array.of(place)),
    )
  })

  withCache('counts what it holds, where it counts', async (cache) => {
    if (cache.stats === undefined) return
    const empty = await cache.stats()
    await cache.set([{ key: 'a', value: new Uint8Array(1_000) }, entry('b', 1)])
    const { entries, bytes } = await cache.stats()
    assert.equal(entries, empty.entries + 2)
    assert.ok(bytes >= empty.bytes + 1_001)
    await cache.delete(['a'])
    assert.equal((await cache.stats()).entries, empty.entries + 1)
  })

  it('refuses everything after close(), which is safe before first use and twice', async () => {
    const cache = await harness.create({ now: Date.now })
    await Promise.all([cache.close(), cache.close()])
    await cache.close()
    await rejectsWith(cache.get(['a']), 'CLOSED')
    await rejectsWith(cache.set([entry('a', 1)]), 'CLOSED')
    await rejectsWith(cache.delete(['a']), 'CLOSED')
    await rejectsWith(cache.clear(), 'CLOSED')
  })
}

const lengths = [0, 1, 2, 3, 100, 1_536, 4_096, 70_000]

const oddKeys = [
  'a',
  'A',
  'a ',
  ' a',
  'a:b',
  'a\u0000b',
  'a\nb',
  '*',
  '__proto__',
  'constructor',
  '日本',
  'e\u0301',
  '\u00e9',
  '😀',
  'x'.repeat(2_000),
  `${'x'.repeat(2_000)}y`,
]

function entry(key: string, byte: number): CacheEntry {
  return { key, value: Uint8Array.of(byte) }
}

async function values(cache: Cache, keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
  return (await cache.get(keys)).map((hit) => hit && new Uint8Array(hit.value))
}
