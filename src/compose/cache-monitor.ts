import { delegateTo } from '../cache/delegate.js'
import type { Cache } from '../cache/types.js'
import type { Gauges, PerformanceTracker } from '../performance/tracker.js'

/** What one cache did since it was opened, in this process. */
export interface CacheTierReport {
  /** What is kept: `embeddings`, `enrichments`, `understanding`, `retrieval` or `answers`. */
  readonly name: string
  /**
   * `recent`: whole answers as they are given, in this process. `near`: the memory of this process. `far`: what lies behind it. Each is
   * asked for what the one before it does not have.
   */
  readonly tier: 'recent' | 'near' | 'far'
  /** Kind of cache: `memory`, `disk`, `redis` … */
  readonly kind: string
  /** Keys that were found, and that were not. */
  readonly hits: number
  readonly misses: number
  /** 0 to 1; 0 before the first look-up. */
  readonly hitRate: number
  /** Mean milliseconds of a look-up, of however many keys. */
  readonly readMs: number
  /** Absent where the cache cannot tell. Of a far one they are those of all that it keeps. */
  readonly entries?: number
  readonly bytes?: number
  /** Entries dropped for want of room since it was opened. */
  readonly evictions?: number
}

/** Milliseconds after which a cache that was asked for its size is not waited for any longer. */
const patienceMs = 500

interface Watched {
  readonly name: string
  readonly tier: CacheTierReport['tier']
  readonly cache: Pick<Cache, 'id' | 'stats'>
  hits: number
  misses: number
  reads: number
  readMs: number
  /** As it was last told; gauges cannot wait. */
  size: Pick<CacheTierReport, 'entries' | 'bytes' | 'evictions'>
}

/** Counts what each cache finds, tier by tier. The tracker shows it as the gauges `cache.NAME.TIER`. */
export class CacheMonitor {
  readonly #tracker: Pick<PerformanceTracker, 'watch'>
  readonly #watched: Watched[] = []

  constructor(tracker: Pick<PerformanceTracker, 'watch'>) {
    this.#tracker = tracker
  }

  /** The same cache, counted. */
  watch(name: string, tier: CacheTierReport['tier'], cache: Cache): Cache {
    const count = this.count(name, tier, cache)
    return delegateTo(cache, {
      async get(keys) {
        const began = performance.now()
        const found = await cache.get(keys)
        const hits = found.reduce((sum, hit) => (hit === undefined ? sum : sum + 1), 0)
        count({ hits, misses: found.length - hits, tookMs: performance.now() - began })
        return found
      },
    })
  }

  /** Reports on something that is told of by calling what this returns, once for each look-up. */
  count(
    name: string,
    tier: CacheTierReport['tier'],
    cache: Pick<Cache, 'id' | 'stats'>,
  ): (lookup: { readonly hits: number; readonly misses: number; readonly tookMs: number }) => void {
    const watched: Watched = { name, tier, cache, hits: 0, misses: 0, reads: 0, readMs: 0, size: {} }
    this.#watched.push(watched)
    this.#tracker.watch(`cache.${name}.${tier}`, () => toGauges(watched))
    return ({ hits, misses, tookMs }) => {
      watched.hits += hits
      watched.misses += misses
      watched.reads++
      watched.readMs += tookMs
    }
  }

  /** Of every cache that was opened, in that order. A size that does not come soon is left out. */
  async report(): Promise<CacheTierReport[]> {
    return Promise.all(
      this.#watched.map(async (watched) => {
        watched.size = await sizeOf(watched.cache)
        return toReport(watched)
      }),
    )
  }
}

async function sizeOf(cache: Watched['cache']): Promise<Watched['size']> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, patienceMs, undefined).unref()
  })
  try {
    const stats = await Promise.race([cache.stats?.(), late])
    if (stats === undefined) return {}
    const { entries, bytes, evictions } = stats
    return { entries, bytes, evictions }
  } catch {
    // A sick cache cannot tell; whoever asks wants to know of the others.
    return {}
  } finally {
    clearTimeout(timer)
  }
}

function toReport({ name, tier, cache, hits, misses, reads, readMs, size }: Watched): CacheTierReport {
  const lookups = hits + misses
  return {
    name,
    tier,
    kind: cache.id,
    hits,
    misses,
    hitRate: lookups === 0 ? 0 : hits / lookups,
    readMs: reads === 0 ? 0 : readMs / reads,
    ...size,
  }
}

function toGauges(watched: Watched): Gauges {
  const { name: _name, tier: _tier, kind: _kind, ...numbers } = toReport(watched)
  return numbers
}
