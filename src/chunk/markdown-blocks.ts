import type { SectionSpan } from './types.js'

/** A block of Markdown, from its first character to the end of its last line. */
export interface MarkdownBlock extends SectionSpan {
  /** `whole` is fenced code, a table, or what the section wants whole; `item` an entry of a list, at whatever depth. */
  readonly kind: 'heading' | 'whole' | 'item' | 'text'
  /** Columns that an item is set in. */
  readonly indent: number
  /** Its last words end with a colon: what follows belongs to it. */
  readonly leads: boolean
}

/** Rank of a border inside a block, between sentences or lines. */
export const worstBorder = 4

/** How good it is to cut before `blocks[place]`: 0 separates always, {@link worstBorder} is as bad as inside a block. */
export function borderRank(blocks: readonly MarkdownBlock[], place: number): number {
  const block = blocks[place] as MarkdownBlock
  const before = blocks[place - 1]
  // The words below a heading are to it as the next sentence is to a sentence, so that it never stands alone.
  if (before?.kind === 'heading') return block.kind === 'heading' ? 1 : worstBorder
  if (block.kind === 'heading') return 0
  if (block.kind === 'item' && before?.kind === 'item') return block.indent > 0 ? 3 : 2
  return before?.leads === true ? 3 : 1
}

/**
 * Finds the blocks of a text, ascending and disjoint, in one pass over its lines. `whole` stretches are blocks whatever is in them.
 * Of CommonMark (https://spec.commonmark.org) it knows what matters for cutting: ATX headings, fences, lists, paragraphs; of GitHub's
 * additions tables. A heading by underline is a paragraph of its own.
 */
export function findMarkdownBlocks(text: string, whole: readonly SectionSpan[]): MarkdownBlock[] {
  const finder = new BlockFinder(text)
  let place = 0
  for (const { start, end } of whole) {
    finder.read(place, start)
    finder.addWhole(start, end)
    place = end
  }
  finder.read(place, text.length)
  return finder.blocks
}

const lineFeed = 0x0a
/** Characters of a line that are looked at to tell what it begins. */
const lookedAt = 80
const headingLine = /^ {0,3}#{1,6}(?:\s|$)/
const fenceLine = /^ {0,3}(`{3,}|~{3,})/
const itemLine = /^(\s{0,40})(?:[-*+]|\d{1,9}[.)])\s/
const tableRule = /^[ \t|:-]+$/
/** A longer line is no rule below the head of a table. */
const longestRule = 2_000

class BlockFinder {
  readonly blocks: MarkdownBlock[] = []
  readonly #text: string
  /** The block that further lines belong to. */
  #open: { kind: 'item' | 'text'; start: number; end: number; indent: number } | undefined
  /** Where the last line of the open block begins. */
  #lastLine = 0
  #fence: { readonly start: number; readonly mark: string } | undefined
  #table: number | undefined

  constructor(text: string) {
    this.#text = text
  }

  addWhole(start: number, end: number): void {
    this.#push({ kind: 'whole', start, end, indent: 0 })
  }

  /** Reads the lines of a stretch. */
  read(from: number, to: number): void {
    for (let start = from; start < to; ) {
      let end = start
      while (end < to && this.#text.charCodeAt(end) !== lineFeed) end++
      if (end < to) end++
      this.#readLine(start, end)
      start = end
    }
    this.#close(to)
  }

  #readLine(start: number, end: number): void {
    const line = this.#text.slice(start, Math.min(end, start + lookedAt)).trimEnd()
    if (this.#fence !== undefined) {
      const { mark } = this.#fence
      const closing = fenceLine.exec(line)?.[1]
      if (closing?.startsWith(mark) && line.trim() === closing) this.#endFence(end)
      return
    }
    if (line === '') {
      this.#close(start)
      return
    }
    const fence = fenceLine.exec(line)?.[1]
    if (fence !== undefined) {
      this.#close(start)
      this.#fence = { start, mark: fence }
      return
    }
    if (headingLine.test(line)) {
      this.#close(start)
      this.#push({ kind: 'heading', start, end, indent: 0 })
      return
    }
    if (this.#table !== undefined || this.#beginsTable(line, start, end)) return
    const item = itemLine.exec(line)
    if (item !== null) {
      this.#close(start)
      this.#open = { kind: 'item', start, end, indent: (item[1] as string).length }
    }
    this.#open ??= { kind: 'text', start, end, indent: 0 }
    this.#open.end = end
    this.#lastLine = start
  }

  /** A rule of dashes below a line with bars makes both a table, until a blank line. */
  #beginsTable(line: string, start: number, end: number): boolean {
    if (this.#open === undefined || !line.includes('-') || end - start > longestRule) return false
    const head = this.#lastLine
    const rule = this.#text.slice(start, end).trimEnd()
    if (!rule.includes('|') || !tableRule.test(rule) || !this.#text.slice(head, start).includes('|')) return false
    if (this.#open.start < head) this.#push({ ...this.#open, end: head })
    this.#open = undefined
    this.#table = head
    return true
  }

  #endFence(end: number): void {
    if (this.#fence !== undefined) this.#push({ kind: 'whole', start: this.#fence.start, end, indent: 0 })
    this.#fence = undefined
  }

  /** Ends what is open at `end`. A fence that nobody closes goes on to the end. */
  #close(end: number): void {
    this.#endFence(end)
    if (this.#table !== undefined) this.#push({ kind: 'whole', start: this.#table, end, indent: 0 })
    if (this.#open !== undefined) this.#push(this.#open)
    this.#table = undefined
    this.#open = undefined
  }

  #push(block: Omit<MarkdownBlock, 'leads'>): void {
    const { start, end, kind } = block
    const tail = this.#text.slice(Math.max(start, end - 8), end).trimEnd()
    this.blocks.push({ ...block, leads: kind !== 'whole' && /[:：]$/.test(tail) })
  }
}
