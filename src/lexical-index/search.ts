import type { RangeSet } from '../core/range-set.js'
import { findTerm, type Segment } from './segment.js'
import type { LexicalResult, QueryTerm } from './types.js'

/** A segment as one epoch sees it. Immutable: an update that removes chunks makes another view of the same segment. */
export interface SegmentView {
  readonly segment: Segment
  /** Bit by place of a chunk or window that is no longer there; absent when all are. */
  readonly removed: { readonly chunks: Uint8Array; readonly windows: Uint8Array } | undefined
  /** What is there, and the sum of its lengths. */
  readonly chunks: number
  readonly chunkTokens: number
  readonly windows: number
  readonly windowTokens: number
  readonly documents: number
}

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

/** Postings or rows a search looks at before it lets the event loop run: about 3 ms. */
const postingsPerSlice = 1_000_000

/**
 * Ranks chunks by BM25 on two levels: the chunk's own score, and `documentWeight` times that of its document's best window, each
 * divided by its greatest value for this query. Statistics count what is there in all segments, so that neither the number of segments
 * nor removals that wait for a merge change a score.
 */
export async function searchViews(plan: SearchPlan): Promise<LexicalResult> {
  const pace = new Pace()
  const scores = new Scores(plan.views, plan.documentWeight > 0)
  const terms = await scoreTerms(plan, scores, pace)
  const matches = await selectBest(plan, scores, pace)
  return { matches, terms }
}

/** Lets the event loop run once in a while. */
class Pace {
  #left = postingsPerSlice

  async spend(postings: number): Promise<void> {
    this.#left -= postings
    if (this.#left > 0) return
    this.#left = postingsPerSlice
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Accumulated scores by place, one array for each view and level. */
class Scores {
  readonly chunks: readonly Float32Array[]
  readonly windows: readonly Float32Array[]

  constructor(views: readonly SegmentView[], withWindows: boolean) {
    this.chunks = views.map(({ segment }) => new Float32Array(segment.chunkLengths.length))
    this.windows = views.map(({ segment }) => new Float32Array(withWindows ? segment.windowLengths.length : 0))
  }
}

async function scoreTerms(plan: SearchPlan, scores: Scores, pace: Pace): Promise<QueryTerm[]> {
  const chunkTotals = totals(plan.views, 'chunks', 'chunkTokens')
  const windowTotals = totals(plan.views, 'windows', 'windowTokens')
  const known: QueryTerm[] = []
  for (const [term, repeated] of plan.terms) {
    const bytes = Buffer.from(term)
    const places = plan.views.map(({ segment }) => findTerm(segment, bytes))
    const chunkFrequency = frequency(plan.views, places, 'chunk')
    const idf = inverseFrequency(chunkTotals.count, chunkFrequency)
    known.push({ term, idf, documentFrequency: chunkFrequency })
    if (chunkFrequency === 0) continue
    const windowIdf = inverseFrequency(windowTotals.count, frequency(plan.views, places, 'window'))
    for (let v = 0; v < places.length; v++) {
      const place = places[v] as number
      if (place < 0) continue
      const { segment } = plan.views[v] as SegmentView
      const { chunkPostings, chunkStarts, chunkLengths, windowPostings, windowStarts, windowLengths } = segment
      const [from, to] = [chunkStarts[place] as number, chunkStarts[place + 1] as number]
      accumulate(scores.chunks[v] as Float32Array, chunkPostings, from, to, chunkLengths, {
        weight: idf * repeated,
        averageLength: chunkTotals.averageLength,
        k1: plan.k1,
        b: plan.b,
      })
      await pace.spend(to - from)
      if (plan.documentWeight === 0) continue
      const [first, last] = [windowStarts[place] as number, windowStarts[place + 1] as number]
      accumulate(scores.windows[v] as Float32Array, windowPostings, first, last, windowLengths, {
        weight: windowIdf * repeated,
        averageLength: windowTotals.averageLength,
        k1: plan.k1,
        b: plan.b,
      })
    }
  }
  return known
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

function frequency(views: readonly SegmentView[], places: readonly number[], level: 'chunk' | 'window'): number {
  let sum = 0
  for (let v = 0; v < places.length; v++) {
    const place = places[v] as number
    if (place < 0) continue
    const { segment, removed } = views[v] as SegmentView
    const starts = level === 'chunk' ? segment.chunkStarts : segment.windowStarts
    const from = starts[place] as number
    const to = starts[place + 1] as number
    sum += to - from
    if (removed === undefined) continue
    const postings = level === 'chunk' ? segment.chunkPostings : segment.windowPostings
    sum -= countRemoved(postings, from, to, level === 'chunk' ? removed.chunks : removed.windows)
  }
  return sum
}

function countRemoved(postings: Uint32Array, from: number, to: number, removed: Uint8Array): number {
  let count = 0
  for (let i = from; i < to; i++) {
    const place = (postings[i] as number) >>> 8
    count += ((removed[place >> 3] as number) >> (place & 7)) & 1
  }
  return count
}

interface TermWeight {
  readonly weight: number
  readonly averageLength: number
  readonly k1: number
  readonly b: number
}

/** score += weight * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average)), for each posting. */
function accumulate(
  scores: Float32Array,
  postings: Uint32Array,
  from: number,
  to: number,
  lengths: Uint32Array,
  { weight, averageLength, k1, b }: TermWeight,
): void {
  const scale = weight * (k1 + 1)
  const constant = k1 * (1 - b)
  const perToken = (k1 * b) / averageLength
  for (let i = from; i < to; i++) {
    const posting = postings[i] as number
    const place = posting >>> 8
    const tf = posting & 255
    scores[place] =
      (scores[place] as number) + (scale * tf) / (tf + constant + perToken * (lengths[place] as number))
  }
}

async function selectBest(plan: SearchPlan, scores: Scores, pace: Pace): Promise<LexicalResult['matches']> {
  const best = new BestMatches(plan.topK)
  const chunkScale = reciprocal(await greatest(plan.views, scores.chunks, 'chunks', pace))
  const windowScale = plan.documentWeight * reciprocal(await greatest(plan.views, scores.windows, 'windows', pace))
  const continued = windowScale === 0 ? new Map<number, number>() : scoresOfContinued(plan.views, scores)
  const ranges = plan.allow === undefined ? undefined : rangesOf(plan.allow)
  for (let v = 0; v < plan.views.length; v++) {
    const view = plan.views[v] as SegmentView
    const allow = ranges === undefined ? undefined : new RangeCursor(ranges, view.segment.bases[0] ?? 0)
    const { bases } = view.segment
    const documentsPerSlice = 10_000
    for (let from = 0; from < bases.length; from += documentsPerSlice) {
      const to = Math.min(bases.length, from + documentsPerSlice)
      selectInDocuments(view, from, to)
      await pace.spend(chunkPlace(view.segment, to) - chunkPlace(view.segment, from))
    }

    function selectInDocuments({ segment, removed }: SegmentView, from: number, to: number): void {
      const chunkScores = scores.chunks[v] as Float32Array
      const windowScores = scores.windows[v] as Float32Array
      const gone = removed?.chunks
      const { chunkOrdinals } = segment
      for (let d = from; d < to; d++) {
        const base = bases[d] as number
        let documentScore = 0
        if (windowScale > 0) {
          documentScore = windowScale * (continued.get(base) ?? bestWindow(segment, windowScores, d))
          // Whatever a chunk holds, its window holds.
          if (documentScore === 0) continue
        }
        const end = chunkPlace(segment, d + 1)
        for (let c = chunkPlace(segment, d); c < end; c++) {
          const chunkScore = chunkScores[c] as number
          if (chunkScore === 0) continue
          if (gone !== undefined && ((gone[c >> 3] as number) >> (c & 7)) & 1) continue
          const score = chunkScore * chunkScale + documentScore
          if (score < best.floor) continue
          const number = base + (chunkOrdinals[c] as number)
          if (allow === undefined || allow.has(number)) best.offer(score, number)
        }
      }
    }
  }
  return best.sorted()
}

function chunkPlace(segment: Segment, document: number): number {
  return segment.windowChunks[segment.documentWindows[document] as number] as number
}

function reciprocal(value: number): number {
  return value === 0 ? 0 : 1 / value
}

async function greatest(
  views: readonly SegmentView[],
  scores: readonly Float32Array[],
  level: 'chunks' | 'windows',
  pace: Pace,
): Promise<number> {
  let max = 0
  for (let v = 0; v < views.length; v++) {
    const values = scores[v] as Float32Array
    const removed = (views[v] as SegmentView).removed?.[level]
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number
      if (value > max && (removed === undefined || (((removed[i >> 3] as number) >> (i & 7)) & 1) === 0)) max = value
    }
    await pace.spend(values.length / 2)
  }
  return max
}

function bestWindow({ documentWindows }: Segment, scores: Float32Array, document: number): number {
  const end = documentWindows[document + 1] as number
  let best = 0
  for (let w = documentWindows[document] as number; w < end; w++) best = Math.max(best, scores[w] as number)
  return best
}

/** Best window, by base, of the few documents whose windows lie in several segments. */
function scoresOfContinued(views: readonly SegmentView[], scores: Scores): Map<number, number> {
  const best = new Map<number, number>()
  views.forEach(({ segment }, v) => {
    for (const document of segment.partial) {
      const base = segment.bases[document] as number
      const score = bestWindow(segment, scores.windows[v] as Float32Array, document)
      best.set(base, Math.max(best.get(base) ?? 0, score))
    }
  })
  return best
}

interface Ranges {
  readonly starts: Float64Array
  readonly ends: Float64Array
}

/** The same filter is searched with again and again. */
const flattened = new WeakMap<RangeSet, Ranges>()

function rangesOf(set: RangeSet): Ranges {
  const known = flattened.get(set)
  if (known !== undefined) return known
  const ranges = { starts: new Float64Array(set.length), ends: new Float64Array(set.length) }
  let i = 0
  for (const [start, end] of set) {
    ranges.starts[i] = start
    ranges.ends[i++] = end
  }
  flattened.set(set, ranges)
  return ranges
}

/** Tells membership of numbers that come in ascending order, without searching for each. */
class RangeCursor {
  readonly #ranges: Ranges
  #place: number

  constructor(ranges: Ranges, first: number) {
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

/** The best so far in a heap whose root is the worst of them; of equal scores the greater number is worse. */
class BestMatches {
  readonly #capacity: number
  readonly #scores: number[] = []
  readonly #numbers: number[] = []
  /** Lower scores need not be offered. */
  floor = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  offer(score: number, number: number): void {
    const size = this.#scores.length
    if (size < this.#capacity) {
      this.#scores.push(score)
      this.#numbers.push(number)
      this.#rise(size)
    } else if (score > (this.#scores[0] as number) || number < (this.#numbers[0] as number)) {
      this.#scores[0] = score
      this.#numbers[0] = number
      this.#sink()
    }
    if (this.#scores.length === this.#capacity) this.floor = this.#scores[0] as number
  }

  sorted(): { number: number; score: number }[] {
    return this.#scores
      .map((score, i) => ({ score, number: this.#numbers[i] as number }))
      .sort((a, b) => b.score - a.score || a.number - b.number)
  }

  #worse(a: number, b: number): boolean {
    const difference = (this.#scores[a] as number) - (this.#scores[b] as number)
    return difference < 0 || (difference === 0 && (this.#numbers[a] as number) > (this.#numbers[b] as number))
  }

  #rise(from: number): void {
    for (let i = from; i > 0; ) {
      const parent = (i - 1) >> 1
      if (!this.#worse(i, parent)) return
      this.#swap(i, parent)
      i = parent
    }
  }

  #sink(): void {
    for (let i = 0; ; ) {
      const left = 2 * i + 1
      if (left >= this.#scores.length) return
      const right = left + 1
      const child = right < this.#scores.length && this.#worse(right, left) ? right : left
      if (!this.#worse(child, i)) return
      this.#swap(i, child)
      i = child
    }
  }

  #swap(a: number, b: number): void {
    const score = this.#scores[a] as number
    const number = this.#numbers[a] as number
    this.#scores[a] = this.#scores[b] as number
    this.#numbers[a] = this.#numbers[b] as number
    this.#scores[b] = score
    this.#numbers[b] = number
  }
}
