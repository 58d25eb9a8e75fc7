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
  #units = new Uint16Array(1024)
  /** Where each token begins; one more than there are tokens. */
  #starts = new Uint32Array(129)
  #ids = new Int32Array(128)
  #count = 0
  /** Open addressing, at most half full: number of the token plus one, 0 for none; and beside it the hash of the token. */
  #slots = new Int32Array(256)
  #hashes = new Int32Array(256)
  #longest = 0

  /** Units of the longest token. */
  get longest(): number {
    return this.#longest
  }

  /** Gives `token`, without its first `from` units, an id; one that it had is forgotten. */
  set(token: string, id: number, from = 0): void {
    if (this.#count === this.#ids.length) this.#grow()
    const start = this.#starts[this.#count] as number
    const length = token.length - from
    while (start + length > this.#units.length) this.#units = larger(this.#units)
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

  has(token: string): boolean {
    const units = Uint16Array.from(token, (unit) => unit.charCodeAt(0))
    return this.find(units, 0, units.length, units.reduce(hashUnit, hashSeed)) >= 0
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
    const mask = slots.length - 1
    let slot = firstSlot(hash, mask)
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

  #grow(): void {
    this.#ids = larger(this.#ids)
    this.#starts = larger(this.#starts, this.#ids.length + 1)
    const slots = this.#slots
    const hashes = this.#hashes
    this.#slots = new Int32Array(slots.length * 2)
    this.#hashes = new Int32Array(slots.length * 2)
    const mask = this.#slots.length - 1
    for (const [old, number] of slots.entries()) {
      if (number === 0) continue
      const hash = hashes[old] as number
      let slot = firstSlot(hash, mask)
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = number
      this.#hashes[slot] = hash
    }
  }
}

/** The low bits of FNV depend on the low bits of the units only. */
function firstSlot(hash: number, mask: number): number {
  return (hash ^ (hash >>> 15)) & mask
}

function larger<Numbers extends Uint16Array | Int32Array | Uint32Array>(
  numbers: Numbers,
  length = numbers.length * 2,
): Numbers {
  const copy = new (numbers.constructor as new (length: number) => Numbers)(length)
  copy.set(numbers)
  return copy
}
