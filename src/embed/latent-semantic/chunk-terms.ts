import { RagError } from '../../core/errors.js'
import { decodePiece, ownText, type Piece, sharedLines } from '../../core/piece.js'
import type { Analyzer } from '../../text/analyzer.js'
import type { PassagePart } from '../types.js'

/** A chunk as the fit sees it: its terms without stop words, those of the lines above it first, as often as they occur. */
export interface ChunkTerms {
  readonly heading: readonly string[]
  readonly text: readonly string[]
}

/** The terms of the chunks of a part whose ordinals lie in a range (default: all), in order. Throws `INTEGRITY` for bytes that are no piece. */
export function* chunkTerms(
  { title, pieces }: PassagePart,
  analyzer: Analyzer,
  { from = 0, to = Number.POSITIVE_INFINITY }: { readonly from?: number; readonly to?: number } = {},
): Generator<ChunkTerms> {
  // Title, headings and summaries repeat from chunk to chunk.
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
      const ordinal = piece.firstOrdinal + place
      if (ordinal < from || ordinal >= to) continue
      yield {
        heading: sharedLines(title, piece, chunk).flatMap(termsOfLine),
        text: content(ownText(piece, chunk)),
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
