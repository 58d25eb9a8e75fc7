/** Where hashing of a token begins. */
export const hashSeed = 0x811c9dc5 | 0

/** FNV-1a over UTF-16 code units, one step: the hash of every beginning of a word is known on the way to its end. */
export function hashUnit(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, 0x01000193)
}

/**
 * The ids of a vocabulary by the code units of its tokens. A token is found from a stretch of a buffer and its hash, so that looking
 * up makes no string; and it holds no strings, so that what the vocabulary was read from can be freed.
 */
export class TokenTable {
  /** The units of all tokens, one after the other. */
  #units: Uint16Array
  /** Where each token begins; one more than there are tokens. */
  readonly #starts: Uint32Array
  readonly #ids: Int32Array
  #count = 0
  /** Open addressing, at most half full: number of the token plus one, 0 for none; and beside it the hash of the token. */
  readonly #slots: Int32Array
  readonly #hashes: Int32Array
  readonly #mask: number
  #longest = 0

  /** A table for at most so many tokens. */
  constructor(capacity: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(8, capacity * 2)))
    this.#units = new Uint16Array(capacity * 8)
    this.#starts = new Uint32Array(capacity + 1)
    this.#ids = new Int32Array(capacity)
    this.#slots = new Int32Array(size)
    this.#hashes = new Int32Array(size)
    this.#mask = size - 1
  }

  /** Units of the longest token. */
  get longest(): number {
    return this.#longest
  }

  /** Gives `token`, without its first `from` units, an id; one that it had is forgotten. */
  set(token: string, id: number, from = 0): void {
    const start = this.#starts[this.#count] as number
    const length = token.length - from
    this.#reserve(start + length)
    let hash = hashSeed
    for (let i = 0; i < length; i++) {
      const unit = token.charCodeAt(from + i)
      this.#units[start + i] = unit
      hash = hashUnit(hash, unit)
    }
    const slot = this.#slotOf(this.#units, start, start + length, hash)
    const known = (this.#slots[slot] as number) - 1
    if (known >= 0) {
      this.#ids[known] = id
      return
    }
    this.#hashes[slot] = hash
    this.#ids[this.#count++] = id
    this.#starts[this.#count] = start + length
    this.#slots[slot] = this.#count
    this.#longest = Math.max(this.#longest, length)
  }

  /** The id of the token at `buffer[start]` to `buffer[end - 1]`, whose hash is `hash`; -1 when there is none. */
  find(buffer: Uint16Array, start: number, end: number, hash: number): number {
    const number = this.#slots[this.#slotOf(buffer, start, end, hash)] as number
    return number === 0 ? -1 : (this.#ids[number - 1] as number)
  }

  /** The tokens in the order they came, each with its id. */
  *entries(): Generator<readonly [token: string, id: number]> {
    for (let i = 0; i < this.#count; i++) {
      const units = this.#units.subarray(this.#starts[i], this.#starts[i + 1])
      yield [String.fromCharCode(...units), this.#ids[i] as number]
    }
  }

  /** The slot of the token, or the empty one where it would be. */
  #slotOf(buffer: Uint16Array, start: number, end: number, hash: number): number {
    const slots = this.#slots
    const hashes = this.#hashes
    const mask = this.#mask
    // The low bits of FNV depend on the low bits of the units only.
    let slot = (hash ^ (hash >>> 15)) & mask
    for (;;) {
      const number = slots[slot] as number
      if (number === 0 || (hashes[slot] === hash && this.#holds(number - 1, buffer, start, end))) return slot
      slot = (slot + 1) & mask
    }
  }

  #holds(token: number, buffer: Uint16Array, start: number, end: number): boolean {
    const units = this.#units
    const first = this.#starts[token] as number
    if ((this.#starts[token + 1] as number) - first !== end - start) return false
    for (let i = start; i < end; i++) if (units[first + i - start] !== buffer[i]) return false
    return true
  }

  #reserve(length: number): void {
    if (length <= this.#units.length) return
    const larger = new Uint16Array(Math.max(length, this.#units.length * 2))
    larger.set(this.#units)
    this.#units = larger
  }
}
