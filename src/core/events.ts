import type { AnswerMetadata, Citation, Source } from './answer.js'

/** Stages of a query, in order. */
export type QueryStage = 'understand' | 'retrieve' | 'rerank' | 'pack' | 'generate'

/** What `stream()` yields: `status` as stages begin, `sources` before the first token, then the answer, then one `metadata`. */
export type AnswerEvent =
  | { readonly type: 'status'; readonly stage: QueryStage }
  | { readonly type: 'sources'; readonly sources: readonly Source[] }
  | { readonly type: 'answer-delta'; readonly text: string }
  | { readonly type: 'citation'; readonly citation: Citation }
  | ({ readonly type: 'metadata' } & AnswerMetadata)

/**
 * What happened to a document: it was `'opened'` and is being read; more of it was cut, embedded and `'written'`; and how it ended. Small
 * documents are through before there is anything to tell between.
 */
export type IngestStage = 'opened' | 'written' | 'committed' | 'unchanged' | 'quarantined' | 'removed' | 'failed'

/** What `onProgress` receives. Totals grow while inputs are still being discovered (`discovering`). */
export interface IngestProgress {
  /** What happened last, and to which document. */
  readonly stage: IngestStage
  readonly source: string
  /** Documents that have reached an end: committed, unchanged, quarantined or failed. */
  readonly documentsDone: number
  readonly documentsTotal: number
  /** True until every input has been listed. */
  readonly discovering: boolean
  readonly failed: number
  readonly unchanged: number
  /** Files that were left out because they had failed too often. */
  readonly quarantined: number
  /** Documents removed because their files are gone. */
  readonly removed: number
  /** Written so far, those of documents under way included. */
  readonly chunks: number
  /** Chunks that could not be embedded so far. */
  readonly unembedded: number
  /** Chunks that an enricher failed at so far. */
  readonly unenriched: number
  /** Pages read so far, those of documents under way included; for media that have pages. */
  readonly pages: number
  /** Pages of the documents that are done or under way. */
  readonly pagesTotal: number
  /** Tokens that were embedded, where the embedder tells them. */
  readonly tokens: number
  /** Bytes of the documents done so far, unchanged ones included. */
  readonly bytes: number
  readonly elapsedMs: number
  readonly chunksPerSecond: number
  /** 0 where the embedder does not tell. */
  readonly tokensPerSecond: number
  /** Estimate from documents done of total, and from pages of those under way; absent until it means something. */
  readonly remainingMs?: number
}
