import type { Cache } from './types.js'

/**
 * A cache that does as another one does, but for what is replaced. Methods may be private to a class, so they are called on it: a
 * spread or a proxy of the object would not do.
 */
export function delegateTo(cache: Cache, replaced: Partial<Cache>): Cache {
  const { prune, stats } = cache
  return {
    id: cache.id,
    capabilities: cache.capabilities,
    get: (keys) => cache.get(keys),
    set: (entries) => cache.set(entries),
    delete: (keys) => cache.delete(keys),
    clear: () => cache.clear(),
    ...(prune === undefined ? {} : { prune: prune.bind(cache) }),
    ...(stats === undefined ? {} : { stats: stats.bind(cache) }),
    close: () => cache.close(),
    ...replaced,
  }
}
