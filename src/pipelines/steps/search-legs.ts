import { RangeSet } from '../../core/range-set.js'
import type { LegWeights } from '../../embed/types.js'
import type { LexicalMatch, LexicalResult, QueryTerm } from '../../lexical-index/types.js'
import type { VectorIndex, VectorMatch, VectorSearchOptions } from '../../vector-index/types.js'
import { isFitted, type NamespaceIndexes, type VectorLeg } from '../catch-up.js'
import type { Fuse, RankedList, RetrieveTools } from '../retrieve.js'
import { timed } from './timed.js'

/** A question as the legs are asked it. */
export interface LegSearch {
  readonly text: string
  /** Absent: only the words are searched. */
  readonly vector: Float32Array | undefined
  /** Absent: everything is allowed. */
  readonly allow: RangeSet | undefined
  readonly indexes: NamespaceIndexes
  /** Absent: the words may be of any. */
  readonly language?: string | undefined
}

/** What the legs found for one text. */
export interface LegsFound {
  readonly lists: readonly RankedList[]
  readonly terms: readonly QueryTerm[]
  /** Whether no leg has more than was asked for. */
  readonly exhausted: boolean
}

/** Weight λ of the document's score where nothing is known: measured best over thirteen sets (`npm run bench -- retrieval`). */
const defaultDocumentWeight = 0.5

/**
 * Searches words and vectors at the same time, `topK` matches each. Where scores are added, a candidate of one leg needs its score in the other,
 * too, although that has better ones (without it, nDCG@10 falls by up to .02): the words score the vectors' matches while they are at it, and the
 * vectors of the words' matches are looked up.
 */
export async function searchLegs(query: LegSearch, topK: number, tools: RetrieveTools): Promise<LegsFound> {
  // First, because another thread searches vectors while this one searches words.
  const searched = searchVectors(query, topK, tools)
  // A failure of either leg is met where both are awaited.
  searched?.catch(() => {})
  const [words, neighbours] = await Promise.all([searchWords(query, topK, searched, tools), searched])
  const lists: RankedList[] = []
  if (words !== undefined) lists.push({ leg: 'lexical', matches: withScored(words) })
  if (neighbours !== undefined) {
    const others = withoutKnown((await words?.vectors) ?? [], neighbours)
    lists.push({ leg: 'vector', matches: [...neighbours, ...others] })
  }
  const exhausted = [words?.matches, neighbours].every((matches) => matches === undefined || matches.length < topK)
  return { lists, terms: words?.terms ?? [], exhausted }
}

/** One leg alone is as it is, whatever it weighs. */
export function joinLegs(lists: readonly RankedList[], fuse: Fuse, weights: LegWeights): RankedList['matches'] {
  return lists.length === 1 ? (lists[0] as RankedList).matches : fuse(lists, { weights })
}

/** Those that the embedder was fitted with; the vector's matters only where the fusion is adaptive. */
export function legWeights(
  { indexes }: Pick<LegSearch, 'indexes'>,
  { adaptive, documentWeight }: RetrieveTools,
): LegWeights {
  const embedder = indexes.vector?.embedder
  const fitted = adaptive && embedder !== undefined && isFitted(embedder) ? embedder.weights : undefined
  return { document: documentWeight ?? fitted?.document ?? defaultDocumentWeight, vector: fitted?.vector ?? 1 }
}

function searchVectors(
  { vector, allow, indexes }: LegSearch,
  topK: number,
  tools: RetrieveTools,
): Promise<VectorMatch[]> | undefined {
  const leg = indexes.vector
  if (leg === undefined || vector === undefined) return undefined
  return timed('query.vector', tools, () => nearest(vector, { topK, ...restriction(allow) }, leg.index, tools))
}

interface WordsFound extends LexicalResult {
  /** What the vectors say of the matches, where scores are added. */
  readonly vectors: Promise<readonly VectorMatch[]> | undefined
}

async function searchWords(
  query: LegSearch,
  topK: number,
  neighbours: Promise<VectorMatch[]> | undefined,
  tools: RetrieveTools,
): Promise<WordsFound | undefined> {
  const { text, allow, indexes, language } = query
  if (text.trim() === '') return undefined
  const documentWeight = legWeights(query, tools).document
  const began = tools.now()
  let waitedMs = 0
  let vectors: Promise<readonly VectorMatch[]> | undefined
  const alsoScore = async (matches: readonly LexicalMatch[]) => {
    // Asked for before the neighbours are there, so that both come by the same way, one behind the other.
    vectors = vectorsOf(matches, query, tools)
    // Awaited with the neighbours, where a failure is met.
    vectors.catch(() => {})
    const from = tools.now()
    const numbers = (await neighbours)?.map(({ number }) => number) ?? []
    waitedMs = tools.now() - from
    return numbers
  }
  const found = await indexes.lexical.search(text, {
    topK,
    documentWeight,
    ...restriction(allow),
    ...(language === undefined ? {} : { language }),
    ...(tools.addsScores && neighbours !== undefined ? { alsoScore } : {}),
  })
  tools.recorder.stage('query.lexical', tools.now() - began - waitedMs)
  return { ...found, vectors }
}

function restriction(allow: RangeSet | undefined): { readonly allow?: RangeSet } {
  return allow === undefined ? {} : { allow }
}

/** The best, and whatever else was scored, best first. */
function withScored({ matches, also = [] }: LexicalResult): readonly LexicalMatch[] {
  const others = withoutKnown(also, matches)
  return [...matches, ...others.sort((a, b) => b.score - a.score || a.number - b.number)]
}

function withoutKnown<Match extends { readonly number: number }>(
  matches: readonly Match[],
  known: readonly { readonly number: number }[],
): Match[] {
  const numbers = new Set(known.map(({ number }) => number))
  return matches.filter(({ number }) => !numbers.has(number))
}

/** What the vectors say of the words' matches. */
async function vectorsOf(
  words: readonly LexicalMatch[],
  { vector, indexes }: LegSearch,
  tools: RetrieveTools,
): Promise<readonly VectorMatch[]> {
  if (words.length === 0) return []
  const allow = RangeSet.from(words.map(({ number }) => [number, number + 1] as const))
  const { index } = indexes.vector as VectorLeg
  return timed('query.vector', tools, () =>
    // So few are always looked at exactly: no sample of the recall.
    nearest(vector as Float32Array, { topK: words.length, allow }, index, { ...tools, watchRecall: undefined }),
  )
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
