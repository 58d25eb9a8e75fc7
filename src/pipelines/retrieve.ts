import { RagError } from '../core/errors.js'
import type { Filter } from '../core/filter.js'
import type { Logger } from '../core/lifecycle.js'
import { RangeSet } from '../core/range-set.js'
import type { Hit, LegScores, Question, RetrieveOptions } from '../core/search.js'
import type { LegWeights } from '../embed/types.js'
import type { FusedMatch } from '../fusion/types.js'
import type { QueryTerm } from '../lexical-index/types.js'
import type { Recorder } from '../performance/types.js'
import type { StoreNamespace } from '../store/types.js'
import { isEmptyFilter } from '../util/filter.js'
import { allFinite, normalise } from '../util/vector-math.js'
import type { VectorIndex, VectorMatch, VectorSearchOptions } from '../vector-index/types.js'
import { isFitted, type NamespaceIndexes, type VectorLeg } from './catch-up.js'
import { allowedNumbers } from './steps/allow.js'
import { type RankedHits, type RetrievalCaching, rankThroughCache } from './steps/cached-retrieval.js'
import { expandHits } from './steps/expand.js'
import type { VectorSearched } from './steps/recall-monitor.js'
import { type Reranking, rerankHits } from './steps/rerank.js'

/** What retrieval works with; `compose` provides it. One per namespace. */
export interface RetrieveTools {
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
  /** Absent: every question is searched. */
  readonly caching: RetrievalCaching | undefined
  readonly now: () => number
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
export interface FoundHits {
  readonly pool: readonly NumberedHit[]
  readonly terms: readonly QueryTerm[]
}

interface Wanted {
  readonly topK: number
  readonly perDocument: number
}

/** Candidates asked of a leg, at least. */
const minCandidates = 50
/** Best matches of the words whose score is known, where scores are added. */
const scoredWords = 500
/** Weight λ of the document's score where nothing is known: measured best over thirteen sets (`npm run bench -- retrieval`). */
const defaultDocumentWeight = 0.5
/** A replaced document can vanish between search and hydration; after so many such searches the rest is returned as it is. */
const maxAttempts = 3

/**
 * Catch up → look into the cache → search the legs → fuse → hydrate → rerank → keep `perDocument` → expand. Exact with respect to filters
 * and grouping: candidates are doubled until enough hits remain or the legs have no more.
 */
export async function retrieve(question: Question, options: RetrieveOptions, tools: RetrieveTools): Promise<Retrieved> {
  const { ranked, terms } = await findRanked(question, options, tools)
  const expand = () => expandHits(ranked, options.expand, tools)
  const hits = options.expand === undefined ? await expand() : await timed('query.expand', tools, expand)
  return { hits, terms }
}

/** {@link retrieve} without the text around hits. `onRerank` is told when the search is done, where the reranker begins. */
export async function findRanked(
  question: Question,
  options: RetrieveOptions,
  tools: RetrieveTools,
  onRerank?: () => void,
): Promise<RankedHits & { readonly cache: 'hit' | 'miss' | 'off' }> {
  const compute = async (signal: AbortSignal | undefined): Promise<RankedHits> => {
    const own = signal === undefined ? options : { ...options, signal }
    const found = await findHits(question, own, tools)
    const rank = () => rankHits(found, question, own, tools)
    // Whoever is told measures it himself.
    const isTimed = tools.reranking !== undefined && onRerank === undefined
    if (tools.reranking !== undefined) onRerank?.()
    return { ranked: await (isTimed ? timed('query.rerank', tools, rank) : rank()), terms: found.terms }
  }
  if (tools.caching === undefined) return { ...(await compute(options.signal)), cache: 'off' }
  return rankThroughCache({ question, options }, tools.caching, tools, compute)
}

/** The first half of {@link retrieve}: everything before the reranker. */
async function findHits(question: Question, options: RetrieveOptions, tools: RetrieveTools): Promise<FoundHits> {
  const text = textOf(question)
  const { signal } = options
  for (let attempt = 1; ; attempt++) {
    await tools.freshen()
    await tools.turn()
    signal?.throwIfAborted()
    const { vanished, ...found } = await tools.useIndexes(async (indexes) => {
      const allow = await allowFor(options.filter, indexes, tools, signal)
      const vector = await timed('query.embed', tools, () => queryVector(question, text, indexes, signal))
      return search({ text, vector, allow, wanted: wantedBy(options), indexes }, tools, signal)
    })
    if (vanished > 0 && attempt < maxAttempts) continue
    if (vanished > 0 && found.pool.length < wantedBy(options).topK) tools.recorder.count('query.underfilled')
    return found
  }
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
    const query: Search = { text: question, vector, allow: undefined, wanted: wantedBy({}), indexes }
    const { lists } = await searchLegs(query, depth, tools)
    const complete = await completeLists(lists, { ...query, candidates: depth }, tools)
    return { lists: complete, weights: legWeights(query, tools) }
  })
}

/** The second half of {@link retrieve}: reranks what was found and keeps what is wanted. */
async function rankHits(
  { pool }: FoundHits,
  question: Question,
  options: RetrieveOptions,
  tools: RetrieveTools,
): Promise<readonly NumberedHit[]> {
  const { reranking } = tools
  const wanted = wantedBy(options)
  if (reranking === undefined) return keepBest(pool, wanted)
  const asked = {
    text: textOf(question),
    topK: wanted.topK,
    embedder: await tools.useIndexes(async ({ vector }) => vector?.embedder),
    signal: options.signal,
  }
  return keepBest(await rerankHits(pool, asked, reranking, tools), wanted)
}

function textOf(question: Question): string {
  return typeof question === 'string' ? question : (question.text ?? '')
}

function wantedBy({ groupBy, perDocument = Number.POSITIVE_INFINITY, topK = 5 }: RetrieveOptions): Wanted {
  return { topK, perDocument: groupBy === 'document' ? 1 : perDocument }
}

/**
 * What is looked up so that a reranker has a choice. Of one document twice as many as may stay: the reranker may find another of its
 * passages the best. That is why twice as many as are wanted are enough, and needed, for as many to stay.
 */
function poolFor({ topK, perDocument }: Wanted, { candidates }: Reranking): Wanted {
  const least = perDocument === Number.POSITIVE_INFINITY ? topK : topK * 2
  return { topK: Math.max(candidates, least), perDocument: perDocument * 2 }
}

/** The first hits, at most `perDocument` of one document. */
function keepBest(hits: readonly NumberedHit[], { topK, perDocument }: Wanted): NumberedHit[] {
  const ofDocument = new Map<string, number>()
  const kept: NumberedHit[] = []
  for (const one of hits) {
    if (kept.length >= topK) break
    const { documentId } = one.hit.chunk
    const count = ofDocument.get(documentId) ?? 0
    if (count >= perDocument) continue
    ofDocument.set(documentId, count + 1)
    kept.push(one)
  }
  return kept
}

async function allowFor(
  filter: Filter | undefined,
  { metadata }: NamespaceIndexes,
  tools: RetrieveTools,
  signal?: AbortSignal,
): Promise<RangeSet | undefined> {
  if (filter === undefined || isEmptyFilter(filter)) return undefined
  const { freshen, namespace } = tools
  return timed('query.filter', tools, () => allowedNumbers(filter, { metadata, namespace, freshen }, signal))
}

async function queryVector(
  question: Question,
  text: string,
  { vector: leg, vectorsPending }: NamespaceIndexes,
  signal?: AbortSignal,
): Promise<Float32Array | undefined> {
  if (typeof question !== 'string') {
    if (vectorsPending !== true) return checkVector(question.vector, leg)
    if (text.trim() === '') throw pendingError()
  }
  if (leg === undefined || text.trim() === '') return undefined
  const { vectors, failed } = await leg.embedder.embed([text], {
    kind: 'query',
    ...(signal === undefined ? {} : { signal }),
  })
  // A question the embedder cannot represent (no known word) is left to the lexical leg.
  return failed.length > 0 ? undefined : vectors
}

function pendingError(): RagError {
  return new RagError('FINGERPRINT', 'The vectors are being made anew; until then passages are found by their words.', {
    hint: 'Ask with words, or again when reindex() has resolved.',
    retryable: true,
  })
}

function checkVector(vector: Float32Array, leg: VectorLeg | undefined): Float32Array {
  if (leg === undefined) {
    throw new RagError('BAD_INPUT', 'A vector was asked for, but no embedder is configured.', {
      hint: 'Set the "embedder" option to the one that made the vector.',
    })
  }
  const { dimensions } = leg.index
  // A copy: scores are inner products of unit vectors, and the caller's may be of any length, or a plain array.
  const unit = Float32Array.from(vector)
  if (unit.length !== dimensions || !allFinite(unit, 0, dimensions) || normalise(unit, 0, dimensions) === 0) {
    throw new RagError('BAD_INPUT', `The question's vector must hold ${dimensions} finite numbers, not all zero.`, {
      data: { length: unit.length, dimensions },
    })
  }
  return unit
}

interface Search {
  readonly text: string
  readonly vector: Float32Array | undefined
  readonly allow: RangeSet | undefined
  readonly wanted: Wanted
  readonly indexes: NamespaceIndexes
}

async function search(
  query: Search,
  tools: RetrieveTools,
  signal: AbortSignal | undefined,
): Promise<FoundHits & { readonly vanished: number }> {
  const { wanted } = query
  const looked = tools.reranking === undefined ? wanted : poolFor(wanted, tools.reranking)
  const first = Math.max(minCandidates, wanted.topK * 4, looked.topK * 2)
  for (let candidates = first; ; candidates *= 2) {
    const { lists: found, terms } = await searchLegs(query, candidates, tools)
    signal?.throwIfAborted()
    const exhausted = found.every(({ matches }) => matches.length < candidates)
    const lists = await completeLists(found, { ...query, candidates }, tools)
    const fused = joinLegs(lists, tools.fuse, legWeights(query, tools))
    const { hits: pool, vanished } = await timed('query.hydrate', tools, () =>
      hydrate(fused, lists, looked, tools.namespace),
    )
    if (exhausted || keepBest(pool, wanted).length >= wanted.topK) return { pool, terms, vanished }
  }
}

/** One leg alone is as it is, whatever it weighs. */
export function joinLegs(lists: readonly RankedList[], fuse: Fuse, weights: LegWeights): RankedList['matches'] {
  return lists.length === 1 ? (lists[0] as RankedList).matches : fuse(lists, { weights })
}

async function searchLegs(
  query: Search,
  topK: number,
  tools: RetrieveTools,
): Promise<{ lists: RankedList[]; terms: readonly QueryTerm[] }> {
  const { text, vector, allow } = query
  const { lexical, vector: leg } = query.indexes
  const restriction = allow === undefined ? {} : { allow }
  const documentWeight = legWeights(query, tools).document
  // Deeper costs next to nothing here, and tells what the words say of the vectors' matches.
  const depth = tools.addsScores ? Math.max(topK, scoredWords) : topK
  const [words, neighbours] = await Promise.all([
    text.trim() === ''
      ? undefined
      : timed('query.lexical', tools, () => lexical.search(text, { topK: depth, documentWeight, ...restriction })),
    leg === undefined || vector === undefined
      ? undefined
      : timed('query.vector', tools, () => nearest(vector, { topK, ...restriction }, leg.index, tools)),
  ])
  const lists: RankedList[] = []
  if (words !== undefined) lists.push({ leg: 'lexical', matches: words.matches })
  if (neighbours !== undefined) lists.push({ leg: 'vector', matches: neighbours })
  return { lists, terms: words?.terms ?? [] }
}

/** Those that the embedder was fitted with; the vector's matters only where the fusion is adaptive. */
function legWeights({ indexes }: Search, { adaptive, documentWeight }: RetrieveTools): LegWeights {
  const embedder = indexes.vector?.embedder
  const fitted = adaptive && embedder !== undefined && isFitted(embedder) ? embedder.weights : undefined
  return { document: documentWeight ?? fitted?.document ?? defaultDocumentWeight, vector: fitted?.vector ?? 1 }
}

/**
 * Where scores are added, a candidate of one leg needs its score in the other, too, although that has better ones: without it, nDCG@10
 * falls by up to .02. Looks up the vectors of the words' candidates; of the words, whose list reaches deeper, keeps the candidates of both.
 */
async function completeLists(
  lists: readonly RankedList[],
  { vector, indexes, candidates }: Search & { readonly candidates: number },
  tools: RetrieveTools,
): Promise<readonly RankedList[]> {
  const [words, neighbours] = lists
  if (!tools.addsScores || words === undefined) return lists
  if (neighbours === undefined || vector === undefined) {
    return words.leg === 'lexical' ? [{ leg: 'lexical', matches: words.matches.slice(0, candidates) }] : lists
  }
  const near = new Set(neighbours.matches.map(({ number }) => number))
  const matches = words.matches.filter(({ number }, place) => place < candidates || near.has(number))
  const missing = matches.filter(({ number }) => !near.has(number)).map(({ number }) => number)
  if (missing.length === 0) return [{ leg: 'lexical', matches }, neighbours]
  const allow = RangeSet.from(missing.map((number) => [number, number + 1] as const))
  const found = await timed('query.vector', tools, () =>
    nearest(vector, { topK: missing.length, allow }, (indexes.vector as VectorLeg).index, tools),
  )
  return [
    { leg: 'lexical', matches },
    { leg: 'vector', matches: [...neighbours.matches, ...found] },
  ]
}

/**
 * An approximate index may lose some of what a filter allows. Where it gives fewer than there are, every allowed vector is looked at:
 * a filter must cost no hit.
 */
async function nearest(
  vector: Float32Array,
  options: VectorSearchOptions,
  index: VectorIndex,
  { recorder, watchRecall }: Pick<RetrieveTools, 'recorder' | 'watchRecall'>,
): Promise<VectorMatch[]> {
  const { epoch } = index
  const found = await index.search(vector, options)
  if (index.capabilities.exact) return found
  watchRecall?.({ index, vector, allow: options.allow, found, epoch })
  const there = options.allow?.size ?? index.stats().vectors
  if (found.length >= Math.min(options.topK, there)) return found
  recorder.count('query.exactAfterLoss')
  return index.search(vector, { ...options, exact: true })
}

/** Reads the best matches from the store, keeping at most `perDocument` of one document. */
function hydrate(
  fused: RankedList['matches'],
  lists: readonly RankedList[],
  { topK, perDocument }: Wanted,
  namespace: StoreNamespace,
): { hits: NumberedHit[]; vanished: number } {
  const legs = lists.map(({ leg, matches }) => ({
    leg,
    scores: new Map(matches.map(({ number, score }) => [number, score])),
  }))
  const ofDocument = new Map<string, number>()
  const hits: NumberedHit[] = []
  let vanished = 0
  for (let from = 0; from < fused.length && hits.length < topK; from += topK) {
    const slice = fused.slice(from, from + topK)
    const chunks = namespace.chunks(slice.map(({ number }) => number))
    for (const [place, { number, score }] of slice.entries()) {
      const chunk = chunks[place]
      if (chunk === undefined) {
        vanished++
        continue
      }
      const count = ofDocument.get(chunk.documentId) ?? 0
      if (count >= perDocument || hits.length >= topK) continue
      ofDocument.set(chunk.documentId, count + 1)
      hits.push({ number, hit: { chunk, score, scores: legScores(number, legs, score) } })
    }
  }
  return { hits, vanished }
}

function legScores(
  number: number,
  legs: readonly { readonly leg: 'lexical' | 'vector'; readonly scores: ReadonlyMap<number, number> }[],
  fused: number,
): LegScores {
  const scores: { lexical?: number; vector?: number; fused?: number } = {}
  for (const { leg, scores: found } of legs) {
    const score = found.get(number)
    if (score !== undefined) scores[leg] = score
  }
  if (legs.length > 1) scores.fused = fused
  return scores
}

async function timed<Result>(
  stage: string,
  { recorder, now }: Pick<RetrieveTools, 'recorder' | 'now'>,
  task: () => Result | Promise<Result>,
): Promise<Result> {
  const began = now()
  const result = await task()
  recorder.stage(stage, now() - began)
  return result
}
