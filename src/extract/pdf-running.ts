import { boundsOf, type Fragment } from './pdf-lines.js'

/** A page's lines at its edges, reduced to what recurs. */
export interface PageEdges {
  readonly page: number
  readonly lines: readonly EdgeLine[]
}

interface EdgeLine {
  /** Its words without digits. */
  readonly words: string
  readonly numbers: readonly number[]
  /** Where it stands, in points. */
  readonly top: number
  readonly fragments: readonly Fragment[]
}

/** Lines from each edge of a page that may be running headers or footers. */
const edgeLines = 4
/** More turned text is a drawing or a map, not the stamps of a page; each is compared with each of the pages around. */
const mostTurned = 64
/** Pages before and behind that a line is looked for on: enough for headers that alternate between left and right pages. */
export const pagesAround = 4
/** Points that a running line may stand higher or lower from page to page. */
const tolerance = 6

/** The lines at the edges of a page that stand there once; the whole page is looked over. */
export function edgesOf(page: number, fragments: readonly Fragment[]): PageEdges {
  const upright = uprightOf(fragments)
  const lines = linesOf(fragments.filter(({ turn }) => turn === upright))
  const times = new Map<string, number>()
  for (const { words } of lines) times.set(words, (times.get(words) ?? 0) + 1)
  const upper = lines.slice(0, edgeLines)
  const lower = lines.slice(Math.max(edgeLines, lines.length - edgeLines))
  // Stamps stand upright beside the text, or across it.
  const turned = fragments.filter(({ turn }) => turn !== upright)
  const beside = turned.length > mostTurned ? [] : turned.map((fragment) => toEdgeLine([fragment]))
  // What stands on the page again and again is its subject, not its frame. A number may stand at its top and at its bottom.
  const once = [...upper, ...lower].filter(({ words }) => (times.get(words) ?? 0) <= (words === '' ? 8 : 1))
  return { page, lines: [...once, ...beside] }
}

/**
 * Fragments of a page that also stand on two pages around it (of a document with two pages: on the other), at the same height, and with
 * the same numbers or with numbers that grow from page to page as page numbers do. All of a page's text is never running.
 */
export function runningFragments(
  own: PageEdges,
  around: readonly PageEdges[],
  { pages, fragments }: { readonly pages: number; readonly fragments: number },
): ReadonlySet<Fragment> {
  const enough = pages === 2 ? 1 : 2
  const running = new Set<Fragment>()
  for (const line of own.lines) {
    const found = around.filter(({ page, lines }) => lines.some((other) => isSame(line, other, page - own.page)))
    if (found.length >= enough) for (const fragment of line.fragments) running.add(fragment)
  }
  return running.size === fragments ? new Set() : running
}

function isSame(line: EdgeLine, other: EdgeLine, pagesApart: number): boolean {
  return (
    line.words === other.words &&
    Math.abs(line.top - other.top) <= tolerance &&
    line.numbers.length === other.numbers.length &&
    line.numbers.every((number, i) => {
      const distance = (other.numbers[i] as number) - number
      return line.words === '' ? distance === pagesApart : distance === 0 || distance === pagesApart
    }) &&
    // Page numbers are one or two in a line; a row of numbers that all grow by one is a row of a table.
    line.numbers.filter((number, i) => other.numbers[i] !== number).length <= 2
  )
}

/** The quarter turns that most of a page has. */
function uprightOf(fragments: readonly Fragment[]): number {
  const counts = [0, 1, 2, 3].map((turn) => fragments.filter((fragment) => fragment.turn === turn).length)
  return counts.indexOf(Math.max(...counts))
}

/** Fragments of one height, from the top down. */
function linesOf(fragments: readonly Fragment[]): EdgeLine[] {
  const sorted = [...fragments].sort((a, b) => a.bottom - b.bottom)
  const lines: Fragment[][] = []
  for (const fragment of sorted) {
    const first = lines.at(-1)?.[0]
    if (first !== undefined && fragment.bottom - first.bottom < 0.4 * first.size) lines.at(-1)?.push(fragment)
    else lines.push([fragment])
  }
  return lines.map(toEdgeLine)
}

function toEdgeLine(fragments: readonly Fragment[]): EdgeLine {
  // Sorted, because number and title change sides from a left page to a right one.
  const text = fragments
    .map((fragment) => fragment.text)
    .sort()
    .join(' ')
    .normalize('NFKC')
    .toLowerCase()
  const numbers = [...text.matchAll(/\d{1,9}/g)].map(([digits]) => Number(digits))
  const words = text.replace(/[\d\s\p{P}\p{S}]+/gu, ' ').trim()
  const { top } = boundsOf(fragments)
  if (romanNumber.test(words) && numbers.length === 0) return { words: '', numbers: [toNumber(words)], top, fragments }
  return { words, numbers, top, fragments }
}

const romanNumber = /^(?=[ivxlc])(?:c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})$/
const romanDigits: Readonly<Record<string, number>> = { i: 1, v: 5, x: 10, l: 50, c: 100 }

function toNumber(roman: string): number {
  const values = [...roman].map((letter) => romanDigits[letter] ?? 0)
  return values.reduce((sum, value, i) => sum + (value < (values[i + 1] ?? 0) ? -value : value), 0)
}
