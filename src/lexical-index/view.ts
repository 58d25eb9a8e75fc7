import type { RangeSet } from '../core/range-set.js'
import { findBase, type Segment } from './segment.js'

/** A segment as one epoch sees it. Immutable: an update that removes chunks makes another view of the same segment. */
export interface SegmentView {
  readonly segment: Segment
  /** Bit by place of a chunk or window that is no longer there; absent when all are. */
  readonly removed: RemovedPlaces | undefined
  /** What is there, and the sum of its lengths. */
  readonly chunks: number
  readonly chunkTokens: number
  readonly windows: number
  readonly windowTokens: number
  readonly documents: number
}

export interface RemovedPlaces {
  readonly chunks: Uint8Array
  /** A window is there until all its chunks are gone. */
  readonly windows: Uint8Array
}

/** A view of all of a segment, or of what is left without `removedChunks` (bit by place). */
export function viewOf(segment: Segment, removedChunks?: Uint8Array): SegmentView {
  const removed =
    removedChunks === undefined ? undefined : { chunks: removedChunks, windows: removedWindows(segment, removedChunks) }
  const counts = { chunks: 0, chunkTokens: 0, windows: 0, windowTokens: 0, documents: 0 }
  for (let d = 0; d < segment.bases.length; d++) {
    const before = counts.windows
    for (let w = segment.documentWindows[d] as number; w < (segment.documentWindows[d + 1] as number); w++) {
      if (removed !== undefined && hasBit(removed.windows, w)) continue
      counts.windows++
      counts.windowTokens += segment.windowLengths[w] as number
    }
    if (counts.windows > before) counts.documents++
  }
  for (let c = 0; c < segment.chunkLengths.length; c++) {
    if (removed !== undefined && hasBit(removed.chunks, c)) continue
    counts.chunks++
    counts.chunkTokens += segment.chunkLengths[c] as number
  }
  return { segment, removed, ...counts }
}

/** The view without the chunks whose numbers are in `ranges`; the same view when there are none. */
export function withoutRanges(view: SegmentView, ranges: RangeSet): SegmentView {
  const { segment } = view
  return without(view, (remove) => {
    for (const [start, end] of ranges) {
      // The document before may reach into the range.
      for (let d = Math.max(0, findBase(segment.bases, start) - 1); d < segment.bases.length; d++) {
        const base = segment.bases[d] as number
        if (base >= end) break
        const last = documentEnd(segment, d)
        for (let c = documentStart(segment, d); c < last; c++) {
          const number = base + (segment.chunkOrdinals[c] as number)
          if (number >= start && number < end) remove(c)
        }
      }
    }
  })
}

/** The view without the documents that begin at one of `bases`. */
export function withoutDocuments(view: SegmentView, bases: Iterable<number>): SegmentView {
  const { segment } = view
  return without(view, (remove) => {
    for (const base of bases) {
      const d = findBase(segment.bases, base)
      if (segment.bases[d] !== base) continue
      for (let c = documentStart(segment, d); c < documentEnd(segment, d); c++) remove(c)
    }
  })
}

/**
 * A view of what `inputs` were merged into, less the chunks that were removed from them while the merge ran: `now` finds the present view of an
 * input, or `undefined` when all of it was removed.
 */
export function viewOfMerged(
  merged: Segment,
  inputs: readonly SegmentView[],
  now: (segment: Segment) => SegmentView | undefined,
): SegmentView {
  return without(viewOf(merged), (remove) => {
    for (const before of inputs) {
      const after = now(before.segment)
      if (after === before) continue
      forEachChunk(before.segment, (place, base, ordinal) => {
        const wasThere = before.removed === undefined || !hasBit(before.removed.chunks, place)
        const isThere = after !== undefined && (after.removed === undefined || !hasBit(after.removed.chunks, place))
        if (wasThere && !isThere) remove(placeOf(merged, base, ordinal))
      })
    }
  })
}

/** Bases of the documents that another segment continues, as far as they are still there. */
export function continuedBases({ segment, removed }: SegmentView): number[] {
  return Array.from(segment.partial)
    .filter((document) => {
      const start = segment.documentWindows[document] as number
      const end = segment.documentWindows[document + 1] as number
      for (let w = start; w < end; w++) if (removed === undefined || !hasBit(removed.windows, w)) return true
      return false
    })
    .map((document) => segment.bases[document] as number)
}

export function hasBit(bits: Uint8Array, place: number): boolean {
  return (((bits[place >> 3] as number) >> (place & 7)) & 1) === 1
}

function without(view: SegmentView, collect: (remove: (chunk: number) => void) => void): SegmentView {
  const { segment } = view
  let bits: Uint8Array | undefined
  collect((chunk) => {
    bits ??= view.removed?.chunks.slice() ?? new Uint8Array(Math.ceil(segment.chunkOrdinals.length / 8))
    bits[chunk >> 3] = (bits[chunk >> 3] as number) | (1 << (chunk & 7))
  })
  return bits === undefined ? view : viewOf(segment, bits)
}

function removedWindows(segment: Segment, removedChunks: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(segment.windowLengths.length / 8))
  for (let w = 0; w < segment.windowLengths.length; w++) {
    const end = segment.windowChunks[w + 1] as number
    let c = segment.windowChunks[w] as number
    while (c < end && hasBit(removedChunks, c)) c++
    if (c === end) bits[w >> 3] = (bits[w >> 3] as number) | (1 << (w & 7))
  }
  return bits
}

function forEachChunk(segment: Segment, visit: (place: number, base: number, ordinal: number) => void): void {
  for (let d = 0; d < segment.bases.length; d++)
    for (let c = documentStart(segment, d); c < documentEnd(segment, d); c++)
      visit(c, segment.bases[d] as number, segment.chunkOrdinals[c] as number)
}

function placeOf(segment: Segment, base: number, ordinal: number): number {
  const d = findBase(segment.bases, base)
  let low = documentStart(segment, d)
  let high = documentEnd(segment, d)
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((segment.chunkOrdinals[middle] as number) < ordinal) low = middle + 1
    else high = middle
  }
  return low
}

function documentStart(segment: Segment, document: number): number {
  return segment.windowChunks[segment.documentWindows[document] as number] as number
}

function documentEnd(segment: Segment, document: number): number {
  return documentStart(segment, document + 1)
}
