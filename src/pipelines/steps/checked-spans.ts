import type { Chunker, Section, SectionSpan } from '../../chunk/types.js'
import { RagError } from '../../core/errors.js'
import { abortable } from '../../util/abort.js'

/** The chunker may be the caller's: whatever it gives is checked before anything is stored. */
export async function checkedSpans(
  section: Section,
  chunker: Chunker,
  signal: AbortSignal | undefined,
): Promise<readonly SectionSpan[]> {
  const work = async () => chunker.chunk(section)
  const spans: unknown = await abortable(work(), signal).catch((error) => {
    if (signal?.aborted || RagError.isInstance(error)) throw error
    throw new RagError('BAD_INPUT', `The chunker "${chunker.id}" failed.`, {
      data: { chunker: chunker.id },
      cause: error,
      hint: 'See the cause: your chunker has thrown it.',
    })
  })
  if (Array.isArray(spans) && areSpansOf(section.text, spans)) return spans
  throw new RagError('BAD_INPUT', `The chunker "${chunker.id}" gave spans that do not fit the text.`, {
    data: { chunker: chunker.id, characters: section.text.length },
    hint: 'Spans are whole numbers, 0 <= start < end <= text.length, ascending, and never cut a surrogate pair.',
  })
}

function areSpansOf(text: string, spans: readonly unknown[]): boolean {
  let last = { start: 0, end: 0 }
  return spans.every((span) => {
    if (typeof span !== 'object' || span === null) return false
    const { start, end } = span as SectionSpan
    const follows = start > last.start || (start === last.start && end > last.end)
    last = { start, end }
    return (
      Number.isInteger(start) &&
      Number.isInteger(end) &&
      follows &&
      start >= 0 &&
      start < end &&
      end <= text.length &&
      !cutsPair(text, start) &&
      !cutsPair(text, end)
    )
  })
}

function cutsPair(text: string, place: number): boolean {
  return /[\udc00-\udfff]/.test(text.charAt(place)) && /[\ud800-\udbff]/.test(text.charAt(place - 1))
}
