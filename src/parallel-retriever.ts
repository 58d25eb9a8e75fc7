import { checkQueryOptions, checkQuestion } from './compose/call-options.js'
import { type ParallelResult, type Retrievable, searchSources } from './compose/parallel-search.js'
import { RagError } from './core/errors.js'
import type { Question, RetrieveOptions } from './core/search.js'
import type { SourceRanking } from './pipelines/merge-sources.js'
import { checkKeys } from './util/check-keys.js'

/** Options of `new ParallelRetriever()`. */
export interface ParallelRetrieverOptions {
  /** What is searched, by the name that hits will carry; at least one. They stay the caller's to close. */
  readonly sources: Readonly<Record<string, Retrievable>>
  /** What a source's hits count beside those of the others, above 0. Default 1 each. */
  readonly weights?: Readonly<Record<string, number>>
  /**
   * How hits of different indexes are put into one order, whose scores are not comparable as they are. `'score'` (default): half by the
   * similarity of vectors, which means the same in all sources that share an embedder, half by the words, relative to the best of
   * the own source. `'rank'`: by place in each list alone (reciprocal rank fusion); for sources with different embedders, and where the sources rerank:
   * only this keeps the order their rerankers made.
   */
  readonly ranking?: SourceRanking
  /** A source that fails is named in `failed` beside the hits of the others (`'report'`, default), or fails the call (`'throw'`). */
  readonly onFailure?: 'report' | 'throw'
  /** Milliseconds a source may take before it counts as failed with `DEADLINE`. Default: as long as the call. */
  readonly sourceDeadlineMs?: number
}

const optionKeys: Record<keyof ParallelRetrieverOptions, true> = {
  sources: true,
  weights: true,
  ranking: true,
  onFailure: true,
  sourceDeadlineMs: true,
}

const defaultTopK = 5
/** What each source allows is for itself to say. */
const maxQueryChars = Number.MAX_SAFE_INTEGER

/**
 * Searches several instances or namespaces at once: one list, best first, each text once, each hit with the name of its source. The
 * constructor checks its options (`BAD_OPTION`) and does nothing else.
 *
 * @example
 * const everywhere = new ParallelRetriever({ sources: { manuals: rag, tickets: rag.namespace('tickets') } })
 * const { hits, failed } = await everywhere.retrieve('How is the pump bled?', { topK: 10 })
 */
export class ParallelRetriever {
  readonly #search: Parameters<typeof searchSources>[2]

  constructor(options: ParallelRetrieverOptions) {
    checkKeys(options, optionKeys)
    const { onFailure = 'report', ranking = 'score', sourceDeadlineMs, sources, weights = {} } = options
    checkSources(sources)
    checkWeights(weights, sources)
    checkOneOf('ranking', ranking, ['score', 'rank'])
    checkOneOf('onFailure', onFailure, ['report', 'throw'])
    if (sourceDeadlineMs !== undefined && !(sourceDeadlineMs > 0)) {
      throw badOption('sourceDeadlineMs', 'must be a number of milliseconds above 0.')
    }
    this.#search = {
      sources: Object.entries(sources).map(([name, source]) => ({ name, source, weight: weights[name] ?? 1 })),
      ranking,
      onFailure,
      sourceDeadlineMs,
    }
  }

  /**
   * The best passages of all sources. Every source is asked for `topK` (default 5), `filter`, `groupBy`, `perDocument` and `rerank`
   * hold within each. Rejects when the call itself is wrong, aborted or late, and when no source could be searched.
   */
  async retrieve(question: Question, options: RetrieveOptions = {}): Promise<ParallelResult> {
    checkQueryOptions(options)
    checkQuestion(question, maxQueryChars)
    return searchSources(question, { ...options, topK: options.topK ?? defaultTopK }, this.#search)
  }
}

function checkSources(sources: unknown): asserts sources is ParallelRetrieverOptions['sources'] {
  if (typeof sources !== 'object' || sources === null || Array.isArray(sources) || Object.keys(sources).length === 0) {
    throw badOption('sources', 'must be an object of at least one source by name.')
  }
  for (const [name, source] of Object.entries(sources)) {
    if (typeof (source as Partial<Retrievable> | null)?.retrieve !== 'function') {
      throw badOption(`sources.${name}`, 'must have the method retrieve().')
    }
  }
}

function checkWeights(weights: unknown, sources: ParallelRetrieverOptions['sources']): void {
  if (typeof weights !== 'object' || weights === null) throw badOption('weights', 'must be an object of numbers.')
  for (const [name, weight] of Object.entries(weights)) {
    if (!Object.hasOwn(sources, name)) throw badOption(`weights.${name}`, 'names no source.')
    if (!(Number.isFinite(weight) && weight > 0)) throw badOption(`weights.${name}`, 'must be a finite number above 0.')
  }
}

function checkOneOf(option: string, value: unknown, allowed: readonly string[]): void {
  if (!allowed.includes(value as string)) throw badOption(option, `must be one of ${allowed.join(', ')}.`)
}

function badOption(option: string, requirement: string): RagError {
  return new RagError('BAD_OPTION', `Option "${option.slice(0, 100)}" ${requirement}`, {
    data: { option: option.slice(0, 100) },
  })
}
