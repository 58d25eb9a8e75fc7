import { connect } from 'node:net'
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
  const troubles: string[] = []
  beforeEach(async () => {
    await command('FLUSHALL')
    const raw = await createRedisCache({ url: server?.url ?? '' })
    cache = createSafeCache(raw, {
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
    const keys = async () => (await command('KEYS *')).match(/ufrag\S*/g) ?? []
    await cache.set([{ key: 'b', value: Uint8Array.of(9) }])
    const [name = ''] = (await keys()).filter((key) => key.endsWith('a'))
    const other = name.replace(/a$/, 'b')
    const sealed = JSON.parse((await command(`GET ${name}`)).split('\r\n')[1] as string) as { value: string }
    const texts = ['{"value":"AAAA"}', 'nonsense', '{', '{"value":{"__proto__":{"x":1}}}', '[]', '7']
    for (const text of [...texts, JSON.stringify({ value: sealed.value.slice(0, -4) })]) {
      await command(`SET ${name} ${JSON.stringify(text)}`)
      expect(await cache.get(['a'])).toEqual([undefined])
      await cache.set([entry])
      await vi.waitFor(async () => expect(await cache.get(['a'])).toEqual([hit]))
    }
    await command(`SET ${other} ${JSON.stringify(JSON.stringify(sealed))}`)
    expect(await cache.get(['b'])).toEqual([undefined])
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
