/**
 * The table of contents of one document version: for each piece where it begins and the checksums of what is stored.
 * Four numbers a piece, so that the 5,000 pieces of a 160 MB document are one row of 160 KB.
 */
export class PieceDirectory {
  readonly #cells: Float64Array

  constructor(cells: Float64Array) {
    this.#cells = cells
  }

  static from(entries: readonly PieceEntry[]): PieceDirectory {
    const cells = new Float64Array(entries.length * columns)
    for (const [place, entry] of entries.entries()) {
      cells.set([entry.firstOrdinal, entry.start, entry.checksum, entry.vectorsChecksum], place * columns)
    }
    return new PieceDirectory(cells)
  }

  /** As it is stored. */
  get cells(): Float64Array {
    return this.#cells
  }

  /** Number of pieces. */
  get length(): number {
    return this.#cells.length / columns
  }

  at(place: number): PieceEntry {
    const [firstOrdinal = 0, start = 0, checksum = 0, vectorsChecksum = noVectors] = this.#cells.subarray(
      place * columns,
      (place + 1) * columns,
    )
    return { firstOrdinal, start, checksum, vectorsChecksum }
  }

  /** Place of the piece that holds this chunk; pieces without chunks never do. */
  holding(ordinal: number): number {
    return this.#last(0, ordinal)
  }

  /** Place of the piece that holds this offset of the text, or of the first one when it lies before every piece. */
  reaching(offset: number): number {
    return Math.max(0, this.#last(1, offset))
  }

  /** The last place whose value in a column (they never fall) is at most `value`, else -1. */
  #last(column: number, value: number): number {
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#cells[middle * columns + column] as number) <= value) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}

/** One piece of a version. */
export interface PieceEntry {
  /** Ordinal of its first chunk, or of the next piece's when it has none. */
  readonly firstOrdinal: number
  /** Where its text begins in the document's, UTF-16 code units. */
  readonly start: number
  /** CRC-32 of the encoded piece. */
  readonly checksum: number
  /** CRC-32 of the vectors' bytes, or {@link noVectors}. */
  readonly vectorsChecksum: number
}

/** Stands for a piece without vectors. */
export const noVectors = -1

const columns = 4
