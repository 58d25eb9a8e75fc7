import { boundsOf, type Fragment } from './pdf-lines.js'

/** Fragments that stand beside each other, in reading order. */
export interface Row {
  readonly cells: readonly Fragment[]
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
  readonly size: number
  readonly bold: boolean
}

/**
 * Rows of a page in reading order. The order in which a page was written is right nearly always, and knows what geometry cannot; it
 * is given up where columns of prose were written row by row, and where it jumps up again and again. Text at other angles than most of
 * the page's comes last.
 */
export function orderRows(fragments: readonly Fragment[]): Row[] {
  const rows: Row[] = []
  for (const group of byTurn(fragments)) {
    for (const region of regions(group)) for (const row of toRows(region)) rows.push(row)
  }
  return rows
}

/** The largest group first. */
function byTurn(fragments: readonly Fragment[]): Fragment[][] {
  const groups = new Map<number, Fragment[]>()
  for (const fragment of fragments) {
    const group = groups.get(fragment.turn)
    if (group === undefined) groups.set(fragment.turn, [fragment])
    else group.push(fragment)
  }
  return [...groups.values()].sort((a, b) => charactersOf(b) - charactersOf(a))
}

function charactersOf(fragments: readonly Fragment[]): number {
  return fragments.reduce((sum, { text }) => sum + text.length, 0)
}

/** A page written in its order jumps up so often at most: from column to column, to a footnote and back. */
const fewJumps = 3

/** Stretches of fragments, each to be read from its first to its last. */
function regions(fragments: readonly Fragment[], depth = 0): (readonly Fragment[])[] {
  const isScrambled = jumpsUp(fragments) > Math.max(Math.min(fewJumps, fragments.length >> 2), fragments.length * 0.08)
  const columns = depth < 3 ? findColumns(fragments, isScrambled) : undefined
  if (columns === undefined) return [isScrambled ? fragments.toSorted(byPlace) : fragments]
  const { left, right, spanning } = columns
  const [first, second] = isRightToLeft(fragments) ? [right, left] : [left, right]
  // What stands across the columns divides them into bands.
  const found: (readonly Fragment[])[] = []
  let top = Number.NEGATIVE_INFINITY
  for (const across of [...bands(spanning), []]) {
    const bottom = across[0]?.top ?? Number.POSITIVE_INFINITY
    for (const column of [first, second]) {
      const part = column.filter((fragment) => middle(fragment) >= top && middle(fragment) < bottom)
      if (part.length > 0) for (const region of regions(part, depth + 1)) found.push(region)
    }
    if (across.length > 0) found.push(across)
    top = bottom
  }
  return found
}

function jumpsUp(fragments: readonly Fragment[]): number {
  let jumps = 0
  for (let i = 1; i < fragments.length; i++) {
    const before = fragments[i - 1] as Fragment
    if (middle(fragments[i] as Fragment) < before.top - 0.5 * before.size) jumps++
  }
  return jumps
}

function middle({ top, bottom }: Fragment): number {
  return (top + bottom) / 2
}

/** From the top down; of one line from the left. */
function byPlace(a: Fragment, b: Fragment): number {
  const distance = middle(a) - middle(b)
  return Math.abs(distance) > 0.4 * Math.min(a.size, b.size) ? distance : a.left - b.left
}

/** Consecutive spanning fragments, from the top down. */
function bands(spanning: readonly Fragment[]): Fragment[][] {
  return spanning.toSorted((a, b) => middle(a) - middle(b)).map((fragment) => [fragment])
}

interface Columns {
  readonly left: readonly Fragment[]
  readonly right: readonly Fragment[]
  /** Reaches over the gutter. */
  readonly spanning: readonly Fragment[]
}

/** Points between places at which a gutter is looked for. */
const step = 3
/** Fragments of a column at least. */
const leastLines = 4
/** Share of the page's lines that may stand across a gutter. */
const mostSpanning = 0.3

/** The best gutter with prose on both sides of it; cells of a table are no columns. */
function findColumns(fragments: readonly Fragment[], isScrambled: boolean): Columns | undefined {
  if (fragments.length < 2 * leastLines) return undefined
  const { left: from, right: to } = boundsOf(fragments)
  const places = Math.floor((to - from) / step)
  if (!(places > 10 && places < 10_000)) return undefined
  const covered = new Int32Array(places + 2)
  for (const { left, right } of fragments) {
    const first = Math.floor((left - from) / step)
    const behind = Math.min(places, Math.floor((right - from) / step)) + 1
    covered[first] = (covered[first] as number) + 1
    covered[behind] = (covered[behind] as number) - 1
  }
  for (let place = 1; place <= places; place++)
    covered[place] = (covered[place] as number) + (covered[place - 1] as number)

  const candidates: { readonly place: number; readonly cover: number }[] = []
  for (let place = Math.ceil(0.2 * places); place <= 0.8 * places; place++) {
    const cover = covered[place] as number
    if (cover > mostSpanning * fragments.length) continue
    const last = candidates.at(-1)
    // Of a stretch without text, or with little, its middle.
    let stop = place
    while (stop < 0.8 * places && covered[stop + 1] === cover) stop++
    candidates.push({ place: (place + stop) / 2, cover })
    place = stop
    if (last !== undefined && last.cover > cover) candidates.splice(-2, 1)
  }
  candidates.sort((a, b) => a.cover - b.cover)
  for (const { place } of candidates.slice(0, 6)) {
    const columns = divide(fragments, from + (place + 0.5) * step)
    if (isProse(columns, isScrambled)) return columns
  }
  return undefined
}

function divide(fragments: readonly Fragment[], gutter: number): Columns {
  const left: Fragment[] = []
  const right: Fragment[] = []
  const spanning: Fragment[] = []
  for (const fragment of fragments) {
    if (fragment.right <= gutter) left.push(fragment)
    else if (fragment.left >= gutter) right.push(fragment)
    else spanning.push(fragment)
  }
  return { left, right, spanning }
}

/** Columns hold long lines that fill them. Written row by row, they must look so beyond doubt; otherwise the page's order is trusted. */
function isProse({ left, right, spanning }: Columns, isScrambled: boolean): boolean {
  if (left.length < leastLines || right.length < leastLines) return false
  if (spanning.length > mostSpanning * (left.length + right.length)) return false
  const lines = new Set(left.map(({ line }) => line))
  const shared = right.filter(({ line }) => lines.has(line)).length
  const isInterleaved = 2 * shared > Math.min(left.length, right.length) || alternates(left, right)
  if (!isInterleaved && !isScrambled) return false
  return [left, right].every((column) => {
    const bounds = boundsOf(column)
    const medianWidth = median(column.map((fragment) => fragment.right - fragment.left))
    const medianLength = median(column.map(({ text }) => text.length))
    return medianLength >= 18 && medianWidth >= 0.45 * (bounds.right - bounds.left)
  })
}

/** Whether the two were written in turns: a line of the one, a line of the other. */
function alternates(left: readonly Fragment[], right: readonly Fragment[]): boolean {
  const lines = [...left.map(({ line }) => ({ line, side: 0 })), ...right.map(({ line }) => ({ line, side: 1 }))]
  lines.sort((a, b) => a.line - b.line)
  let turns = 0
  for (let i = 1; i < lines.length; i++) if (lines[i]?.side !== lines[i - 1]?.side) turns++
  return turns > Math.min(left.length, right.length)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}

const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/

function isRightToLeft(fragments: readonly Fragment[]): boolean {
  return 2 * fragments.filter(({ text }) => rightToLeft.test(text)).length > fragments.length
}

/** Joins what follows each other on the same height. */
function toRows(fragments: readonly Fragment[]): Row[] {
  const rows: Row[] = []
  let cells: Fragment[] = []
  const close = (): void => {
    if (cells.length > 0) rows.push(toRow(cells))
    cells = []
  }
  for (const fragment of fragments) {
    const last = cells.at(-1)
    if (last !== undefined && !isBeside(last, fragment)) close()
    cells.push(fragment)
  }
  close()
  return rows
}

function isBeside(a: Fragment, b: Fragment): boolean {
  const overlap = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
  if (overlap < 0.5 * Math.min(a.size, b.size)) return false
  return a.line === b.line || Math.max(b.left - a.right, a.left - b.right) > -0.2 * a.size
}

function toRow(cells: readonly Fragment[]): Row {
  const sized = cells.reduce((a, b) => (b.text.length > a.text.length ? b : a))
  return {
    cells,
    ...boundsOf(cells),
    size: sized.size,
    bold: cells.every(({ bold }) => bold),
  }
}
