import { RagError } from '../core/errors.js'
import { type Clock, systemClock } from '../util/clock.js'
import { openEntry, sealEntry } from './envelope.js'
import type { Cache, CacheEntry, CacheHit } from './types.js'

/** What is used of a `Keyv` 5: any of its stores will do. */
export interface KeyvLike {
  getMany(keys: string[]): Promise<unknown[]>
  setMany(entries: { key: string; value: string; ttl?: number }[]): Promise<unknown>
  deleteMany(keys: string[]): Promise<unknown>
  clear(): Promise<unknown>
  disconnect?(): Promise<unknown>
  on?(event: 'error', listener: (error: unknown) => void): unknown
}

/** Options of {@link createKeyvCache}. */
export interface KeyvCacheOptions {
  /** Its namespace is what `clear()` clears. Make it with `throwOnErrors`, or its failures look like misses. */
  readonly keyv: KeyvLike
  /** Whether `close()` disconnects it. Default false: it is the caller's. */
  readonly owned?: boolean
  /** Default `'keyv'`. */
  readonly id?: string
  /** Default: shared and persistent, as servers are. */
  readonly capabilities?: Cache['capabilities']
}

/** Milliseconds that `close()` waits for a server to say goodbye. */
const goodbyeMs = 1_000

/**
 * A cache in whatever a Keyv speaks to. Values are sealed (see `envelope.ts`) and travel as base64, so that every store takes them as
 * they are. It waits as long as the Keyv does: put `createSafeCache` around it.
 */
export function createKeyvCache(options: KeyvCacheOptions, clock: Clock = systemClock): Cache {
  const { keyv, owned = false, id = 'keyv', capabilities = { shared: true, persistent: true } } = options
  // A Keyv tells of failures by an event as well, and an event "error" that nobody hears is thrown.
  keyv.on?.('error', () => {})
  let closed = false
  const open = (): KeyvLike => {
    if (closed) throw new RagError('CLOSED', 'The cache was closed.')
    return keyv
  }

  return {
    id,
    capabilities,
    async get(keys) {
      if (keys.length === 0) return []
      const values = await open().getMany([...keys])
      const hits = keys.map((key, place) => read(key, values[place], clock.date()))
      const damaged = keys.filter((_, place) => hits[place] === 'damaged')
      // Nobody waits for this: the next read finds the same, and tries again.
      if (damaged.length > 0) keyv.deleteMany(damaged).catch(() => {})
      return hits.map((hit) => (hit === 'damaged' ? undefined : hit))
    },
    async set(entries) {
      const now = clock.date()
      const rows = [...lastOfEach(entries).values()]
        .filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now)
        .map((entry) => ({
          key: entry.key,
          value: Buffer.from(sealEntry(entry).buffer).toString('base64'),
          ...(entry.expiresAt === undefined ? {} : { ttl: Math.ceil(entry.expiresAt - now) }),
        }))
      if (rows.length > 0) await open().setMany(rows)
    },
    async delete(keys) {
      if (keys.length > 0) await open().deleteMany([...keys])
    },
    async clear() {
      await open().clear()
    },
    async close() {
      if (closed) return
      closed = true
      if (owned) await Promise.race([keyv.disconnect?.().catch(() => {}), clock.sleep(goodbyeMs)])
    },
  }
}

function read(key: string, value: unknown, now: number): CacheHit | undefined | 'damaged' {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') return 'damaged'
  const hit = openEntry(key, new Uint8Array(Buffer.from(value, 'base64')))
  if (hit === undefined) return 'damaged'
  return hit.expiresAt !== undefined && hit.expiresAt <= now ? undefined : hit
}

/** A store may write in any order: of a key that comes twice only the last is sent. */
function lastOfEach(entries: readonly CacheEntry[]): Map<string, CacheEntry> {
  return new Map(entries.map((entry) => [entry.key, entry]))
}
