import { encodePiece } from '../../src/core/piece.js'
import type { SamplePart } from '../../src/embed/types.js'

/** A document of some chunks, in one piece, all of it in the sample. */
export function samplePart(
  chunks: readonly string[],
  { title = '', language = 'en' }: { readonly title?: string; readonly language?: string } = {},
): SamplePart {
  let start = 0
  const rows = chunks.map((text) => {
    const span = { start, end: start + text.length }
    start = span.end + 1
    return { id: '0'.repeat(32), span, headings: [] }
  })
  const piece = encodePiece({ firstOrdinal: 0, start: 0, text: chunks.join('\n'), chunks: rows })
  return { title, language, pieces: [piece], from: 0, to: chunks.length }
}
