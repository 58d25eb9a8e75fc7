import type { Segment } from './segment.js'

/** Chunks of a block at most, and windows. More make bounds loose, fewer make more blocks to look at (`bench/hybrid.ts`). */
export const unitsPerBlock = 4

/** Neighbouring units of a level, bounded as one. */
export interface Blocks {
  /** Place of each block's first unit, and the count of units. */
  readonly starts: Uint32Array
  /** The block of each unit. */
  readonly of: Uint32Array
}

/** How a segment is divided. */
export interface SegmentBlocks {
  readonly chunks: Blocks
  /** Whole windows of few chunks share a block; one of many has its own. */
  readonly windows: Blocks
  /** The block of windows that each block of chunks lies in. */
  readonly windowsOfChunks: Uint32Array
  /** Documents whose windows may lie in several blocks, or in another segment. */
  readonly scattered: readonly number[]
}

const blocksOfSegments = new WeakMap<Segment, SegmentBlocks>()

/** The blocks of a segment, divided when first asked for. */
export function blocksOf(segment: Segment): SegmentBlocks {
  let blocks = blocksOfSegments.get(segment)
  if (blocks === undefined) {
    blocks = divide(segment)
    blocksOfSegments.set(segment, blocks)
  }
  return blocks
}

/** Whether a segment was divided, which takes a millisecond or two of a large one. */
export function isDivided(segment: Segment): boolean {
  return blocksOfSegments.has(segment)
}

/** Bytes of the division of a segment, if it was divided. */
export function blockBytes(segment: Segment): number {
  const blocks = blocksOfSegments.get(segment)
  if (blocks === undefined) return 0
  const { chunks, windows, windowsOfChunks } = blocks
  return [chunks.starts, chunks.of, windows.starts, windows.of, windowsOfChunks].reduce(
    (sum, { byteLength }) => sum + byteLength,
    0,
  )
}

/** A block follows the bounds of windows, because a document's words go together, and its score counts for all its chunks. */
function divide(segment: Segment): SegmentBlocks {
  const { windowChunks } = segment
  const windowStarts: number[] = []
  const chunkStarts: number[] = []
  const windowsOfChunks: number[] = []
  for (let window = 0; window < windowChunks.length - 1; ) {
    const first = windowChunks[window] as number
    let end = window + 1
    while (end < windowChunks.length - 1 && (windowChunks[end + 1] as number) - first <= unitsPerBlock) end++
    const chunks = (windowChunks[end] as number) - first
    const pieces = Math.ceil(chunks / unitsPerBlock)
    for (let piece = 0; piece < pieces; piece++) {
      chunkStarts.push(first + Math.floor((piece * chunks) / pieces))
      windowsOfChunks.push(windowStarts.length)
    }
    windowStarts.push(window)
    window = end
  }
  return {
    chunks: blocksFrom(chunkStarts, segment.chunkLengths.length),
    windows: blocksFrom(windowStarts, segment.windowLengths.length),
    windowsOfChunks: Uint32Array.from(windowsOfChunks),
    scattered: scatteredDocuments(segment),
  }
}

function blocksFrom(firsts: readonly number[], units: number): Blocks {
  const starts = Uint32Array.from([...firsts, units])
  const of = new Uint32Array(units)
  for (let block = 0; block < firsts.length; block++) of.fill(block, starts[block], starts[block + 1])
  return { starts, of }
}

function scatteredDocuments({ documentWindows, partial }: Segment): readonly number[] {
  const documents = new Set(partial)
  for (let document = 0; document < documentWindows.length - 1; document++)
    if ((documentWindows[document + 1] as number) - (documentWindows[document] as number) > 1) documents.add(document)
  return [...documents]
}
