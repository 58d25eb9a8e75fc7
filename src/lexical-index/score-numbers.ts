import type { Level } from './level.js'
import type { Pace } from './pace.js'
import { findBase, type Segment } from './segment.js'
import type { Levels, Scales } from './select.js'
import type { LexicalMatch } from './types.js'
import type { SegmentView } from './view.js'

interface NumberScoring {
  readonly views: readonly SegmentView[]
  readonly levels: Levels
  readonly scales: Scales
}

/** Postings that finding one in a list costs as much as. */
const costOfBisecting = 20

/** Scores these chunks as a search would, from their postings alone. Those that are not there, or hold none of the terms, are left out. */
export async function scoreNumbers(
  numbers: readonly number[],
  { views, levels, scales }: NumberScoring,
  pace: Pace,
): Promise<LexicalMatch[]> {
  const { chunks, windows } = levels
  /** Of documents, by base: one may have a thousand windows. */
  const known = new Map<number, number>()
  const matches: LexicalMatch[] = []
  for (const number of numbers) {
    if (pace.spend(chunks.termsLeft * costOfBisecting)) await pace.turn()
    const found = find(number, views, chunks)
    if (found === undefined) continue
    if (windows !== undefined && !known.has(found.base)) {
      let best = 0
      for (const [view, window] of windowsOf(found, views)) {
        best = Math.max(best, windows.scoreOf(view, window))
        if (pace.spend(windows.termsLeft * costOfBisecting)) await pace.turn()
      }
      known.set(found.base, scales.window * best)
    }
    const documentScore = known.get(found.base) ?? 0
    if (windows === undefined || documentScore > 0)
      matches.push({ number, score: found.score * scales.chunk + documentScore })
  }
  return matches
}

interface FoundChunk {
  readonly view: number
  /** Its place. */
  readonly document: number
  readonly base: number
  readonly score: number
}

function find(number: number, views: readonly SegmentView[], chunks: Level): FoundChunk | undefined {
  for (const [view, { segment }] of views.entries()) {
    const document = findBase(segment.bases, number + 1) - 1
    if (document < 0) continue
    const place = placeOf(segment, document, number)
    const score = place < 0 ? 0 : chunks.scoreOf(view, place)
    if (score > 0) return { view, document, base: segment.bases[document] as number, score }
  }
  return undefined
}

/** The place of a chunk of a document, or -1. */
function placeOf({ bases, chunkOrdinals, documentWindows, windowChunks }: Segment, document: number, number: number) {
  const ordinal = number - (bases[document] as number)
  let low = windowChunks[documentWindows[document] as number] as number
  let high = windowChunks[documentWindows[document + 1] as number] as number
  const end = high
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((chunkOrdinals[middle] as number) < ordinal) low = middle + 1
    else high = middle
  }
  return low < end && chunkOrdinals[low] === ordinal ? low : -1
}

/** The windows of a chunk's document, wherever they lie. */
function* windowsOf(
  { view, document, base }: FoundChunk,
  views: readonly SegmentView[],
): Generator<readonly [view: number, window: number]> {
  const isContinued = (views[view] as SegmentView).segment.partial.includes(document)
  for (const [v, { segment }] of views.entries()) {
    if (v !== view && !isContinued) continue
    const own = v === view ? document : findBase(segment.bases, base)
    if (segment.bases[own] !== base || (v !== view && !segment.partial.includes(own))) continue
    const end = segment.documentWindows[own + 1] as number
    for (let window = segment.documentWindows[own] as number; window < end; window++) yield [v, window]
  }
}
