import { sentenceSpans } from '../text/sentences.js'
import { checkedChunkOptions, fingerprint, joinShortChunks } from './pack.js'
import { repeatUnits } from './ranks.js'
import { neighbourSimilarities } from './similarity.js'
import type { Chunker, ChunkOptions, SectionSpan } from './types.js'
import { unitsOf } from './units.js'

/**
 * Cuts whole sentences where the words before and behind have least in common. Which words sentences share is what Hearst's TextTiling
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
    fingerprint: fingerprint(id, checked),
    chunk(section) {
      const units = unitsOf(section, chunkSize, sentenceSpans, { sentenceSize: chunkSize - chunkOverlap })
      const costs = costsOfBorders(neighbourSimilarities(section.text, units))
      const chunks = cutCheaply(units, costs, chunkSize - chunkOverlap)
      return repeatUnits(joinShortChunks(chunks, checked), units, checked)
    },
  }
}

/** A border is worth a cut for its own sake from so many standard deviations below the mean on (Hearst's conservative cutoff, doubled). */
const breakDeviations = 1

/** What a cut before each unit costs: its similarity, less that from which on it is worth it. */
function costsOfBorders(similarities: Float64Array): Float64Array {
  const count = similarities.length - 1
  if (count < 1) return similarities
  let sum = 0
  let squares = 0
  for (let border = 1; border <= count; border++) {
    const similarity = similarities[border] as number
    sum += similarity
    squares += similarity * similarity
  }
  const mean = sum / count
  const threshold = mean - breakDeviations * Math.sqrt(Math.max(0, squares / count - mean * mean))
  return similarities.map((similarity) => similarity - threshold)
}

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
