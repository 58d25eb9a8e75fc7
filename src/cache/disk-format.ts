import { createHash } from 'node:crypto'

/**
 * Rows of the environment of a disk cache. `v` + SHA-256 of a key: the age of the entry (8 bytes), then the sealed entry. `a` + age:
 * the hash it belongs to. `t`: totals. Ages only grow, so the first `a` is the entry that
 * was written, or asked for, longest ago. Numbers are big-endian where they are sorted by, else little-endian.
 */
export const rows = {
  value: (hash: Uint8Array): Uint8Array => prefixed('v', hash),
  age: (age: number): Uint8Array => prefixed('a', ageBytes(age)),
  ages: { start: Buffer.from('a'), end: Buffer.from('b') },
  totals: Buffer.from('t'),
}

/** Bytes before the sealed entry. */
export const ageLength = 8

export function hashKey(key: string): Uint8Array {
  return createHash('sha256').update(key).digest()
}

export function ageBytes(age: number): Uint8Array {
  const bytes = Buffer.alloc(ageLength)
  bytes.writeBigUInt64BE(BigInt(age))
  return bytes
}

export function readAge(bytes: Uint8Array, start = 0): number {
  return Number(Buffer.from(bytes.buffer, bytes.byteOffset + start, ageLength).readBigUInt64BE())
}

/** What the cache holds. */
export interface Totals {
  readonly entries: number
  /** Bytes of keys, values and rows. */
  readonly bytes: number
  /** The next age. */
  readonly nextAge: number
}

export function encodeTotals({ entries, bytes, nextAge }: Totals): Uint8Array {
  return new Uint8Array(Float64Array.of(entries, bytes, nextAge).buffer)
}

export function decodeTotals(row: Uint8Array | undefined): Totals {
  if (row?.length !== 24) return { entries: 0, bytes: 0, nextAge: 1 }
  const [entries = 0, bytes = 0, nextAge = 1] = new Float64Array(row.slice().buffer)
  return { entries, bytes, nextAge }
}

function prefixed(prefix: string, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(prefix), bytes])
}
