import { joinShortChunks } from './pack.js'
import type { ChunkOptions, SectionSpan } from './types.js'

/** Units (see `unitsOf`), and what stands between them. */
export interface RankedUnits {
  readonly units: readonly number[]
  /**
   * For each unit the rank of the border before it: 0 always separates chunks, 1 is the best place to cut, 2 the next best, and so on.
   * That of the first unit does not matter.
   */
  readonly ranks: Uint8Array
}

/**
 * Packs units by the rank of the borders between them: what does not fit into a chunk is cut at its best borders, the parts that are
 * still too long at the next best, and so on; at each step neighbours that fit together stay together. The scheme is that of
 * LangChain's recursive splitter (https://github.com/langchain-ai/langchain, `RecursiveCharacterTextSplitter`), over borders that are
 * found once instead of separators that are searched again at each step: linear, a pass for each rank at most.
 */
export function packByRank(ranked: RankedUnits, options: ChunkOptions): SectionSpan[] {
  const { units, ranks } = ranked
  const room = options.chunkSize - options.chunkOverlap
  const startOf = (unit: number): number => units[2 * unit] as number
  const endOf = (unit: number): number => units[2 * unit + 1] as number
  const chunks: SectionSpan[] = []

  const push = (first: number, last: number): void => void chunks.push({ start: startOf(first), end: endOf(last) })

  /** Packs the units from `first` to `last`, which hold no border better than `rank`. */
  const pack = (first: number, last: number, rank: number): void => {
    let pending = -1
    for (let from = first; from <= last; ) {
      let to = from
      while (to < last && (ranks[to + 1] as number) > rank) to++
      const isFirstRank = rank === 0
      if (pending >= 0 && (isFirstRank || endOf(to) - startOf(pending) > room)) {
        push(pending, from - 1)
        pending = -1
      }
      if (from === to || endOf(to) - startOf(pending >= 0 ? pending : from) <= room) {
        if (pending < 0) pending = from
      } else {
        pack(from, to, rank + 1)
      }
      from = to + 1
    }
    if (pending >= 0) push(pending, last)
  }
  if (units.length > 0) pack(0, units.length / 2 - 1, 0)
  return repeatUnits(joinShortChunks(chunks, options), units, options)
}

/**
 * Begins chunks earlier, with whole units of the chunk before that fit into the overlap and into the chunk, as chunks that were packed
 * with room for them allow.
 */
export function repeatUnits(
  chunks: readonly SectionSpan[],
  units: readonly number[],
  { chunkOverlap, chunkSize }: ChunkOptions,
): SectionSpan[] {
  if (chunkOverlap === 0) return [...chunks]
  const longer: SectionSpan[] = []
  let unit = 0
  for (const { start, end } of chunks) {
    const before = longer.at(-1)
    const least = before === undefined ? start : Math.max(before.end - chunkOverlap, end - chunkSize, before.start + 1)
    // Places only ascend: each unit is looked at once.
    while ((units[2 * unit] as number) < Math.min(least, start)) unit++
    longer.push({ start: Math.min(start, units[2 * unit] as number), end })
  }
  return longer
}
