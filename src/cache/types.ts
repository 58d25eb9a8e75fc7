import type { Closable } from '../core/lifecycle.js'

/**
 * Bytes by key, kept for a while. An entry may be gone at any time; what is returned is what was set, or nothing. Keys are of any
 * length; callers make them so that two things never share one (`util/hash.ts`).
 */
export interface Cache extends Closable {
  /** Kind of cache, for people. */
  readonly id: string
  readonly capabilities: CacheCapabilities
  /** The entries of these keys, in their order; `undefined` where there is none, it has expired, or its bytes are damaged. */
  get(keys: readonly string[]): Promise<(CacheHit | undefined)[]>
  /** Adds or replaces entries; of a key that comes twice the last counts. One that is too large for the cache is dropped silently. */
  set(entries: readonly CacheEntry[]): Promise<void>
  /** Forgets entries; unknown keys are ignored. */
  delete(keys: readonly string[]): Promise<void>
  /** Forgets everything that this cache holds, for all who share it. */
  clear(): Promise<void>
  /** Removes what has expired, and resolves with how many there were. Absent: that happens by itself. */
  prune?(): Promise<number>
  /** Absent: it cannot tell. */
  stats?(): Promise<CacheStats>
}

export interface CacheCapabilities {
  /** Other processes see its entries. */
  readonly shared: boolean
  /** Entries survive the process. */
  readonly persistent: boolean
}

/** What is put into a cache. */
export interface CacheEntry {
  readonly key: string
  /** The cache keeps a copy. */
  readonly value: Uint8Array
  /** Milliseconds since 1970 from which on it is not returned. Absent: never. */
  readonly expiresAt?: number
}

/** What is found in a cache. The bytes are the caller's: to change them changes nothing in the cache. */
export interface CacheHit {
  readonly value: Uint8Array
  readonly expiresAt?: number
}

export interface CacheStats {
  readonly entries: number
  /** Bytes of values, and what keeping them costs as far as the cache knows. */
  readonly bytes: number
  /** Entries that were dropped for want of room since the cache was opened. */
  readonly evictions: number
}
