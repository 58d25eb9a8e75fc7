import { RagError } from '../core/errors.js'
import type { Analyzer } from '../text/analyzer.js'
import { createAnalyzers } from '../text/analyzers.js'
import { dot } from '../util/vector-math.js'
import { createTurns, type Turns } from '../util/yield.js'
import type { RerankCandidate, RerankedMatch, Reranker } from './types.js'

/** Options of {@link createMmrReranker}. */
export interface MmrOptions {
  /** 1: the order of the search; 0: only what is new counts. Default 0.8. */
  readonly lambda?: number
}

const usualLambda = 0.8

/**
 * Maximal marginal relevance (Carbonell, Goldstein 1998): passages that say what a better one has said come later. Compares vectors
 * where all candidates have one of the same width, else the words. Needs no model and takes about a millisecond for 20 candidates.
 * Throws `BAD_OPTION` for a `lambda` out of range.
 */
export function createMmrReranker({ lambda = usualLambda }: MmrOptions = {}): Reranker {
  if (!(lambda >= 0 && lambda <= 1)) {
    throw new RagError('BAD_OPTION', 'lambda is a number from 0 to 1.', { data: { lambda } })
  }
  // They remember the stems of words, which are most of their work.
  const analyzerFor = createAnalyzers()
  return {
    id: 'mmr',
    capabilities: { vectors: true },
    async rerank({ candidates }, { signal }) {
      signal?.throwIfAborted()
      const turns = createTurns()
      const similarity = similarityOfVectors(candidates) ?? (await similarityOfWords(candidates, analyzerFor, turns))
      const selection = selectDiverse(relevanceOf(candidates), { lambda, similarity })
      const matches: RerankedMatch[] = []
      for (const { place, score } of selection) {
        matches.push({ number: (candidates[place] as RerankCandidate).number, score })
        // A selection costs as many comparisons as there are candidates left: a fraction of a millisecond for a thousand.
        await turns.next()
        signal?.throwIfAborted()
      }
      return matches
    },
    async close() {},
  }
}

/** How alike two candidates are, by their places: 1 for the same, about 0 for strangers. */
export type Similarity = (one: number, other: number) => number

/**
 * Selects places one by one: each time the one whose λ · relevance - (1 - λ) · similarity to the nearest one selected is the
 * highest, the first of equals. That value is its score, and never grows from one to the next. Lazy: a selection is made when it is
 * asked for.
 */
export function* selectDiverse(
  relevance: ArrayLike<number>,
  { lambda, similarity }: { readonly lambda: number; readonly similarity: Similarity },
): Generator<{ readonly place: number; readonly score: number }, void, undefined> {
  const left = Array.from({ length: relevance.length }, (_, place) => place)
  /** Similarity to the nearest selected, by place. From 0, as nothing can be newer than what is like nothing. */
  const nearest = new Float64Array(relevance.length)
  const marginal = (place: number) => lambda * (relevance[place] as number) - (1 - lambda) * (nearest[place] as number)
  while (left.length > 0) {
    let best = 0
    for (let at = 1; at < left.length; at++) {
      if (marginal(left[at] as number) > marginal(left[best] as number)) best = at
    }
    const [place] = left.splice(best, 1) as [number]
    yield { place, score: marginal(place) }
    for (const other of left) {
      nearest[other] = Math.max(nearest[other] as number, similarity(place, other))
    }
  }
}

/** Scores of a search scaled to 0 (the worst candidate) to 1 (the best), so that λ weighs like with like; all 1 when they are equal. */
function relevanceOf(candidates: readonly RerankCandidate[]): Float64Array {
  const scores = candidates.map(({ score }) => score)
  const worst = scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY)
  const best = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY)
  return Float64Array.from(scores, (score) => (best > worst ? (score - worst) / (best - worst) : 1))
}

function similarityOfVectors(candidates: readonly RerankCandidate[]): Similarity | undefined {
  const width = candidates[0]?.vector?.length
  if (width === undefined || candidates.some(({ vector }) => vector?.length !== width)) return undefined
  const vectors = candidates.map(({ vector }) => vector as Float32Array)
  return (one, other) => dot(vectors[one] as Float32Array, 0, vectors[other] as Float32Array, 0, width)
}

/** The cosine of the sets of words, stop words left out: shared words over the geometric mean of the numbers of words. */
async function similarityOfWords(
  candidates: readonly RerankCandidate[],
  analyzerFor: (language: string) => Promise<Analyzer>,
  turns: Turns,
): Promise<Similarity> {
  const words: ReadonlySet<string>[] = []
  for (const { language, text } of candidates) {
    const analyzer = await analyzerFor(language)
    await turns.next()
    words.push(new Set(analyzer.terms(text).filter((term) => !analyzer.isStopWord(term))))
  }
  return (one, other) => {
    const [few, many] = [words[one] as ReadonlySet<string>, words[other] as ReadonlySet<string>].sort(
      (a, b) => a.size - b.size,
    ) as [ReadonlySet<string>, ReadonlySet<string>]
    if (few.size === 0) return 0
    let shared = 0
    for (const word of few) if (many.has(word)) shared++
    return shared / Math.sqrt(few.size * many.size)
  }
}
