import { toHeading } from './blocks.js'
import { brokenWord, type Fragment } from './pdf-lines.js'
import type { Row } from './pdf-order.js'

/** A paragraph, table or heading of a page. */
export interface Passage {
  readonly kind: 'text' | 'table' | 'heading'
  /** Lines that were only wrapped are joined; words broken at their ends still hold U+FFFE. */
  readonly text: string
  /** Height of the font, in points. */
  readonly size: number
  readonly bold: boolean
}

/** Puts rows together: wrapped lines to paragraphs, rows of cells to tables, and guesses which paragraphs are headings. */
export function toPassages(rows: readonly Row[], bodySize: number): Passage[] {
  const passages: Passage[] = []
  const usualGap = usualGapOf(rows)
  for (let first = 0; first < rows.length; ) {
    let last = first
    const isTable = isTableRow(rows, first)
    if (isTable) while (last + 1 < rows.length && isTableRow(rows, last + 1)) last++
    else while (last + 1 < rows.length && !isTableRow(rows, last + 1) && continues(rows, last, usualGap)) last++
    const own = rows.slice(first, last + 1)
    passages.push(isTable ? toTable(own) : toParagraph(own, rightEdge(rows, first, last)))
    first = last + 1
  }
  return markHeadings(passages, bodySize)
}

/** Font height that most characters have, from counts by half points. */
export function commonSize(counts: ReadonlyMap<number, number>): number {
  let best = 0
  let most = 0
  for (const [size, count] of counts) {
    if (count <= most) continue
    most = count
    best = size
  }
  return best
}

/** Adds the characters of fragments to counts by font height, in half points. */
export function countSizes(fragments: readonly Fragment[], counts: Map<number, number>): void {
  for (const { size, text } of fragments) {
    const rounded = Math.round(2 * size) / 2
    counts.set(rounded, (counts.get(rounded) ?? 0) + text.length)
  }
}

/** Rows of a table come at least in twos, one below the other; each has cells with a gap between. */
function isTableRow(rows: readonly Row[], place: number): boolean {
  const row = rows[place] as Row
  if (row.cells.length < 2) return false
  return [rows[place - 1], rows[place + 1]].some((other) => {
    if (other === undefined || other.cells.length < 2) return false
    const gap = Math.max(other.top - row.bottom, row.top - other.bottom)
    const isBelow = gap < 2 * row.size && gap > -0.8 * row.size
    return isBelow && sharesEdge(row, other)
  })
}

/** Some cell but the first begins, or ends, where one of the other row does. */
function sharesEdge(row: Row, other: Row): boolean {
  return row.cells
    .slice(1)
    .some((cell) =>
      other.cells
        .slice(1)
        .some((candidate) => Math.abs(cell.left - candidate.left) < 3 || Math.abs(cell.right - candidate.right) < 3),
    )
}

function toTable(rows: readonly Row[]): Passage {
  const text = rows.map(({ cells }) => cells.map((cell) => cell.text.trim()).join('\t')).join('\n')
  const { size } = rows[0] as Row
  return { kind: 'table', text, size, bold: false }
}

/** Gap between lines, as a share of the font's height, that is usual on the page; 0 where there are too few. */
function usualGapOf(rows: readonly Row[]): number {
  const gaps: number[] = []
  for (let i = 1; i < rows.length; i++) {
    const [before, row] = [rows[i - 1] as Row, rows[i] as Row]
    const gap = (row.top - before.bottom) / row.size
    if (gap > -0.6 && gap < 1.5) gaps.push(gap)
  }
  return gaps.toSorted((a, b) => a - b)[gaps.length >> 1] ?? 0
}

const endOfSentence = /[.!?:;。！？…][)\]"'”’»]*$/
const beginsLower = /^\p{Ll}/u
const bullet = /^(?:[•◦▪‣●○■–—*·-]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s/u

/** Whether the row behind `place` belongs to its paragraph. */
function continues(rows: readonly Row[], place: number, usualGap: number): boolean {
  const before = rows[place] as Row
  const row = rows[place + 1] as Row
  if (Math.abs(row.size - before.size) > 0.12 * before.size) return false
  const text = textOf(before)
  const gap = (row.top - before.bottom) / row.size
  const isElsewhere = gap < -1 || gap > 1.5 || row.left > before.right || row.right < before.left
  // A sentence goes on in the next column.
  if (isElsewhere) return gap < -1 && isBroken(text, textOf(row))
  if (gap > usualGap + 0.35) return false
  if (row.bold !== before.bold && (row.bold || endOfSentence.test(text) || text.length < 60)) return false
  const isIndented = row.left > before.left + 0.8 * row.size && row.left < before.left + 4 * row.size
  return !(isIndented && endOfSentence.test(text) && !bullet.test(text))
}

function isBroken(text: string, next: string): boolean {
  return text.charCodeAt(text.length - 1) === brokenWord || (!endOfSentence.test(text) && beginsLower.test(next))
}

/** Where lines are wrapped: the right edge of the lines around that stand below each other. */
function rightEdge(rows: readonly Row[], first: number, last: number): number {
  let edge = Number.NEGATIVE_INFINITY
  const own = rows[first] as Row
  for (let i = Math.max(0, first - 20); i <= Math.min(rows.length - 1, last + 20); i++) {
    const { left, right } = rows[i] as Row
    if (left < own.right && right > own.left && Math.abs(left - own.left) < 3 * own.size) edge = Math.max(edge, right)
  }
  return edge
}

function toParagraph(rows: readonly Row[], edge: number): Passage {
  let text = ''
  for (const [i, row] of rows.entries()) {
    const line = textOf(row)
    const before = rows[i - 1]
    if (before === undefined) text = line
    else if (text.charCodeAt(text.length - 1) === brokenWord) text += line
    else if (endsBroken.test(text) && beginsLower.test(line)) text = `${text.slice(0, -1)}\ufffe${line}`
    else if (!isWrapped(before, row, line, edge)) text += `\n${line}`
    else text += keptHyphen.test(text) ? line : ` ${line}`
  }
  const { size } = rows[0] as Row
  return { kind: 'text', text, size, bold: rows.every(({ bold }) => bold) }
}

const endsBroken = /\p{Ll}-$/u
const keptHyphen = /[\p{L}\p{N}]-$/u
/** Characters of a line that was wrapped, at least: shorter ones are lines of their own, whatever else is on the page. */
const shortestWrapped = 16

/** Whether a line ended only because the next word had no room. */
function isWrapped(before: Row, row: Row, line: string, edge: number): boolean {
  if (bullet.test(line) || before.cells.length > 1 || row.cells.length > 1) return false
  if (textOf(before).length < shortestWrapped) return keptHyphen.test(textOf(before))
  const width = (row.right - row.left) / Math.max(1, line.length)
  const firstWord = line.indexOf(' ') < 0 ? line.length : line.indexOf(' ')
  // A space, and the little that justification leaves.
  return before.right + (firstWord + 2) * width > edge
}

function textOf({ cells }: Row): string {
  return cells.map(({ text }) => text.trim()).join(' ')
}

/** A heading is larger than the text, or bold, by so much, and no longer than that. */
const larger = 1.15
const longestHeading = 160
/** Share of a page's characters above which what looks like headings is its text: a slide, a cover, a poster. */
const mostHeadings = 0.35

function markHeadings(passages: Passage[], bodySize: number): Passage[] {
  const looks = passages.map((passage) => looksLikeHeading(passage, bodySize))
  const all = passages.reduce((sum, { text }) => sum + text.length, 0)
  const heading = passages.reduce((sum, { text }, i) => sum + (looks[i] ? text.length : 0), 0)
  if (heading > mostHeadings * all) return passages
  return passages.map((passage, i) => (looks[i] ? { ...passage, kind: 'heading' } : passage))
}

function looksLikeHeading({ bold, kind, size, text }: Passage, bodySize: number): boolean {
  if (kind !== 'text' || text.length > longestHeading || bodySize === 0) return false
  if (size < larger * bodySize && !(bold && size > 0.9 * bodySize && text.length < 100)) return false
  const lines = text.split('\n').length
  return lines <= 3 && /\p{L}{3}/u.test(text) && !/[.,;:]$/.test(text) && !bullet.test(text.replace(numbering, ''))
}

const numbering = /^(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+(?=\p{L})/u

/** The headings above what is being read, from page to page. */
export class HeadingPath {
  #open: OpenHeading[] = []

  get path(): readonly string[] {
    return this.#open.map(({ text }) => text)
  }

  /** Enters a heading: it ends those that are not above it, by their numbers where both have one, else by their fonts. */
  enter({ text, size, bold }: Passage): void {
    const words = toHeading(text)
    if (words === undefined) return
    const depth = numbering.exec(words)?.[1]?.split('.').length ?? 0
    const own = { text: words, size, depth, bold }
    const above = this.#open.findLastIndex((other) => isAbove(other, own)) + 1
    this.#open = [...this.#open.slice(0, Math.min(above, deepestPath - 1)), own]
  }
}

interface OpenHeading {
  readonly text: string
  readonly size: number
  /** Numbers before it: 2 of "3.1"; 0 without. */
  readonly depth: number
  readonly bold: boolean
}

function isAbove(one: OpenHeading, other: OpenHeading): boolean {
  if (one.depth > 0 && other.depth > 0) return one.depth < other.depth
  if (Math.abs(one.size - other.size) > 0.4) return one.size > other.size
  return one.bold && !other.bold
}

/** Headings in a path at most; each is indexed with every passage below it. */
const deepestPath = 4
