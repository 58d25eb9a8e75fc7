import { RagError } from '../../core/errors.js'
import { decodePiece, type Piece, pieceChunkText } from '../../core/piece.js'
import type { Analyzer } from '../../text/analyzer.js'
import type { PassagePart } from '../types.js'

/** A chunk as the fit sees it: its terms without stop words, those of title and headings first, as often as they occur. */
export interface ChunkTerms {
  /** Ordinal within the document. */
  readonly ordinal: number
  readonly heading: readonly string[]
  readonly text: readonly string[]
}

/** The terms of every chunk of a part, in order. Throws `INTEGRITY` for bytes that are no piece. */
export function* chunkTerms({ title, pieces }: PassagePart, analyzer: Analyzer): Generator<ChunkTerms> {
  // Title and headings repeat from chunk to chunk.
  const lines = new Map<string, readonly string[]>()
  const content = (text: string) => analyzer.terms(text).filter((term) => !analyzer.isStopWord(term))
  const termsOfLine = (line: string): readonly string[] => {
    const known = lines.get(line)
    if (known !== undefined) return known
    const terms = content(line)
    lines.set(line, terms)
    return terms
  }
  for (const bytes of pieces) {
    const piece = decode(bytes)
    for (const [place, chunk] of piece.chunks.entries()) {
      // The lines of `indexedText`: a title that is also the first heading stands once.
      const path = chunk.headings[0] === title ? chunk.headings : [title, ...chunk.headings]
      yield {
        ordinal: piece.firstOrdinal + place,
        heading: path.flatMap(termsOfLine),
        text: content(pieceChunkText(piece, chunk)),
      }
    }
  }
}

function decode(bytes: Uint8Array): Piece {
  try {
    return decodePiece(bytes)
  } catch (cause) {
    throw new RagError('INTEGRITY', 'A stored piece cannot be read.', { cause, data: { bytes: bytes.length } })
  }
}
