import { RagError } from '../core/errors.js'
import { isParagraphBreak, skipWhiteSpace, trimEnd } from '../text/white-space.js'
import { cutStretch, isExtender } from './cut.js'
import type { ChunkOptions, Section, SectionSpan } from './types.js'

/** Finds sentences: `[start, end, start, end, ...]`, ascending, disjoint, without white space at either end. */
export type FindSentences = (text: string) => readonly number[]

/**
 * Cuts a section into chunks of whole sentences. A chunk takes as many as fit, but rather ends with a paragraph when it is full
 * enough by then. Sentences longer than a chunk are cut (see {@link cutStretch}), `whole` stretches count as one sentence.
 */
export function packSection(section: Section, options: ChunkOptions, findSentences: FindSentences): SectionSpan[] {
  const units = unitsOf(section, options.chunkSize, findSentences)
  const chunks = fillChunks(section.text, units, options)
  return options.minChunkSize > 0 ? joinShortChunks(chunks, options) : chunks
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

/** What chunks are made of, in order: sentences, parts of long ones, and `whole` stretches, none longer than `size`. */
function unitsOf(section: Section, size: number, findSentences: FindSentences): number[] {
  const { text, whole } = section
  const units: number[] = []
  const add = (start: number, end: number, byLines: boolean): void => {
    let from = start
    if (units.length > 0 && isExtender(text, start)) {
      // A combining mark belongs to what is before it, whatever the sentence finder says.
      units.pop()
      from = units.pop() as number
    }
    cutStretch(text, { start: from, end, byLines }, size, units)
  }
  const addSentences = (start: number, end: number): void => {
    if (start >= end) return
    const sentences = findSentences(start === 0 && end === text.length ? text : text.slice(start, end))
    for (let i = 0; i < sentences.length; i += 2) {
      add(start + (sentences[i] as number), start + (sentences[i + 1] as number), false)
    }
  }

  let place = 0
  for (const stretch of whole) {
    addSentences(place, stretch.start)
    const start = skipWhiteSpace(text, stretch.start)
    const end = trimEnd(text, start, stretch.end)
    if (start < end) add(start, end, true)
    place = stretch.end
  }
  addSentences(place, text.length)
  return units
}

function fillChunks(text: string, units: readonly number[], options: ChunkOptions): SectionSpan[] {
  const { chunkSize, chunkOverlap } = options
  const startOf = (unit: number): number => units[2 * unit] as number
  const endOf = (unit: number): number => units[2 * unit + 1] as number
  const count = units.length / 2
  const chunks: SectionSpan[] = []

  for (let first = 0; first < count; ) {
    const start = startOf(first)
    let last = first
    while (last + 1 < count && endOf(last + 1) - start <= chunkSize) last++
    if (last + 1 < count) last = lastOfParagraph(first, last)
    chunks.push({ start, end: endOf(last) })
    first = last + 1 < count ? firstRepeated(first, last) : count
  }
  return chunks

  /** The last unit up to `last` that ends a paragraph when the chunk is full enough with it, else `last`. */
  function lastOfParagraph(first: number, last: number): number {
    const enough = startOf(first) + fullEnough * chunkSize
    for (let unit = last; unit >= first && endOf(unit) >= enough; unit--) {
      if (isParagraphBreak(text, endOf(unit), startOf(unit + 1))) return unit
    }
    return last
  }

  /** The unit the next chunk begins with: units of this one that fit into the overlap, as long as there is room for a new one. */
  function firstRepeated(first: number, last: number): number {
    const least = Math.max(endOf(last) - chunkOverlap, endOf(last + 1) - chunkSize)
    let unit = last + 1
    while (unit - 1 > first && startOf(unit - 1) >= least) unit--
    return unit
  }
}

/** Joins chunks shorter than `minChunkSize` with the one before, else with the one behind, where the sum stays within both sizes. */
function joinShortChunks(chunks: readonly SectionSpan[], { chunkSize, minChunkSize }: ChunkOptions): SectionSpan[] {
  const joined: SectionSpan[] = []
  for (const chunk of chunks) {
    const previous = joined.at(-1)
    const isShort = chunk.end - chunk.start < minChunkSize
    const isPreviousShort = previous !== undefined && previous.end - previous.start < minChunkSize
    if (
      previous !== undefined &&
      (isShort || isPreviousShort) &&
      chunk.end - previous.start <= chunkSize + minChunkSize
    ) {
      joined[joined.length - 1] = { start: previous.start, end: chunk.end }
    } else {
      joined.push(chunk)
    }
  }
  return joined
}
