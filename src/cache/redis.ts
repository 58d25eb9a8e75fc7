import type { RedisClientType } from '@keyv/redis'
import { RagError } from '../core/errors.js'
import { type Clock, systemClock } from '../util/clock.js'
import { importOptional } from '../util/import-optional.js'
import { openLiveEntry, sealEntries } from './envelope.js'
import type { Cache } from './types.js'

/** Options of {@link createRedisCache}. */
export interface RedisCacheOptions {
  /** `redis://[[user]:password@]host[:port][/database]`, or `rediss://` with TLS. */
  readonly url: string
  /** Before every key, so that others may use the same server. Default `'ufrag'`. `clear()` clears what is under it. */
  readonly prefix?: string
}

/** Milliseconds to connect. While there is no connection, calls fail at once. */
const connectMs = 2_000
/** Milliseconds that `close()` waits for the server to say goodbye. */
const goodbyeMs = 1_000
/** Keys that the server looks at, at a time, to find those under a prefix. */
const scannedAtOnce = 1_000
/** "$", the type of strings in the protocol of Redis: they are taken as bytes. */
const bytesAsTheyAre = { 36: Buffer }

/**
 * A cache in a Redis server, shared by everything that speaks to it: `npm i keyv@5 @keyv/redis@5`. Calls fail while the server is away, and
 * wait as long as it holds them up: put `createSafeCache` around it. It connects with the first call and again by itself. Rejects
 * with `BAD_OPTION` and `MISSING_PEER`.
 *
 * Only the connection is Keyv's: values travel as bytes, sealed (see `envelope.ts`), a batch in one round trip. As base64 in JSON, as
 * Keyv writes them, a look-up took twice as long.
 */
export async function createRedisCache(options: RedisCacheOptions, clock: Clock = systemClock): Promise<Cache> {
  const { url, prefix = 'ufrag' } = options
  if (!/^rediss?:\/\//.test(url)) {
    throw new RagError('BAD_OPTION', 'The url of a Redis server begins with redis:// or rediss://.', {
      data: { option: 'url' },
    })
  }
  const connection = await openConnection(url)
  const name = (key: string) => `${prefix}::${key}`
  let closed = false
  const open = async () => {
    if (closed) throw new RagError('CLOSED', 'The cache was closed.')
    return connection.client()
  }

  return {
    id: 'redis',
    capabilities: { shared: true, persistent: true },
    async get(keys) {
      if (keys.length === 0) return []
      const client = await open()
      const values = await client.mGet(keys.map(name))
      const now = clock.date()
      const hits = keys.map((key, place) => {
        const value = values[place]
        // A copy: the bytes lie somewhere in what came from the socket, in front of others.
        return value === null || value === undefined ? undefined : openLiveEntry(key, new Uint8Array(value), now)
      })
      const damaged = keys.filter((_, place) => hits[place] === 'damaged')
      // Nobody waits for this: the next read finds the same, and tries again.
      if (damaged.length > 0) client.unlink(damaged.map(name)).catch(() => {})
      return hits.map((hit) => (hit === 'damaged' ? undefined : hit))
    },
    async set(entries) {
      const rows = sealEntries(entries, clock.date())
      if (rows.length === 0) return
      const client = await open()
      // Asked for together, they are sent together.
      await Promise.all(
        rows.map(({ key, sealed, ttl }) => client.set(name(key), sealed, ttl === undefined ? {} : { PX: ttl })),
      )
    },
    async delete(keys) {
      if (keys.length > 0) await (await open()).unlink(keys.map(name))
    },
    async clear() {
      await open()
      const { plain } = connection
      for await (const found of plain.scanIterator({ MATCH: `${escapePattern(name(''))}*`, COUNT: scannedAtOnce })) {
        if (found.length > 0) await plain.unlink(found)
      }
    },
    async close() {
      if (closed) return
      closed = true
      const goodbye = new AbortController()
      const late = clock.sleep(goodbyeMs, goodbye.signal).then(
        // What it still waits for must not keep the process alive.
        () => void connection.plain.unref(),
        () => {},
      )
      await Promise.race([connection.close().catch(() => {}), late])
      goodbye.abort()
    },
  }
}

async function openConnection(url: string) {
  const install = 'npm i keyv@5 @keyv/redis@5'
  const { default: KeyvRedis } = await importOptional('@keyv/redis', () => import('@keyv/redis'), install)
  const store = new KeyvRedis(
    {
      url,
      // Otherwise calls wait in a queue for the server to come back, however long that takes.
      disableOfflineQueue: true,
      socket: {
        connectTimeout: connectMs,
        reconnectStrategy: (attempts: number) => Math.min(50 * 2 ** attempts, 2_000),
      },
    },
    { connectionTimeout: connectMs, throwOnErrors: true, throwOnConnectError: true },
  )
  // Whoever asks gets the error; an event "error" that nobody hears would be thrown.
  store.on('error', () => {})
  const plain = store.client as RedisClientType
  const inBytes = plain.withTypeMapping(bytesAsTheyAre)
  let connecting: Promise<unknown> | undefined
  const connect = () =>
    store.getClient().finally(() => {
      connecting = undefined
    })
  return {
    /** Connected, as far as it can be; gives values as bytes. */
    client: async () => {
      // Whoever comes while it connects for the first time waits with the first. Later it connects by itself, and nobody waits.
      if (!plain.isReady) await (connecting ??= connect())
      return inBytes
    },
    /** The same connection, which gives texts: cursors, which are compared, are among them. */
    plain,
    close: () => store.disconnect(),
  }
}

/** A prefix is a name, not a pattern. */
function escapePattern(text: string): string {
  return text.replace(/[\\*?[\]^]/g, '\\$&')
}
