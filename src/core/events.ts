import type { AnswerMetadata, Citation, Source } from './answer.js'

/** Stages of a query, in order. */
export type QueryStage = 'retrieve' | 'rerank' | 'pack' | 'generate'

/** What `stream()` yields: `status` as stages begin, `sources` before the first token, then the answer, then one `metadata`. */
export type AnswerEvent =
  | { readonly type: 'status'; readonly stage: QueryStage }
  | { readonly type: 'sources'; readonly sources: readonly Source[] }
  | { readonly type: 'answer-delta'; readonly text: string }
  | { readonly type: 'citation'; readonly citation: Citation }
  | ({ readonly type: 'metadata' } & AnswerMetadata)

/** Stages of one document's ingest, in order. */
export type IngestStage =
  | 'discovered'
  | 'prepared'
  | 'embedded'
  | 'committed'
  | 'unchanged'
  | 'quarantined'
  | 'removed'
  | 'failed'

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
  readonly chunks: number
  /** Chunks that could not be embedded so far. */
  readonly unembedded: number
  /** Chunks that an enricher failed at so far. */
  readonly unenriched: number
  readonly pages: number
  /** Bytes of the documents done so far, unchanged ones included. */
  readonly bytes: number
  readonly elapsedMs: number
  readonly chunksPerSecond: number
  /** Estimate from documents done of total; absent until it means something. */
  readonly remainingMs?: number
}
