import type { RangeSet } from '../core/range-set.js'
import type { Turns } from '../util/yield.js'
import { blocksOf, isDivided } from './blocks.js'
import type { BoundArrays, LentArrays } from './bound-arrays.js'
import { DocumentScores, joinScattered } from './documents.js'
import { greatestScore } from './greatest.js'
import { Level } from './level.js'
import { Pace } from './pace.js'
import { scoreNumbers } from './score-numbers.js'
import { type Scales, selectBest } from './select.js'
import type { LexicalResult, LexicalSearchOptions } from './types.js'
import type { SegmentView } from './view.js'
import { weighTerms } from './weigh-terms.js'

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
  readonly alsoScore?: LexicalSearchOptions['alsoScore'] | undefined
}

/** What dividing a segment costs for each of its chunks, in postings. */
const costOfDividing = 16

/**
 * Ranks chunks by BM25 on two levels: the chunk's own score, and `documentWeight` times that of its document's best window, each
 * divided by its greatest value for this query. Statistics count what is there in all segments, so that neither the number of segments
 * nor removals that wait for a merge change a score.
 *
 * Exact, but few chunks are scored: what those of a block can score at most is added up first, term by term, and only the blocks that may hold one of the
 * best are looked into.
 */
export async function searchViews(plan: SearchPlan, turns: Turns, arrays: BoundArrays): Promise<LexicalResult> {
  const { views } = plan
  const pace = new Pace(turns)
  for (const { segment } of views) {
    if (isDivided(segment)) continue
    blocksOf(segment)
    if (pace.spend(segment.chunkOrdinals.length * costOfDividing)) await pace.turn()
  }
  const weighed = await weighTerms(plan, pace)
  const chunks = new Level(weighed.chunks)
  const windows = weighed.windows && new Level(weighed.windows)
  const levels: Levels = { chunks, windows, documents: windows && new DocumentScores(views, windows, pace) }
  const sizes = (level: 'chunks' | 'windows') => views.map((view) => blocksOf(view.segment)[level].starts.length - 1)
  const { matches, scales } = await arrays.while([...sizes('chunks'), ...sizes('windows')], (lent) =>
    rank(plan, { ...levels, lent }, pace),
  )
  const result = { matches, terms: weighed.known }
  if (plan.alsoScore === undefined) return result
  const numbers = await plan.alsoScore(matches)
  return { ...result, also: await scoreNumbers(numbers, { ...levels, views, scales }, pace) }
}

interface Levels {
  readonly chunks: Level
  /** Both absent when documents do not count. */
  readonly windows: Level | undefined
  readonly documents: DocumentScores | undefined
}

async function rank(plan: SearchPlan, levels: Levels & { readonly lent: LentArrays }, pace: Pace) {
  const { views, documentWeight } = plan
  const { chunks, windows, documents, lent } = levels
  const { arithmetic } = lent
  const bounds = lent.arrays.slice(0, views.length)
  const windowBounds = lent.arrays.slice(views.length)
  const chunk = reciprocal(await greatestOf(chunks, { arrays: bounds, arithmetic }, pace))
  const window =
    windows === undefined ? 0 : reciprocal(await greatestOf(windows, { arrays: windowBounds, arithmetic }, pace))
  const scales: Scales = { chunk, window: documentWeight * window }
  joinScattered(views, windowBounds)
  for (const [view, { segment }] of views.entries()) {
    const own = bounds[view] as Float32Array
    const others = windowBounds[view] as Float32Array
    const places = blocksOf(segment).windowsOfChunks
    arithmetic.combine(own, { others, places, scale: scales.chunk, otherScale: scales.window })
    if (pace.spend(own.length)) await pace.turn()
  }
  return {
    matches: await selectBest({ ...plan, chunks, documents, scales, bounds, windowBounds, arithmetic }, pace),
    scales,
  }
}

async function greatestOf(level: Level, lent: LentArrays, pace: Pace): Promise<number> {
  for (const work of level.addBounds(lent.arrays, lent.arithmetic)) if (pace.spend(work)) await pace.turn()
  return greatestScore(level, lent, pace)
}

function reciprocal(value: number): number {
  return value === 0 ? 0 : 1 / value
}
