import type { Chunk } from '../core/chunk.js'
import { RagError } from '../core/errors.js'
import { decodePiece, type Piece, pieceChunkText } from '../core/piece.js'
import { copyJson } from '../util/copy-json.js'
import { RecentlyUsed } from '../util/recently-used.js'
import type { DocumentRecord } from './types.js'

/** Decodes stored bytes; bytes that are no piece mean that the store is damaged. */
export function readPiece(document: DocumentRecord, bytes: Uint8Array): Piece {
  try {
    return decodePiece(bytes)
  } catch (cause) {
    throw damaged(document, cause)
  }
}

/**
 * What was decoded lately. A piece takes longer to decode (0.1 ms) than to read, and queries come back to the same ones: first
 * for a hit, then for the text around it. Versions never change, so nothing is ever stale; the key is generation and place.
 */
export class RecentlyRead<Value> {
  readonly #entries: RecentlyUsed<Value>

  constructor(maxBytes: number) {
    this.#entries = new RecentlyUsed({ maxBytes })
  }

  get(key: string, read: () => { readonly value: Value; readonly bytes: number }): Value {
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    const { value, bytes } = read()
    this.#entries.set(key, value, bytes)
    return value
  }
}

/** The chunk with this ordinal, as callers see it. */
export function chunkOf(document: DocumentRecord, piece: Piece, ordinal: number): Chunk {
  const chunk = piece.chunks[ordinal - piece.firstOrdinal]
  if (chunk === undefined) throw damaged(document)
  return {
    id: chunk.id,
    documentId: document.id,
    ordinal,
    text: pieceChunkText(piece, chunk),
    // Copies, as of the headings and the metadata: the piece, and the document, may be read again from memory.
    span: { ...chunk.span },
    title: document.title,
    headings: [...chunk.headings],
    language: document.language,
    metadata: copyJson({ ...document.metadata, ...chunk.metadata }),
  }
}

/** The part of the piece's text that lies in `[start, end)` of the document. */
export function textWithin(piece: Piece, start: number, end: number): string {
  return piece.text.slice(Math.max(0, start - piece.start), Math.max(0, end - piece.start))
}

/** What is stored does not match its checksum, or does not hold what its directory says. */
export function damaged(document: DocumentRecord, cause?: unknown): RagError {
  return new RagError('INTEGRITY', 'A stored document version is damaged.', {
    cause,
    data: { documentId: document.id, generation: document.generation },
    hint: 'Remove the document and ingest it again; if it happens repeatedly, check the disk.',
  })
}

/** The version was replaced or removed so long ago that its pieces were deleted. */
export function versionGone(document: DocumentRecord): RagError {
  return new RagError('NOT_FOUND', 'This version of the document is no longer stored.', {
    data: { documentId: document.id, generation: document.generation },
    hint: 'Read the record again with get() or changes().',
    retryable: true,
  })
}
