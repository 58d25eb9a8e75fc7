import { crc32 } from 'node:zlib'
import type { CacheEntry, CacheHit } from './types.js'

/**
 * How an entry lies where others could have written, or the disk have failed: `magic`, CRC-32 of the key and all that follows, expiry
 * in milliseconds since 1970 (0: none), the bytes. Numbers are little-endian.
 */
const layout = { magic: 0, checksum: 4, expiresAt: 8, value: 16 }
/** "ufc" and a version: other bytes are not ours, or not of this layout. */
const magic = 0x31636675

/** Wraps a value so that damage, bytes of somebody else and the entry of another key are told from it. */
export function sealEntry({ key, value, expiresAt }: CacheEntry): Uint8Array<ArrayBuffer> {
  const sealed = new Uint8Array(layout.value + value.length)
  const view = new DataView(sealed.buffer)
  view.setUint32(layout.magic, magic, true)
  view.setFloat64(layout.expiresAt, expiresAt ?? 0, true)
  sealed.set(value, layout.value)
  view.setUint32(layout.checksum, checksum(key, sealed), true)
  return sealed
}

/** What {@link sealEntry} wrapped, its bytes a view of these; `undefined` for anything else. */
export function openEntry(key: string, sealed: Uint8Array): CacheHit | undefined {
  if (sealed.length < layout.value) return undefined
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.length)
  if (view.getUint32(layout.magic, true) !== magic) return undefined
  if (view.getUint32(layout.checksum, true) !== checksum(key, sealed)) return undefined
  const expiresAt = view.getFloat64(layout.expiresAt, true)
  return { value: sealed.subarray(layout.value), ...(expiresAt === 0 ? {} : { expiresAt }) }
}

/** What {@link sealEntry} wrapped, unless it has expired by `now`; `'damaged'` for anything else. */
export function openLiveEntry(key: string, sealed: Uint8Array, now: number): CacheHit | undefined | 'damaged' {
  const hit = openEntry(key, sealed)
  if (hit === undefined) return 'damaged'
  return hit.expiresAt !== undefined && hit.expiresAt <= now ? undefined : hit
}

/** Entries that have not expired by `now`, each sealed and with the milliseconds it has left: of a key that comes twice only the last, for a server may write them in any order. */
export function sealEntries(
  entries: readonly CacheEntry[],
  now: number,
): { readonly key: string; readonly sealed: Buffer; readonly ttl?: number }[] {
  const lastOfEach = new Map(entries.map((entry) => [entry.key, entry]))
  return [...lastOfEach.values()]
    .filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now)
    .map((entry) => ({
      key: entry.key,
      sealed: Buffer.from(sealEntry(entry).buffer),
      ...(entry.expiresAt === undefined ? {} : { ttl: Math.ceil(entry.expiresAt - now) }),
    }))
}

function checksum(key: string, sealed: Uint8Array): number {
  return crc32(sealed.subarray(layout.expiresAt), crc32(key))
}
