import type { BlockBuffer, BlockPlace } from './block-buffer.js'

/** A row with more characters than this holds texts, not fields: they are cut by sentences, each under its name. */
const longRowUnits = 1_000
/** Rows that are looked at to find the names of the columns. */
const headRows = 10
const maxNameUnits = 100
/** Longer headers, in all, are not repeated with every row. */
const maxNamesUnits = 16 * 1024

/** Whether a table begins with the names of its columns; `auto` looks. */
export type HeaderChoice = 'auto' | boolean

/**
 * Writes the rows of a table so that each is understood alone: `Name: Ada | Born: 1815`, a line per row, the name of its column with each field,
 * empty fields left out. Without names the fields alone.
 */
export class RowWriter {
  readonly #buffer: BlockBuffer
  readonly #place: Omit<BlockPlace, 'kind'>
  readonly #header: HeaderChoice
  #head: (readonly string[])[] | undefined = []
  #names: readonly string[] = []

  constructor(buffer: BlockBuffer, place: Omit<BlockPlace, 'kind'>, header: HeaderChoice) {
    this.#buffer = buffer
    this.#place = place
    this.#header = header
  }

  add(cells: readonly string[]): void {
    const row = cells.map(toField)
    if (row.every((cell) => cell === '')) return
    if (this.#head === undefined) this.#write(row)
    else if (this.#head.push(row) === headRows) this.#settleNames(this.#head)
  }

  end(): void {
    if (this.#head !== undefined) this.#settleNames(this.#head)
  }

  #settleNames(head: readonly (readonly string[])[]): void {
    this.#head = undefined
    const place = findNames(head, this.#header)
    for (const [index, row] of head.entries()) {
      if (index === place) this.#names = row
      else this.#write(row)
    }
    // Names and nothing beneath them are still what the table says.
    if (place >= 0 && place === head.length - 1) this.#write(head[place] as readonly string[], [])
  }

  #write(row: readonly string[], names = this.#names): void {
    const fields: string[] = []
    for (const [column, cell] of row.entries()) {
      const name = names[column] ?? ''
      if (cell !== '') fields.push(name === '' ? cell : `${name}: ${cell}`)
    }
    const units = fields.reduce((sum, { length }) => sum + length, 0)
    const isLong = units > longRowUnits
    this.#buffer.add(isLong ? `${fields.join('\n')}\n\n` : `${fields.join(' | ')}\n`, {
      kind: isLong ? 'text' : 'table',
      ...this.#place,
    })
  }
}

/** The row, among the first, that names the columns; -1: none. Titles of a single cell may stand above it. */
function findNames(head: readonly (readonly string[])[], header: HeaderChoice): number {
  if (header === false || head.length === 0) return -1
  if (header === true) return 0
  const filled = head.map((row) => row.filter((cell) => cell !== '').length)
  const place = filled.findIndex((count) => count * 2 > Math.max(...filled))
  // One row is something that is told, not the name of it; nor has a single column a name that could be told from what is in it.
  return (filled[place] ?? 0) > 1 && place < head.length - 1 && isNames(head[place] as readonly string[]) ? place : -1
}

/** Names are short, differ, and are no numbers or dates. */
function isNames(row: readonly string[]): boolean {
  const names = row.filter((cell) => cell !== '')
  const sound = names.every(
    (name) => name.length <= maxNameUnits && /\p{L}/u.test(name) && !/^\d[\d\s.,:/TZ+-]*$/.test(name),
  )
  const units = names.reduce((sum, { length }) => sum + length, 0)
  return sound && units <= maxNamesUnits && new Set(names).size === names.length
}

/** One line, single spaces. */
function toField(cell: string): string {
  return cell.replace(/[\s\u0000-\u001f\u007f]+/g, ' ').trim()
}
