import type { Chunk } from './chunk.js'
import type { Filter } from './filter.js'
import type { WaitOptions } from './lifecycle.js'

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
}

/** Rerankers by name. */
export type RerankerName = 'mmr' | 'cross-encoder' | 'llm'

/** How one call is reranked; what is left out is as the option `rerank` of the constructor says. */
export interface RerankCall {
  /** Default: that of the constructor. */
  readonly kind?: RerankerName
  /** Hits it is given, 1 to 1,000; `topK` where that is more. */
  readonly candidates?: number
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
}

/** A question as text, as a vector, or both. A vector alone searches the vector leg only. */
export type Question = string | { readonly vector: Float32Array; readonly text?: string }
