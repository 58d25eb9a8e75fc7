import type { Closable } from '../core/lifecycle.js'
import type { RangeSet } from '../core/range-set.js'

/**
 * Finds passages by their words. Ids are chunk numbers (see `store/types.ts`). Scores: higher is better, comparable within one search.
 * Updates are staged and become visible at once with `publish()`: a search sees one epoch, never half a document.
 */
export interface LexicalIndex extends Closable {
  readonly id: string
  /** Changes whenever the same documents would be indexed otherwise. */
  readonly fingerprint: string
  /** Store epoch that a search reflects. */
  readonly epoch: number
  /** What is searchable now. */
  stats(): LexicalStats
  /** Opens an update; one at a time. */
  update(): LexicalUpdate
  /**
   * Writes what is searchable to where the index lives, so that the next process need not rebuild it; does nothing for an index in
   * memory or when nothing has changed. Only one process may call it at a time; others may open and search meanwhile.
   */
  persist(): Promise<void>
  /** Resolves once `stats().building` is false; absent where it always is. Never rejects. */
  settled?(): Promise<void>
  /** Never blocks the event loop for more than a few milliseconds. */
  search(text: string, options: LexicalSearchOptions): Promise<LexicalResult>
}

export interface LexicalStats {
  readonly chunks: number
  readonly documents: number
  readonly segments: number
  /** Bytes held, true within 10% of what `close()` releases. */
  readonly bytes: number
  /** Whether segments are merged in the background. Searches are right meanwhile. */
  readonly building: boolean
}

/** Changes that are being prepared. */
export interface LexicalUpdate {
  /** Stages part of a document (its pieces encoded as in `core/piece.ts`, in order). Parts of one document follow each other. Resolves when more can be taken. */
  add(part: LexicalDocumentPart): Promise<void>
  /** Stages the removal of chunk numbers. */
  remove(ranges: readonly (readonly [start: number, end: number])[]): void
  /** Makes everything staged searchable, as of this store epoch. */
  publish(epoch: number): Promise<void>
  /** Forgets everything staged. */
  abort(): void
}

/** Consecutive pieces of one document. */
export interface LexicalDocumentPart {
  /** First chunk number of the document (not of the part): it identifies the document. */
  readonly base: number
  readonly title: string
  /** Language its words are stemmed in. */
  readonly language: string
  readonly pieces: readonly Uint8Array[]
}

export interface LexicalSearchOptions {
  readonly topK: number
  readonly allow?: RangeSet
  /** Weight λ of the document's score beside the chunk's. Default 0.5; 0 ranks by chunks alone. */
  readonly documentWeight?: number
  /**
   * Language of the text, as English name or BCP 47 code: its words are looked up as they are reduced in that language. Default, and where
   * there are no documents of it: in every language of the index.
   */
  readonly language?: string
  /**
   * Numbers whose scores are wanted too, however many are better. Asked once, told the best when they are known, so that another search can
   * tell them meanwhile; all is of one epoch. When it rejects, so does the search.
   */
  readonly alsoScore?: (matches: readonly LexicalMatch[]) => Promise<readonly number[]>
}

export interface LexicalMatch {
  readonly number: number
  /** Above 0. */
  readonly score: number
}

export interface LexicalResult {
  /** Best first; equal scores in the order of their numbers. */
  readonly matches: readonly LexicalMatch[]
  /** With `alsoScore`: those of its numbers that hold any of the terms, in the order given; `allow` does not matter. */
  readonly also?: readonly LexicalMatch[]
  /** The query's terms as the index knows them: what was searched, and how rare it is. */
  readonly terms: readonly QueryTerm[]
}

/** A query term after analysis. */
export interface QueryTerm {
  /** Stemmed form. */
  readonly term: string
  /** Inverse document frequency over chunks: ln(1 + (N - df + 0.5) / (df + 0.5)). */
  readonly idf: number
  /** Chunks that hold it; 0 for a term the corpus does not know. */
  readonly documentFrequency: number
}
