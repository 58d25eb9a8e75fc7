import type { Hit, RetrieveOptions } from './search.js'
import type { Understood } from './understanding.js'

/** Where a statement of the answer comes from. */
export interface Citation {
  /** The number in the answer: `[n]`. */
  readonly marker: number
  /** `[start, end)` of the marker in `answer`, UTF-16 code units. */
  readonly position: { readonly start: number; readonly end: number }
  readonly documentId: string
  readonly chunkId: string
  readonly title: string
  /** 1-based, for media with pages. */
  readonly page?: number
  /** The best matching sentence: its place in the document's extracted text, and its words. */
  readonly span: { readonly start: number; readonly end: number }
  readonly quote: string
}

/** A hit that was shown to the model, with its number. */
export interface Source extends Hit {
  /** The `n` of `[n]`. */
  readonly marker: number
}

/** Whether an answer was found. */
export type Outcome = 'answered' | 'no-answer'

/** Milliseconds per stage of one query, by stage name, and `total`. */
export type Timings = Readonly<Record<string, number>>

/** What the caches did for one query; `off` where there is no cache or it was not asked. */
export interface CacheReport {
  readonly retrieval: 'hit' | 'miss' | 'off'
  readonly answer: 'hit' | 'miss' | 'off'
  /** There when the semantic cache knew an earlier question that means the same. */
  readonly semantic?: SemanticReport
}

/** What the semantic cache found for one question. */
export interface SemanticReport {
  /** Of the two questions' vectors, -1 to 1. */
  readonly similarity: number
  /** Whether the answer is that of the earlier question. */
  readonly served: boolean
  /** The earlier question and its answer; only in shadow mode, where they are not served. */
  readonly question?: string
  readonly answer?: string
}

/** Why a model stopped. */
export type FinishReason = 'stop' | 'length' | 'no-answer'

/** What `query()` returns. With `outcome` `'no-answer'` the answer is `''`, there are no sources, and `reason` says what was searched. */
export interface QueryResult {
  readonly answer: string
  readonly outcome: Outcome
  readonly reason?: string
  /** What the model was shown, best first; more than what it cites. */
  readonly sources: readonly Source[]
  /** One per marker that stands in the answer, in the order of their places. */
  readonly citations: readonly Citation[]
  readonly timings: Timings
  readonly cache: CacheReport
  /** What became of the question before it was searched for; absent where that was not asked for. */
  readonly understood?: Understood
}

/** Options of `query()` and `stream()`. */
export interface QueryOptions extends RetrieveOptions {
  /** Characters of sources shown to the model. Default 4,000. */
  readonly maxContextChars?: number
}
