import type { Chunk } from '../core/chunk.js'
import type { StoredDocument } from '../core/document.js'
import type { Closable } from '../core/lifecycle.js'

/**
 * The source of truth: documents, their extracted text, their chunks, vectors of unfitted embedders and the ingest journal.
 * Indexes, snapshots and caches are derived from it and may be thrown away at any time.
 *
 * Each document version is written under a `generation` of its own that nobody sees until `commit()`. A commit gives its
 * chunks a contiguous run of *chunk numbers* from a counter of the namespace that only grows: a number is never used again,
 * so an index that knows numbers can never show a replaced text. Numbers are the ids that indexes and filters work with.
 */
export interface Store extends Closable {
  /** Random, made with the store, 32 hex digits; a memory store has one per process. Part of every shared cache key. */
  readonly id: string
  readonly capabilities: StoreCapabilities
  /** Folder in which derived files (index segments, caches) may live; absent for stores without one. */
  readonly directory: string | undefined
  /** A handle on one namespace; cheap, created by its first commit. */
  namespace(name: string): StoreNamespace
  /** Names of all namespaces that hold or held documents, sorted. */
  namespaces(): string[]
  /**
   * Becomes the maintainer (writes snapshots, fits, compacts), or returns `undefined` at once while another living process is.
   * Call the returned function to step back; a dead maintainer's lock is taken over.
   */
  acquireMaintenance(): Promise<(() => Promise<void>) | undefined>
}

/** What a store can do; the pipelines plan around it. */
export interface StoreCapabilities {
  /** Survives the process. */
  readonly persistent: boolean
  /** Other processes may read and write it at the same time: epochs can move without us. */
  readonly shared: boolean
  readonly readOnly: boolean
}

/** One tenant's documents. All reads see the latest commit of any process and take no longer than a few microseconds per row. */
export interface StoreNamespace {
  readonly name: string
  /** Number of the last committed change of this namespace; 0 when nothing was ever written. Grows by one per commit or removal. */
  epoch(): number
  /** The number the next chunk that is committed will have: all that were ever given are below it. */
  nextNumber(): number
  /** Documents and chunks that are current. */
  counts(): { readonly documents: number; readonly chunks: number }
  get(documentId: string): DocumentRecord | undefined
  /** Documents in the order of their ids, after `after` (exclusive) when given. Reads lazily; safe while others write. */
  list(options?: { readonly after?: string }): Iterable<DocumentRecord>
  /** Starts a new version of a document. Nothing is visible before `commit()`; nothing survives without it. */
  begin(documentId: string): DocumentWriter
  /** Removes documents; unknown ids are ignored. Resolves, after the flush to disk, with how many there were. */
  remove(documentIds: readonly string[]): Promise<number>
  /**
   * What was committed after `since`, oldest first, collapsed: a document that was put and removed again does not appear.
   * `undefined` when the log no longer reaches back that far: then start from nothing with `changes(0)`, which always works
   * (it lists what is current). The last entry's epoch may be below `epoch()` when later changes cancelled out.
   */
  changes(since: number): Changes | undefined
  /**
   * The pieces (see `core/piece.ts`, encoded) of a document version, in order, from the one holding chunk `fromOrdinal`. A version
   * that was replaced or removed stays readable for a while (a minute by default); after that the iteration throws `NOT_FOUND`.
   */
  pieces(document: DocumentRecord, fromOrdinal?: number): Iterable<Uint8Array>
  /**
   * Vectors stored with a document version, per piece, in order, from the one holding chunk `fromOrdinal`: `rows x dimensions`. As
   * long as {@link StoreNamespace.pieces}.
   */
  vectors(
    document: DocumentRecord,
    fromOrdinal?: number,
  ): Iterable<{ readonly firstOrdinal: number; readonly vectors: Float32Array }>
  /** The current document whose numbers contain this one. */
  locate(number: number): DocumentRecord | undefined
  /** Chunks by number, in the order given; `undefined` for numbers that are not current. */
  chunks(numbers: readonly number[]): (Chunk | undefined)[]
  /** Extracted text `[start, end)` of a document's current version, clipped to it. */
  text(documentId: string, start: number, end: number): string
  /**
   * Notes that the source still holds what the current version was made of: forgets a failure, and remembers the file's new stamp, when
   * one is given and the version is still the one meant. No change that a reader would see, and no new epoch. Resolves after the flush.
   */
  confirm(document: DocumentRecord, file?: FileStamp): Promise<void>
  /** The document's last attempt, when it failed. */
  failure(documentId: string): FailedDocument | undefined
  /** Documents whose last attempt failed, newest first. */
  failures(): Iterable<FailedDocument>
}

/** What happened to a namespace between two epochs. */
export interface Changes {
  /** The epoch this brings a reader to. */
  readonly epoch: number
  /**
   * Read as it is walked through, so that a long list neither blocks nor is held: what is replaced or removed before its turn is left out, and
   * is among the changes since {@link Changes.epoch}.
   */
  readonly added: Iterable<DocumentRecord>
  /** Number ranges `[start, end)` that are no longer current and were current at `since` (or may have been). */
  readonly removed: readonly (readonly [start: number, end: number])[]
}

/** A stored document with the facts only the library needs. */
export interface DocumentRecord extends StoredDocument {
  readonly generation: number
  /** Chunk numbers are `[base, base + chunks)`. */
  readonly base: number
  /** What the file looked like when it was read; absent for documents that were no files. */
  readonly file?: FileStamp
  /** Fingerprint of everything that shaped the chunks (extractor, chunker, enricher, embedder). */
  readonly pipeline: string
  /** Set when chunks carry metadata of their own, so that filters look at each. */
  readonly chunkMetadata?: true
  /** Fingerprint of the embedder whose vectors are stored with it; absent without vectors. */
  readonly embedder?: string
}

/** Tells an unchanged file without reading it. */
export interface FileStamp {
  readonly size: number
  readonly mtimeMs: number
  readonly inode: number
  /** Of a document that was read from the web: what its server tells the version by. Sizes and times say nothing then. */
  readonly validators?: { readonly etag?: string; readonly lastModified?: string }
  /** Milliseconds since 1970 at which it was looked at. A file that was written just before may be written again under the same time. */
  readonly seenAt?: number
}

/** A document as the pipeline hands it over at commit; the store adds the rest. */
export type NewDocument = Omit<DocumentRecord, 'id' | 'chunks' | 'generation' | 'base' | 'committedAt'>

/** A version of a document while it is being written. */
export interface DocumentWriter {
  /**
   * Adds the next piece (encoded), with its chunk count and, for an unfitted embedder, the vectors of its chunks (`rows x dimensions`).
   * The bytes belong to the store from now on. Resolves when more can be taken: at most 8 MB are held back.
   */
  write(piece: Uint8Array, chunks: number, vectors?: Float32Array): Promise<void>
  /**
   * Makes the version current, replacing the earlier one, and resolves once it is flushed to disk. When the current version has
   * the same `contentHash` and `pipeline` (another process was first), the new one is dropped and `unchanged` is true. Rejects with
   * `LOCKED` when the current version is not the one it may replace.
   */
  commit(
    document: NewDocument,
    options?: CommitOptions,
  ): Promise<{ readonly record: DocumentRecord; readonly unchanged: boolean }>
  /**
   * Drops the version. With `failure`, notes it in the journal, whether anything was written or not. Safe twice, and after a failed `commit()`. Does not reject when
   * that cannot be done at once (a full disk): nobody sees the version, and it is dropped later.
   */
  abort(failure?: NewFailure): Promise<void>
}

export interface CommitOptions {
  /** Generation of the only version that may be replaced, 0 for none: whoever has lost a lock must not replace what came after. Default: any. */
  readonly replaces?: number | undefined
}

/** A failure as the pipeline reports it. */
export interface NewFailure {
  /** A `RagErrorCode`. */
  readonly code: string
  readonly message: string
  /** Path or name that the document was read from. */
  readonly source?: string
  /** What the file looked like. */
  readonly file?: FileStamp
  /** Fingerprint of how it was tried: of whatever, beside the content, decides whether it succeeds. */
  readonly tried?: string
  /** The reason does not lie in the document (a service was down, the disk failed): not counted as an attempt. Default `false`. */
  readonly blameless?: boolean
}

/** A document whose last attempt failed. */
export interface FailedDocument extends Omit<NewFailure, 'blameless'> {
  readonly documentId: string
  /** Failures in a row, of the same file tried the same way, whose reason lies in the document. */
  readonly attempts: number
  /** Milliseconds since 1970. */
  readonly failedAt: number
}
