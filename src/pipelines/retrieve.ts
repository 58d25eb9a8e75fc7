import { RagError } from '../core/errors.js'
import type { Filter } from '../core/filter.js'
import type { Logger } from '../core/lifecycle.js'
import type { RangeSet } from '../core/range-set.js'
import type { Hit, LegScores, Question, RetrieveOptions } from '../core/search.js'
import type { FusedMatch } from '../fusion/types.js'
import type { QueryTerm } from '../lexical-index/types.js'
import type { Recorder } from '../performance/types.js'
import type { StoreNamespace } from '../store/types.js'
import { isEmptyFilter } from '../util/filter.js'
import { allFinite, normalise } from '../util/vector-math.js'
import type { NamespaceIndexes, VectorLeg } from './catch-up.js'
import { allowedNumbers } from './steps/allow.js'
import { expandHits } from './steps/expand.js'
import { type Reranking, rerankHits } from './steps/rerank.js'

/** What retrieval works with; `compose` provides it. One per namespace. */
export interface RetrieveTools {
  readonly namespace: StoreNamespace
  readonly indexes: NamespaceIndexes
  /** Makes sure that the indexes reflect every commit this query must see. */
  readonly freshen: () => Promise<void>
  readonly fuse: Fuse
  /** Absent: hits keep the order of the search. */
  readonly reranking: Reranking | undefined
  /** Weight λ of the document's score beside the chunk's. */
  readonly documentWeight: number
  /** Waits for this query's turn, so that many at once leave the event loop free. */
  readonly turn: () => Promise<void>
  readonly recorder: Recorder
  readonly logger: Logger
  readonly now: () => number
}

/** What one leg of the search found, best first. */
export interface RankedList {
  readonly leg: 'lexical' | 'vector'
  readonly matches: readonly { readonly number: number; readonly score: number }[]
}

/** Joins the legs into one list, best first, ties by number. */
export type Fuse = (lists: readonly RankedList[]) => readonly FusedMatch[]

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
/** A replaced document can vanish between search and hydration; after so many such searches the rest is returned as it is. */
const maxAttempts = 3

/**
 * Catch up → search the legs → fuse → hydrate → rerank → keep `perDocument` → expand. Exact with respect to filters and grouping: candidates
 * are doubled until enough hits remain or the legs have no more.
 */
export async function retrieve(question: Question, options: RetrieveOptions, tools: RetrieveTools): Promise<Retrieved> {
  const found = await findHits(question, options, tools)
  const rank = () => rankHits(found, question, options, tools)
  const ranked = tools.reranking === undefined ? await rank() : await timed('query.rerank', tools, rank)
  const expand = () => expandHits(ranked, options.expand, tools)
  const hits = options.expand === undefined ? await expand() : await timed('query.expand', tools, expand)
  return { hits, terms: found.terms }
}

/** The first half of {@link retrieve}: everything before the reranker. */
export async function findHits(question: Question, options: RetrieveOptions, tools: RetrieveTools): Promise<FoundHits> {
  const text = textOf(question)
  const { signal } = options
  for (let attempt = 1; ; attempt++) {
    await tools.freshen()
    await tools.turn()
    signal?.throwIfAborted()
    const allow = await allowFor(options.filter, tools, signal)
    const vector = await timed('query.embed', tools, () => queryVector(question, text, tools.indexes.vector, signal))
    const { vanished, ...found } = await search({ text, vector, allow, wanted: wantedBy(options) }, tools, signal)
    if (vanished === 0 || attempt === maxAttempts) return found
  }
}

/** What each leg finds for a question, `depth` passages at most, not yet joined. */
export async function findLegs(
  question: string,
  depth: number,
  signal: AbortSignal | undefined,
  tools: RetrieveTools,
): Promise<readonly RankedList[]> {
  await tools.freshen()
  await tools.turn()
  signal?.throwIfAborted()
  const vector = await queryVector(question, question, tools.indexes.vector, signal)
  const { lists } = await searchLegs({ text: question, vector, allow: undefined, wanted: wantedBy({}) }, depth, tools)
  return lists
}

/** The second half of {@link retrieve}: reranks what was found and keeps what is wanted. */
export async function rankHits(
  { pool }: FoundHits,
  question: Question,
  options: RetrieveOptions,
  tools: RetrieveTools,
): Promise<readonly NumberedHit[]> {
  const { reranking, indexes } = tools
  const wanted = wantedBy(options)
  if (reranking === undefined) return keepBest(pool, wanted)
  const asked = {
    text: textOf(question),
    topK: wanted.topK,
    embedder: indexes.vector?.embedder,
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
  tools: RetrieveTools,
  signal?: AbortSignal,
): Promise<RangeSet | undefined> {
  if (filter === undefined || isEmptyFilter(filter)) return undefined
  const { freshen, indexes, namespace } = tools
  return timed('query.filter', tools, () =>
    allowedNumbers(filter, { metadata: indexes.metadata, namespace, freshen }, signal),
  )
}

async function queryVector(
  question: Question,
  text: string,
  leg: VectorLeg | undefined,
  signal?: AbortSignal,
): Promise<Float32Array | undefined> {
  if (typeof question !== 'string') return checkVector(question.vector, leg)
  if (leg === undefined || text.trim() === '') return undefined
  const { vectors, failed } = await leg.embedder.embed([text], {
    kind: 'query',
    ...(signal === undefined ? {} : { signal }),
  })
  // A question the embedder cannot represent (no known word) is left to the lexical leg.
  return failed.length > 0 ? undefined : vectors
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
    const { lists, terms } = await searchLegs(query, candidates, tools)
    signal?.throwIfAborted()
    const fused = joinLegs(lists, tools.fuse)
    const { hits: pool, vanished } = await timed('query.hydrate', tools, () =>
      hydrate(fused, lists, looked, tools.namespace),
    )
    const exhausted = lists.every(({ matches }) => matches.length < candidates)
    if (exhausted || keepBest(pool, wanted).length >= wanted.topK) return { pool, terms, vanished }
  }
}

/** One leg alone is as it is, whatever it weighs. */
export function joinLegs(lists: readonly RankedList[], fuse: Fuse): RankedList['matches'] {
  return lists.length === 1 ? (lists[0] as RankedList).matches : fuse(lists)
}

async function searchLegs(
  { text, vector, allow }: Search,
  topK: number,
  tools: RetrieveTools,
): Promise<{ lists: RankedList[]; terms: readonly QueryTerm[] }> {
  const { lexical, vector: leg } = tools.indexes
  const restriction = allow === undefined ? {} : { allow }
  const [words, neighbours] = await Promise.all([
    text.trim() === ''
      ? undefined
      : timed('query.lexical', tools, () =>
          lexical.search(text, { topK, documentWeight: tools.documentWeight, ...restriction }),
        ),
    leg === undefined || vector === undefined
      ? undefined
      : timed('query.vector', tools, () => leg.index.search(vector, { topK, ...restriction })),
  ])
  const lists: RankedList[] = []
  if (words !== undefined) lists.push({ leg: 'lexical', matches: words.matches })
  if (neighbours !== undefined) lists.push({ leg: 'vector', matches: neighbours })
  return { lists, terms: words?.terms ?? [] }
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
