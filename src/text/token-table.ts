/** Where hashing of a token begins. */
export const hashSeed = 0x811c9dc5 | 0

/** FNV-1a over UTF-16 code units, one step: the hash of every beginning of a word is known on the way to its end. */
export function hashUnit(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, 0x01000193)
}

/** A slot of the table: hash and id of a token, where its units begin, and how many they are plus one; the last is 0 in an empty slot. */
const slotSize = 4
const [hashField, idField, startField, lengthField] = [0, 1, 2, 3]

/**
 * The ids of a vocabulary by the code units of its tokens. A token is found from a stretch of a buffer and its hash, so that looking
 * up makes no string; and it holds no strings, so that what the vocabulary was read from can be freed. All that is needed to find
 * one lies in two places of memory, which is what looking up costs.
 */
export class TokenTable {
  /** The units of all tokens, one token after the other, a unit that belongs to none behind each. */
  readonly #units: Uint16Array
  /** Open addressing, at most half full. */
  readonly #slots: Int32Array
  readonly #mask: number
  /** Units of the longest token. */
  readonly longest: number

  /** A table of `tokens` and their `ids`. Of equal tokens the last counts. */
  constructor(tokens: readonly string[], ids: readonly number[]) {
    const bytes = Buffer.from(tokens.join('\0'), 'utf16le')
    this.#units = new Uint16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
    const size = 2 ** Math.ceil(Math.log2(tokens.length * 2 + 2))
    this.#slots = new Int32Array(size * slotSize)
    this.#mask = size - 1
    let longest = 0
    let start = 0
    for (let i = 0; i < tokens.length; i++) {
      const { length } = tokens[i] as string
      this.#insert(start, length, ids[i] as number)
      if (length > longest) longest = length
      start += length + 1
    }
    this.longest = longest
  }

  /** The id of the token at `buffer[start]` to `buffer[end - 1]`, whose hash is `hash`; -1 when there is none. */
  find(buffer: Uint16Array, start: number, end: number, hash: number): number {
    const slot = this.#slotOf(buffer, start, end, hash)
    return this.#slots[slot + lengthField] === 0 ? -1 : (this.#slots[slot + idField] as number)
  }

  /** The tokens in the order they came, each with its id. */
  *entries(): Generator<readonly [token: string, id: number]> {
    const slots: number[] = []
    for (let slot = 0; slot < this.#slots.length; slot += slotSize)
      if (this.#slots[slot + lengthField] !== 0) slots.push(slot)
    const startOf = (slot: number) => this.#slots[slot + startField] as number
    for (const slot of slots.sort((a, b) => startOf(a) - startOf(b))) {
      const end = startOf(slot) + (this.#slots[slot + lengthField] as number) - 1
      yield [String.fromCharCode(...this.#units.subarray(startOf(slot), end)), this.#slots[slot + idField] as number]
    }
  }

  #insert(start: number, length: number, id: number): void {
    let hash = hashSeed
    for (let i = start; i < start + length; i++) hash = hashUnit(hash, this.#units[i] as number)
    const slot = this.#slotOf(this.#units, start, start + length, hash)
    this.#slots[slot + hashField] = hash
    this.#slots[slot + idField] = id
    this.#slots[slot + startField] = start
    this.#slots[slot + lengthField] = length + 1
  }

  /** The slot of the token, or the empty one where it would be. */
  #slotOf(buffer: Uint16Array, start: number, end: number, hash: number): number {
    const slots = this.#slots
    // The low bits of FNV depend on the low bits of the units only.
    for (let number = hash ^ (hash >>> 15); ; number++) {
      const slot = (number & this.#mask) * slotSize
      const length = slots[slot + lengthField] as number
      if (length === 0) return slot
      if (slots[slot + hashField] !== hash || length !== end - start + 1) continue
      if (this.#holds(slots[slot + startField] as number, buffer, start, end)) return slot
    }
  }

  #holds(first: number, buffer: Uint16Array, start: number, end: number): boolean {
    const units = this.#units
    for (let i = start; i < end; i++) if (units[first + i - start] !== buffer[i]) return false
    return true
  }
}
