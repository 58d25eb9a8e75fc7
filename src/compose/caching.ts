import { createSafeCache } from '../cache/safe.js'
import { createTieredCache } from '../cache/tiered.js'
import type { Cache } from '../cache/types.js'
import type { ResolvedConfig } from '../config/resolve.js'
import { createCachedEmbedder } from '../embed/cached.js'
import type { Embedder } from '../embed/types.js'
import type { PerformanceTracker } from '../performance/tracker.js'
import { catalogue } from './catalogue.js'

/** Embedders whose vectors cost more than looking them up: a hash and a read take a hundredth of a millisecond. */
const worthCaching: ReadonlySet<string> = new Set(['onnx', 'ai-sdk', 'openai-compatible', 'instance'])

/** Whether vectors of the embedder that was chosen are to be kept by content. */
export function cachesEmbeddings({ cache, cacheEmbeddings, embedder }: ResolvedConfig): boolean {
  return cache !== false && cacheEmbeddings && embedder !== false && worthCaching.has(embedder.kind)
}

/**
 * The cache of an application: memory first, and what was chosen behind it, which may be as sick as it likes. One of the caller's own
 * stays open.
 */
export async function openCache(config: ResolvedConfig, tracker: PerformanceTracker): Promise<Cache> {
  const { cache, cacheMaxEntries, logger } = config
  if (cache === false) throw new Error('There is no cache to open.')
  const entries = cacheMaxEntries === 0 ? {} : { maxEntries: cacheMaxEntries }
  if (cache.kind === 'memory') {
    const { kind, ...options } = cache
    return catalogue.caches[kind]({ ...entries, ...options })
  }
  const far = createSafeCache(await openFar(cache, logger), {
    // A disk answers at once or is being flushed; it has no network that may be gone.
    ...(cache.kind === 'disk' ? { timeoutMs: 500 } : {}),
    logger,
    onTrouble: (kind) => tracker.count(`cache.${cache.kind}.${kind}`),
  })
  return createTieredCache({ near: await catalogue.caches.memory(entries), far })
}

type FarCache = Exclude<ResolvedConfig['cache'], false | { readonly kind: 'memory' }>

async function openFar(cache: FarCache, logger: ResolvedConfig['logger']): Promise<Cache> {
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

function staysOpen(cache: Cache): Cache {
  return {
    id: cache.id,
    capabilities: cache.capabilities ?? { shared: true, persistent: true },
    get: (keys) => cache.get(keys),
    set: (entries) => cache.set(entries),
    delete: (keys) => cache.delete(keys),
    clear: () => cache.clear(),
    close: async () => {},
  }
}

/** Counted as `cache.embeddings.hit` and `cache.embeddings.miss`. */
export function withCache(embedder: Embedder, cache: Cache, tracker: PerformanceTracker): Embedder {
  return createCachedEmbedder(embedder, {
    cache,
    onLookup: ({ hits, misses }) => {
      tracker.count('cache.embeddings.hit', hits)
      tracker.count('cache.embeddings.miss', misses)
    },
  })
}
