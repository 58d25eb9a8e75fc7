import { RagError } from '../core/errors.js'
import { type Clock, systemClock } from '../util/clock.js'
import { importOptional } from '../util/import-optional.js'
import { createKeyvCache, type KeyvLike } from './keyv.js'
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

/**
 * A cache in a Redis server, shared by everything that speaks to it: `npm i keyv @keyv/redis`. Calls fail while the server is away, and
 * wait as long as it holds them up: put `createSafeCache` around it. It connects with the first call and again by itself. Rejects
 * with `BAD_OPTION` and `MISSING_PEER`.
 */
export async function createRedisCache(options: RedisCacheOptions, clock: Clock = systemClock): Promise<Cache> {
  const { url, prefix = 'ufrag' } = options
  if (!/^rediss?:\/\//.test(url)) {
    throw new RagError('BAD_OPTION', 'The url of a Redis server begins with redis:// or rediss://.', {
      data: { option: 'url' },
    })
  }
  const install = 'npm i keyv@5 @keyv/redis@5'
  const { Keyv } = await importOptional('keyv', () => import('keyv'), install)
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
    { namespace: prefix, connectionTimeout: connectMs, throwOnErrors: true, throwOnConnectError: true },
  )
  const keyv = new Keyv(store, { namespace: prefix, useKeyPrefix: false, throwOnErrors: true })
  return createKeyvCache({ keyv: keyv as unknown as KeyvLike, owned: true, id: 'redis' }, clock)
}
