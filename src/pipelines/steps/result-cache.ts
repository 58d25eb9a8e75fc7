import type { Cache, CacheHit } from '../../cache/types.js'
import type { Recorder } from '../../performance/types.js'
import { RecentlyUsed } from '../../util/recently-used.js'

/** Results of one kind in a cache, with what computing them took. */
export interface ResultCache<Value> {
  /** What is kept under a key, which several may get: change nothing in it; `undefined` where there is nothing, or what this version cannot read, which is deleted. Never rejects. */
  get(key: string): Promise<Kept<Value> | undefined>
  /** Keeps a value; nobody waits for it, and a failure is forgotten. */
  keep(key: string, value: Value, options: KeepOptions): void
  /** Tells that a value could not be used after all. */
  drop(key: string): void
}

/** A value as it was found. */
export interface Kept<Value> extends Lifetime {
  readonly value: Value
}

/** What is known of a value that was found, beside itself. */
export interface Lifetime {
  /** Milliseconds that computing it took: what every hit saves. */
  readonly costMs: number
  /** Milliseconds since 1970 from which on it is found no more. Absent: none. */
  readonly expiresAt?: number
}

export interface KeepOptions {
  /** Milliseconds that computing it took: what every hit saves. */
  readonly costMs: number
  /** Milliseconds it is kept. Default: those of the cache; 0: until there is no room. */
  readonly ttlMs?: number
  /** Instead of `ttlMs`: milliseconds since 1970 from which on it is found no more. */
  readonly expiresAt?: number
}

export interface ResultCacheOptions<Value> {
  /** `retrieval` or `answers`: counted as `cache.NAME.hit`, `.miss` and `.savedMs`. Absent: somebody else counts. */
  readonly name?: string
  /** One that does not fail: made by `createSafeCache`, or memory. */
  readonly cache: Cache
  /** Milliseconds a value is kept; 0: until there is no room. */
  readonly ttlMs: number
  /** Believes nothing: what it is given may have been written by anybody. `undefined`: no value. */
  readonly decode: (data: unknown) => Value | undefined
  readonly recorder: Recorder
  readonly date: () => number
}

/** Values that were read last, beside their bytes: comparing bytes takes a hundredth of parsing them. */
const remembered = 256
/** Bytes of them, of which what was parsed takes some three times its length. */
const rememberedBytes = 8 << 20

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Keeps plain data as JSON. What it finds is checked before it is used, and never becomes code. */
export function createResultCache<Value>(options: ResultCacheOptions<Value>): ResultCache<Value> {
  const { name, cache, decode, recorder, date } = options
  const recent = new RecentlyUsed<{ readonly bytes: Uint8Array; readonly parsed: Parsed<Value> }>({
    maxEntries: remembered,
    maxBytes: rememberedBytes,
  })

  function drop(key: string): void {
    cache.delete([key]).catch(() => {
      // It is overwritten by what is computed now, or expires.
    })
  }

  return {
    async get(key) {
      const hit = await read(key)
      const parsed = hit && open(key, hit.value)
      if (parsed === undefined) {
        if (name !== undefined) recorder.count(`cache.${name}.miss`)
        if (hit === undefined) recent.delete(key)
        else drop(key)
        return undefined
      }
      if (name !== undefined) countHit(recorder, name, parsed.costMs)
      return hit?.expiresAt === undefined ? parsed : { ...parsed, expiresAt: hit.expiresAt }
    },
    keep(key, value, { costMs, ttlMs = options.ttlMs, expiresAt = ttlMs === 0 ? undefined : date() + ttlMs }) {
      const expiry = expiresAt === undefined ? {} : { expiresAt }
      cache.set([{ key, value: Buffer.from(JSON.stringify([costMs, value])), ...expiry }]).catch(() => {
        // What is not kept is computed again.
      })
    },
    drop,
  }

  function open(key: string, bytes: Uint8Array): Parsed<Value> | undefined {
    const known = recent.get(key)
    if (known !== undefined && Buffer.compare(known.bytes, bytes) === 0) return known.parsed
    recent.delete(key)
    const { costMs, value: data } = parse(bytes) ?? {}
    const value = decode(data)
    if (costMs === undefined || value === undefined) return undefined
    const parsed = { costMs, value }
    if (bytes.length <= rememberedBytes / 64) recent.set(key, { bytes, parsed }, 4 * bytes.length)
    return parsed
  }

  async function read(key: string): Promise<CacheHit | undefined> {
    try {
      return (await cache.get([key]))[0]
    } catch {
      // A cache that was closed meanwhile holds nothing, which is not this question's concern.
      return undefined
    }
  }
}

/** Counts a result that was found, and what it saved. */
export function countHit(recorder: Recorder, name: string, costMs: number): void {
  recorder.count(`cache.${name}.hit`)
  recorder.count(`cache.${name}.savedMs`, costMs)
}

interface Parsed<Value> {
  readonly costMs: number
  readonly value: Value
}

function parse(bytes: Uint8Array): Parsed<unknown> | undefined {
  try {
    const data: unknown = JSON.parse(decoder.decode(bytes))
    if (!Array.isArray(data) || data.length !== 2) return undefined
    const [costMs, value] = data as [unknown, unknown]
    return typeof costMs === 'number' && costMs >= 0 ? { costMs, value } : undefined
  } catch {
    // Bytes of somebody else: a miss.
    return undefined
  }
}
