import { randomInt } from 'node:crypto'

/** Slots and code units of a table that holds nothing yet. */
const leastSlots = 1_024
const leastUnits = 4_096

/** Slots looked at for a word. So many are taken in a row by mere chance hardly ever; who chooses words of the same hash finds them unknown, and no slower. */
const maxProbes = 32
/** Nobody can tell which words those would be. */
const seed = randomInt(2 ** 32)

/** UTF-16 code units a word may have. */
export const maxWordLength = 64

/**
 * Remembers what words stand for, and finds it by where a word lies in a text: a known word is never made a string of its own, which, with the hash that a
 * `Map` makes of each new string, takes longer than all the rest of reading a text. Holds two generations of so many words: what was
 * not asked for while the young one filled up is forgotten with the old one.
 */
export class WordMemo<Value> {
  readonly #make: (word: string) => Value
  readonly #most: number
  #young = new WordTable<Value>()
  #old = new WordTable<Value>()

  constructor(make: (word: string) => Value, most: number) {
    this.#make = make
    this.#most = most
  }

  /** What the word of the code units from `start` to `end` stands for: 1 to {@link maxWordLength} of them. */
  get(units: Uint16Array, start: number, end: number): Value {
    const hash = hashOf(units, start, end)
    const known = this.#young.find(hash, units, start, end)
    if (known !== undefined) return known
    const value =
      this.#old.find(hash, units, start, end) ?? this.#make(String.fromCharCode(...units.subarray(start, end)))
    if (this.#young.size >= this.#most) {
      this.#old = this.#young
      this.#young = new WordTable()
    }
    this.#young.add(hash, units.subarray(start, end), value)
    return value
  }
}

/** A hash table with open addressing, at most half full. */
class WordTable<Value> {
  size = 0
  /** By slot. A length of 0: there is no word. */
  #hashes = new Int32Array(leastSlots)
  #starts = new Uint32Array(leastSlots)
  #lengths = new Uint8Array(leastSlots)
  #values: (Value | undefined)[] = new Array(leastSlots)
  /** All words, one after the other. */
  #units = new Uint16Array(leastUnits)
  #end = 0

  find(hash: number, units: Uint16Array, start: number, end: number): Value | undefined {
    const mask = this.#lengths.length - 1
    for (let probe = 0; probe < maxProbes; probe++) {
      const slot = (hash + probe) & mask
      const length = this.#lengths[slot]
      if (length === 0) return undefined
      if (this.#hashes[slot] === hash && length === end - start && this.#isAt(slot, units, start)) {
        return this.#values[slot]
      }
    }
    return undefined
  }

  /** Adds a word that is not there, where there is a slot for it. */
  add(hash: number, word: Uint16Array, value: Value): void {
    if (this.size * 2 >= this.#lengths.length) this.#grow()
    if (this.#end + word.length > this.#units.length) {
      const larger = new Uint16Array(this.#units.length * 2)
      larger.set(this.#units)
      this.#units = larger
    }
    const slot = this.#freeSlot(hash)
    if (slot === undefined) return
    this.#hashes[slot] = hash
    this.#starts[slot] = this.#end
    this.#lengths[slot] = word.length
    this.#values[slot] = value
    this.#units.set(word, this.#end)
    this.#end += word.length
    this.size++
  }

  #isAt(slot: number, units: Uint16Array, start: number): boolean {
    const own = this.#units
    const from = this.#starts[slot] as number
    const length = this.#lengths[slot] as number
    for (let i = 0; i < length; i++) if (own[from + i] !== units[start + i]) return false
    return true
  }

  #freeSlot(hash: number): number | undefined {
    const mask = this.#lengths.length - 1
    for (let probe = 0; probe < maxProbes; probe++) {
      const slot = (hash + probe) & mask
      if (this.#lengths[slot] === 0) return slot
    }
    return undefined
  }

  #grow(): void {
    const [hashes, starts, lengths, values] = [this.#hashes, this.#starts, this.#lengths, this.#values]
    const slots = lengths.length * 2
    this.#hashes = new Int32Array(slots)
    this.#starts = new Uint32Array(slots)
    this.#lengths = new Uint8Array(slots)
    this.#values = new Array(slots)
    for (const [place, length] of lengths.entries()) {
      if (length === 0) continue
      const hash = hashes[place] as number
      const slot = this.#freeSlot(hash)
      if (slot === undefined) continue
      this.#hashes[slot] = hash
      this.#starts[slot] = starts[place] as number
      this.#lengths[slot] = length
      this.#values[slot] = values[place]
    }
  }
}

/** FNV-1a from a seed of its own, its upper bits mixed into the lower ones, which choose the slot. */
function hashOf(units: Uint16Array, start: number, end: number): number {
  let hash = seed
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (units[i] as number), 0x01000193)
  return hash ^ (hash >>> 15)
}
