const cells = 8192
/** What is longer is spelt anew each time. */
const unitsPerCell = 24
const piecesPerCell = 8

/**
 * Remembers how words are spelt. A word has one cell, by its hash, which it takes from the word before: 0.7 MB for ever, no
 * bookkeeping, and no text can make a search long.
 */
export class PieceCache {
  readonly #units = new Uint16Array(cells * unitsPerCell)
  readonly #lengths = new Uint8Array(cells)
  readonly #pieces = new Int32Array(cells * piecesPerCell)
  readonly #counts = new Uint8Array(cells)

  /** Copies the pieces of the word to `pieces` and returns their number, 0 when the word is not known. */
  read(word: Uint16Array, length: number, hash: number, pieces: Int32Array): number {
    const cell = cellOf(hash)
    if (this.#lengths[cell] !== length) return 0
    const units = this.#units
    const first = cell * unitsPerCell
    for (let i = 0; i < length; i++) if (units[first + i] !== word[i]) return 0
    const count = this.#counts[cell] as number
    for (let i = 0; i < count; i++) pieces[i] = this.#pieces[cell * piecesPerCell + i] as number
    return count
  }

  /** Remembers the first `count` pieces as those of the word, unless word or pieces are too many for a cell. */
  write(word: Uint16Array, length: number, hash: number, pieces: Int32Array, count: number): void {
    if (length > unitsPerCell || count > piecesPerCell) return
    const cell = cellOf(hash)
    for (let i = 0; i < length; i++) this.#units[cell * unitsPerCell + i] = word[i] as number
    for (let i = 0; i < count; i++) this.#pieces[cell * piecesPerCell + i] = pieces[i] as number
    this.#lengths[cell] = length
    this.#counts[cell] = count
  }
}

function cellOf(hash: number): number {
  return (hash ^ (hash >>> 15)) & (cells - 1)
}
