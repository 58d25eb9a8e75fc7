import { RagError } from '../core/errors.js'
import type { Block } from './types.js'

/** Longest block our extractors make, in UTF-16 code units: half of what a section may hold, so that two always fit. */
export const maxBlockUnits = 32 * 1024
/** Longest heading or title that is kept, in UTF-16 code units; it is indexed with every passage beneath it. */
export const maxHeadingUnits = 300

/** Cuts `text` into blocks of at most {@link maxBlockUnits}, all like `block` otherwise. Nothing for an empty text. */
export function* toBlocks(text: string, block: Omit<Block, 'text'>): Generator<Block, void, undefined> {
  let rest = text
  while (rest.length > maxBlockUnits) {
    const cut = cutPoint(rest, maxBlockUnits)
    yield { ...block, text: rest.slice(0, cut) }
    rest = rest.slice(cut)
  }
  if (rest !== '') yield { ...block, text: rest }
}

/**
 * Where to cut `text` so that at most `limit` units (at least 2) lie before: after a blank line, else a line, else what looks like a
 * sentence, else a word, each in the second half; else anywhere but inside a surrogate pair, a line end or a letter with its marks.
 */
export function cutPoint(text: string, limit: number): number {
  if (text.length <= limit) return text.length
  const least = limit >> 1
  const paragraph = Math.max(endOfLast(text, '\n\n', limit), endOfLast(text, '\n\r\n', limit))
  if (paragraph > least) return paragraph
  const line = endOfLast(text, '\n', limit)
  if (line > least) return line
  const sentence = Math.max(...['. ', '! ', '? ', '。'].map((stop) => endOfLast(text, stop, limit)))
  if (sentence > least) return sentence
  for (let i = limit; i > least; i--) if (isBreak.test(text[i - 1] as string)) return avoidPair(text, i)
  let cut = limit
  while (cut > Math.max(least, limit - longestCluster) && joinsLeft.test(text[cut] as string)) cut--
  return avoidPair(text, cut)
}

/** One line, single spaces, at most {@link maxHeadingUnits}; `undefined` when no letter or digit is left. */
export function toHeading(text: string): string | undefined {
  const line = text
    .slice(0, 4 * maxHeadingUnits)
    .replace(/[\s\u0000-\u001f\u007f]+/g, ' ')
    .trim()
  if (!/[\p{L}\p{N}]/u.test(line)) return undefined
  return line.length <= maxHeadingUnits ? line : line.slice(0, cutPoint(line, maxHeadingUnits)).trim()
}

/** Passes blocks through; when none of them holds more than white space, ends with `EMPTY`. */
export async function* refuseEmpty(blocks: AsyncIterable<Block>, name: string): AsyncGenerator<Block, void, undefined> {
  let empty = true
  for await (const block of blocks) {
    empty &&= block.text.trim() === ''
    yield block
  }
  if (empty) throw emptyError(name)
}

/** The title and the language of a document are looked for in so many code units from the start. */
const startUnits = 8192

/**
 * Reads blocks ahead until `known` holds or the start of the document is over, and returns all blocks, those included. Ending the
 * iteration ends `blocks`, even before the first one.
 */
export async function readUntil(
  blocks: AsyncGenerator<Block, void, undefined>,
  known: () => boolean,
): Promise<AsyncIterable<Block>> {
  const first: Block[] = []
  for (let units = 0; units < startUnits && !known(); ) {
    const next = await blocks.next()
    if (next.done === true) break
    first.push(next.value)
    units += next.value.text.length
  }
  const iterator = {
    next: async (): Promise<IteratorResult<Block, void>> => {
      const value = first.shift()
      return value === undefined ? blocks.next() : { value, done: false }
    },
    return: () => blocks.return(),
  }
  return { [Symbol.asyncIterator]: () => iterator }
}

/** The error for a document without any text, and without pictures that might hold some. */
export function emptyError(name: string): RagError {
  return new RagError('EMPTY', `"${name}" holds no text.`, { data: { name } })
}

const isBreak = /[\s。！？]/
const joinsLeft = /[\p{M}\u200d]/u
/** A letter with more marks than this may be cut. */
const longestCluster = 64

function endOfLast(text: string, separator: string, limit: number): number {
  const place = text.lastIndexOf(separator, limit - separator.length)
  return place < 0 ? 0 : place + separator.length
}

function avoidPair(text: string, cut: number): number {
  const before = text.charCodeAt(cut - 1)
  const after = text.charCodeAt(cut)
  const insidePair = before >= 0xd800 && before < 0xdc00 && after >= 0xdc00 && after < 0xe000
  const insideLineEnd = before === 13 && after === 10
  return cut > 1 && (insidePair || insideLineEnd) ? cut - 1 : cut
}
