import type { Level } from './level.js'
import { findBase, type Segment } from './segment.js'
import type { Levels, Scales } from './select.js'
import type { LexicalMatch } from './types.js'
import type { SegmentView } from './view.js'

/** Scores these chunks as a search would, from their postings alone. Those that are not there, or hold none of the terms, are left out. */
export function scoreNumbers(
  numbers: readonly number[],
  {
    views,
    levels,
    scales,
  }: { readonly views: readonly SegmentView[]; readonly levels: Levels; readonly scales: Scales },
): LexicalMatch[] {
  return numbers.flatMap((number) => {
    const found = find(number, views, levels.chunks)
    if (found === undefined) return []
    const documentScore =
      levels.windows === undefined ? 0 : scales.window * scoreOfDocument(found, views, levels.windows)
    if (levels.windows !== undefined && documentScore === 0) return []
    return { number, score: found.score * scales.chunk + documentScore }
  })
}

interface FoundChunk {
  readonly view: number
  /** Its place. */
  readonly document: number
  readonly score: number
}

function find(number: number, views: readonly SegmentView[], chunks: Level): FoundChunk | undefined {
  for (const [view, { segment }] of views.entries()) {
    const document = findBase(segment.bases, number + 1) - 1
    if (document < 0) continue
    const place = placeOf(segment, document, number)
    const score = place < 0 ? 0 : chunks.scoreOf(view, place)
    if (score > 0) return { view, document, score }
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

/** That of its best window, wherever it lies. */
function scoreOfDocument({ view, document }: FoundChunk, views: readonly SegmentView[], windows: Level): number {
  const { segment } = views[view] as SegmentView
  const here = bestWindow(segment, document, (window) => windows.scoreOf(view, window))
  if (!segment.partial.includes(document)) return here
  const base = segment.bases[document] as number
  return views.reduce((best, { segment: other }, v) => {
    const same = findBase(other.bases, base)
    if (other.bases[same] !== base || !other.partial.includes(same)) return best
    return Math.max(
      best,
      bestWindow(other, same, (window) => windows.scoreOf(v, window)),
    )
  }, here)
}

function bestWindow({ documentWindows }: Segment, document: number, score: (window: number) => number): number {
  let best = 0
  const end = documentWindows[document + 1] as number
  for (let window = documentWindows[document] as number; window < end; window++) best = Math.max(best, score(window))
  return best
}
