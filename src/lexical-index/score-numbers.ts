import { costOfLookingUp, type DocumentScores } from './documents.js'
import type { Level } from './level.js'
import type { Pace } from './pace.js'
import { findBase, type Segment } from './segment.js'
import type { Scales } from './select.js'
import type { LexicalMatch } from './types.js'
import type { SegmentView } from './view.js'

interface NumberScoring {
  readonly views: readonly SegmentView[]
  readonly chunks: Level
  /** Absent when documents do not count. */
  readonly documents: DocumentScores | undefined
  readonly scales: Scales
}

/** Scores these chunks as a search would, from their postings alone. Those that are not there, or hold none of the terms, are left out. */
export async function scoreNumbers(
  numbers: readonly number[],
  { views, chunks, documents, scales }: NumberScoring,
  pace: Pace,
): Promise<LexicalMatch[]> {
  const matches: LexicalMatch[] = []
  for (const number of numbers) {
    if (pace.spend(chunks.terms * costOfLookingUp)) await pace.turn()
    const found = find(number, views, chunks)
    if (found === undefined) continue
    const { view, document, score } = found
    const documentScore =
      documents && (documents.score(view, document) ?? (await documents.scoreScattered(view, document)))
    if (documentScore !== 0)
      matches.push({ number, score: score * scales.chunk + (documentScore ?? 0) * scales.window })
  }
  return matches
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
