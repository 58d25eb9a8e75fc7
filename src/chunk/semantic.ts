import { sentenceSpans } from '../text/sentences.js'
import { checkedChunkOptions, fingerprint, joinShortChunks } from './pack.js'
import { repeatUnits } from './ranks.js'
import { neighbourSimilarities } from './similarity.js'
import type { Chunker, ChunkOptions, SectionSpan } from './types.js'
import { unitsOf } from './units.js'

/**
 * Cuts where it must, between the sentences whose words before and behind have least in common. Which words sentences share is what Hearst's TextTiling
 * looks at (Computational Linguistics 23(1), 1997, https://aclanthology.org/J97-1003); the cuts are, of all that keep the size, those
 * with the least sum of similarities, found as in Utiyama and Isahara's segmentation by the shortest path
 * (https://aclanthology.org/P01-1064), over a sliding window in linear time. No model: it works offline, in any language that is
 * written in words, and in Chinese and Japanese by pairs of characters. Synchronous. Throws `RagError` `BAD_OPTION` when an option
 * is out of range.
 */
export function createSemanticChunker(options: ChunkOptions): Chunker {
  const checked = checkedChunkOptions(options)
  const { chunkOverlap, chunkSize } = checked
  const id = 'semantic'
  return {
    id,
    fingerprint: `${fingerprint(id, checked)}:2`,
    chunk(section) {
      const units = unitsOf(section, chunkSize, sentenceSpans, { sentenceSize: chunkSize - chunkOverlap })
      const costs = neighbourSimilarities(section.text, units).map((similarity) => similarity + cutCost)
      const chunks = cutCheaply(units, costs, chunkSize - chunkOverlap)
      return repeatUnits(joinShortChunks(chunks, checked), units, checked)
    },
  }
}

/**
 * What each cut costs beside its similarity, which is 1 at most: a change of subject decides where a chunk ends, not that it does. Cuts for
 * their own sake, however unlike the neighbours, made more and shorter chunks, in which fewer answers were found (docs/chunking.md).
 */
const cutCost = 1

/** The chunks of at most `room` characters, or of one unit, whose borders cost least in sum. */
function cutCheaply(units: readonly number[], costs: Float64Array, room: number): SectionSpan[] {
  const count = units.length / 2
  /** Least cost of all cuts among the units before `i`, with one right before `i`. */
  const best = new Float64Array(count + 1)
  const from = new Int32Array(count + 1)
  // Beginnings that a chunk ending before `end` may have, of ascending cost: the sliding-window minimum.
  const queue = new Int32Array(count + 1)
  let head = 0
  let tail = 0
  for (let end = 1; end <= count; end++) {
    const begin = end - 1
    const cost = best[begin] as number
    while (tail > head && (best[queue[tail - 1] as number] as number) > cost) tail--
    queue[tail++] = begin
    const least = (units[2 * end - 1] as number) - room
    while (head < tail - 1 && (units[2 * (queue[head] as number)] as number) < least) head++
    const start = queue[head] as number
    from[end] = start
    best[end] = (best[start] as number) + (end < count ? (costs[end] as number) : 0)
  }
  const chunks: SectionSpan[] = []
  for (let end = count; end > 0; end = from[end] as number) {
    chunks.push({ start: units[2 * (from[end] as number)] as number, end: units[2 * end - 1] as number })
  }
  return chunks.reverse()
}
