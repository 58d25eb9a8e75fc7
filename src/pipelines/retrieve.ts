import type { Logger } from '../core/lifecycle.js'
import type { Hit, Question, RetrieveOptions } from '../core/search.js'
import type { Understood } from '../core/understanding.js'
import type { LegWeights } from '../embed/types.js'
import type { FusedMatch } from '../fusion/types.js'
import type { QueryTerm } from '../lexical-index/types.js'
import type { Recorder } from '../performance/types.js'
import type { StoreNamespace } from '../store/types.js'
import type { NamespaceIndexes } from './catch-up.js'
import { allowFor } from './steps/allow.js'
import { type BudgetTools, measured } from './steps/budget.js'
import {
  type RankedHits,
  type RankedThroughCache,
  type RetrievalCaching,
  rankThroughCache,
} from './steps/cached-retrieval.js'
import { expandInTime } from './steps/expand.js'
import { hydrate } from './steps/hydrate.js'
import { queryVector, textOf } from './steps/question-vector.js'
import type { VectorSearched } from './steps/recall-monitor.js'
import type { Reranking } from './steps/rerank.js'
import { rerankInTime } from './steps/rerank-in-time.js'
import { type LegSearch, legWeights, searchLegs } from './steps/search-legs.js'
import { timed } from './steps/timed.js'
import { keepBest, poolFor, type Wanted, wantedBy } from './steps/wanted.js'
import { joinSearches, legSearches, type SearchOptions, weighAdded } from './steps/widen.js'
import { type Understanding, understandQuestion } from './understand.js'

/** What retrieval works with; `compose` provides it. One per namespace. */
export interface RetrieveTools extends BudgetTools {
  readonly namespace: StoreNamespace
  /** Gives the indexes there are now, and keeps them open until the task is done. */
  readonly useIndexes: <Result>(task: (indexes: NamespaceIndexes) => Promise<Result>) => Promise<Result>
  /** Makes sure that the indexes reflect every commit this query must see. */
  readonly freshen: () => Promise<void>
  readonly fuse: Fuse
  /** Whether weights are those that the embedder was fitted with, where there are any. */
  readonly adaptive: boolean
  /** Whether fusion adds scores up, so that it wants those of both legs. */
  readonly addsScores: boolean
  /** Absent: hits keep the order of the search. */
  readonly reranking: Reranking | undefined
  /** Weight λ of the document's score beside the chunk's; absent: what the corpus was found to want, or 0.5. */
  readonly documentWeight: number | undefined
  /** Waits for this query's turn, so that many at once leave the event loop free. */
  readonly turn: () => Promise<void>
  readonly recorder: Recorder
  readonly logger: Logger
  /** Told of every search of vectors. Returns at once. */
  readonly watchRecall: ((searched: VectorSearched) => void) | undefined
  /** Gives the question with its vector, where it is embedded together with others; asked only for what is not in the cache. */
  readonly embedded?: () => Promise<Question>
  /** Absent: questions are searched as they stand. */
  readonly understanding?: Understanding | undefined
  /** What became of the question; there when it was understood. */
  readonly understood?: Understood
  /** Absent: every question is searched. */
  readonly caching: RetrievalCaching | undefined
}

/** What one leg of the search found, best first. */
export interface RankedList {
  readonly leg: 'lexical' | 'vector'
  readonly matches: readonly { readonly number: number; readonly score: number }[]
}

/** Joins the legs into one list, best first, ties by number. */
export type Fuse = (lists: readonly RankedList[], context: FuseContext) => readonly FusedMatch[]

/** What fusion may want to know beside the lists. */
export interface FuseContext {
  readonly weights: LegWeights
}

/** Hits with what the answering stages want to know beside them. */
export interface Retrieved {
  readonly hits: Hit[]
  readonly terms: readonly QueryTerm[]
}

/** A hit with its chunk number. */
export interface NumberedHit {
  readonly number: number
  readonly hit: Hit
}

/** Hits before they are reranked, more than are wanted where there is a reranker. */
interface FoundHits {
  readonly pool: readonly NumberedHit[]
  readonly terms: readonly QueryTerm[]
}

/** Candidates asked of a leg, at least. */
const minCandidates = 50
/** A replaced document can vanish between search and hydration; after so many such searches the rest is returned as it is. */
const maxAttempts = 3

/**
 * Catch up → look into the cache → search the legs → fuse → hydrate → rerank → keep `perDocument` → expand. Exact with respect to filters
 * and grouping: candidates are doubled until enough hits remain or the legs have no more.
 */
export async function retrieve(given: Question, givenOptions: RetrieveOptions, all: RetrieveTools): Promise<Retrieved> {
  const understand = () => understandQuestion(given, givenOptions, all)
  const asked = all.understanding === undefined ? understand() : timed('query.understand', all, understand)
  const { question, options, tools } = await asked
  const { ranked, terms } = await findRanked(question, options, tools)
  const expand = () => expandInTime(ranked, options.expand, tools)
  const hits = options.expand === undefined ? await expand() : await timed('query.expand', tools, expand)
  return { hits, terms }
}

/** A ranking, and what the cache had to do with it. */
type Found = RankedThroughCache | (RankedHits & { readonly cache: 'off'; readonly kept?: undefined })

/** {@link retrieve} without the text around hits. `onRerank` is told when the search is done, where the reranker begins. */
export async function findRanked(
  question: Question,
  options: SearchOptions,
  tools: RetrieveTools,
  onRerank?: () => void,
): Promise<Found> {
  const compute = async (signal: AbortSignal | undefined): Promise<RankedHits> => {
    const own = signal === undefined ? options : { ...options, signal }
    // The batch that began this may have ended while others wait: the question is then embedded by itself.
    const embedded = await tools.embedded?.().catch((error: unknown) => {
      if (options.signal?.aborted !== true || signal?.aborted === true) throw error
      return undefined
    })
    const found = await measured('retrieve', tools, () => findHits(embedded ?? question, own, tools))
    const rank = () => rankHits(found, question, own, { ...tools, onBegin: onRerank ?? (() => {}) })
    // Whoever is told measures it himself.
    const isTimed = tools.reranking !== undefined && onRerank === undefined
    return { ...(await (isTimed ? timed('query.rerank', tools, rank) : rank())), terms: found.terms }
  }
  if (tools.caching === undefined) return { ...(await compute(options.signal)), cache: 'off' }
  return rankThroughCache({ question, options }, tools.caching, tools, compute)
}

/** The first half of {@link retrieve}: everything before the reranker. */
async function findHits(question: Question, options: SearchOptions, tools: RetrieveTools): Promise<FoundHits> {
  const { signal } = options
  for (let attempt = 1; ; attempt++) {
    await tools.freshen()
    await tools.turn()
    signal?.throwIfAborted()
    const { vanished, ...found } = await tools.useIndexes(async (indexes) => {
      const allow = await allowFor(options.filter, indexes, tools, signal)
      const searches = await timed('query.embed', tools, () => legSearches(question, options, { allow, indexes }))
      const { terms, ...rest } = await search(searches, wantedBy(options), tools, signal)
      return { ...rest, terms: weighAdded(terms, options.widened ?? {}) }
    })
    if (vanished > 0 && attempt < maxAttempts) continue
    if (vanished > 0 && found.pool.length < wantedBy(options).topK) tools.recorder.count('query.underfilled')
    return found
  }
}

/** Asks the legs for more until enough hits remain. */
async function search(
  searches: readonly [LegSearch, ...LegSearch[]],
  wanted: Wanted,
  tools: RetrieveTools,
  signal: AbortSignal | undefined,
): Promise<FoundHits & { readonly vanished: number }> {
  const looked = tools.reranking === undefined ? wanted : poolFor(wanted, tools.reranking)
  const first = Math.max(minCandidates, wanted.topK * 4, looked.topK * 2)
  for (let candidates = first; ; candidates *= 2) {
    const found = await Promise.all(searches.map((one) => searchLegs(one, candidates, tools)))
    signal?.throwIfAborted()
    const fused = joinSearches(searches, found, tools)
    // Backwards: what the legs say of the question itself is what a hit tells, where they saw it.
    const lists = found.toReversed().flatMap((legs) => legs.lists)
    const terms = found[0]?.terms ?? []
    const exhausted = found.every((legs) => legs.exhausted)
    const { hits: pool, vanished } = await timed('query.hydrate', tools, () => hydrate(fused, lists, looked, tools))
    if (exhausted || keepBest(pool, wanted).length >= wanted.topK) return { pool, terms, vanished }
  }
}

/** The second half of {@link retrieve}: reranks what was found, where there is time for it, and keeps what is wanted. */
async function rankHits(
  { pool }: FoundHits,
  question: Question,
  options: RetrieveOptions,
  tools: RetrieveTools & { readonly onBegin: () => void },
): Promise<Pick<RankedHits, 'ranked' | 'isPartial'>> {
  const { reranking } = tools
  const wanted = wantedBy(options)
  if (reranking === undefined) return { ranked: keepBest(pool, wanted) }
  const asked = {
    text: textOf(question),
    topK: wanted.topK,
    embedder: await tools.useIndexes(async ({ vector }) => vector?.embedder),
    signal: options.signal,
  }
  const { hits, isDropped } = await rerankInTime(pool, asked, reranking, tools)
  return { ranked: keepBest(hits, wanted), ...(isDropped ? { isPartial: true } : {}) }
}

/** What the legs found for a question, not yet joined. */
export interface FoundLegs {
  readonly lists: readonly RankedList[]
  readonly weights: LegWeights
}

/** The legs of {@link retrieve} alone, `depth` passages each at most. */
export async function findLegs(
  question: string,
  depth: number,
  signal: AbortSignal | undefined,
  tools: RetrieveTools,
): Promise<FoundLegs> {
  await tools.freshen()
  await tools.turn()
  signal?.throwIfAborted()
  return tools.useIndexes(async (indexes) => {
    const vector = await queryVector(question, question, indexes, signal)
    const { lists } = await searchLegs({ text: question, vector, allow: undefined, indexes }, depth, tools)
    return { lists, weights: legWeights({ indexes }, tools) }
  })
}
