import type { Hit } from '../core/search.js'
import { fuseByRank } from '../fusion/rrf.js'
import type { FusedMatch } from '../fusion/types.js'
import { fuseByScore, type ScoredLeg } from '../fusion/weighted.js'

/** What one source found, best first. */
export interface SourceHits {
  readonly source: string
  /** Above 0; what its hits count beside those of the others. */
  readonly weight: number
  readonly hits: readonly Hit[]
}

/** Where the same text was found once more. */
export interface Duplicate {
  readonly source: string
  readonly documentId: string
  readonly chunkId: string
}

/** A hit of one of several sources. */
export interface SourceHit extends Hit {
  /** Name of the source. */
  readonly source: string
  /** Where else the same text was found; absent when nowhere. */
  readonly duplicates?: readonly Duplicate[]
}

/** How hits of several sources are put into one order. */
export type SourceRanking = 'score' | 'rank'

/**
 * Puts the hits of several sources into one order, best first, each text once: of equal texts (white space apart) the best stays and
 * names the others. Each hit's `score` is what the order was made by.
 *
 * What indexes say is not comparable as it is: BM25 scores depend on the corpus, sums of ranks on the number of legs. `'score'` adds two
 * halves, each 0 to 1 (theoretical min-max normalisation; Bruch, Gai, Ingber 2023): the inner product of unit vectors, whose lowest is -1,
 * against the best of *all* sources, for it means the same everywhere when they share an embedder; and the lexical score, whose lowest
 * is 0, against the best of *its own* source. `'rank'` believes no score: reciprocal rank fusion of the lists (Cormack, Clarke, Büttcher
 * 2009). A source's weight multiplies what its hits get; equals stand in the order of the sources.
 */
export function mergeSources(lists: readonly SourceHits[], ranking: SourceRanking): SourceHit[] {
  const all = lists.flatMap(({ source, weight, hits }) => hits.map((hit) => ({ source, weight, hit })))
  const fused = ranking === 'rank' ? byRank(lists) : byScore(lists)
  const ranked = fused
    .map(({ number, score }) => {
      const { hit, source, weight } = all[number] as (typeof all)[number]
      return { number, merged: { ...hit, source, score: ranking === 'rank' ? score : score * weight } }
    })
    .sort((a, b) => b.merged.score - a.merged.score || a.number - b.number)
  return withoutDuplicates(ranked.map(({ merged }) => merged))
}

/** Hits are numbered through all lists. */
function byRank(lists: readonly SourceHits[]): FusedMatch[] {
  return fuseByRank(numbered(lists))
}

function numbered(lists: readonly SourceHits[]) {
  let next = 0
  return lists.map(({ hits, weight }) => ({
    weight,
    matches: hits.map((hit) => ({ hit, number: next++, score: hit.score })),
  }))
}

const halfWeight = 0.5

function byScore(lists: readonly SourceHits[]): FusedMatch[] {
  const legs = numbered(lists)
  const everywhere: ScoredLeg = {
    weight: halfWeight,
    lowest: -1,
    matches: legs.flatMap(({ matches }) => scoresOf('vector', matches)),
  }
  const own = legs.map(
    ({ matches }): ScoredLeg => ({ weight: halfWeight, lowest: 0, matches: scoresOf('lexical', matches) }),
  )
  // Nothing is added, but a hit that no leg knows (of a source that is not ours) is in the list.
  const present: ScoredLeg = {
    weight: Number.MIN_VALUE,
    lowest: 0,
    matches: legs.flatMap(({ matches }) => matches.map(({ number }) => ({ number, score: 0 }))),
  }
  return fuseByScore([everywhere, ...own, present])
}

function scoresOf(
  leg: 'lexical' | 'vector',
  matches: readonly { readonly hit: Hit; readonly number: number }[],
): { number: number; score: number }[] {
  return matches.flatMap(({ hit, number }) => {
    const score = hit.scores[leg]
    return score === undefined ? [] : [{ number, score }]
  })
}

function withoutDuplicates(ranked: readonly SourceHit[]): SourceHit[] {
  const byText = new Map<string, { readonly best: SourceHit; readonly duplicates: Duplicate[] }>()
  for (const hit of ranked) {
    const text = hit.chunk.text.replace(/\s+/g, ' ').trim()
    const known = byText.get(text)
    if (known === undefined) byText.set(text, { best: hit, duplicates: [] })
    else known.duplicates.push({ source: hit.source, documentId: hit.chunk.documentId, chunkId: hit.chunk.id })
  }
  return [...byText.values()].map(({ best, duplicates }) => (duplicates.length === 0 ? best : { ...best, duplicates }))
}
