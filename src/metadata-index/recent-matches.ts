import type { RangeSet } from '../core/range-set.js'
import type { FilterPlan } from '../util/filter.js'

/** Bytes of results and their keys kept. */
const maxBytes = 4 << 20
/** UTF-16 code units of the longest key that is worth keeping. */
const maxKeyLength = 64 << 10

/** Results of filters that came before: most callers ask with the same few again and again. Cleared with every change. */
export class RecentMatches {
  /** In the order of their last use. */
  readonly #entries = new Map<string, RangeSet>()
  #version = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  /** Changes with {@link clear}: what was computed before must not be added after. */
  get version(): number {
    return this.#version
  }

  /** The same text for the same filter; `undefined` when it is too long to be kept. */
  keyOf(plan: FilterPlan): string | undefined {
    // Marked by kind, for JSON writes infinity as null.
    const key = JSON.stringify(plan, (_name, value: unknown) => {
      if (typeof value === 'number') return `n${value}`
      return typeof value === 'string' ? `s${value}` : value
    })
    return key.length > maxKeyLength ? undefined : key
  }

  get(key: string | undefined): RangeSet | undefined {
    const found = key === undefined ? undefined : this.#entries.get(key)
    if (key === undefined || found === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, found)
    return found
  }

  add(key: string | undefined, ranges: RangeSet, version: number): void {
    if (key === undefined || version !== this.#version || this.#entries.has(key)) return
    this.#entries.set(key, ranges)
    this.#bytes += sizeOf(key, ranges)
    for (const [oldest, result] of this.#entries) {
      if (this.#bytes <= maxBytes) return
      this.#entries.delete(oldest)
      this.#bytes -= sizeOf(oldest, result)
    }
  }

  clear(): void {
    this.#version++
    this.#entries.clear()
    this.#bytes = 0
  }
}

const bytesPerUnit = 2

function sizeOf(key: string, { bytes }: RangeSet): number {
  return bytes + key.length * bytesPerUnit
}
