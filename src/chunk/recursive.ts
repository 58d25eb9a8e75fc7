import { sentenceSpans } from '../text/sentences.js'
import { isLineEnd, isParagraphBreak } from '../text/white-space.js'
import { checkedChunkOptions, fingerprint } from './pack.js'
import { packByRank } from './ranks.js'
import type { Chunker, ChunkOptions, Section } from './types.js'
import { cutAt, unitsOf } from './units.js'

/**
 * Cuts at the end of paragraphs where they fit; a paragraph that does not, at its lines; a line that does not, between sentences; a
 * sentence that does not, between words (see `cutStretch`). Synchronous. Throws `RagError` `BAD_OPTION` when an option is out of range.
 */
export function createRecursiveChunker(options: ChunkOptions): Chunker {
  const checked = checkedChunkOptions(options)
  const id = 'recursive'
  return {
    id,
    fingerprint: fingerprint(id, checked),
    chunk: (section) => packByRank(rankedUnits(section, checked), checked),
  }
}

const paragraph = 1
const line = 2
const sentence = 3

function rankedUnits(section: Section, { chunkSize, chunkOverlap }: ChunkOptions) {
  const { text } = section
  const units = unitsOf(section, chunkSize, (part) => cutAt(part, sentenceSpans(part), lineEnds(part)), {
    sentenceSize: chunkSize - chunkOverlap,
  })
  const ranks = new Uint8Array(units.length / 2)
  for (let unit = 1; unit < ranks.length; unit++) {
    ranks[unit] = rankBetween(text, units[2 * unit - 1] as number, units[2 * unit] as number)
  }
  return { units, ranks }
}

function rankBetween(text: string, end: number, start: number): number {
  if (isParagraphBreak(text, end, start)) return paragraph
  for (let place = end; place < start; place++) if (isLineEnd(text.charCodeAt(place))) return line
  return sentence
}

function lineEnds(text: string): number[] {
  const ends: number[] = []
  for (let place = 0; place < text.length; place++) if (isLineEnd(text.charCodeAt(place))) ends.push(place)
  return ends
}
