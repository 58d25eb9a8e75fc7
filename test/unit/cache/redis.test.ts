import { connect } from 'node:net'
import { createClient } from '@keyv/redis'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createRedisCache } from '../../../src/cache/redis.js'
import { createSafeCache } from '../../../src/cache/safe.js'
import type { Cache } from '../../../src/cache/types.js'
import { startRedis } from '../../lib/redis-server.js'

const server = await startRedis(['--maxmemory', '8mb', '--maxmemory-policy', 'noeviction'])
afterAll(() => server?.stop())

const entry = { key: 'a', value: Uint8Array.of(1, 2, 3) }
const hit = { value: entry.value }

/** One command as the server takes it on a plain connection; its answer as far as the first packet. */
function command(line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(server?.port ?? 0, '127.0.0.1')
    socket.once('error', reject)
    socket.once('data', (data) => {
      socket.destroy()
      resolve(String(data))
    })
    socket.write(`${line}\r\n`)
  })
}

async function eventually(cache: Cache): Promise<void> {
  await vi.waitFor(
    async () => {
      await cache.set([entry])
      expect(await cache.get(['a'])).toEqual([hit])
    },
    { timeout: 20_000, interval: 100 },
  )
}

describe.skipIf(server === undefined)('a Redis cache that is hurt', () => {
  let cache: Cache
  /** The same, which waits as long as it takes: for tests of what it gives. */
  let patient: Cache
  const troubles: string[] = []
  beforeEach(async () => {
    await command('FLUSHALL')
    patient = await createRedisCache({ url: server?.url ?? '' })
    cache = createSafeCache(patient, {
      onTrouble: (kind) => troubles.push(kind),
    })
    await eventually(cache)
    troubles.length = 0
    return () => cache.close()
  })

  it('gives misses while the server is killed and away, and its entries again when it is back, empty at first', async () => {
    const reads = Promise.all(Array.from({ length: 50 }, () => cache.get(['a'])))
    await server?.kill()
    for (const [found] of await reads) expect([undefined, hit]).toContainEqual(found)
    for (let read = 0; read < 10; read++) expect(await cache.get(['a'])).toEqual([undefined])
    expect(troubles).toContain('error')
    await server?.restart()
    await eventually(cache)
  })

  it('gives misses within its patience while the server is stopped, and goes on when it is not', async () => {
    server?.pause()
    for (let read = 0; read < 100; read++) expect(await cache.get(['a'])).toEqual([undefined])
    // Three reads waited for 50 ms each, the others did not wait; now and then one that finds out whether it is back.
    expect(troubles.filter((kind) => kind === 'skipped').length).toBeGreaterThan(90)
    expect(troubles[0]).toBe('error')
    server?.resume()
    await eventually(cache)
  })

  it('forgets what the server has no memory for, and still reads', async () => {
    for (let place = 0; place < 12; place++)
      await cache.set([{ key: `large ${place}`, value: new Uint8Array(1_000_000) }])
    expect(troubles).toContain('error')
    await command('FLUSHALL')
    await eventually(cache)
  })

  it('survives that its connections are cut', async () => {
    for (let round = 0; round < 3; round++) {
      await command('CLIENT KILL TYPE normal')
      await cache.get(['a'])
      await eventually(cache)
    }
  })

  it('takes foreign, cut and swapped values under its keys for misses, and deletes them', async () => {
    await patient.set([{ key: 'b', value: Uint8Array.of(9) }])
    const [name, other] = ['ufrag::a', 'ufrag::b']
    const raw = createClient({ url: server?.url ?? '' })
    await raw.connect()
    const sealed = (await raw.withTypeMapping({ 36: Buffer }).get(name)) as Buffer
    const cut = [sealed.subarray(0, -1), sealed.subarray(1), sealed.subarray(0, 16), Buffer.concat([sealed, sealed])]
    const texts = ['', '{"value":"AAAA"}', 'nonsense', sealed.toString('base64'), sealed.toString('latin1')]
    for (const value of [...texts, ...cut]) {
      await raw.set(name, value)
      expect(await patient.get(['a'])).toEqual([undefined])
      await vi.waitFor(async () => expect(await raw.exists(name)).toBe(0), 10_000)
      await patient.set([entry])
      expect(await patient.get(['a'])).toEqual([hit])
    }
    await raw.set(other, sealed)
    expect(await patient.get(['a', 'b', 'c'])).toEqual([hit, undefined, undefined])
    raw.destroy()
  })

  it('takes a list for no entry, and goes on', async () => {
    await command('DEL ufrag::a')
    await command('RPUSH ufrag::a 1')
    expect(await patient.get(['a'])).toEqual([undefined])
    await patient.set([entry])
    expect(await patient.get(['a'])).toEqual([hit])
  })

  it('clears what is under its prefix, and nothing else, whatever the prefix looks like', async () => {
    const url = server?.url ?? ''
    const prefixes = ['ufrag', 'ufra*', 'ufra?', 'u[f]rag', 'u\\frag', '*']
    const caches = await Promise.all(prefixes.map((prefix) => createRedisCache({ url, prefix })))
    const many = Array.from({ length: 2_500 }, (_, i) => ({ key: `key ${i}`, value: entry.value }))
    for (const one of caches) await one.set([entry])
    await caches[1]?.set(many)
    for (const [place, one] of caches.entries()) {
      await one.clear()
      const left = await Promise.all(caches.map(async (each) => (await each.get(['a', 'key 7']))[0] !== undefined))
      expect(left).toEqual(caches.map((_, other) => other > place))
    }
    for (const one of caches) await one.close()
  })

  it('reads and writes a batch of any bytes, of any keys, in their order', async () => {
    const values = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte, 0, 13, 10, 255 - byte))
    const entries = values.map((value, place) => ({ key: `key\r\n ${place} ü 👍`, value }))
    await patient.set(entries)
    expect(await patient.get(entries.map(({ key }) => key).reverse())).toEqual(
      values.toReversed().map((value) => ({ value })),
    )
  })
})

describe('a Redis cache', () => {
  it('refuses what is no url of a Redis', async () => {
    await expect(createRedisCache({ url: 'http://localhost' })).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })

  it('of a server that is not there costs little, and closes', async () => {
    const cache = createSafeCache(await createRedisCache({ url: 'redis://127.0.0.1:1' }))
    expect(await cache.get(['a'])).toEqual([undefined])
    await cache.set([entry])
    await cache.close()
  })
})
