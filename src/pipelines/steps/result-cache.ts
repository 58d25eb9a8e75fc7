import type { Cache } from '../../cache/types.js'
import type { Recorder } from '../../performance/types.js'

/** Results of one kind in a cache, with what computing them took. */
export interface ResultCache<Value> {
  /** The value of a key; `undefined` where there is none, or one that this version cannot read, which is deleted. Never rejects. */
  get(key: string): Promise<Value | undefined>
  /** Keeps a value; nobody waits for it, and a failure is forgotten. */
  keep(key: string, value: Value, options: KeepOptions): void
  /** Tells that a value could not be used after all. */
  drop(key: string): void
}

export interface KeepOptions {
  /** Milliseconds that computing it took: what every hit saves. */
  readonly costMs: number
  /** Milliseconds it is kept. Default: those of the cache; 0: until there is no room. */
  readonly ttlMs?: number
}

export interface ResultCacheOptions<Value> {
  /** `retrieval` or `answers`: counted as `cache.NAME.hit`, `.miss` and `.savedMs`. */
  readonly name: string
  /** One that does not fail: made by `createSafeCache`, or memory. */
  readonly cache: Cache
  /** Milliseconds a value is kept; 0: until there is no room. */
  readonly ttlMs: number
  /** Believes nothing: what it is given may have been written by anybody. `undefined`: no value. */
  readonly decode: (data: unknown) => Value | undefined
  readonly recorder: Recorder
  readonly date: () => number
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Keeps plain data as JSON. What it finds is checked before it is used, and never becomes code. */
export function createResultCache<Value>(options: ResultCacheOptions<Value>): ResultCache<Value> {
  const { name, cache, decode, recorder, date } = options

  function drop(key: string): void {
    cache.delete([key]).catch(() => {
      // It is overwritten by what is computed now, or expires.
    })
  }

  return {
    async get(key) {
      const bytes = await read(key)
      const kept = bytes === undefined ? undefined : parse(bytes)
      const value = kept === undefined ? undefined : decode(kept.value)
      if (kept === undefined || value === undefined) {
        recorder.count(`cache.${name}.miss`)
        if (bytes !== undefined) drop(key)
        return undefined
      }
      recorder.count(`cache.${name}.hit`)
      recorder.count(`cache.${name}.savedMs`, kept.costMs)
      return value
    },
    keep(key, value, { costMs, ttlMs = options.ttlMs }) {
      const expiry = ttlMs === 0 ? {} : { expiresAt: date() + ttlMs }
      cache.set([{ key, value: Buffer.from(JSON.stringify([costMs, value])), ...expiry }]).catch(() => {
        // What is not kept is computed again.
      })
    },
    drop,
  }

  async function read(key: string): Promise<Uint8Array | undefined> {
    try {
      return (await cache.get([key]))[0]?.value
    } catch {
      // A cache that was closed meanwhile holds nothing, which is not this question's concern.
      return undefined
    }
  }
}

function parse(bytes: Uint8Array): { readonly costMs: number; readonly value: unknown } | undefined {
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
