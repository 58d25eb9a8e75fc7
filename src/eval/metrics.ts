import { RagError } from '../core/errors.js'

/** Grade of each relevant document, by id: above 0 is relevant, absent or 0 is not. */
export type Judgements = ReadonlyMap<string, number>

/** How much of a ranking counts. */
export interface RankOptions {
  /** Places that are looked at, from the first. Default 10. `Infinity`: all. */
  readonly k?: number
}

export interface NdcgOptions extends RankOptions {
  /**
   * `'linear'` (default): a document of grade g is worth g, as trec_eval and BEIR count; `'exponential'`: 2^g - 1, which favours the
   * best grades (Burges et al. 2005).
   */
  readonly gains?: 'linear' | 'exponential'
}

export interface RecallOptions extends RankOptions {
  /** Whether no more than `k` documents are asked for, so that a question with twenty can reach 1 in ten places. Default `false`. */
  readonly capped?: boolean
}

const usualPlaces = 10

/**
 * Normalised discounted cumulative gain (Järvelin, Kekäläinen 2002): the gains of the first `k`, each divided by log2(place + 1),
 * against those of the best ranking there is. 0 for a question without relevant documents. An id that comes again does not count
 * again, here and in all other measures: it takes no place.
 */
export function ndcg(ranked: readonly string[], judgements: Judgements, options: NdcgOptions = {}): number {
  const { gains = 'linear' } = options
  const gainOf = gains === 'linear' ? (grade: number) => grade : (grade: number) => 2 ** grade - 1
  const ideal = relevantGrades(judgements).sort((a, b) => b - a)
  const best = discountedGain(ideal.slice(0, places(options)).map(gainOf))
  if (best === 0) return 0
  return discountedGain(top(ranked, options).map((id) => gainOf(Math.max(0, judgements.get(id) ?? 0)))) / best
}

/** Share of the relevant documents that are among the first `k`. 0 for a question without relevant documents. */
export function recall(ranked: readonly string[], judgements: Judgements, options: RecallOptions = {}): number {
  const relevant = relevantGrades(judgements).length
  const wanted = options.capped === true ? Math.min(places(options), relevant) : relevant
  return wanted === 0 ? 0 : found(ranked, judgements, options) / wanted
}

/** Share of the first `k` places that hold a relevant document; places beyond the end of the ranking hold none. */
export function precision(ranked: readonly string[], judgements: Judgements, options: RankOptions = {}): number {
  const k = places(options)
  const count = found(ranked, judgements, options)
  return count / (k === Number.POSITIVE_INFINITY ? Math.max(1, top(ranked, options).length) : k)
}

/** One over the place of the first relevant document among the first `k`; 0 when there is none. Its mean is the MRR. */
export function reciprocalRank(ranked: readonly string[], judgements: Judgements, options: RankOptions = {}): number {
  const place = top(ranked, options).findIndex((id) => isRelevant(id, judgements))
  return place < 0 ? 0 : 1 / (place + 1)
}

/**
 * Mean, over all relevant documents, of the precision at the place of each; of one that is not among the first `k` it is 0. Its
 * mean over questions is the MAP.
 */
export function averagePrecision(ranked: readonly string[], judgements: Judgements, options: RankOptions = {}): number {
  const relevant = relevantGrades(judgements).length
  let seen = 0
  let sum = 0
  for (const [place, id] of top(ranked, options).entries()) {
    if (!isRelevant(id, judgements)) continue
    seen++
    sum += seen / (place + 1)
  }
  return relevant === 0 ? 0 : sum / relevant
}

/** Arithmetic mean; 0 of nothing. */
export function mean(values: ArrayLike<number> & Iterable<number>): number {
  let sum = 0
  for (const value of values) sum += value
  return values.length === 0 ? 0 : sum / values.length
}

function places({ k = usualPlaces }: RankOptions): number {
  if (k > 0 && (Number.isInteger(k) || k === Number.POSITIVE_INFINITY)) return k
  throw new RagError('BAD_OPTION', 'k is a whole number from 1, or Infinity.', { data: { k } })
}

function top(ranked: readonly string[], options: RankOptions): string[] {
  return [...new Set(ranked)].slice(0, places(options))
}

function found(ranked: readonly string[], judgements: Judgements, options: RankOptions): number {
  return top(ranked, options).filter((id) => isRelevant(id, judgements)).length
}

function isRelevant(id: string, judgements: Judgements): boolean {
  return (judgements.get(id) ?? 0) > 0
}

function relevantGrades(judgements: Judgements): number[] {
  return [...judgements.values()].filter((grade) => grade > 0)
}

function discountedGain(gains: readonly number[]): number {
  return gains.reduce((sum, gain, place) => sum + gain / Math.log2(place + 2), 0)
}
