import { blocksOf } from './blocks.js'
import { DocumentCursor } from './document-cursor.js'
import type { RangeCursor } from './range-cursor.js'
import type { Segment } from './segment.js'

interface Bounded {
  /** What a unit scores at most, by block of chunks and by block of windows. */
  readonly chunkBounds: Float32Array
  readonly windowBounds: Float32Array
  readonly scales: { readonly chunk: number; readonly window: number }
  /** Absent: every chunk is allowed. */
  readonly allow: RangeCursor | undefined
}

/** Goes through a segment's blocks of chunks in ascending order, from one that may hold a wanted chunk to the next. */
export class BlockScan {
  /** Blocks of the segment. */
  readonly count: number
  readonly #chunkStarts: Uint32Array
  readonly #chunkBounds: Float32Array
  readonly #windowBounds: Float32Array
  readonly #windowsOfChunks: Uint32Array
  readonly #chunkScale: number
  readonly #windowScale: number
  readonly #allow: RangeCursor | undefined
  readonly #documents: DocumentCursor

  constructor(segment: Segment, { chunkBounds, windowBounds, scales, allow }: Bounded) {
    const { chunks, windowsOfChunks } = blocksOf(segment)
    this.count = chunkBounds.length
    this.#chunkStarts = chunks.starts
    this.#chunkBounds = chunkBounds
    this.#windowBounds = windowBounds
    this.#windowsOfChunks = windowsOfChunks
    this.#chunkScale = scales.chunk
    this.#windowScale = scales.window
    this.#allow = allow
    this.#documents = new DocumentCursor(segment)
  }

  /** The first block from `from` on that holds a term and an allowed chunk, and whose bound is at least `threshold`; `count` when none is left. */
  next(from: number, threshold: number): number {
    const chunkBounds = this.#chunkBounds
    const windowBounds = this.#windowBounds
    const windowsOfChunks = this.#windowsOfChunks
    const chunkScale = this.#chunkScale
    const windowScale = this.#windowScale
    const count = this.count
    for (let block = from; block < count; block++) {
      const own = chunkBounds[block] as number
      const bound = own * chunkScale + (windowBounds[windowsOfChunks[block] as number] as number) * windowScale
      if (bound >= threshold && own > 0 && this.#isAllowed(block)) return block
    }
    return count
  }

  /** No chunk of the block scores more. */
  boundOf(block: number): number {
    return (this.#chunkBounds[block] as number) * this.#chunkScale + this.documentBoundOf(block)
  }

  /** No document of the block adds more to its chunks. */
  documentBoundOf(block: number): number {
    return (this.#windowBounds[this.#windowsOfChunks[block] as number] as number) * this.#windowScale
  }

  /** Whether an allowed number is within those of the block. Between its documents may lie others, so each chunk has to be asked for, too. */
  #isAllowed(block: number): boolean {
    if (this.#allow === undefined) return true
    const first = this.#documents.numberOf(this.#chunkStarts[block] as number)
    return this.#allow.hasAny(first, this.#documents.numberOf((this.#chunkStarts[block + 1] as number) - 1))
  }
}
