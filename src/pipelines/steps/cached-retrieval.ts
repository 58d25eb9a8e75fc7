import type { LegScores, Question } from '../../core/search.js'
import type { QueryTerm } from '../../lexical-index/types.js'
import type { StoreNamespace } from '../../store/types.js'
import { isEmptyFilter } from '../../util/filter.js'
import { sha256Hex } from '../../util/hash.js'
import type { SingleFlight } from '../../util/single-flight.js'
import { stableJson } from '../../util/stable-json.js'
import type { NumberedHit, RetrieveTools } from '../retrieve.js'
import { chunksPerTurn } from './hydrate.js'
import type { Lifetime, ResultCache } from './result-cache.js'
import type { SearchOptions, Widened } from './widen.js'

/** What retrieval looks results up with; `compose` provides it. */
export interface RetrievalCaching {
  readonly results: ResultCache<KeptRanking>
  /** Of the whole application. */
  readonly flights: SingleFlight<KeptRanking>
  readonly storeId: string
  /** Whatever shapes a ranking beside the documents, the embedder and the call: options of fusion, indexes and reranker. */
  readonly fingerprint: string
  /** Runs a task of its own, which ends with `signal` and with `close()`, whatever becomes of the call that began it. */
  readonly alone: <Result>(task: (signal: AbortSignal) => Promise<Result>, signal: AbortSignal) => Promise<Result>
}

/** Hits, best first, with the words of the question as the lexical index knows them. */
export interface RankedHits {
  readonly ranked: readonly NumberedHit[]
  readonly terms: readonly QueryTerm[]
  /** There when the reranker was left out for want of time: whoever has more time shall not find this. */
  readonly isPartial?: true
}

/** What became of a ranking in the cache. */
export type RankedThroughCache = RankedHits & {
  readonly cache: 'hit' | 'miss'
  /** Of one that was found: how long it holds, and the state it is of (see {@link readState}). */
  readonly kept?: Lifetime & { readonly state: string }
}

/** A ranking as it is kept: hits by number and content, so that what it finds again is what was found. */
export interface KeptRanking {
  readonly hits: readonly KeptHit[]
  readonly terms: readonly QueryTerm[]
}

/** `id` is a hash of the passage and of the document it belongs to. */
type KeptHit = readonly [number: number, id: string, score: number, scores: LegScores]

/** What a ranking is looked up by, beside the tools. */
export interface RankingAsked {
  readonly question: Question
  readonly options: SearchOptions
}

/** Raised when rankings are made otherwise from the same inputs. */
const version = 'retrieval/1'

/**
 * The ranking of a question from the cache, else from `compute`, which runs once for all who ask the same at the same time. What is kept is
 * of one epoch of the documents and is found in no other; its passages are read from the store again, and one that is not there
 * as it was makes it a miss. Whoever has a budget, and may leave the reranker out, computes it alone: what they find is theirs, and
 * others may take longer than they can wait.
 */
export async function rankThroughCache(
  asked: RankingAsked,
  caching: RetrievalCaching,
  tools: RetrieveTools,
  compute: (signal: AbortSignal | undefined) => Promise<RankedHits>,
): Promise<RankedThroughCache> {
  const { signal } = asked.options
  await tools.freshen()
  await tools.turn()
  signal?.throwIfAborted()
  const state = await readState(tools)
  // Documents are coming in: what is found now is true for this moment only.
  if (state === undefined) return { ...(await compute(signal)), cache: 'miss' }
  const key = rankingKey(asked, state, caching, tools)
  const kept = await caching.results.get(key)
  signal?.throwIfAborted()
  if (kept !== undefined) {
    const found = await readAgain(kept.value, tools)
    // Not its value: whoever keeps this would keep the whole ranking.
    const { value: _value, ...lifetime } = kept
    if (found !== undefined) return { ...found, cache: 'hit', kept: { ...lifetime, state } }
    caching.results.drop(key)
  }

  let own: RankedHits | undefined
  const run = async (signal: AbortSignal | undefined): Promise<KeptRanking> => {
    const began = tools.now()
    own = await compute(signal)
    const ranking = toKept(own)
    const isSame = (await readState(tools)) === state
    if (isSame && own.isPartial !== true && isComplete(own, tools))
      caching.results.keep(key, ranking, { costMs: tools.now() - began })
    return ranking
  }
  if (tools.budget !== undefined && tools.reranking !== undefined) {
    await run(signal)
    return { ...(own as unknown as RankedHits), cache: 'miss' }
  }
  const { value } = await caching.flights.run(key, (stop) => caching.alone(run, stop), signal)
  // Whoever waited with others reads the passages anew: hits are their caller's to change.
  const result = own ?? (await readAgain(value, tools)) ?? (await compute(signal))
  return { ...result, cache: 'miss' }
}

/**
 * What documents and indexes are at: while it is the same, a search finds the same. `undefined` while the indexes do not all stand where the
 * store does, or vectors are being made.
 */
export async function readState({
  namespace,
  useIndexes,
}: Pick<RetrieveTools, 'namespace' | 'useIndexes'>): Promise<string | undefined> {
  const epoch = namespace.epoch()
  const embedder = await useIndexes(async ({ lexical, vector, vectorsPending }) => {
    if (vectorsPending || lexical.epoch !== epoch) return undefined
    return vector === undefined ? '' : vector.index.epoch === epoch ? vector.embedder.fingerprint : undefined
  })
  if (embedder === undefined) return undefined
  const { chunks, documents } = namespace.counts()
  // Of two copies of one folder that went different ways the counts, at least, often differ.
  return [epoch, namespace.nextNumber(), documents, chunks, embedder].join()
}

/** Every field is preceded by its length: no two questions share a key. */
function rankingKey(
  { question, options }: RankingAsked,
  state: string,
  { storeId, fingerprint }: RetrievalCaching,
  { namespace, reranking }: RetrieveTools,
): string {
  const text = typeof question === 'string' ? question : question.text
  return sha256Hex(
    version,
    storeId,
    namespace.name,
    state,
    fingerprint,
    // JSON tells lone surrogates apart, which UTF-8 does not.
    JSON.stringify(text ?? ''),
    searchScope(options, reranking),
    typeof question === 'string' ? '' : new Uint8Array(Float32Array.from(question.vector).buffer),
  )
}

/** All that a call says beside its question. */
export function searchScope(
  { filter, groupBy, perDocument, topK, widened }: SearchOptions,
  reranking: RetrieveTools['reranking'],
): string {
  return JSON.stringify([
    topK,
    groupBy,
    perDocument,
    filter === undefined || isEmptyFilter(filter) ? '' : stableJson(withoutInfinity(filter)),
    reranking === undefined ? '' : reranking.fingerprint,
    reranking?.candidates,
    ...(widened === undefined ? [] : scopeOf(widened)),
  ])
}

function scopeOf({ added, beside, language, words }: Widened): unknown[] {
  return [words, added, language, beside.map(({ kind, text }) => [kind, text])]
}

/** JSON has no infinite numbers, and would take them for `null`. No operator is called `$infinite`. */
function withoutInfinity(value: unknown): unknown {
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) return { $infinite: value > 0 }
  if (Array.isArray(value)) return value.map(withoutInfinity)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutInfinity(inner)]))
}

/** The order of a search whose reranker failed is not what was asked for; the next one asks it again. */
function isComplete({ ranked }: RankedHits, { reranking }: RetrieveTools): boolean {
  return reranking === undefined || ranked.length < 2 || ranked.some(({ hit }) => hit.scores.rerank !== undefined)
}

function toKept({ ranked, terms }: RankedHits): KeptRanking {
  const hits = ranked.map(({ number, hit }): KeptHit => [number, hit.chunk.id, hit.score, hit.scores])
  return { hits, terms: terms.map(({ term, idf, documentFrequency }) => ({ term, idf, documentFrequency })) }
}

async function readAgain(
  { hits, terms }: KeptRanking,
  { namespace, turn }: Pick<RetrieveTools, 'namespace' | 'turn'>,
): Promise<RankedHits | undefined> {
  const ranked: NumberedHit[] = []
  let chunks: ReturnType<StoreNamespace['chunks']> = []
  for (const [place, [number, id, score, scores]] of hits.entries()) {
    const inTurn = place % chunksPerTurn
    if (inTurn === 0) {
      if (place > 0) await turn()
      chunks = namespace.chunks(hits.slice(place, place + chunksPerTurn).map(([number]) => number))
    }
    const chunk = chunks[inTurn]
    if (chunk === undefined || chunk.id !== id) return undefined
    ranked.push({ number, hit: { chunk, score, scores: { ...scores } } })
  }
  return { ranked, terms: terms.map((term) => ({ ...term })) }
}

/** What somebody else wrote under the key of a ranking is none. */
export function decodeRanking(data: unknown): KeptRanking | undefined {
  const { hits, terms } = (data ?? {}) as { readonly hits?: unknown; readonly terms?: unknown }
  return Array.isArray(hits) && hits.every(isKeptHit) && Array.isArray(terms) && terms.every(isTerm)
    ? { hits, terms }
    : undefined
}

function isKeptHit(hit: unknown): hit is KeptHit {
  if (!Array.isArray(hit) || hit.length !== 4) return false
  const [number, id, score, scores] = hit as unknown[]
  return Number.isSafeInteger(number) && typeof id === 'string' && Number.isFinite(score) && areScores(scores)
}

const legs: ReadonlySet<string> = new Set<keyof LegScores>(['lexical', 'vector', 'fused', 'rerank'])

function areScores(scores: unknown): scores is LegScores {
  if (typeof scores !== 'object' || scores === null || Array.isArray(scores)) return false
  return Object.entries(scores).every(([leg, score]) => legs.has(leg) && Number.isFinite(score))
}

function isTerm(value: unknown): value is QueryTerm {
  const { term, idf, documentFrequency } = (value ?? {}) as Partial<QueryTerm>
  return typeof term === 'string' && Number.isFinite(idf) && Number.isFinite(documentFrequency)
}
