import { sentenceSpans } from '../text/sentences.js'
import { borderRank, findMarkdownBlocks, worstBorder } from './markdown-blocks.js'
import { checkedChunkOptions, fingerprint } from './pack.js'
import { packByRank } from './ranks.js'
import type { Chunker, ChunkOptions, Section, SectionSpan } from './types.js'
import { cutAt, unitsOf } from './units.js'

/**
 * Cuts Markdown by its structure: each heading begins a chunk, and goes with what is below it; fenced code and tables are whole where
 * they fit, else cut between lines; then come borders between blocks (a list or a fence rather stays with the words that lead to it),
 * between the items of a list, between sentences. Also for plain text in that notation, such as what models write: headings that the
 * reader of `text/markdown` has found are not in the text any more, each section is below one. Synchronous. Throws `RagError`
 * `BAD_OPTION` when an option is out of range.
 */
export function createMarkdownChunker(options: ChunkOptions): Chunker {
  const checked = checkedChunkOptions(options)
  const id = 'markdown'
  return {
    id,
    fingerprint: fingerprint(id, checked),
    chunk: (section) => packByRank(rankedUnits(section, checked), checked),
  }
}

function rankedUnits(section: Section, { chunkSize, chunkOverlap }: ChunkOptions) {
  const { text } = section
  const blocks = findMarkdownBlocks(text, section.whole)
  const starts = blocks.map(({ start }) => start)
  const whole: SectionSpan[] = blocks.filter(({ kind }) => kind === 'whole')
  let next = 0
  const units = unitsOf(
    { text, whole },
    chunkSize,
    (part, offset) => {
      while (next < starts.length && (starts[next] as number) <= offset) next++
      const places: number[] = []
      for (; next < starts.length && (starts[next] as number) < offset + part.length; next++) {
        places.push((starts[next] as number) - offset)
      }
      return cutAt(part, sentenceSpans(part), places)
    },
    { sentenceSize: chunkSize - chunkOverlap },
  )
  const ranks = new Uint8Array(units.length / 2).fill(worstBorder)
  let block = 0
  for (let unit = 1; unit < ranks.length; unit++) {
    const end = units[2 * unit - 1] as number
    const start = units[2 * unit] as number
    // Of several blocks that begin between the two (a heading without words) the best border counts.
    while (block < blocks.length && (starts[block] as number) < end) block++
    for (; block < blocks.length && (starts[block] as number) <= start; block++) {
      ranks[unit] = Math.min(ranks[unit] as number, borderRank(blocks, block))
    }
  }
  return { units, ranks }
}
