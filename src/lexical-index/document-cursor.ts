import type { Segment } from './segment.js'

/** Tells the documents of chunks that come in ascending order. */
export class DocumentCursor {
  readonly #segment: Segment
  #document = 0

  constructor(segment: Segment) {
    this.#segment = segment
  }

  /** The place of the document that a chunk is of. */
  documentOf(chunk: number): number {
    const { documentWindows, windowChunks } = this.#segment
    while ((windowChunks[documentWindows[this.#document + 1] as number] as number) <= chunk) this.#document++
    return this.#document
  }

  /** The number of a chunk. */
  numberOf(chunk: number): number {
    const { bases, chunkOrdinals } = this.#segment
    return (bases[this.documentOf(chunk)] as number) + (chunkOrdinals[chunk] as number)
  }
}
