import type { Metadata } from './document.js'

/** A stretch of a document's extracted text: `[start, end)` in UTF-16 code units, with the page it begins on. */
export interface Span {
  readonly start: number
  readonly end: number
  /** 1-based. Absent for media without pages. */
  readonly page?: number
}

/**
 * A passage of a document, the unit of retrieval. `text` is exactly the extracted text from `span.start` to `span.end`;
 * title and headings are indexed with it but are no part of it.
 */
export interface Chunk {
  /** First 16 bytes (32 hex digits) of SHA-256 over document id, indexed text and occurrence number. */
  readonly id: string
  readonly documentId: string
  /** 0-based place within its document. */
  readonly ordinal: number
  readonly text: string
  readonly span: Span
  readonly title: string
  /** Headings above the passage, outermost first. */
  readonly headings: readonly string[]
  readonly language: string
  /** The document's metadata with the chunk's own laid over it. */
  readonly metadata: Metadata
}
