import type { Cache, CacheEntry, CacheHit } from './types.js'

/**
 * A small near cache in front of a large far one: what is found in the far one is kept in the near one, never for longer than there.
 * Both belong to it and are closed with it. It fails when the far one does: put `createSafeCache` around that, so that what is near
 * still serves.
 */
export function createTieredCache({ near, far }: { readonly near: Cache; readonly far: Cache }): Cache {
  return {
    id: `${near.id}+${far.id}`,
    capabilities: far.capabilities,
    async get(keys) {
      const hits = await near.get(keys)
      const missing = keys.flatMap((key, place) => (hits[place] === undefined ? [{ key, place }] : []))
      if (missing.length === 0) return hits
      const found = await far.get(missing.map(({ key }) => key))
      const fill: CacheEntry[] = []
      const result: (CacheHit | undefined)[] = [...hits]
      for (const [index, { key, place }] of missing.entries()) {
        const hit = found[index]
        if (hit === undefined) continue
        result[place] = hit
        fill.push({ key, ...hit })
      }
      if (fill.length > 0) await near.set(fill)
      return result
    },
    async set(entries) {
      await Promise.all([near.set(entries), far.set(entries)])
    },
    async delete(keys) {
      // The near one last: a read in between must not bring back what the far one has just forgotten.
      await far.delete(keys).finally(() => near.delete(keys))
    },
    async clear() {
      await far.clear().finally(() => near.clear())
    },
    async prune() {
      const [first = 0, second = 0] = await Promise.all([near.prune?.(), far.prune?.()])
      return first + second
    },
    ...(far.stats === undefined ? {} : { stats: () => (far.stats as NonNullable<Cache['stats']>)() }),
    async close() {
      await Promise.all([near.close(), far.close()])
    },
  }
}
