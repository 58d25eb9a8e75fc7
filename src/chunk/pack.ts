import { RagError } from '../core/errors.js'
import { isParagraphBreak } from '../text/white-space.js'
import type { ChunkOptions, Section, SectionSpan } from './types.js'
import { type FindSentences, unitsOf } from './units.js'

/**
 * Cuts a section into chunks of whole sentences. A chunk takes as many as fit, but rather ends with a paragraph when it is full
 * enough by then. Sentences longer than a chunk are cut (see {@link cutStretch}), `whole` stretches count as one sentence.
 */
export function packSection(section: Section, options: ChunkOptions, findSentences: FindSentences): SectionSpan[] {
  const units = unitsOf(section, options.chunkSize, findSentences)
  const { chunkSize } = options
  const measure = (first: number, last: number): number =>
    (units[2 * last + 1] as number) - (units[2 * first] as number)
  return joinShortChunks(fillChunks(section.text, units, { ...options, limit: chunkSize, measure }), options)
}

/** How full chunks may be. */
export interface FillOptions {
  /** Characters of whole units repeated from the chunk before. */
  readonly chunkOverlap: number
  /** What a chunk measures at most; each unit alone measures no more. */
  readonly limit: number
  /** What the units from `first` to `last`, both included, measure together; more units never measure less. */
  measure(first: number, last: number): number
}

/** Puts as many units into each chunk as it takes, but rather ends it with a paragraph. Units as {@link unitsOf} gives them. */
export function fillChunks(text: string, units: readonly number[], options: FillOptions): SectionSpan[] {
  const { chunkOverlap, limit, measure } = options
  const startOf = (unit: number): number => units[2 * unit] as number
  const endOf = (unit: number): number => units[2 * unit + 1] as number
  const count = units.length / 2
  const chunks: SectionSpan[] = []

  for (let first = 0; first < count; ) {
    let last = first
    while (last + 1 < count && measure(first, last + 1) <= limit) last++
    if (last + 1 < count) last = lastOfParagraph(first, last)
    chunks.push({ start: startOf(first), end: endOf(last) })
    first = last + 1 < count ? firstRepeated(first, last) : count
  }
  return chunks

  /** The last unit up to `last` that ends a paragraph when the chunk is full enough with it, else `last`. */
  function lastOfParagraph(first: number, last: number): number {
    for (let unit = last; unit >= first && measure(first, unit) >= fullEnough * limit; unit--) {
      if (isParagraphBreak(text, endOf(unit), startOf(unit + 1))) return unit
    }
    return last
  }

  /** The unit the next chunk begins with: units of this one that fit into the overlap, as long as there is room for a new one. */
  function firstRepeated(first: number, last: number): number {
    const least = endOf(last) - chunkOverlap
    let unit = last + 1
    while (unit - 1 > first && startOf(unit - 1) >= least && measure(unit - 1, last + 1) <= limit) unit--
    return unit
  }
}

/**
 * Joins chunks shorter than `minChunkSize` with the one before, else with the one behind, where the sum stays within both sizes and
 * `mayJoin` does not object.
 */
export function joinShortChunks(
  chunks: SectionSpan[],
  { chunkSize, minChunkSize }: ChunkOptions,
  mayJoin: (joined: SectionSpan) => boolean = () => true,
): SectionSpan[] {
  if (minChunkSize === 0) return chunks
  const joined: SectionSpan[] = []
  for (const chunk of chunks) {
    const previous = joined.at(-1)
    const isShort = chunk.end - chunk.start < minChunkSize
    const isPreviousShort = previous !== undefined && previous.end - previous.start < minChunkSize
    const both = { start: previous?.start ?? chunk.start, end: chunk.end }
    const fits = both.end - both.start <= chunkSize + minChunkSize
    if (previous !== undefined && (isShort || isPreviousShort) && fits && mayJoin(both))
      joined[joined.length - 1] = both
    else joined.push(chunk)
  }
  return joined
}

/** A copy of the options. Throws `RagError` `BAD_OPTION` when one is out of range (see {@link ChunkOptions}). */
export function checkedChunkOptions({ chunkSize, chunkOverlap, minChunkSize }: ChunkOptions): ChunkOptions {
  check('chunkSize', chunkSize, 20, 60_000)
  check('chunkOverlap', chunkOverlap, 0, Math.ceil(chunkSize / 2) - 1)
  check('minChunkSize', minChunkSize, 0, chunkSize)
  return { chunkSize, chunkOverlap, minChunkSize }
}

/** The fingerprint of a chunker that packs with {@link packSection}. `rules` grows with every change of what is cut where. */
export function fingerprint(id: string, { chunkSize, chunkOverlap, minChunkSize }: ChunkOptions): string {
  const rules = 1
  return `${id}/${rules}:${chunkSize}:${chunkOverlap}:${minChunkSize}`
}

function check(name: keyof ChunkOptions, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  throw new RagError('BAD_OPTION', `${name} must be a whole number from ${least} to ${most}, not ${value}.`, {
    data: { option: name, value },
    hint: 'Sizes are in characters. The overlap is less than half a chunk, the least size no more than a chunk.',
  })
}

/** Share of `chunkSize` from which on a chunk rather ends with a paragraph than takes sentences of the next. */
const fullEnough = 0.6
