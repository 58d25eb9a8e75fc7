import { RagError, type RagErrorCode } from '../../core/errors.js'
import type { Logger } from '../../core/lifecycle.js'
import { indexedText } from '../../core/piece.js'
import type { Embedder } from '../../embed/types.js'
import type { Recorder } from '../../performance/types.js'
import type { RerankCandidate, RerankedMatch, Reranker } from '../../rerank/types.js'
import type { DocumentRecord, StoreNamespace } from '../../store/types.js'
import { abortable } from '../../util/abort.js'
import type { NumberedHit } from '../retrieve.js'

/** What reorders the hits of one search, and how many of them. */
export interface Reranking {
  /** For messages. */
  readonly id: string
  /** Whatever shapes its order; one that cannot tell has another one in every process. */
  readonly fingerprint: string
  /** Opens it, if that has not been done. */
  readonly open: () => Promise<Reranker>
  /** Hits it is given; more where more are wanted, never more than {@link maxReranked}. */
  readonly candidates: number
}

export interface RerankTools {
  readonly namespace: StoreNamespace
  /** See `RetrieveTools`. */
  readonly turn: () => Promise<void>
  readonly recorder: Recorder
  readonly logger: Logger
}

export interface RerankQuestion {
  /** `''` when only a vector was asked for. */
  readonly text: string
  readonly topK: number
  /** Whose vectors may be compared; absent without one. */
  readonly embedder: Pick<Embedder, 'dimensions' | 'fingerprint'> | undefined
  readonly signal: AbortSignal | undefined
}

/** Hits beyond so many keep the order of the search: a reranker's time grows with what it is given. */
export const maxReranked = 1_000

const final: ReadonlySet<RagErrorCode> = new Set([
  'BAD_OPTION',
  'MISSING_PEER',
  'NOT_FOUND',
  'INTEGRITY',
  'UNSUPPORTED',
  'CLOSED',
])

/** Whether an error says that a reranker can never work as it was set up: somebody must mend it, so nobody must miss it. */
export function canNeverWork(error: unknown): boolean {
  return RagError.isInstance(error) && final.has(error.code)
}

/**
 * Has the first hits put into a better order. Hits that the reranker leaves out come behind the others, with the lowest score it
 * gave. When it fails, the order of the search stays, the logger is warned and `rerank.failed` counted: an answer from the second-best
 * order is better than none. What says that it can never work (`MISSING_PEER`, `NOT_FOUND`, …) is thrown, as is an abort.
 */
export async function rerankHits(
  hits: readonly NumberedHit[],
  question: RerankQuestion,
  { id, open }: Reranking,
  tools: RerankTools,
): Promise<readonly NumberedHit[]> {
  const first = hits.slice(0, maxReranked)
  // One hit can be in no other order.
  if (first.length < 2) return hits
  const { signal, text, topK } = question
  try {
    const reranker = await abortable(open(), signal)
    // Without words there is nothing to compare passages with, but for vectors among themselves.
    if (text.trim() === '' && !reranker.capabilities.vectors) return hits
    const candidates = await toCandidates(first, reranker, question, tools)
    const request = { question: text, candidates, topK: Math.min(topK, candidates.length) }
    const call = async () => reranker.rerank(request, signal === undefined ? {} : { signal })
    const matches = checked(await abortable(call(), signal), candidates, reranker)
    tools.recorder.count('rerank.candidates', candidates.length)
    return reordered(hits, matches)
  } catch (error) {
    signal?.throwIfAborted()
    if (canNeverWork(error)) throw error
    tools.recorder.count('rerank.failed')
    tools.logger.warn('A reranker failed: hits keep the order of the search.', {
      reranker: id,
      error: RagError.isInstance(error) ? error.toJSON() : String(error),
    })
    return hits
  }
}

async function toCandidates(
  hits: readonly NumberedHit[],
  { capabilities }: Reranker,
  { embedder }: RerankQuestion,
  { namespace, turn }: RerankTools,
): Promise<RerankCandidate[]> {
  const candidates: RerankCandidate[] = []
  const readVector =
    capabilities.vectors && embedder !== undefined ? createVectorReader(namespace, embedder) : undefined
  for (const { number, hit } of hits) {
    const { headings, language, text, title } = hit.chunk
    const candidate = { number, text: indexedText(title, headings, text), language, score: hit.score }
    if (readVector !== undefined) await turn()
    const vector = readVector?.(number)
    candidates.push(vector === undefined ? candidate : { ...candidate, vector })
  }
  return candidates
}

interface StoredRows {
  /** Number of the first row. */
  readonly first: number
  readonly rows: number
  readonly vectors: Float32Array
}

/** Reads vectors of chunks from the store, a piece at a time (some 0.1 ms): neighbours are often found together. */
function createVectorReader(
  namespace: StoreNamespace,
  { dimensions, fingerprint }: Pick<Embedder, 'dimensions' | 'fingerprint'>,
): (number: number) => Float32Array | undefined {
  const read: StoredRows[] = []
  return (number) => {
    let piece = read.find(({ first, rows }) => number >= first && number < first + rows)
    if (piece === undefined) {
      const document = namespace.locate(number)
      // Vectors of fitted embedders are not stored, those of another embedder say nothing beside ours.
      if (document?.embedder !== fingerprint) return undefined
      piece = rowsWith(number, document, { namespace, dimensions })
      if (piece === undefined) return undefined
      read.push(piece)
    }
    const start = (number - piece.first) * dimensions
    const vector = piece.vectors.subarray(start, start + dimensions)
    // A row of zeros stands for a chunk that could not be embedded.
    return vector.some((value) => value !== 0) ? vector : undefined
  }
}

function rowsWith(
  number: number,
  document: DocumentRecord,
  { namespace, dimensions }: { readonly namespace: StoreNamespace; readonly dimensions: number },
): StoredRows | undefined {
  try {
    for (const { firstOrdinal, vectors } of namespace.vectors(document, number - document.base)) {
      const first = document.base + firstOrdinal
      const rows = vectors.length / dimensions
      return number >= first && number < first + rows ? { first, rows, vectors } : undefined
    }
  } catch (error) {
    // The version was replaced a while ago: it is no longer compared.
    if (!RagError.isInstance(error, 'NOT_FOUND')) throw error
  }
  return undefined
}

/** Believes nothing of a reranker: a wrong order must not become lost or doubled hits. */
function checked(
  matches: readonly RerankedMatch[],
  candidates: readonly RerankCandidate[],
  { id }: Reranker,
): readonly RerankedMatch[] {
  const known = new Set(candidates.map(({ number }) => number))
  const isSound =
    Array.isArray(matches) &&
    matches.every(
      (match, place) =>
        known.delete(match?.number) &&
        Number.isFinite(match.score) &&
        (place === 0 || match.score <= matches[place - 1].score),
    )
  if (isSound) return matches
  throw new RagError('PROVIDER', `The reranker "${id}" returned something other than its candidates in order.`, {
    data: { reranker: id, candidates: candidates.length },
    hint: 'rerank() resolves with [{ number, score }], each number of a candidate once at most, best first.',
  })
}

function reordered(hits: readonly NumberedHit[], matches: readonly RerankedMatch[]): NumberedHit[] {
  const byNumber = new Map(hits.map((hit) => [hit.number, hit]))
  const scored = matches.map(({ number, score }) => {
    const { hit } = byNumber.get(number) as NumberedHit
    byNumber.delete(number)
    return { number, hit: { ...hit, score, scores: { ...hit.scores, rerank: score } } }
  })
  const lowest = matches.at(-1)?.score
  const others = [...byNumber.values()].map(({ number, hit }) => ({
    number,
    hit: { ...hit, score: lowest ?? hit.score },
  }))
  return [...scored, ...others]
}
