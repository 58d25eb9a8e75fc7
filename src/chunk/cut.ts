import { isLineEnd, isWhiteSpace, skipWhiteSpace, trimEnd } from '../text/white-space.js'

/** A stretch of text to be cut: `[start, end)` without white space at either end. */
export interface Stretch {
  readonly start: number
  readonly end: number
  /** Cut at line ends alone where a line fits (code, tables). */
  readonly byLines: boolean
}

/**
 * Cuts a stretch into parts of at most `size` code units and appends them to `parts` (`start, end, start, end, ...`), without white
 * space at either end. The best place in reach is taken: the end of a clause or line in the second half, else white space, else
 * between words of a script that has no spaces, else, in a word that is itself longer than `size`, between grapheme clusters.
 * A grapheme cluster longer than `size` is cut between code points.
 */
export function cutStretch(text: string, stretch: Stretch, size: number, parts: number[]): void {
  const { end, byLines } = stretch
  let { start } = stretch
  while (end - start > size) {
    const cut = (byLines ? lastLineEnd(text, start, size) : undefined) ?? lastGoodPlace(text, start, size)
    parts.push(start, trimEnd(text, start, cut))
    start = skipWhiteSpace(text, cut)
  }
  parts.push(start, end)
}

/** Whether the character at `place` belongs to the grapheme cluster of the one before it, whatever that is. */
export function isExtender(text: string, place: number): boolean {
  if (!(text.charCodeAt(place) >= firstExtender)) return false
  const code = text.codePointAt(place) as number
  if (code >= 0x3400 && code <= 0x9fff) return false
  return extender.test(String.fromCodePoint(code))
}

/** Below U+0300 nothing extends a grapheme cluster, and nothing joins what follows to itself, but for CR LF. */
const firstExtender = 0x300
const extender = /^[\p{Grapheme_Extend}\p{Mc}\p{Emoji_Modifier}\u200d]$/u

const clauseMarks: ReadonlySet<string> = new Set(',;:)]–—،؛')
/** Marks of scripts that write no space behind them. */
const wideClauseMarks: ReadonlySet<string> = new Set('，、；：）」』】》〕')

/** The last line end in reach whose next line can begin a part. */
function lastLineEnd(text: string, start: number, size: number): number | undefined {
  for (let place = start + size; place > start; place--) {
    if (!isLineEnd(text.charCodeAt(place))) continue
    if (!isExtender(text, skipWhiteSpace(text, place))) return place
    // Over the whole run of white space at once, or a long one would be looked over again for each of its line ends.
    place = trimEnd(text, start, place)
  }
  return undefined
}

function lastGoodPlace(text: string, start: number, size: number): number {
  const limit = start + size
  const half = start + (size >> 1)
  let space: number | undefined
  for (let place = limit; place > half; place--) {
    if (isSpace(text, place)) {
      if (clauseMarks.has(text.charAt(place - 1)) || isLineEnd(text.charCodeAt(place))) return place
      space ??= place
    } else if (wideClauseMarks.has(text.charAt(place - 1)) && !isExtender(text, place)) {
      return place
    }
  }
  if (space !== undefined) return space
  const inWord = wordStart(text, start, half, limit)
  if (isSpaceless(text.charCodeAt(limit - 1)) || isSpaceless(text.charCodeAt(limit))) return inWord
  for (let place = half; place > start; place--) {
    if (isSpace(text, place)) return wordFits(text, place, size) ? place : inWord
  }
  return inWord
}

/** Whether white space begins at `place` that a part can end before. */
function isSpace(text: string, place: number): boolean {
  return (
    isWhiteSpace(text.charCodeAt(place)) &&
    !isWhiteSpace(text.charCodeAt(place - 1)) &&
    !isExtender(text, skipWhiteSpace(text, place))
  )
}

/** Whether the word behind the white space at `place` is no longer than `size`. */
function wordFits(text: string, place: number, size: number): boolean {
  const start = skipWhiteSpace(text, place)
  const limit = Math.min(start + size, text.length)
  let end = start
  while (end < limit && !isWhiteSpace(text.charCodeAt(end))) end++
  return end === text.length || end < limit || isWhiteSpace(text.charCodeAt(end))
}

/** Letters of scripts that put no space between words: Thai to Burmese, Khmer, kana and Chinese characters. */
function isSpaceless(code: number): boolean {
  if (code < 0x0e01) return false
  return code <= 0x109f || (code >= 0x1780 && code <= 0x17ff) || (code >= 0x3041 && code <= 0x9fff)
}

// A fixed locale, so that the same text is cut alike on every machine. Made on first use: the dictionary takes 12 ms to load.
const segmenters: Partial<Record<'word' | 'grapheme', Intl.Segmenter>> = {}

function segmenter(granularity: 'word' | 'grapheme'): Intl.Segmenter {
  segmenters[granularity] ??= new Intl.Segmenter('en', { granularity })
  return segmenters[granularity]
}

/** Code units around a cut that the dictionary of words is shown. */
const wordWindow = { before: 64, after: 16 }

/** The last beginning of a word up to `limit`, but behind `half`, else of a grapheme cluster. */
function wordStart(text: string, start: number, half: number, limit: number): number {
  const from = Math.max(half, limit - wordWindow.before)
  const word = segmenter('word')
    .segment(text.slice(from, limit + wordWindow.after))
    .containing(limit - from)!
  const place = from + word.index
  return place > from && graphemeStart(text, start, place) === place ? place : graphemeStart(text, start, limit)
}

/** Where the grapheme cluster begins that holds `place`; in one longer than the part, the code point. */
function graphemeStart(text: string, start: number, place: number): number {
  if (isPlain(text.charCodeAt(place - 1)) && isPlain(text.charCodeAt(place))) return place
  const cluster = segmenter('grapheme')
    .segment(text.slice(start, place + 2))
    .containing(place - start)!
  if (cluster.index > 0) return start + cluster.index
  return isLowSurrogate(text.charCodeAt(place)) ? place - 1 : place
}

/** Characters that are clusters by themselves when neighbours are, so that the segmenter need not be asked: Latin and Chinese. */
function isPlain(code: number): boolean {
  return code < firstExtender || (code >= 0x3400 && code <= 0x9fff)
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff
}
