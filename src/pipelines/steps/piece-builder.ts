import type { SectionSpan } from '../../chunk/types.js'
import type { Metadata } from '../../core/document.js'
import { encodePiece, indexedText, type PieceChunk } from '../../core/piece.js'
import { sha256Hex } from '../../util/hash.js'
import type { PreparedPiece } from './prepare.js'
import { pieceCharacters, type TextPart } from './sections.js'

/** Collects text and chunks until a piece is full. */
export class PieceBuilder {
  readonly #documentId: string
  readonly #title: string
  readonly #occurrences = new Map<string, number>()
  #texts: string[] = []
  #chunks: PieceChunk[] = []
  #start = 0
  #length = 0
  #firstOrdinal = 0
  #page = 0

  constructor(documentId: string, title: string) {
    this.#documentId = documentId
    this.#title = title
  }

  /** Code units seen so far. */
  get characters(): number {
    return this.#start + this.#length
  }

  /** Chunks seen so far. */
  get chunks(): number {
    return this.#firstOrdinal + this.#chunks.length
  }

  get isFull(): boolean {
    return this.#length >= pieceCharacters
  }

  get isEmpty(): boolean {
    return this.#length === 0
  }

  add(part: TextPart, spans: readonly SectionSpan[], metadata?: Metadata): void {
    const origin = this.#start + this.#length
    for (const { start, end } of spans) {
      const text = part.section?.text.slice(start, end) ?? ''
      this.#chunks.push({
        id: this.#chunkId(indexedText(this.#title, part.headings, text)),
        span: { start: origin + start, end: origin + end, ...(part.page === undefined ? {} : { page: part.page }) },
        headings: part.headings,
        ...(metadata === undefined ? {} : { metadata }),
      })
    }
    this.#page = part.page ?? this.#page
    this.#texts.push(part.text)
    this.#length += part.text.length
  }

  take(): PreparedPiece {
    const piece = {
      firstOrdinal: this.#firstOrdinal,
      start: this.#start,
      text: this.#texts.join(''),
      chunks: this.#chunks,
    }
    this.#start += this.#length
    this.#firstOrdinal += piece.chunks.length
    this.#texts = []
    this.#chunks = []
    this.#length = 0
    const { chunks, firstOrdinal } = piece
    return { type: 'piece', bytes: encodePiece(piece), firstOrdinal, chunks: chunks.length, page: this.#page }
  }

  #chunkId(text: string): string {
    const id = (occurrence: number) => sha256Hex(this.#documentId, text, String(occurrence)).slice(0, 32)
    const first = id(0)
    const occurrence = this.#occurrences.get(first) ?? 0
    this.#occurrences.set(first, occurrence + 1)
    return occurrence === 0 ? first : id(occurrence)
  }
}
