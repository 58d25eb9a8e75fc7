import { RagError } from '../core/errors.js'
import { type Clock, systemClock } from '../util/clock.js'
import { openLiveEntry, sealEntries } from './envelope.js'
import type { Cache, CacheHit } from './types.js'

/** What is used of a `Keyv` 5: any of its stores will do. */
export interface KeyvLike {
  getMany(keys: string[]): Promise<unknown[]>
  setMany(entries: { key: string; value: string; ttl?: number }[]): Promise<unknown>
  deleteMany(keys: string[]): Promise<unknown>
  clear(): Promise<unknown>
  on?(event: 'error', listener: (error: unknown) => void): unknown
}

/** Options of {@link createKeyvCache}. */
export interface KeyvCacheOptions {
  /** Its namespace is what `clear()` clears. Make it with `throwOnErrors`, or its failures look like misses. */
  readonly keyv: KeyvLike
}

/** Those whose errors are heard already: a Keyv may serve many caches, and live longer. */
const heard = new WeakSet<KeyvLike>()

/** A Keyv tells of failures by an event as well, and an event "error" that nobody hears is thrown. */
function hearErrors(keyv: KeyvLike): void {
  if (heard.has(keyv)) return
  heard.add(keyv)
  keyv.on?.('error', () => {})
}

/**
 * A cache in whatever a Keyv speaks to. Values are sealed (see `envelope.ts`) and travel as base64, so that every store takes them as
 * they are. It waits as long as the Keyv does: put `createSafeCache` around it.
 */
export function createKeyvCache(options: KeyvCacheOptions, clock: Clock = systemClock): Cache {
  const { keyv } = options
  hearErrors(keyv)
  let closed = false
  const open = (): KeyvLike => {
    if (closed) throw new RagError('CLOSED', 'The cache was closed.')
    return keyv
  }

  return {
    id: 'keyv',
    capabilities: { shared: true, persistent: true },
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
      const rows = sealEntries(entries, clock.date()).map(({ sealed, ...row }) => ({
        ...row,
        value: sealed.toString('base64'),
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
      // The Keyv is its owner's to disconnect.
      closed = true
    },
  }
}

function read(key: string, value: unknown, now: number): CacheHit | undefined | 'damaged' {
  if (value === undefined || value === null) return undefined
  return typeof value === 'string' ? openLiveEntry(key, new Uint8Array(Buffer.from(value, 'base64')), now) : 'damaged'
}
