import type { Segment } from './segment.js'

/** Tells the documents of chunks that come in ascending order. */
export class DocumentCursor {
  readonly #segment: Segment
  #document = 0

  constructor(segment: Segment) {
    this.#segment = segment
  }

  /** The place of the document that a chunk is of. Soon found when it is near the last. */
  documentOf(chunk: number): number {
    const { documentWindows, windowChunks } = this.#segment
    const endOf = (document: number) => windowChunks[documentWindows[document + 1] as number] as number
    let low = this.#document
    if (endOf(low) > chunk) return low
    let step = 1
    while (low + step < documentWindows.length - 1 && endOf(low + step) <= chunk) {
      low += step
      step *= 2
    }
    let high = Math.min(low + step, documentWindows.length - 2)
    while (low + 1 < high) {
      const middle = (low + high) >>> 1
      if (endOf(middle) <= chunk) low = middle
      else high = middle
    }
    this.#document = high
    return high
  }

  /** The number of a chunk. */
  numberOf(chunk: number): number {
    const { bases, chunkOrdinals } = this.#segment
    return (bases[this.documentOf(chunk)] as number) + (chunkOrdinals[chunk] as number)
  }
}
