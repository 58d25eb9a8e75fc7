/** One bit for each of a number of rows, set from the lowest bit of the first word on. Bits beyond the last row are clear. */
export class Bits {
  readonly words: Uint32Array
  readonly length: number

  constructor(length: number) {
    this.length = length
    this.words = new Uint32Array(Math.ceil(length / 32))
  }

  /** How many bits are set. */
  get size(): number {
    let size = 0
    for (let word of this.words) {
      // Sums of neighbouring bits, pairs, nibbles and bytes: Warren, Hacker's Delight, 5-1.
      word -= (word >>> 1) & 0x55555555
      word = (word & 0x33333333) + ((word >>> 2) & 0x33333333)
      size += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
    }
    return size
  }

  set(row: number): void {
    const word = row >>> 5
    this.words[word] = (this.words[word] as number) | (1 << (row & 31))
  }

  has(row: number): boolean {
    return ((this.words[row >>> 5] as number) & (1 << (row & 31))) !== 0
  }

  setAll(): void {
    this.words.fill(0xffffffff)
    this.#trim()
  }

  invert(): void {
    const { words } = this
    for (let i = 0; i < words.length; i++) words[i] = ~(words[i] as number)
    this.#trim()
  }

  and({ words: others }: Bits): void {
    const { words } = this
    for (let i = 0; i < words.length; i++) words[i] = (words[i] as number) & (others[i] as number)
  }

  or({ words: others }: Bits): void {
    const { words } = this
    for (let i = 0; i < words.length; i++) words[i] = (words[i] as number) | (others[i] as number)
  }

  /** Clears the rows whose bits are set in `words`, which may reach further. */
  without(others: Uint32Array): void {
    const { words } = this
    for (let i = 0; i < words.length; i++) words[i] = (words[i] as number) & ~(others[i] as number)
  }

  /** The rows whose bits are set, ascending. Slow: for the few. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let place = 0; place < this.words.length; place++) {
      for (let word = this.words[place] as number; word !== 0; word &= word - 1) {
        yield place * 32 + 31 - Math.clz32(word & -word)
      }
    }
  }

  #trim(): void {
    const used = this.length & 31
    const last = this.words.length - 1
    if (used !== 0) this.words[last] = (this.words[last] as number) & (2 ** used - 1)
  }
}
