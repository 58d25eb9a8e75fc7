import { describe, expect, it, vi } from 'vitest'
import { createMemoryCache } from '../../../src/cache/memory.js'
import { createSafeCache } from '../../../src/cache/safe.js'
import type { Cache } from '../../../src/cache/types.js'
import { systemClock } from '../../../src/util/clock.js'

/** A cache that can be made to throw or to keep its callers waiting. */
function sickCache() {
  const memory = createMemoryCache()
  const state = { mood: 'well' as 'well' | 'throws' | 'hangs', reads: 0, writes: 0 }
  const through = <Result>(call: () => Promise<Result>): Promise<Result> => {
    if (state.mood === 'throws') throw new Error('no connection')
    return state.mood === 'hangs' ? new Promise<never>(() => {}) : call()
  }
  const cache: Cache = {
    id: 'sick',
    capabilities: memory.capabilities,
    get: (keys) => {
      state.reads++
      return through(() => memory.get(keys))
    },
    set: (entries) => {
      state.writes++
      return through(() => memory.set(entries))
    },
    delete: (keys) => through(() => memory.delete(keys)),
    clear: () => through(() => memory.clear()),
    close: () => memory.close(),
  }
  return { cache, state }
}

function setUp() {
  const { cache, state } = sickCache()
  const time = { now: 0 }
  const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const troubles: string[] = []
  const safe = createSafeCache(
    cache,
    { timeoutMs: 5, logger, onTrouble: (kind) => troubles.push(kind) },
    { ...systemClock, now: () => time.now },
  )
  return { safe, state, time, logger, troubles }
}

const entry = { key: 'a', value: Uint8Array.of(1) }
const hit = { value: Uint8Array.of(1) }

describe('a safe cache', () => {
  it.each(['throws', 'hangs'] as const)(
    'that %s gives misses, is left alone after three, and is tried again later',
    async (mood) => {
      const { safe, state, time, logger, troubles } = setUp()
      await safe.set([entry])
      state.mood = mood
      for (let call = 0; call < 20; call++) expect(await safe.get(['a', 'b'])).toEqual([undefined, undefined])
      expect(state.reads).toBe(3)
      expect(troubles).toEqual([...Array(3).fill('error'), ...Array(17).fill('skipped')])
      expect(logger.warn).toHaveBeenCalledTimes(1)

      time.now = 501
      await Promise.all([safe.get(['a']), safe.get(['a']), safe.get(['a'])])
      expect(state.reads).toBe(4)
      // It failed again: the pause is twice as long.
      time.now = 1_400
      await safe.get(['a'])
      expect(state.reads).toBe(4)

      state.mood = 'well'
      time.now = 1_502
      expect(await safe.get(['a'])).toEqual([hit])
      expect(await safe.get(['a'])).toEqual([hit])
      expect(logger.warn).toHaveBeenCalledTimes(1)
      expect(logger.info).toHaveBeenCalledTimes(1)
    },
  )

  it('never waits for half a minute at most between attempts', async () => {
    const { safe, state, time } = setUp()
    state.mood = 'throws'
    for (let minute = 0; minute < 60; minute++) {
      time.now = minute * 60_000
      await safe.get(['a'])
    }
    const { reads } = state
    time.now += 30_001
    await safe.get(['a'])
    expect(state.reads).toBe(reads + 1)
  })

  it('forgets writes that fail, and does not let them pile up', async () => {
    const { safe, state } = setUp()
    state.mood = 'hangs'
    await Promise.all(Array.from({ length: 500 }, () => safe.set([entry])))
    expect(state.writes).toBeLessThanOrEqual(64)
    await expect(safe.delete(['a'])).resolves.toBeUndefined()
  })

  it('fails where somebody asked for it', async () => {
    const { safe, state } = setUp()
    state.mood = 'throws'
    await expect(async () => safe.clear()).rejects.toThrow('no connection')
  })
})
