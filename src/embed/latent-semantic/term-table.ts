/** 32-bit words of a slot: two hashes of the term, and its number plus one; 0 in an empty slot. */
const slotWords = 3

/** Numbers terms by 64 bits of hash, so that it holds no strings and is plain memory that crosses threads and lies in files as it is. */
export interface TermTable {
  /** Open addressing, at most half full. */
  readonly slots: Uint32Array
}

/** 32-bit words of a table of so many terms. */
export function tableWords(terms: number): number {
  return 2 ** Math.ceil(Math.log2(terms * 2 + 2)) * slotWords
}

/** Enters distinct terms, numbered from 0 in their order, into empty memory of {@link tableWords}. */
export function fillTable(slots: Uint32Array, terms: readonly string[]): void {
  for (const [number, term] of terms.entries()) {
    const slot = slotOf(slots, term)
    slots[slot] = hash.low
    slots[slot + 1] = hash.high
    slots[slot + 2] = number + 1
  }
}

/** The number of a term, -1 when it is not there. Of 65,536 terms and any other, two share their 64 bits with a chance of 4e-15. */
export function findTerm({ slots }: TermTable, term: string): number {
  return (slots[slotOf(slots, term) + 2] as number) - 1
}

/** The slot that holds the term, or the empty one where it would be. Leaves its hash in `hash`. */
function slotOf(slots: Uint32Array, term: string): number {
  hashOf(term)
  const mask = slots.length / slotWords - 1
  for (let number = hash.low; ; number++) {
    const slot = (number & mask) * slotWords
    if (slots[slot + 2] === 0) return slot
    if (slots[slot] === hash.low && slots[slot + 1] === hash.high) return slot
  }
}

/** One object for all hashes: they are made by the million, one after the other. */
const hash = { low: 0, high: 0 }

/** Two FNV-like hashes over UTF-16 code units that exchange their bits in the end, finished as in MurmurHash3. */
function hashOf(term: string): void {
  let low = 0x811c9dc5
  let high = 0x41c6ce57
  for (let i = 0; i < term.length; i++) {
    const unit = term.charCodeAt(i)
    low = Math.imul(low ^ unit, 0x01000193)
    high = Math.imul(high ^ unit, 0x5f356495)
  }
  low = Math.imul(low ^ (low >>> 16) ^ (high >>> 13), 0x85ebca6b)
  high = Math.imul(high ^ (high >>> 16) ^ (low >>> 13), 0xc2b2ae35)
  hash.low = (low ^ (low >>> 15)) >>> 0
  hash.high = (high ^ (high >>> 16)) >>> 0
}
