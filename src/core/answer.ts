import type { Hit, RetrieveOptions } from './search.js'
import type { UnderstandStep, Understood } from './understanding.js'

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

/**
 * What was shown to the model under one number: its best hit, and the `context` it was shown in where that is more, or less, than the passage.
 */
export interface Source extends Hit {
  /** The `n` of `[n]`. */
  readonly marker: number
  /** All hits that are in it, in the order of the document; there when they are several. */
  readonly passages?: readonly Hit[]
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

/** Why a model stopped. `'length'`: the answer was cut at its limit; `'no-answer'`: it wrote nothing. */
export type FinishReason = 'stop' | 'length' | 'content-filter' | 'other' | 'no-answer'

/** What a model read and wrote for an answer; of an answer from the cache, when it was written. */
export interface TokenCounts {
  readonly input: number
  readonly output: number
  /** Whether one of them is a third of the bytes of UTF-8, rather too many, because the model did not tell. */
  readonly estimated: boolean
}

/**
 * How much of an answer its sources say, by words: a statement whose words stand in its sources may still say something else, one whose
 * words do not was not taken from them.
 */
export interface Groundedness {
  /** Share of the content words of all sentences, 0 to 1. */
  readonly score: number
  /** In the order of the answer; those without content words are left out. */
  readonly sentences: readonly GroundedSentence[]
}

/** One sentence of an answer. */
export interface GroundedSentence {
  /** `[start, end)` in `answer`, without the markers behind it, UTF-16 code units. */
  readonly start: number
  readonly end: number
  /**
   * Share of its distinct content words (stems of all words but the language's function words) that stand in the sources it cites, title and
   * headings included, 0 to 1; where it cites none, in the one source that has most of them.
   */
  readonly score: number
  /** The markers of the sources it cites, ascending. */
  readonly citations: readonly number[]
}

/** What a call with a budget may leave out: a step of understanding that asks a model, the reranker, the text around hits. */
export type DroppedStage = UnderstandStep | 'rerank' | 'expand'

/** What is known of an answer when it is complete. */
export interface AnswerMetadata {
  readonly outcome: Outcome
  /** With `'no-answer'`: what was searched. */
  readonly reason?: string
  readonly finishReason: FinishReason
  readonly timings: Timings
  readonly cache: CacheReport
  /** The model that wrote it. */
  readonly model: string
  readonly tokens: TokenCounts
  /** Absent without an answer. */
  readonly groundedness?: Groundedness
  /** `[n]` markers that named no source and were removed. */
  readonly inventedCitations: number
  /** What became of the question before it was searched for; absent where that was not asked for. */
  readonly understood?: Understood
  /** What was left out to keep `budgetMs`, in the order it was decided; there when the call has a budget. */
  readonly dropped?: readonly DroppedStage[]
}

/** What `query()` returns. With `outcome` `'no-answer'` the answer is `''`, there are no sources, and `reason` says what was searched. */
export interface QueryResult extends AnswerMetadata {
  readonly answer: string
  /** What the model was shown, best first; more than what it cites. */
  readonly sources: readonly Source[]
  /** One per marker that stands in the answer, in the order of their places. */
  readonly citations: readonly Citation[]
}

/** Options of `query()` and `stream()`. */
export interface QueryOptions extends RetrieveOptions {
  /**
   * UTF-16 code units of sources shown to the model, titles not counted, at least 100. Default: the constructor's (4,000). The first source that
   * does not fit is cut to whole sentences.
   */
  readonly maxContextChars?: number
  /**
   * The same in tokens, at least 25: a third of the bytes of UTF-8, which is rather too many. Default: the constructor's (any number). Where
   * only this is given, characters are not counted; where both are, both hold.
   */
  readonly maxContextTokens?: number
}
