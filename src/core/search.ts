import type { Chunk, Span } from './chunk.js'
import type { Filter } from './filter.js'
import type { WaitOptions } from './lifecycle.js'
import type { Turn, UnderstandOptions } from './understanding.js'

/** What each leg of the search said of a hit. A leg that did not see it is absent. Higher is better. */
export interface LegScores {
  /** BM25, two-level. */
  readonly lexical?: number
  /** Inner product of unit vectors, -1 to 1. */
  readonly vector?: number
  /** What fusion made of the legs. */
  readonly fused?: number
  /** What the reranker gave; absent without one, for hits it left out, and when it failed. */
  readonly rerank?: number
}

/** One retrieved passage. */
export interface Hit {
  readonly chunk: Chunk
  /** The reranker's where there is one, else that of the search. Higher is better; comparable within one result only. */
  readonly score: number
  readonly scores: LegScores
  /**
   * The text around the passage; there when `expand` was asked for. Hits whose texts would overlap share one. Of a source of an answer: what was
   * shown of it.
   */
  readonly context?: HitContext
}

/** A stretch of a document that holds a hit: exactly its extracted text from `span.start` to `span.end`. */
export interface HitContext {
  readonly text: string
  readonly span: Span
}

/** How much text around a hit comes with it. */
export interface ExpandOptions {
  /** Passages before the hit, 0 to 1,000. Default 1. */
  readonly before?: number
  /** Passages behind the hit, 0 to 1,000. Default 1. */
  readonly after?: number
  /**
   * Characters of the context of one hit at most, 1 to 1,000,000, the hit itself included. Default 2,000. The hit is there whole even
   * when it is longer; the contexts of several hits that overlap make a longer one.
   */
  readonly maxChars?: number
}

/** Rerankers by name. */
export type RerankerName = 'mmr' | 'cross-encoder' | 'llm'

/** How one call is reranked; what is left out is as the option `rerank` of the constructor says. */
export interface RerankCall {
  /** Default: that of the constructor. */
  readonly kind?: RerankerName
  /** Hits it is given, 1 to 1,000; `topK` where that is more. */
  readonly candidates?: number
  /** Of `'mmr'` only: 1 is the order of the search, 0 counts only what is new. Default: that of the constructor, else 0.8. */
  readonly lambda?: number
}

/** Options of `retrieve()`. */
export interface RetrieveOptions extends WaitOptions {
  /** Hits wanted, 1 to 10,000. Default: the preset's (5). */
  readonly topK?: number
  /** Only passages whose metadata hold. Checked before the search, so `topK` hits come when there are as many. */
  readonly filter?: Filter
  /** `'document'` keeps the best chunk of each document. */
  readonly groupBy?: 'document'
  /** At most this many chunks of one document. Default: no limit in `retrieve()`, 3 in `query()`. */
  readonly perDocument?: number
  /**
   * `false`: no reranking; a name, or what is different from the constructor's option. Default: as the constructor says. `true`
   * without a reranker there is `BAD_OPTION`.
   */
  readonly rerank?: boolean | RerankerName | RerankCall
  /**
   * Gives each hit the text around it as its `context`: `'neighbours'`, a passage before and one behind it; `'section'`, all that
   * stands under the same headings; or as said. At most 2,000 characters for one hit unless said otherwise. Default: none.
   */
  readonly expand?: 'neighbours' | 'section' | ExpandOptions
  /**
   * What is done to the question before it is searched for; what is left out is as the option `understand` of the constructor says.
   * `false`: nothing. A vector without a text is searched for as it is.
   */
  readonly understand?: false | UnderstandOptions
  /** What was said before, the oldest first: the question is made to stand alone. At most 10,000 turns, of which the last ones are read. */
  readonly history?: readonly Turn[]
  /**
   * Milliseconds from the call to the hits, or to the first words of an answer, 1 to 600,000: steps of understanding that ask a model, reranking and
   * expansion are left out where there is no time for them, by what they took lately. Nothing fails because of it, and nothing else ends
   * sooner; for that there is `deadlineMs`. In a batch each question has it, from its turn on. Default: the constructor's; `false`: no budget.
   */
  readonly budgetMs?: number | false
}

/** A question as text, as a vector, or both. A vector alone searches the vector leg only. */
export type Question = string | { readonly vector: Float32Array; readonly text?: string }
