import type { Span } from './chunk.js'
import type { Metadata } from './document.js'

/**
 * A run of a document's extracted text with the chunks that were cut from it: the unit in which documents travel between
 * threads and lie in the store. About 32 KiB of text; a chunk never crosses a piece.
 */
export interface Piece {
  /** Ordinal, within the document, of the first chunk. */
  readonly firstOrdinal: number
  /** Where `text` begins in the document's extracted text, UTF-16 code units. */
  readonly start: number
  readonly text: string
  readonly chunks: readonly PieceChunk[]
  /** Lines that are embedded and indexed with every chunk and never shown, such as a summary. Absent: none. */
  readonly above?: readonly string[]
  /** Set when title and headings are neither embedded nor indexed with the chunks. */
  readonly bare?: true
}

/** A chunk inside a piece. Its text is `piece.text.slice(span.start - piece.start, span.end - piece.start)`. */
export interface PieceChunk {
  /** 32 hex digits. */
  readonly id: string
  readonly span: Span
  readonly headings: readonly string[]
  /** The chunk's own metadata, laid over the document's. */
  readonly metadata?: Metadata
  /** Lines that are embedded and indexed with it and never shown, such as keywords. Absent: none. */
  readonly added?: readonly string[]
}

/** The chunk's text. */
export function pieceChunkText(piece: Piece, chunk: PieceChunk): string {
  return piece.text.slice(chunk.span.start - piece.start, chunk.span.end - piece.start)
}

/** What is embedded and indexed for a chunk: title, heading path and text, each on a line of its own. A title that is also the first heading stands once. */
export function indexedText(title: string, headings: readonly string[], text: string): string {
  return [...pathLines(title, headings), text].join('\n')
}

function pathLines(title: string, headings: readonly string[]): string[] {
  const path = headings[0] === title ? headings : [title, ...headings]
  return path.filter((line) => line !== '')
}

/**
 * The lines that a chunk shares with others and that are embedded and indexed with it: title, heading path, and what stands above the
 * whole piece.
 */
export function sharedLines(title: string, piece: Piece, chunk: PieceChunk): readonly string[] {
  const path = piece.bare === true ? [] : pathLines(title, chunk.headings)
  return piece.above === undefined ? path : [...path, ...piece.above]
}

/** The chunk's own words as they are embedded and indexed: what was added to it, and its text. */
export function ownText(piece: Piece, chunk: PieceChunk): string {
  const text = pieceChunkText(piece, chunk)
  return chunk.added === undefined ? text : [...chunk.added, text].join('\n')
}

/**
 * What is embedded for a chunk. `maxTextLength` cuts title, headings and text together, 0 leaves them whole; what was added is bounded
 * by itself and does not count.
 */
export function embeddedText(title: string, piece: Piece, chunk: PieceChunk, maxTextLength: number): string {
  const whole = [...sharedLines(title, piece, chunk), ownText(piece, chunk)].join('\n')
  if (maxTextLength === 0) return whole
  const added = [...(piece.above ?? []), ...(chunk.added ?? [])].reduce((sum, line) => sum + line.length + 1, 0)
  return whole.slice(0, maxTextLength + added)
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

type ChunkRow = readonly [
  id: string,
  start: number,
  end: number,
  page: number,
  headings: number,
  metadata?: Metadata | null,
  added?: readonly string[],
]
interface Header {
  readonly o: number
  readonly s: number
  readonly h: readonly (readonly string[])[]
  readonly c: readonly ChunkRow[]
  readonly a?: readonly string[]
  readonly b?: 1
}

/** Bytes of a piece: length of the JSON header (uint32, little-endian), header, text in UTF-8. The text must be well-formed UTF-16. */
export function encodePiece(piece: Piece): Uint8Array {
  const headings: (readonly string[])[] = []
  const places = new Map<string, number>()
  const rows = piece.chunks.map((chunk): ChunkRow => {
    const key = JSON.stringify(chunk.headings)
    let place = places.get(key)
    if (place === undefined) {
      place = headings.push(chunk.headings) - 1
      places.set(key, place)
    }
    const { start, end, page } = chunk.span
    const row = [chunk.id, start, end, page ?? 0, place] as const
    if (chunk.added !== undefined) return [...row, chunk.metadata ?? null, chunk.added]
    return chunk.metadata === undefined ? row : [...row, chunk.metadata]
  })
  const header: Header = {
    o: piece.firstOrdinal,
    s: piece.start,
    h: headings,
    c: rows,
    ...(piece.above === undefined ? {} : { a: piece.above }),
    ...(piece.bare === undefined ? {} : { b: 1 }),
  }
  const json = encoder.encode(JSON.stringify(header))
  const text = encoder.encode(piece.text)
  const bytes = new Uint8Array(4 + json.length + text.length)
  new DataView(bytes.buffer).setUint32(0, json.length, true)
  bytes.set(json, 4)
  bytes.set(text, 4 + json.length)
  return bytes
}

/** The inverse of {@link encodePiece}. Throws a plain `Error` or `SyntaxError` on foreign bytes; callers turn it into `INTEGRITY`. */
export function decodePiece(bytes: Uint8Array): Piece {
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true)
  const header = JSON.parse(decoder.decode(bytes.subarray(4, 4 + length))) as Header
  const chunks = header.c.map(
    ([id, start, end, page, headings, metadata, added]): PieceChunk => ({
      id,
      span: page === 0 ? { start, end } : { start, end, page },
      headings: header.h[headings] ?? [],
      ...(metadata === undefined || metadata === null ? {} : { metadata }),
      ...(added === undefined ? {} : { added }),
    }),
  )
  return {
    firstOrdinal: header.o,
    start: header.s,
    text: decoder.decode(bytes.subarray(4 + length)),
    chunks,
    ...(header.a === undefined ? {} : { above: header.a }),
    ...(header.b === undefined ? {} : { bare: true }),
  }
}

const originBytes = 64

/** Where an encoded piece begins, told from its first bytes without decoding it. Throws a plain `Error` on foreign bytes. */
export function pieceOrigin(bytes: Uint8Array): { readonly firstOrdinal: number; readonly start: number } {
  const found = /^\{"o":(\d+),"s":(\d+),/.exec(decoder.decode(bytes.subarray(4, originBytes)))
  if (found === null) throw new Error('These bytes are no piece.')
  return { firstOrdinal: Number(found[1]), start: Number(found[2]) }
}
