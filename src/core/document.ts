/** A value that metadata may hold. Anything JSON can carry. */
export type MetadataValue =
  | string
  | number
  | boolean
  | null
  | readonly MetadataValue[]
  | { readonly [key: string]: MetadataValue }

/** What the caller knows about a document or a chunk. Keys are free; nested paths are filtered as `a.b`. */
export type Metadata = { readonly [key: string]: MetadataValue }

/** What every form of input may carry. */
export interface DocumentFields {
  /** Identity. The same id again replaces. Default: the path relative to `root`, else SHA-256 of the content. At most 1,024 UTF-8 bytes. */
  readonly id?: string
  /** Shown in citations and indexed with every chunk. Default: the first heading, or the PDF's own title. */
  readonly title?: string
  /** BCP 47 or English name of the language the text is stemmed in (`en`, `german`). Default: the `language` option. */
  readonly language?: string
  readonly metadata?: Metadata
}

/** Text that is already in memory. */
export interface TextDocument extends DocumentFields {
  readonly text: string
  /** `text/plain` (default), `text/markdown` or `text/html`. */
  readonly mediaType?: string
}

/** Bytes of any supported media type. */
export interface BinaryDocument extends DocumentFields {
  readonly data: Uint8Array
  /** Default: told from the bytes. */
  readonly mediaType?: string
  /** Password of an encrypted document. */
  readonly password?: string
}

/** A file with facts that its bytes do not tell. */
export interface FileDocument extends DocumentFields {
  readonly path: string
  readonly mediaType?: string
  readonly password?: string
}

/** Chunks made elsewhere: they are stored as they are. */
export interface ChunkedDocument extends DocumentFields {
  readonly id: string
  readonly chunks: readonly OwnChunk[]
}

/** One chunk made elsewhere. */
export interface OwnChunk {
  readonly text: string
  /** Unit-length or not; the embedder's dimensions. Without it the chunk is embedded when an embedder is set. */
  readonly vector?: Float32Array | readonly number[]
  readonly metadata?: Metadata
  /**
   * Where the chunk stands in your own document. Of it `page` is kept and cited; offsets in results always point into the chunks
   * joined by blank lines, which is the text the store has. Keep your own offsets in `metadata`.
   */
  readonly span?: { readonly start: number; readonly end: number; readonly page?: number }
}

/** One document, in any form `ingestDocument()` takes: a path, or an object. */
export type DocumentInput = string | Uint8Array | TextDocument | BinaryDocument | FileDocument | ChunkedDocument

/** A document whose last attempt failed, as `failures()` lists it. An earlier version may be stored all the same. */
export interface DocumentFailure {
  readonly id: string
  /** Path or `memory:` name that it was read from. */
  readonly source: string
  /** A `RagErrorCode`. */
  readonly code: string
  readonly message: string
  /**
   * Attempts in a row that failed for a reason that lies in the document, with the same file and the same options. A service that was
   * down, a full disk or an abort are not counted.
   */
  readonly attempts: number
  /** Whether `ingest()` leaves the file out until it changes, or until it is asked to try again: after three attempts. */
  readonly quarantined: boolean
  /** Milliseconds since 1970. */
  readonly failedAt: number
}

/** A stored document, as `documents()` lists it. */
export interface StoredDocument {
  readonly id: string
  readonly title: string
  /** Path or `memory:` name that it was read from. */
  readonly source: string
  readonly mediaType: string
  readonly language: string
  readonly metadata: Metadata
  /** Number of chunks. */
  readonly chunks: number
  /** UTF-16 code units of extracted text. */
  readonly characters: number
  /** Pages, for media that have them, else 0. */
  readonly pages: number
  /** Milliseconds since 1970 of the commit. */
  readonly committedAt: number
  /** SHA-256 (hex) of the content. */
  readonly contentHash: string
}
