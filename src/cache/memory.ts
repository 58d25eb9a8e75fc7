import { LRUCache } from 'lru-cache'
import { RagError } from '../core/errors.js'
import { type Clock, systemClock } from '../util/clock.js'
import { requireLeast } from './checks.js'
import type { Cache, CacheEntry, CacheHit, CacheStats } from './types.js'

/** Options of {@link createMemoryCache}. */
export interface MemoryCacheOptions {
  /** Entries at most, from 1. Default 10,000. */
  readonly maxEntries?: number
  /** Bytes at most, keys and bookkeeping included, from 1,024. Default 64 MiB. An entry larger than a fourth of it is not kept. */
  readonly maxBytes?: number
}

const usual = { maxEntries: 10_000, maxBytes: 64 << 20 }
/** What an entry costs beside its key and value: the list, the map and the objects around the bytes. Measured, Node 20. */
const entryBytes = 300

/** A cache in the memory of this process: the least recently used entry goes first. Throws `BAD_OPTION`. */
export function createMemoryCache(options: MemoryCacheOptions = {}, clock: Clock = systemClock): Cache {
  const { maxEntries = usual.maxEntries, maxBytes = usual.maxBytes } = options
  requireLeast('maxEntries', maxEntries, 1)
  requireLeast('maxBytes', maxBytes, 1024)
  return new MemoryCache({ maxEntries, maxBytes }, clock)
}

class MemoryCache implements Cache {
  readonly id = 'memory'
  readonly capabilities = { shared: false, persistent: false }
  readonly #clock: Clock
  readonly #entries: LRUCache<string, CacheHit>
  #evictions = 0
  #closed = false

  constructor({ maxEntries, maxBytes }: Required<MemoryCacheOptions>, clock: Clock) {
    this.#clock = clock
    this.#entries = new LRUCache({
      max: maxEntries,
      maxSize: maxBytes,
      maxEntrySize: Math.ceil(maxBytes / 4),
      sizeCalculation: ({ value }, key) => value.length + key.length * 2 + entryBytes,
      dispose: (_value, _key, reason) => {
        if (reason === 'evict') this.#evictions++
      },
    })
  }

  async get(keys: readonly string[]): Promise<(CacheHit | undefined)[]> {
    this.#assertOpen()
    const now = this.#clock.date()
    return keys.map((key) => {
      const hit = this.#entries.get(key)
      if (hit === undefined) return undefined
      if (hit.expiresAt !== undefined && hit.expiresAt <= now) {
        this.#entries.delete(key)
        return undefined
      }
      return { ...hit, value: hit.value.slice() }
    })
  }

  async set(entries: readonly CacheEntry[]): Promise<void> {
    this.#assertOpen()
    for (const { key, value, expiresAt } of entries) {
      // A slice of a pooled Buffer would still be a view: what is kept must not hold more than its bytes, nor change with them.
      this.#entries.set(key, { value: new Uint8Array(value), ...(expiresAt === undefined ? {} : { expiresAt }) })
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    this.#assertOpen()
    for (const key of keys) this.#entries.delete(key)
  }

  async clear(): Promise<void> {
    this.#assertOpen()
    this.#entries.clear()
  }

  async prune(): Promise<number> {
    this.#assertOpen()
    const now = this.#clock.date()
    const expired = [...this.#entries.entries()].filter(
      ([, { expiresAt }]) => expiresAt !== undefined && expiresAt <= now,
    )
    for (const [key] of expired) this.#entries.delete(key)
    return expired.length
  }

  async stats(): Promise<CacheStats> {
    return { entries: this.#entries.size, bytes: this.#entries.calculatedSize, evictions: this.#evictions }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#entries.clear()
  }

  #assertOpen(): void {
    if (this.#closed) throw new RagError('CLOSED', 'The cache was closed.')
  }
}
