import { describe, expect, it } from 'vitest'
import { createMemoryCache } from '../../../src/cache/memory.js'

const filled = (key: string, length: number) => ({ key, value: new Uint8Array(length) })

describe('a memory cache', () => {
  it('stays within its bytes when ten times as much comes, and keeps what was used last', async () => {
    const cache = createMemoryCache({ maxBytes: 100_000 })
    for (let place = 0; place < 1_000; place++) {
      await cache.set([filled(`key ${place}`, 1_000)])
      await cache.get(['key 0'])
      expect((await cache.stats?.())?.bytes).toBeLessThanOrEqual(100_000)
    }
    const [first, second, last] = await cache.get(['key 0', 'key 1', 'key 999'])
    expect(first).toBeDefined()
    expect(second).toBeUndefined()
    expect(last).toBeDefined()
    const { entries = 0, evictions } = (await cache.stats?.()) ?? {}
    expect(evictions).toBe(1_000 - entries)
  })

  it('stays within its entries', async () => {
    const cache = createMemoryCache({ maxEntries: 3 })
    for (const key of 'abcde') await cache.set([filled(key, 1)])
    const hits = await cache.get([...'abcde'])
    expect(hits.map((hit) => hit !== undefined)).toEqual([false, false, true, true, true])
  })

  it('drops what is too large for it, and the older value with it', async () => {
    const cache = createMemoryCache({ maxBytes: 10_000 })
    await cache.set([filled('a', 10)])
    await cache.set([filled('a', 9_000)])
    expect(await cache.get(['a'])).toEqual([undefined])
  })

  it('removes what has expired when asked to', async () => {
    const cache = createMemoryCache()
    await cache.set([{ ...filled('a', 1), expiresAt: 1 }, filled('b', 1)])
    expect(await cache.prune?.()).toBe(1)
    expect((await cache.stats?.())?.entries).toBe(1)
  })

  it.each([{ maxEntries: 0 }, { maxEntries: 1.5 }, { maxBytes: 10 }, { maxBytes: Number.NaN }])(
    'refuses %o',
    (options) => {
      expect(() => createMemoryCache(options)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    },
  )
})
