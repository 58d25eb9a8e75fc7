import { blocksOf } from './blocks.js'
import type { BoundArithmetic } from './bound-kernel.js'
import { DocumentCursor } from './document-cursor.js'
import type { RangeCursor } from './range-cursor.js'
import type { Segment } from './segment.js'

interface Bounded {
  /** What a chunk of a block scores at most, its document's score included; 0 where none holds a term. */
  readonly bounds: Float32Array
  readonly arithmetic: BoundArithmetic
  /** Absent: every chunk is allowed. */
  readonly allow: RangeCursor | undefined
}

/** Goes through a segment's blocks of chunks in ascending order, from one that may hold a wanted chunk to the next. */
export class BlockScan {
  /** Blocks of the segment. */
  readonly count: number
  readonly #bounds: Float32Array
  readonly #arithmetic: BoundArithmetic
  readonly #allow: RangeCursor | undefined
  readonly #starts: Uint32Array
  readonly #documents: DocumentCursor

  constructor(segment: Segment, { bounds, arithmetic, allow }: Bounded) {
    this.count = bounds.length
    this.#bounds = bounds
    this.#arithmetic = arithmetic
    this.#allow = allow
    this.#starts = blocksOf(segment).chunks.starts
    this.#documents = new DocumentCursor(segment)
  }

  /** The first block from `from` on that holds a term and an allowed chunk, and whose bound is at least `threshold`; `count` when none is left. */
  next(from: number, threshold: number): number {
    let block = this.#arithmetic.next(this.#bounds, from, threshold)
    while (block < this.count && !this.#isAllowed(block))
      block = this.#arithmetic.next(this.#bounds, block + 1, threshold)
    return block
  }

  /** Whether an allowed number is within those of the block. Between its documents may lie others, so each chunk has to be asked for, too. */
  #isAllowed(block: number): boolean {
    if (this.#allow === undefined) return true
    const first = this.#documents.numberOf(this.#starts[block] as number)
    return this.#allow.hasAny(first, this.#documents.numberOf((this.#starts[block + 1] as number) - 1))
  }
}
