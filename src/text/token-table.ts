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
  /** The units of all tokens, one token after the other, a unit that belongs to none behind each. */
  readonly #units: Uint16Array
  /** Where each token begins; one more than there are tokens. */
  readonly #starts: Uint32Array
  readonly #ids: Int32Array
  /** Open addressing, at most half full: number of the token plus one, 0 for none; and beside it the hash of the token. */
  readonly #slots: Int32Array
  readonly #hashes: Int32Array
  /** Units of the longest token. */
  readonly longest: number

  /** A table of `tokens` and their `ids`. Of equal tokens the last counts. */
  constructor(tokens: readonly string[], ids: ArrayLike<number>) {
    const bytes = Buffer.from(tokens.join('\0'), 'utf16le')
    this.#units = new Uint16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
    this.#starts = new Uint32Array(tokens.length + 1)
    this.#ids = Int32Array.from(ids)
    const size = 2 ** Math.ceil(Math.log2(tokens.length * 2 + 2))
    this.#slots = new Int32Array(size)
    this.#hashes = new Int32Array(size)
    let longest = 0
    for (let i = 0; i < tokens.length; i++) {
      const { length } = tokens[i] as string
      this.#starts[i + 1] = (this.#starts[i] as number) + length + 1
      if (length > longest) longest = length
    }
    this.longest = longest
    for (let i = 0; i < tokens.length; i++) this.#insert(i)
  }

  /** The id of the token at `buffer[start]` to `buffer[end - 1]`, whose hash is `hash`; -1 when there is none. */
  find(buffer: Uint16Array, start: number, end: number, hash: number): number {
    const number = this.#slots[this.#slotOf(buffer, start, end, hash)] as number
    return number === 0 ? -1 : (this.#ids[number - 1] as number)
  }

  /** The tokens in the order they came, each with its id. */
  *entries(): Generator<readonly [token: string, id: number]> {
    for (const [i, id] of this.#ids.entries()) {
      const units = this.#units.subarray(this.#starts[i], (this.#starts[i + 1] as number) - 1)
      yield [String.fromCharCode(...units), id]
    }
  }

  #insert(token: number): void {
    const start = this.#starts[token] as number
    const end = (this.#starts[token + 1] as number) - 1
    let hash = hashSeed
    for (let i = start; i < end; i++) hash = hashUnit(hash, this.#units[i] as number)
    const slot = this.#slotOf(this.#units, start, end, hash)
    this.#hashes[slot] = hash
    this.#slots[slot] = token + 1
  }

  /** The slot of the token, or the empty one where it would be. */
  #slotOf(buffer: Uint16Array, start: number, end: number, hash: number): number {
    const slots = this.#slots
    const hashes = this.#hashes
    const mask = slots.length - 1
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
    if ((this.#starts[token + 1] as number) - 1 - first !== end - start) return false
    for (let i = start; i < end; i++) if (units[first + i - start] !== buffer[i]) return false
    return true
  }
}
