import { RagError } from '../core/errors.js'
import { pieceOrigin } from '../core/piece.js'

/** Bytes of a document id in UTF-8, at most. */
export const maxIdBytes = 1024

const encoder = new TextEncoder()

/** UTF-8 of a document id, or `undefined` for text that no stored document can have as its id. */
export function idBytes(documentId: string): Uint8Array | undefined {
  // A lone surrogate would become U+FFFD, and two ids one.
  if (documentId === '' || documentId.length > maxIdBytes || !documentId.isWellFormed()) return undefined
  const bytes = encoder.encode(documentId)
  return bytes.length > maxIdBytes ? undefined : bytes
}

/** Like {@link idBytes}; throws `BAD_INPUT` for an id that cannot be stored. */
export function requireIdBytes(documentId: string): Uint8Array {
  const bytes = idBytes(documentId)
  if (bytes !== undefined) return bytes
  throw new RagError('BAD_INPUT', 'A document id is well-formed text of 1 to 1,024 UTF-8 bytes.', {
    data: { characters: documentId.length },
    hint: 'Pass a shorter `id`, for example a hash of it.',
  })
}

/** Where a piece begins. Throws `BAD_INPUT` for bytes that are no piece, or not the one whose chunks come next. */
export function originOf(
  documentId: string,
  piece: Uint8Array,
  nextOrdinal: number,
): { readonly firstOrdinal: number; readonly start: number } {
  let origin: ReturnType<typeof pieceOrigin>
  try {
    origin = pieceOrigin(piece)
  } catch (cause) {
    throw new RagError('BAD_INPUT', 'The bytes are no encoded piece.', { cause, hint: 'Use encodePiece().' })
  }
  if (origin.firstOrdinal === nextOrdinal) return origin
  throw new RagError('BAD_INPUT', 'The pieces of a document do not follow each other.', {
    data: { documentId, expected: nextOrdinal, firstOrdinal: origin.firstOrdinal },
  })
}

/** Throws `BAD_INPUT` when the vectors do not fit the chunks, or are not as wide as the document's others. Returns their width. */
export function checkVectors(chunks: number, vectors: Float32Array, dimensions: number | undefined): number {
  const width = chunks === 0 ? 0 : vectors.length / chunks
  if (Number.isInteger(width) && width > 0 && (dimensions === undefined || dimensions === width)) return width
  throw new RagError('BAD_INPUT', 'The vectors are not `chunks x dimensions` values.', {
    data: { chunks, values: vectors.length, dimensions: dimensions ?? null },
  })
}

/** The error of a `write()` or `commit()` after `commit()` or `abort()`. */
export function writerFinished(documentId: string): RagError {
  return new RagError('CLOSED', 'This document version was already committed or aborted.', { data: { documentId } })
}

/** The error of any call after `close()`. */
export function storeClosed(): RagError {
  return new RagError('CLOSED', 'The store is closed.')
}

/** Throws `LOCKED` when the current version, if there is one, is not the one that may be replaced. */
export function requireReplaceable(
  documentId: string,
  current: number | undefined,
  replaces: number | undefined,
): void {
  if (replaces === undefined || replaces === (current ?? 0)) return
  throw new RagError('LOCKED', `Another version of "${documentId}" was stored meanwhile.`, {
    data: { documentId },
    hint: 'Ingest the document again: what it holds now decides.',
    retryable: true,
  })
}
