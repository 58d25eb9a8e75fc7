import type { Question, RetrieveOptions } from '../../core/search.js'
import { fuseByRank } from '../../fusion/rrf.js'
import type { FusedMatch } from '../../fusion/types.js'
import type { QueryTerm } from '../../lexical-index/types.js'
import type { RetrieveTools } from '../retrieve.js'
import { embedTexts, queryVector, textOf } from './question-vector.js'
import { joinLegs, type LegSearch, type LegsFound, legWeights } from './search-legs.js'

/** What understanding a question adds to its search. */
export interface Widened {
  /** Looked up in place of the words of the question, where some of them are to count for more. */
  readonly words?: string
  /** Terms that were added to the question: they say what it is about, not what is asked. */
  readonly added?: readonly string[]
  /** Searched beside the question. */
  readonly beside: readonly Beside[]
  /** Of the question. Absent: it may be any. */
  readonly language?: string
}

/** A text that is searched beside a question. */
export interface Beside {
  readonly text: string
  /** Which side of the embedder it is on. A passage is searched by its vector alone, where there are vectors. */
  readonly kind: 'query' | 'passage'
}

/** Options of a search whose question was understood. */
export type SearchOptions = RetrieveOptions & { readonly widened?: Widened }

/** What is the same for all texts of one question. */
type Common = Pick<LegSearch, 'allow' | 'indexes'>

/** The question as the legs are asked it, and behind it what is searched beside it: all texts of a kind are embedded with one call. */
export async function legSearches(
  question: Question,
  { signal, widened }: SearchOptions,
  common: Common,
): Promise<readonly [LegSearch, ...LegSearch[]]> {
  const text = textOf(question)
  const { indexes } = common
  if (widened === undefined) return [{ ...common, text, vector: await queryVector(question, text, indexes, signal) }]
  const { beside, language, words = text } = widened
  const own = typeof question === 'string' && text.trim() !== '' ? [text] : []
  const queries = textsOf(beside, 'query')
  const [given, vectors, passageVectors] = await Promise.all([
    own.length > 0 ? undefined : queryVector(question, text, indexes, signal),
    embedTexts([...own, ...queries], 'query', indexes.vector, signal),
    embedTexts(textsOf(beside, 'passage'), 'passage', indexes.vector, signal),
  ])
  const toSearch = (text: string, vector: Float32Array | undefined): LegSearch => ({
    ...common,
    text,
    vector,
    language,
  })
  const first = toSearch(words, own.length > 0 ? vectors[0] : given)
  return [
    first,
    ...queries.map((query, place) => toSearch(query, vectors[own.length + place])),
    // The words of a passage that nobody has checked lead anywhere; its vector is what it was written for.
    ...textsOf(beside, 'passage').map((passage, place) => {
      const vector = passageVectors[place]
      return toSearch(vector === undefined ? passage : '', vector)
    }),
  ]
}

/** What an added term weighs in an answer beside those of the question: it is to decide between passages, not between their sentences. */
const addedWeight = 0.3

/** The words of the question, as the model is told of them. */
export function weighAdded(terms: readonly QueryTerm[], { added = [] }: Pick<Widened, 'added'>): readonly QueryTerm[] {
  if (added.length === 0) return terms
  const weak = new Set(added)
  return terms.map((one) => (weak.has(one.term) ? { ...one, idf: one.idf * addedWeight } : one))
}

function textsOf(beside: readonly Beside[], kind: Beside['kind']): string[] {
  return beside.filter((one) => one.kind === kind).map(({ text }) => text)
}

/**
 * What the legs found, joined: for one text by the fusion that was chosen, and what was found for several by their places, each text
 * counting the same (RAG-Fusion: Rackauckas 2024), as scores of different questions cannot be compared.
 */
export function joinSearches(
  searches: readonly LegSearch[],
  found: readonly LegsFound[],
  tools: RetrieveTools,
): readonly FusedMatch[] {
  const lists = found.map((legs, place) =>
    joinLegs(legs.lists, tools.fuse, legWeights(searches[place] as LegSearch, tools)),
  )
  const [only = []] = lists
  return lists.length === 1 ? only : fuseByRank(lists.map((matches) => ({ matches, weight: 1 })))
}
