import type { RangeSet } from '../core/range-set.js'
import type { Turns } from '../util/yield.js'
import { Level } from './level.js'
import { Pace } from './pace.js'
import type { ScoreArrays } from './score-arrays.js'
import { scoreNumbers } from './score-numbers.js'
import { bestWindow, type Levels, type Selected, selectBest } from './select.js'
import type { LexicalResult } from './types.js'
import type { SegmentView } from './view.js'
import { type WeighedLevel, type WeighedTerms, weighTerms } from './weigh-terms.js'

/** A look is in vain, as a rule, while the terms that are left may add more than this share of the greatest score. */
const decisiveRest = 0.3

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
  readonly alsoScore?: (() => Promise<readonly number[]>) | undefined
}

/**
 * Ranks chunks by BM25 on two levels: the chunk's own score, and `documentWeight` times that of its document's best window, each
 * divided by its greatest value for this query. Statistics count what is there in all segments, so that neither the number of segments
 * nor removals that wait for a merge change a score.
 *
 * Exact, but long lists of common words are left out where they cannot change which chunks are best: terms are added the weightiest first, until
 * what all others can add is less than what keeps a chunk out; the few that are left are looked up in the lists that remain (MaxScore: Turtle and
 * Flood 1995, term at a time).
 */
export async function searchViews(plan: SearchPlan, turns: Turns, arrays: ScoreArrays): Promise<LexicalResult> {
  const pace = new Pace(turns)
  const weighed = await weighTerms(plan, pace)
  const { matches, scales } = await arrays.while(sizesOf(weighed), (scores) =>
    rank(plan, levelsOf(weighed, scores), pace),
  )
  const result = { matches, terms: weighed.known }
  if (plan.alsoScore === undefined) return result
  const levels = levelsOf(weighed, [])
  const numbers = await plan.alsoScore()
  return { ...result, also: await scoreNumbers(numbers, { views: plan.views, levels, scales }, pace) }
}

function sizesOf({ chunks, windows }: WeighedTerms): number[] {
  return [chunks, windows].flatMap((level) => level?.units.map(({ lengths }) => lengths.length) ?? [])
}

function levelsOf({ chunks, windows }: WeighedTerms, scores: readonly Float32Array[]): Levels {
  const { length } = chunks.units
  const level = (weighed: WeighedLevel, scores: readonly Float32Array[]) => new Level(weighed.units, scores, weighed)
  return {
    chunks: level(chunks, scores.slice(0, length)),
    windows: windows && level(windows, scores.slice(length)),
  }
}

async function rank(plan: SearchPlan, levels: Levels, pace: Pace): Promise<Selected> {
  const { chunks, windows } = levels
  if (windows !== undefined && plan.views.some(({ segment }) => segment.partial.length > 0)) {
    // Scores of documents that lie in several segments are joined, and for that they must be whole.
    while (!windows.isComplete) await addNext(windows, pace)
    joinContinued(plan.views, windows.scores)
  }
  let lookBelow = decisiveRest
  while (!chunks.isComplete) {
    await addNext(chunks, pace)
    if (windows?.isComplete === false) await addNext(windows, pace)
    const rest = shareLeft(levels)
    if (rest > lookBelow || !isWorthLooking(plan, levels)) continue
    const selected = await selectBest(plan, levels, pace)
    if (selected !== undefined) return selected
    // A look that was in vain is not repeated for little.
    lookBelow = rest * 0.7
  }
  return (await selectBest(plan, levels, pace)) as Selected
}

async function addNext(level: Level, pace: Pace): Promise<void> {
  for (const postings of level.addNext()) if (pace.spend(postings)) await pace.turn()
}

function postingsLeft({ chunks, windows }: Levels): number {
  return chunks.postingsLeft + (windows?.postingsLeft ?? 0)
}

/** Whether to see if the terms that were added decide: that looks at every chunk once, and may be in vain. */
function isWorthLooking({ topK, views }: SearchPlan, levels: Levels): boolean {
  const { chunks } = levels
  const places = views.reduce((sum, { segment }) => sum + segment.chunkLengths.length, 0)
  return !chunks.isComplete && topK * 2 <= chunks.postingsAdded && postingsLeft(levels) >= places / 2
}

/** What the terms that are left can add, as a share of the greatest score. */
function shareLeft({ chunks, windows }: Levels): number {
  const share = (level: Level) => level.restAtMost / level.greatest
  return windows === undefined ? share(chunks) : Math.max(share(chunks), share(windows))
}

/** The few documents whose windows lie in several segments get the score of their best window in each of them. */
function joinContinued(views: readonly SegmentView[], scores: readonly Float32Array[]): void {
  const best = new Map<number, number>()
  const documents = views.flatMap(({ segment }, v) =>
    Array.from(segment.partial, (document) => {
      const own = scores[v] as Float32Array
      const base = segment.bases[document] as number
      best.set(base, Math.max(best.get(base) ?? 0, bestWindow(segment, own, document)))
      return { own, base, window: segment.documentWindows[document] as number }
    }),
  )
  for (const { own, base, window } of documents) own[window] = best.get(base) as number
}
