/** Options of {@link RecentlyUsed}. */
export interface RecentlyUsedOptions {
  /** Default: any number. */
  readonly maxEntries?: number
  /** Default: of any weight. */
  readonly maxBytes?: number
}

/**
 * Values by key, as many as fit: the one that was used longest ago goes first. The one that was added last stays, whatever it
 * weighs.
 */
export class RecentlyUsed<Value> {
  readonly #maxEntries: number
  readonly #maxBytes: number
  /** In the order of their last use. */
  readonly #entries = new Map<string, { readonly value: Value; readonly bytes: number }>()
  #bytes = 0
  #evictions = 0

  constructor({ maxEntries = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY }: RecentlyUsedOptions) {
    this.#maxEntries = maxEntries
    this.#maxBytes = maxBytes
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Entries that had to go for others since this was made. */
  get evictions(): number {
    return this.#evictions
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /** Adds or replaces a value that weighs so much. */
  set(key: string, value: Value, bytes = 0): void {
    this.delete(key)
    this.#entries.set(key, { value, bytes })
    this.#bytes += bytes
    for (const oldest of this.#entries.keys()) {
      if (oldest === key || (this.#bytes <= this.#maxBytes && this.#entries.size <= this.#maxEntries)) break
      this.delete(oldest)
      this.#evictions++
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
  }

  /** Deletes what `isWanted` does not want. */
  prune(isWanted: (value: Value) => boolean): void {
    for (const [key, { value }] of this.#entries) if (!isWanted(value)) this.delete(key)
  }

  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }
}
