import type { SerializedRagError } from '../core/errors.js'
import type { DocumentRecord, FileStamp, NewDocument, NewFailure } from './types.js'

/** What the writer's thread is started with. */
export interface WriterData {
  readonly directory: string
  readonly mapSize: number
  /** This opening of the store. */
  readonly session: string
  /** Sessions of this process that ended without closing: what they were writing is to be deleted. */
  readonly endedSessions: readonly string[]
  /** Milliseconds that a replaced version stays readable. */
  readonly retireMs: number
  /** See `util/thread-guard.ts`. */
  readonly exitGuard: Int32Array
}

/** Pieces on their way into a version. */
export interface Content {
  /** Place of the first of them within the version. */
  readonly place: number
  readonly pieces: readonly StoredPiece[]
}

export interface StoredPiece {
  readonly bytes: Uint8Array
  readonly vectors: Float32Array<ArrayBuffer> | undefined
}

/** A document version: its generation once some of it is stored. */
export interface VersionOf {
  readonly namespace: string
  readonly documentId: string
  readonly generation: number | undefined
}

/** One unit of work for the writer's thread; small ones share a transaction. */
export type Request =
  | { readonly kind: 'append'; readonly version: VersionOf; readonly content: Content }
  | {
      readonly kind: 'commit'
      readonly version: VersionOf
      readonly content: Content
      readonly directory: Float64Array
      readonly chunks: number
      readonly document: NewDocument
      readonly replaces?: number | undefined
    }
  | {
      readonly kind: 'abort'
      readonly version: VersionOf
      readonly failure: NewFailure | undefined
    }
  | {
      readonly kind: 'confirm'
      readonly namespace: string
      readonly documentId: string
      /** Of the version that is meant. */
      readonly generation: number
      readonly file: FileStamp | undefined
    }
  | { readonly kind: 'remove'; readonly namespace: string; readonly documentIds: readonly string[] }
  | { readonly kind: 'close' }

/** What a request of each kind answers. */
export interface Replies {
  /** The generation that the version is written under. */
  readonly append: number
  readonly commit: { readonly record: DocumentRecord; readonly unchanged: boolean }
  readonly abort: undefined
  readonly confirm: undefined
  /** How many there were. */
  readonly remove: number
  readonly close: undefined
}

/** To the writer's thread. `bytes` is about what the request writes. */
export interface RequestMessage {
  readonly id: number
  readonly bytes: number
  readonly request: Request
}

/** From the writer's thread, after the flush to disk. */
export type ReplyMessage =
  | { readonly kind: 'done'; readonly id: number; readonly value: Replies[keyof Replies] }
  | {
      readonly kind: 'failed'
      readonly id: number
      readonly error: SerializedRagError
      readonly cause: string | undefined
    }
  | { readonly kind: 'warning'; readonly message: string; readonly data: Readonly<Record<string, unknown>> }
