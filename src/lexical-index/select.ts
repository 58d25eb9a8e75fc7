import type { RangeSet } from '../core/range-set.js'
import { TopK } from '../util/top-k.js'
import type { Level, PlaceReader } from './level.js'
import type { Pace } from './pace.js'
import { RangeCursor } from './range-cursor.js'
import type { Segment } from './segment.js'
import type { LexicalResult } from './types.js'
import type { SegmentView } from './view.js'

export interface Levels {
  readonly chunks: Level
  /** Absent when documents do not count. */
  readonly windows: Level | undefined
}

/** What makes one score of those of both levels. */
export interface Scales {
  readonly chunk: number
  readonly window: number
}

interface Selection {
  readonly views: readonly SegmentView[]
  readonly topK: number
  readonly allow: RangeSet | undefined
  readonly documentWeight: number
}

export interface Selected {
  readonly matches: LexicalResult['matches']
  readonly scales: Scales
}

/** What a posting that is looked up costs, in postings that are added one after the other. */
const costOfLookingUp = 12

/**
 * The best chunks, and what their scores were divided by. Where not all terms were added it keeps those that can be among the best, and
 * completes their scores; `undefined` when these are so many that adding the terms costs less.
 */
export async function selectBest(selection: Selection, levels: Levels, pace: Pace): Promise<Selected | undefined> {
  const chunks = await openLevel(levels.chunks, pace)
  const windows = levels.windows && (await openLevel(levels.windows, pace))
  if (chunks === undefined || (levels.windows !== undefined && windows === undefined)) return undefined
  const scales = {
    chunk: reciprocal(chunks.greatest),
    window: selection.documentWeight * reciprocal(windows?.greatest ?? 0),
  }
  const found = { best: new TopK(selection.topK), open: [] as OpenChunks[] }
  let left = affordable(levels)
  for (const [view, { segment }] of selection.views.entries()) {
    const candidates: Candidates = {
      segment,
      scales,
      chunkScores: levels.chunks.scores[view] as Float32Array,
      greatest: chunks.greatest,
      tolerance: chunks.greatest * (1e-9 + selection.documentWeight * 1e-15),
      chunkRest: chunks.rests[view] as number,
      windowScores: levels.windows?.scores[view],
      windowRest: windows?.rests[view] ?? 0,
      allow: selection.allow && new RangeCursor(selection.allow, segment.bases[0] ?? 0),
    }
    const open: OpenChunks = { view, places: [], documents: [], ceilings: [] }
    found.open.push(open)
    for (let from = 0; from < segment.bases.length; from += documentsPerStep) {
      const to = Math.min(segment.bases.length, from + documentsPerStep)
      const before = open.places.length
      offerDocuments(candidates, { from, to }, found.best, open)
      left -= open.places.length - before
      if (left < 0) return undefined
      if (pace.spend(chunkPlace(segment, to) - chunkPlace(segment, from))) await pace.turn()
    }
  }
  return { matches: await complete(found, { ...selection, levels, scales }, pace), scales }
}

/** A level with what its scores may still gain, by view, and the greatest there will be. */
interface OpenLevel {
  readonly rests: Float64Array
  readonly greatest: number
}

async function openLevel(level: Level, pace: Pace): Promise<OpenLevel | undefined> {
  const rests = new Float64Array(level.units.length)
  if (level.isComplete) return { rests, greatest: level.greatest }
  for (let view = 0; view < rests.length; view++) {
    rests[view] = level.rest(view)
    // The first time it looks at all of them.
    if (pace.spend(level.postingsLeft / rests.length)) await pace.turn()
  }
  let { greatest } = level
  let left = affordable({ chunks: level, windows: undefined })
  for (const [view, scores] of level.scores.entries()) {
    // Whatever is below cannot become the greatest.
    const floor = level.greatest - (rests[view] as number)
    const places = placesFrom(scores, floor, left)
    left -= places.length
    if (left < 0) return undefined
    const reader = places.length === 0 ? undefined : level.reader(view)
    for (const place of places) {
      greatest = Math.max(greatest, level.complete(reader as PlaceReader, place))
      if (pace.spend(costOfLookingUp)) await pace.turn()
    }
    if (pace.spend(scores.length)) await pace.turn()
  }
  return { rests, greatest }
}

/** Places looked at by one call: see `postingsPerStep`. */
const placesPerStep = 4_096

/** The places whose score is not below `floor`, at least one more than `limit` if there are so many. */
function placesFrom(scores: Float32Array, floor: number, limit: number): number[] {
  const places: number[] = []
  for (let from = 0; from < scores.length && places.length <= limit; from += placesPerStep)
    collectPlaces(scores, { from, to: Math.min(scores.length, from + placesPerStep), floor }, places)
  return places
}

function collectPlaces(
  scores: Float32Array,
  { from, to, floor }: { readonly from: number; readonly to: number; readonly floor: number },
  places: number[],
): void {
  for (let place = from; place < to; place++) if ((scores[place] as number) >= floor) places.push(place)
}

/** Chunks that may be completed before that costs as much as adding the terms that are left. */
function affordable({ chunks, windows }: Levels): number {
  const postings = chunks.postingsLeft + (windows?.postingsLeft ?? 0)
  const lookUps = chunks.termsLeft + (windows?.termsLeft ?? 0)
  return lookUps === 0 ? Number.POSITIVE_INFINITY : postings / (lookUps * costOfLookingUp)
}

/** Chunks of a view that can be among the best when their scores are whole. */
interface OpenChunks {
  readonly view: number
  readonly places: number[]
  readonly documents: number[]
  /** The score they have at most. */
  readonly ceilings: number[]
}

interface Candidates {
  readonly segment: Segment
  readonly scales: Scales
  readonly chunkScores: Float32Array
  /** Of a chunk, in any view. */
  readonly greatest: number
  /** What rounding may add to a chunk's score when the comparison is turned round. */
  readonly tolerance: number
  /** What a chunk's score may still gain. */
  readonly chunkRest: number
  /** Absent when documents do not count. */
  readonly windowScores: Float32Array | undefined
  readonly windowRest: number
  readonly allow: RangeCursor | undefined
}

/** Documents looked at by one call: see `postingsPerStep`. */
const documentsPerStep = 1_024

/** Documents, and chunks, of which one look at the greatest scores may tell that none is good enough. */
const documentsPerBlock = 16
const chunksPerBlock = 512

/**
 * Offers the chunks of some documents that hold any of the terms: to `best` with the score they have at least, and, where it may still gain,
 * to `open`.
 */
function offerDocuments(
  candidates: Candidates,
  { from, to }: { readonly from: number; readonly to: number },
  best: TopK,
  open: OpenChunks,
): void {
  const { segment, scales, chunkScores, chunkRest, windowScores, windowRest, greatest, tolerance, allow } = candidates
  const { bases, chunkOrdinals } = segment
  const isOpen = chunkRest > 0 || windowRest > 0
  const isDocumentScored = windowScores !== undefined
  let { threshold } = best
  let blockEnd = from
  let end = chunkPlace(segment, from)
  for (let d = from; d < to; d++) {
    if (d === blockEnd) {
      blockEnd = Math.min(to, d + documentsPerBlock)
      if (chunkPlace(segment, blockEnd) - end > chunksPerBlock) blockEnd = d + 1
      else if (ceilingOf(candidates, d, blockEnd) < threshold) {
        d = blockEnd - 1
        end = chunkPlace(segment, blockEnd)
        continue
      }
    }
    const start = end
    end = chunkPlace(segment, d + 1)
    let least = 0
    let most = 0
    if (windowScores !== undefined) {
      const score = bestWindow(segment, windowScores, d)
      least = scales.window * score
      most = scales.window * (score + windowRest)
      // Whatever a chunk holds, its window holds.
      if (most === 0) continue
    }
    const base = bases[d] as number
    // Nearly all chunks fail here, so this is one comparison each.
    let bar = (threshold - most) / scales.chunk - chunkRest - tolerance
    if (bar > greatest) continue
    for (let c = start; c < end; c++) {
      const score = chunkScores[c] as number
      if (score < bar || (score === 0 && chunkRest === 0)) continue
      const ceiling = (score + chunkRest) * scales.chunk + most
      if (ceiling < threshold) continue
      const number = base + (chunkOrdinals[c] as number)
      if (allow !== undefined && !allow.has(number)) continue
      if (isOpen) {
        open.places.push(c)
        open.documents.push(d)
        open.ceilings.push(ceiling)
      }
      // A chunk may hold none of the terms that were added; whether it holds any is not known yet.
      if (score === 0 || (isDocumentScored && least === 0)) continue
      best.push(score * scales.chunk + least, number)
      threshold = best.threshold
      bar = (threshold - most) / scales.chunk - chunkRest - tolerance
    }
  }
}

/** No chunk of these documents has more. */
function ceilingOf(
  { segment, scales, chunkScores, chunkRest, windowScores, windowRest }: Candidates,
  from: number,
  to: number,
): number {
  const chunk = greatestIn(chunkScores, chunkPlace(segment, from), chunkPlace(segment, to))
  const ceiling = (chunk + chunkRest) * scales.chunk
  if (windowScores === undefined) return ceiling
  const { documentWindows } = segment
  const window = greatestIn(windowScores, documentWindows[from] as number, documentWindows[to] as number)
  return ceiling + scales.window * (window + windowRest)
}

function greatestIn(scores: Float32Array, from: number, to: number): number {
  let greatest = 0
  for (let place = from; place < to; place++) {
    const score = scores[place] as number
    if (score > greatest) greatest = score
  }
  return greatest
}

/** The best chunks, with their whole scores. */
async function complete(
  { best, open }: { readonly best: TopK; readonly open: readonly OpenChunks[] },
  { views, topK, levels, scales }: Selection & { readonly levels: Levels; readonly scales: Scales },
  pace: Pace,
): Promise<LexicalResult['matches']> {
  if (levels.chunks.isComplete && levels.windows?.isComplete !== false) return best.drain()
  const { threshold } = best
  const complete = new TopK(topK)
  for (const { view, places, documents, ceilings } of open) {
    const { segment } = views[view] as SegmentView
    if (ceilings.every((ceiling) => ceiling < threshold)) continue
    const chunkReader = levels.chunks.reader(view)
    const windowReader = levels.windows?.reader(view)
    let document = -1
    let documentScore = 0
    for (let i = 0; i < places.length; i++) {
      if ((ceilings[i] as number) < threshold) continue
      const place = places[i] as number
      if (windowReader !== undefined && documents[i] !== document) {
        document = documents[i] as number
        documentScore = scales.window * completeDocument(segment, levels.windows as Level, windowReader, document)
      }
      const score = levels.chunks.complete(chunkReader, place)
      if (score === 0 || (windowReader !== undefined && documentScore === 0)) continue
      const base = segment.bases[documents[i] as number] as number
      complete.push(score * scales.chunk + documentScore, base + (segment.chunkOrdinals[place] as number))
      if (pace.spend(costOfLookingUp)) await pace.turn()
    }
  }
  return complete.drain()
}

function completeDocument(segment: Segment, windows: Level, reader: PlaceReader, document: number): number {
  const end = segment.documentWindows[document + 1] as number
  let best = 0
  for (let w = segment.documentWindows[document] as number; w < end; w++)
    best = Math.max(best, windows.complete(reader, w))
  return best
}

function chunkPlace(segment: Segment, document: number): number {
  return segment.windowChunks[segment.documentWindows[document] as number] as number
}

function reciprocal(value: number): number {
  return value === 0 ? 0 : 1 / value
}

export function bestWindow({ documentWindows }: Segment, scores: Float32Array, document: number): number {
  const end = documentWindows[document + 1] as number
  let best = 0
  for (let w = documentWindows[document] as number; w < end; w++)
    if ((scores[w] as number) > best) best = scores[w] as number
  return best
}
