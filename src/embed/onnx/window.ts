/** What one pass of the model may cost. */
export interface BatchLimits {
  /** Rows times the longest row. One item may exceed it, alone. */
  readonly maxTokens: number
  readonly maxRows: number
  /** What a pass costs beside its rows, in tokens: the less, the sooner a shorter item is left for a pass with others like it. */
  readonly passTokens: number
}

/**
 * Items that wait for a pass of the model, sorted by their length in tokens (at least 1) and by age. A batch begins with the longest
 * item of the oldest slice, so nothing waits for more than what came before it, and goes on with the items that follow in length, of
 * whatever age, so little of it is padding. To look among longer items as well was tried: it makes larger batches with more padding,
 * and no less work in all.
 */
export class LengthWindow<Item extends { readonly length: number }> {
  /** By length; in the order they came. */
  readonly #buckets: (Set<Item> | undefined)[] = []
  /** The oldest first. */
  readonly #slices: Slice<Item>[] = []
  #size = 0
  #tokens = 0

  /** Items in it. */
  get size(): number {
    return this.#size
  }

  /** Sum of their lengths. */
  get tokens(): number {
    return this.#tokens
  }

  /** Adds items of the same age; the lower `age`, the older. */
  add(age: number, items: readonly Item[]): void {
    const slice = { age, items: items.toSorted((a, b) => b.length - a.length), next: 0 }
    this.#slices.splice(this.#slices.findLastIndex((other) => other.age <= age) + 1, 0, slice)
    for (const item of items) {
      const bucket = this.#buckets[item.length] ?? new Set()
      this.#buckets[item.length] = bucket.add(item)
      this.#tokens += item.length
    }
    this.#size += items.length
  }

  /** Removes an item. False: it was not there. */
  delete(item: Item): boolean {
    if (this.#buckets[item.length]?.delete(item) !== true) return false
    this.#tokens -= item.length
    this.#size--
    // What is gone is not to be held by the lists it was in: an item may hold much else.
    if (this.#size === 0) this.#slices.length = 0
    return true
  }

  /** Removes the items of the next batch, the longest first; none when the window is empty. */
  take({ maxTokens, maxRows, passTokens }: BatchLimits): Item[] {
    const longest = this.#anchor()
    if (longest === undefined) return []
    this.delete(longest)
    const batch = [longest]
    const rows = Math.min(maxRows, Math.floor(maxTokens / longest.length))
    let tokens = longest.length
    for (let length = longest.length; length > 0 && batch.length < rows; length--) {
      const bucket = this.#buckets[length]
      if (bucket === undefined || bucket.size === 0) continue
      // A row costs as much as the longest one. It is worth that where it makes a token of the whole batch no dearer than it was.
      const cost = (passTokens + batch.length * longest.length) / tokens
      if (longest.length / length > cost) break
      for (const item of bucket) {
        if (batch.length >= rows) break
        this.delete(item)
        batch.push(item)
        tokens += length
      }
    }
    return batch
  }

  /** The longest item of the oldest slice that has any left. */
  #anchor(): Item | undefined {
    for (;;) {
      const slice = this.#slices[0]
      if (slice === undefined) return undefined
      for (; slice.next < slice.items.length; slice.next++) {
        const item = slice.items[slice.next] as Item
        if (this.#buckets[item.length]?.has(item)) return item
      }
      this.#slices.shift()
    }
  }
}

interface Slice<Item> {
  readonly age: number
  readonly items: readonly Item[]
  /** Items before this place are gone. */
  next: number
}
