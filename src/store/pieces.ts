import type { Chunk } from '../core/chunk.js'
import { RagError } from '../core/errors.js'
import { decodePiece, type Piece, pieceChunkText } from '../core/piece.js'
import type { DocumentRecord } from './types.js'

/** Decodes stored bytes; bytes that are no piece mean that the store is damaged. */
export function readPiece(document: DocumentRecord, bytes: Uint8Array): Piece {
  try {
    return decodePiece(bytes)
  } catch (cause) {
    throw damaged(document, cause)
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
    span: chunk.span,
    title: document.title,
    headings: chunk.headings,
    language: document.language,
    metadata: chunk.metadata === undefined ? document.metadata : { ...document.metadata, ...chunk.metadata },
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
    hint: 'Ingest the document again; if it happens repeatedly, check the disk.',
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
