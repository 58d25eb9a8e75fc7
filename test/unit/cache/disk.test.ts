import { execFile } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createDiskCache, type DiskCacheOptions } from '../../../src/cache/disk.js'
import type { Cache } from '../../../src/cache/types.js'
import { randomNumbers } from '../../../src/testing/support.js'

let directory: string
const open: Cache[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ufrag-cache-'))
})

afterEach(async () => {
  await Promise.all(open.splice(0).map((cache) => cache.close()))
  rmSync(directory, { recursive: true, force: true })
})

const openCache = (options: Partial<DiskCacheOptions> = {}): Cache => {
  const cache = createDiskCache({ directory, ...options })
  open.push(cache)
  return cache
}
const key = (place: number) => `key ${place}`
const filled = (place: number, length = 1_000) => ({ key: key(place), value: new Uint8Array(length).fill(place) })
const file = () => join(directory, 'store.mdb')
const found = async (cache: Cache, count: number) =>
  (await cache.get(Array.from({ length: count }, (_, place) => key(place)))).map((hit) => hit !== undefined)

describe('a disk cache', () => {
  it('has its entries when it is opened again', async () => {
    const first = openCache()
    await first.set([filled(0), filled(1)])
    await first.close()
    const second = openCache()
    expect(await second.get([key(0), key(2)])).toEqual([{ value: filled(0).value }, undefined])
    expect((await second.stats?.())?.entries).toBe(2)
  })

  it('makes no file before it is used', async () => {
    await openCache({ directory: join(directory, 'never') }).close()
    expect(readdirSync(directory)).toEqual([])
  })

  it('drops the oldest beyond its entries, but not what was asked for', async () => {
    const cache = openCache({ maxEntries: 600 })
    for (let place = 0; place < 600; place += 100) {
      await cache.set(Array.from({ length: 100 }, (_, offset) => filled(place + offset, 10)))
    }
    // Uses are written down a few hundred at a time.
    for (let round = 0; round < 4; round++) await found(cache, 300)
    await cache.set(Array.from({ length: 200 }, (_, offset) => filled(600 + offset, 10)))
    const kept = await found(cache, 800)
    expect(kept.filter(Boolean)).toHaveLength(600)
    expect(kept.slice(0, 256)).toEqual(Array(256).fill(true))
    expect(kept.slice(600)).toEqual(Array(200).fill(true))
    expect(await cache.stats?.()).toMatchObject({ entries: 600, evictions: 200 })
  })

  it('stays within its bytes when ten times as much comes', async () => {
    const cache = openCache({ maxBytes: 1 << 20 })
    for (let place = 0; place < 10_000; place += 500) {
      await cache.set(Array.from({ length: 500 }, (_, offset) => filled(place + offset)))
      expect((await cache.stats?.())?.bytes).toBeLessThanOrEqual(1 << 20)
    }
    // Freed pages are used again: the file does not grow with what went through it.
    const { size } = statSync(file())
    for (let place = 0; place < 10_000; place += 500) {
      await cache.set(Array.from({ length: 500 }, (_, offset) => filled(place + offset)))
    }
    expect(statSync(file()).size).toBeLessThan(size * 1.25)
    const [hit] = await cache.get([key(9_999)])
    expect(hit?.value).toEqual(filled(9_999).value)
  })

  it('removes what has expired when asked to', async () => {
    const cache = openCache()
    await cache.set([{ ...filled(0), expiresAt: Date.now() + 20 }, filled(1)])
    await new Promise((resolve) => setTimeout(resolve, 40))
    expect(await cache.prune?.()).toBe(1)
    expect((await cache.stats?.())?.entries).toBe(1)
  })

  it('shares its entries with other caches of the folder', async () => {
    const [one, other] = [openCache(), openCache()]
    await one.set([filled(0)])
    await other.set([filled(1)])
    expect(await found(one, 2)).toEqual([true, true])
    expect(await found(other, 2)).toEqual([true, true])
    await one.clear()
    expect(await found(other, 2)).toEqual([false, false])
  })

  it('shares its entries with other processes, also one that is killed', async () => {
    const cache = openCache()
    await cache.set([filled(0)])
    const child = fileURLToPath(new URL('../../lib/cache-child.ts', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--import',
      import.meta.resolve('tsx'),
      child,
      directory,
      key(0),
      key(1),
    ]).catch((error: { stdout: string }) => error)
    expect(stdout.trim()).toBe('found 1000')
    expect(await found(cache, 2)).toEqual([true, true])
    await cache.set([filled(2)])
    expect(await found(cache, 3)).toEqual([true, true, true])
  })

  it.each([
    ['is cut off', () => truncateSync(file(), 10_000)],
    ['is cut off a little', () => truncateSync(file(), statSync(file()).size - 500_000)],
    ['is something else', () => writeFileSync(file(), 'x'.repeat(100_000))],
  ])('begins anew, with a warning, when its file %s', async (_, damage) => {
    const first = openCache()
    for (let place = 0; place < 4; place++) await first.set([filled(place, 1_000_000)])
    await first.close()
    damage()
    const warn = vi.fn()
    const cache = openCache({ logger: { debug: () => {}, info: () => {}, warn, error: () => {} } })
    const kept = await found(cache, 4)
    expect(kept).toContain(false)
    await cache.set([filled(0)])
    expect((await found(cache, 1))[0]).toBe(true)
    // What is kept of it may be read for a while: the damage is met by the first who writes.
    expect(warn).toHaveBeenCalledTimes(1)
  })

  it('never gives a wrong value, whatever is changed in the bytes of its entries', async () => {
    const random = randomNumbers(8)
    const values = new Map(
      Array.from({ length: 64 }, (_, place) => [
        key(place),
        Uint8Array.from({ length: 3_000 }, () => Math.floor(random() * 256)),
      ]),
    )
    const first = openCache()
    await first.set([...values].map(([name, value]) => ({ key: name, value })))
    await first.close()
    // Behind the first pages, which hold the tree: LMDB believes those.
    const handle = openSync(file(), 'r+')
    const { size } = statSync(file())
    for (let flip = 0; flip < 60; flip++) {
      const page = 8 + Math.floor(random() * (size / 4096 - 8))
      writeSync(
        handle,
        Uint8Array.of(Math.floor(random() * 256)),
        0,
        1,
        page * 4096 + 64 + Math.floor(random() * 4_000),
      )
    }
    const cache = openCache()
    const hits = await cache.get([...values.keys()])
    let wrong = 0
    for (const [place, name] of [...values.keys()].entries()) {
      const hit = hits[place]
      if (hit !== undefined && !Buffer.from(hit.value).equals(values.get(name) as Uint8Array)) wrong++
    }
    expect(wrong).toBe(0)
    expect(hits.filter((hit) => hit === undefined).length).toBeGreaterThan(0)
  })

  it('goes on in a new file when its folder is deleted', async () => {
    const cache = openCache()
    await cache.set([filled(0)])
    rmSync(directory, { recursive: true })
    await cache.set([filled(1)])
    expect(existsSync(file())).toBe(true)
    await cache.set([filled(2)])
    expect(await found(cache, 3)).toEqual([false, true, true])
  })

  it.each([{ maxEntries: 0 }, { maxBytes: 1_000 }])('refuses %o', (options) => {
    expect(() => createDiskCache({ directory, ...options })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })

  it('says what is wrong with a folder that is a file', async () => {
    const cache = openCache({ directory: fileURLToPath(import.meta.url) })
    await expect(cache.get(['a'])).rejects.toMatchObject({ code: 'STORAGE' })
    await expect(cache.set([filled(0)])).rejects.toMatchObject({ code: 'STORAGE' })
  })
})
