import type { RangeSet } from '../core/range-set.js'
import { TopK } from '../util/top-k.js'
import type { Turns } from '../util/yield.js'
import { findTerm, type Segment } from './segment.js'
import type { LexicalResult, QueryTerm } from './types.js'
import { hasBit, type SegmentView } from './view.js'

/** How terms are weighted. */
export interface Bm25Weights {
  readonly k1: number
  readonly b: number
  readonly documentWeight: number
}

export interface SearchPlan extends Bm25Weights {
  readonly views: readonly SegmentView[]
  /** Distinct terms, with how often the query repeats them. */
  readonly terms: ReadonlyMap<string, number>
  readonly topK: number
  readonly allow: RangeSet | undefined
}

/**
 * Ranks chunks by BM25 on two levels: the chunk's own score, and `documentWeight` times that of its document's best window, each
 * divided by its greatest value for this query. Statistics count what is there in all segments, so that neither the number of segments
 * nor removals that wait for a merge change a score.
 */
export async function searchViews(plan: SearchPlan, turns: Turns): Promise<LexicalResult> {
  const pace = new Pace(turns)
  const scores: Levels = {
    chunks: new Scores(plan.views.map(({ segment }) => segment.chunkLengths.length)),
    windows: new Scores(plan.documentWeight > 0 ? plan.views.map(({ segment }) => segment.windowLengths.length) : []),
  }
  const terms = await scoreTerms(plan, scores, pace)
  if (plan.documentWeight > 0) joinContinued(plan.views, scores.windows)
  return { matches: await selectBest(plan, scores, pace), terms }
}

/** Postings or places between two turns of the event loop: one to two milliseconds. */
const postingsPerTurn = 500_000

class Pace {
  readonly #turns: Turns
  #left = postingsPerTurn

  constructor(turns: Turns) {
    this.#turns = turns
  }

  /** Notes work done; true when it is time to await `turn()`. */
  spend(postings: number): boolean {
    this.#left -= postings
    return this.#left <= 0
  }

  turn(): Promise<void> {
    this.#left = postingsPerTurn
    return this.#turns.next()
  }
}

/** Scores of one level by place, an array for each view, and the greatest of them. */
class Scores {
  readonly byView: readonly Float32Array[]
  greatest = 0

  constructor(sizes: readonly number[]) {
    this.byView = sizes.map((size) => new Float32Array(size))
  }
}

interface Levels {
  readonly chunks: Scores
  readonly windows: Scores
}

async function scoreTerms(plan: SearchPlan, scores: Levels, pace: Pace): Promise<QueryTerm[]> {
  const { views, k1, b } = plan
  const chunkTotals = totals(views, 'chunks', 'chunkTokens')
  const windowTotals = totals(views, 'windows', 'windowTokens')
  const known: QueryTerm[] = []
  for (const [term, repeated] of plan.terms) {
    const bytes = Buffer.from(term)
    const places = views.map(({ segment }) => findTerm(segment, bytes))
    const inChunks = frequency(views, places, chunkPostings)
    const idf = inverseFrequency(chunkTotals.count, inChunks)
    known.push({ term, idf, documentFrequency: inChunks })
    const chunkWeight = { weight: idf * repeated, averageLength: chunkTotals.averageLength, k1, b }
    const windowIdf = inverseFrequency(windowTotals.count, frequency(views, places, windowPostings))
    const windowWeight = { weight: windowIdf * repeated, averageLength: windowTotals.averageLength, k1, b }
    for (let v = 0; v < places.length; v++) {
      const place = places[v] as number
      if (place < 0) continue
      const view = views[v] as SegmentView
      const list = chunkPostings(view, place)
      accumulate(scores.chunks, v, list, chunkWeight)
      if (plan.documentWeight > 0) accumulate(scores.windows, v, windowPostings(view, place), windowWeight)
      if (pace.spend(list.to - list.from)) await pace.turn()
    }
  }
  return known
}

/** The postings of one term in one view, on one level. */
interface PostingsOfTerm {
  readonly postings: Uint32Array
  readonly from: number
  readonly to: number
  readonly lengths: Uint32Array
  readonly removed: Uint8Array | undefined
}

function chunkPostings({ segment, removed }: SegmentView, term: number): PostingsOfTerm {
  const { chunkPostings: postings, chunkStarts: starts, chunkLengths: lengths } = segment
  const [from, to] = [starts[term] as number, starts[term + 1] as number]
  return { postings, from, to, lengths, removed: removed?.chunks }
}

function windowPostings({ segment, removed }: SegmentView, term: number): PostingsOfTerm {
  const { windowPostings: postings, windowStarts: starts, windowLengths: lengths } = segment
  const [from, to] = [starts[term] as number, starts[term + 1] as number]
  return { postings, from, to, lengths, removed: removed?.windows }
}

function totals(views: readonly SegmentView[], count: 'chunks' | 'windows', tokens: 'chunkTokens' | 'windowTokens') {
  let units = 0
  let length = 0
  for (const view of views) {
    units += view[count]
    length += view[tokens]
  }
  // Units of stop words alone have no length; 1 keeps the division defined.
  return { count: units, averageLength: length === 0 ? 1 : length / units }
}

/** ln(1 + (N - n + 0.5) / (n + 0.5)): the form of Lucene, never negative. */
function inverseFrequency(units: number, frequency: number): number {
  return Math.log(1 + (units - frequency + 0.5) / (frequency + 0.5))
}

function frequency(
  views: readonly SegmentView[],
  places: readonly number[],
  postingsOf: (view: SegmentView, term: number) => PostingsOfTerm,
): number {
  let sum = 0
  for (let v = 0; v < places.length; v++) {
    const place = places[v] as number
    if (place < 0) continue
    const list = postingsOf(views[v] as SegmentView, place)
    sum += list.to - list.from - (list.removed === undefined ? 0 : countRemoved(list, list.removed))
  }
  return sum
}

function countRemoved({ postings, from, to }: PostingsOfTerm, removed: Uint8Array): number {
  let count = 0
  for (let i = from; i < to; i++) if (hasBit(removed, (postings[i] as number) >>> 8)) count++
  return count
}

interface TermWeight {
  readonly weight: number
  readonly averageLength: number
  readonly k1: number
  readonly b: number
}

/**
 * score += weight * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average)), for each posting. A table of finished impacts would save
 * the division but change with every update, since the average length does.
 */
function accumulate(
  scores: Scores,
  view: number,
  list: PostingsOfTerm,
  { weight, averageLength, k1, b }: TermWeight,
): void {
  const { postings, from, to, lengths, removed } = list
  const values = scores.byView[view] as Float32Array
  const scale = weight * (k1 + 1)
  const constant = k1 * (1 - b)
  const perToken = (k1 * b) / averageLength
  let { greatest } = scores
  for (let i = from; i < to; i++) {
    const posting = postings[i] as number
    const place = posting >>> 8
    if (removed !== undefined && hasBit(removed, place)) continue
    const tf = posting & 255
    const value = (values[place] as number) + (scale * tf) / (tf + constant + perToken * (lengths[place] as number))
    values[place] = value
    // Scores only grow, so the greatest on the way is the greatest in the end.
    if (value > greatest) greatest = value
  }
  scores.greatest = greatest
}

/** The few documents whose windows lie in several segments get the score of their best window in each of them. */
function joinContinued(views: readonly SegmentView[], windows: Scores): void {
  const best = new Map<number, number>()
  const documents = views.flatMap(({ segment }, v) =>
    Array.from(segment.partial, (document) => {
      const scores = windows.byView[v] as Float32Array
      const base = segment.bases[document] as number
      best.set(base, Math.max(best.get(base) ?? 0, bestWindow(segment, scores, document)))
      return { scores, base, window: segment.documentWindows[document] as number }
    }),
  )
  for (const { scores, base, window } of documents) scores[window] = best.get(base) as number
}

/** Documents between two looks at the clock. */
const documentsPerStep = 8_192

async function selectBest(plan: SearchPlan, scores: Levels, pace: Pace): Promise<LexicalResult['matches']> {
  const best = new TopK(plan.topK)
  const chunkScale = reciprocal(scores.chunks.greatest)
  const windowScale = plan.documentWeight * reciprocal(scores.windows.greatest)
  for (let v = 0; v < plan.views.length; v++) {
    const { segment } = plan.views[v] as SegmentView
    const candidates: Candidates = {
      segment,
      chunkScores: scores.chunks.byView[v] as Float32Array,
      windowScores: scores.windows.byView[v],
      chunkScale,
      windowScale,
      allow: plan.allow && new RangeCursor(plan.allow, segment.bases[0] ?? 0),
    }
    for (let from = 0; from < segment.bases.length; from += documentsPerStep) {
      const to = Math.min(segment.bases.length, from + documentsPerStep)
      offerDocuments(candidates, from, to, best)
      if (pace.spend(chunkPlace(segment, to) - chunkPlace(segment, from))) await pace.turn()
    }
  }
  return best.drain()
}

interface Candidates {
  readonly segment: Segment
  readonly chunkScores: Float32Array
  /** Absent when documents do not count. */
  readonly windowScores: Float32Array | undefined
  readonly chunkScale: number
  readonly windowScale: number
  readonly allow: RangeCursor | undefined
}

/** Offers the chunks of documents `[from, to)` that hold any of the terms. */
function offerDocuments(candidates: Candidates, from: number, to: number, best: TopK): void {
  const { segment, chunkScores, windowScores, chunkScale, windowScale, allow } = candidates
  const { bases, chunkOrdinals } = segment
  let { threshold } = best
  let end = chunkPlace(segment, from)
  for (let d = from; d < to; d++) {
    const start = end
    end = chunkPlace(segment, d + 1)
    let documentScore = 0
    if (windowScores !== undefined) {
      documentScore = windowScale * bestWindow(segment, windowScores, d)
      // Whatever a chunk holds, its window holds.
      if (documentScore === 0) continue
    }
    const base = bases[d] as number
    for (let c = start; c < end; c++) {
      const chunkScore = chunkScores[c] as number
      if (chunkScore === 0) continue
      const score = chunkScore * chunkScale + documentScore
      if (score < threshold) continue
      const number = base + (chunkOrdinals[c] as number)
      if (allow !== undefined && !allow.has(number)) continue
      best.push(score, number)
      threshold = best.threshold
    }
  }
}

function chunkPlace(segment: Segment, document: number): number {
  return segment.windowChunks[segment.documentWindows[document] as number] as number
}

function reciprocal(value: number): number {
  return value === 0 ? 0 : 1 / value
}

function bestWindow({ documentWindows }: Segment, scores: Float32Array, document: number): number {
  const end = documentWindows[document + 1] as number
  let best = 0
  for (let w = documentWindows[document] as number; w < end; w++)
    if ((scores[w] as number) > best) best = scores[w] as number
  return best
}

/** Tells membership of numbers that come in ascending order, without searching for each. */
class RangeCursor {
  readonly #ranges: RangeSet
  #place: number

  constructor(ranges: RangeSet, first: number) {
    this.#ranges = ranges
    let low = 0
    let high = ranges.ends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((ranges.ends[middle] as number) <= first) low = middle + 1
      else high = middle
    }
    this.#place = low
  }

  has(number: number): boolean {
    const { starts, ends } = this.#ranges
    while (this.#place < ends.length && (ends[this.#place] as number) <= number) this.#place++
    return this.#place < ends.length && (starts[this.#place] as number) <= number
  }
}
