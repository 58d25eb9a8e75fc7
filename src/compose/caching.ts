import { delegateTo } from '../cache/delegate.js'
import { createSafeCache } from '../cache/safe.js'
import { createTieredCache } from '../cache/tiered.js'
import type { Cache, CacheStats } from '../cache/types.js'
import type { ResolvedConfig } from '../config/resolve.js'
import type { Closable } from '../core/lifecycle.js'
import { createCachedEmbedder } from '../embed/cached.js'
import type { Embedder } from '../embed/types.js'
import type { PerformanceTracker } from '../performance/tracker.js'
import { CacheMonitor, type CacheTierReport } from './cache-monitor.js'
import { catalogue } from './catalogue.js'

/** What is kept, each in a memory of its own: a large ingest must not drive questions out of it. */
export type CacheName = 'embeddings' | 'enrichments' | 'understanding' | 'retrieval' | 'answers'

/** The caches of one application, each opened by the first call that needs it. */
export interface Caches {
  /**
   * Memory first, and behind it what was chosen, which may be as sick as it likes. `far: false`: memory alone, for what costs less
   * than asking anybody else.
   */
  open(name: CacheName, options: { readonly far: boolean }): Promise<Cache>
  /** Adds what stands before a cache: it is reported on, cleared and pruned with the others. Call what it returns once for each look-up. */
  addRecent(name: CacheName, recent: RecentCache): (lookup: Lookup) => void
  /** What each of them did, tier by tier. */
  report(): Promise<CacheTierReport[]>
  stats(): Promise<StoredCacheStats>
  /** Forgets everything in every tier. */
  clear(): Promise<void>
  /** Removes what has expired from every tier, and resolves with how many entries there were. */
  prune(): Promise<number>
}

/** Copies of what caches hold, in this process. */
export interface RecentCache {
  stats(): CacheStats
  clear(): void
  /** Removes what has expired. */
  prune(): void
}

interface Lookup {
  readonly found: boolean
  readonly tookMs: number
}

/** What a cache holds. Counts are absent where it cannot tell. */
export interface StoredCacheStats extends Partial<CacheStats> {
  /** `memory`, `disk`, `redis`, …; `none` without a cache. */
  readonly kind: string
}

/** `part` keeps what it opens, to close it with everything else. */
export function createCaches(
  config: ResolvedConfig,
  tracker: PerformanceTracker,
  part: <Part extends Closable>(open: () => Promise<Part>) => () => Promise<Part>,
): Caches {
  const far = part(() => openFar(config, tracker))
  const monitor = new CacheMonitor(tracker)
  const hasFar = config.cache !== false && config.cache.kind !== 'memory'
  const opened: Cache[] = []
  const recents: RecentCache[] = []
  const everywhere = async () => (hasFar ? [...opened, await far()] : opened)
  return {
    open: (name, { far: wanted }) =>
      part(async () => {
        const near = monitor.watch(name, 'near', await openNear(config))
        opened.push(near)
        if (!wanted || !hasFar) return near
        return createTieredCache({ near, far: monitor.watch(name, 'far', staysOpen(await far())) })
      })(),
    addRecent(name, recent) {
      recents.push(recent)
      const count = monitor.count(name, 'recent', { id: 'memory', stats: async () => recent.stats() })
      return ({ found, tookMs }) => count({ hits: found ? 1 : 0, misses: found ? 0 : 1, tookMs })
    },
    report: () => monitor.report(),
    async stats() {
      if (hasFar) {
        const { id, stats } = await far()
        return { kind: id, ...(await stats?.()) }
      }
      const all = await Promise.all(opened.map((cache) => cache.stats?.()))
      const sum = (field: keyof CacheStats) => all.reduce((total, stats) => total + (stats?.[field] ?? 0), 0)
      const kind = config.cache === false ? 'none' : 'memory'
      return { kind, entries: sum('entries'), bytes: sum('bytes'), evictions: sum('evictions') }
    },
    async clear() {
      // What stands in front last: a read in between must not bring back what lies behind.
      try {
        if (hasFar) await (await far()).clear()
      } finally {
        for (const near of opened) await near.clear()
        for (const recent of recents) recent.clear()
      }
    },
    async prune() {
      let pruned = 0
      for (const recent of recents) recent.prune()
      for (const cache of await everywhere()) pruned += (await cache.prune?.()) ?? 0
      return pruned
    },
  }
}

/** Embedders whose vectors cost more than looking them up: a hash and a read take a hundredth of a millisecond. */
const worthCaching: ReadonlySet<string> = new Set(['onnx', 'ai-sdk', 'openai-compatible', 'instance'])

/** Whether vectors of the embedder that was chosen are to be kept by content. */
export function cachesEmbeddings({ cache, cacheEmbeddings, embedder }: ResolvedConfig): boolean {
  return cache !== false && cacheEmbeddings && embedder !== false && worthCaching.has(embedder.kind)
}

/** Whether a search costs more than asking another process for what it found. */
export function searchesDearly({ embedder, rerank }: ResolvedConfig): boolean {
  const hasModel = rerank !== false && rerank.kind !== 'mmr'
  return hasModel || (embedder !== false && worthCaching.has(embedder.kind))
}

async function openNear({ cache, cacheMaxEntries }: ResolvedConfig): Promise<Cache> {
  const entries = cacheMaxEntries === 0 ? {} : { maxEntries: cacheMaxEntries }
  if (cache === false || cache.kind !== 'memory') return catalogue.caches.memory(entries)
  const { kind, ...options } = cache
  return catalogue.caches[kind]({ ...entries, ...options })
}

type FarCache = Exclude<ResolvedConfig['cache'], false | { readonly kind: 'memory' }>

async function openFar({ cache, logger }: ResolvedConfig, tracker: PerformanceTracker): Promise<Cache> {
  if (cache === false || cache.kind === 'memory') throw new Error('There is no cache to open.')
  return createSafeCache(await openChosen(cache, logger), {
    // A disk answers at once or is being flushed; it has no network that may be gone.
    ...(cache.kind === 'disk' ? { timeoutMs: 500 } : {}),
    logger,
    onTrouble: (kind) => tracker.count(`cache.${cache.kind}.${kind}`),
  })
}

async function openChosen(cache: FarCache, logger: ResolvedConfig['logger']): Promise<Cache> {
  switch (cache.kind) {
    case 'instance':
      return staysOpen(cache.instance)
    case 'disk': {
      const { kind, ...options } = cache
      return catalogue.caches[kind]({ ...options, logger })
    }
    case 'redis':
      return catalogue.caches.redis(cache)
    case 'keyv':
      return catalogue.caches.keyv({ keyv: cache.keyv })
    default:
      return cache satisfies never
  }
}

/** A cache that others use as well, or that the caller made. */
function staysOpen(cache: Cache): Cache {
  return delegateTo(cache, {
    capabilities: cache.capabilities ?? { shared: true, persistent: true },
    close: async () => {},
  })
}

/** Counted as `cache.embeddings.hit` and `.miss`, and with what the model would have needed, on average, as `.savedMs`. */
export function withCache(embedder: Embedder, cache: Cache, tracker: PerformanceTracker): Embedder {
  return createCachedEmbedder(embedder, {
    cache,
    onLookup: ({ hits, misses }) => {
      tracker.count('cache.embeddings.hit', hits)
      tracker.count('cache.embeddings.miss', misses)
      const { busyMs = 0, texts = 0 } = embedder.stats?.() ?? {}
      if (texts > 0) tracker.count('cache.embeddings.savedMs', (hits * busyMs) / texts)
    },
  })
}
