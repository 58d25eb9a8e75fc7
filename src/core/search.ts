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
}

/** One retrieved passage. */
export interface Hit {
  readonly chunk: Chunk
  /** Higher is better; comparable within one result only. */
  readonly score: number
  readonly scores: LegScores
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
}

/** A question as text, as a vector, or both. A vector alone searches the vector leg only. */
export type Question = string | { readonly vector: Float32Array; readonly text?: string }
