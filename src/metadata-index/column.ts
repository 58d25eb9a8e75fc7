import type { MetadataValue } from '../core/document.js'

/** What is in a cell. Arrays begin as zeros, so a cell that was not filled is `unknown`: its row is tested in the store. */
export const kinds = {
  unknown: 0,
  missing: 1,
  null: 2,
  false: 3,
  true: 4,
  number: 5,
  text: 6,
  list: 7,
  /** An object, or a list within a list: it exists, and nothing else can be asked of it. */
  other: 8,
} as const

/** UTF-16 code units of a text, and elements of a list, that a cell holds at most. Larger values stay in the store. */
const maxTextLength = 1_024
const maxListLength = 1_024
/** Different texts of a column at most: a `Map` ends at 2^24 entries. */
const maxTexts = 2 ** 23
/** Rows copied between two looks at the clock. */
const rowsPerLook = 1_024
/** What an entry of the map, of the list and the header of a string take, measured: the sum is true within 2%. */
const bytesPerText = 64

/** One kind and one number per cell: the number itself, a text's code, a list's place. */
export class Cells {
  kinds = new Uint8Array(0)
  values = new Float64Array(0)
  count = 0

  get bytes(): number {
    return this.kinds.byteLength + this.values.byteLength
  }

  push(kind: number, value: number): void {
    this.extend(this.count + 1)
    this.set(this.count - 1, kind, value)
  }

  set(place: number, kind: number, value: number): void {
    this.kinds[place] = kind
    this.values[place] = value
  }

  /** Adds cells that are `unknown` until there are so many. */
  extend(count: number): void {
    if (count > this.kinds.length) {
      const capacity = Math.max(count, Math.ceil(this.kinds.length * 1.25), 64)
      this.kinds = copied(this.kinds, new Uint8Array(capacity))
      this.values = copied(this.values, new Float64Array(capacity))
    }
    this.count = count
  }
}

/**
 * The values of one path, row by row. Texts are kept once, by code; lists lie one after the other in `elements`, list `i` from
 * `listStarts[i]` to `listStarts[i + 1]`. Cells are only ever filled, never changed, so a reader needs no lock.
 */
export class Column {
  readonly rows = new Cells()
  readonly elements = new Cells()
  readonly texts: string[] = []
  listStarts = new Uint32Array(1)
  lists = 0
  /** Cells that are `unknown`. */
  unknown = 0
  readonly #codes = new Map<string, number>()
  #textBytes = 0

  /** Bytes held; of texts an estimate, for nobody tells what the engine takes. */
  get bytes(): number {
    return this.rows.bytes + this.elements.bytes + this.listStarts.byteLength + this.#textBytes
  }

  /** The code of a text, or undefined when no cell holds it. */
  codeOf(text: string): number | undefined {
    return this.#codes.get(text)
  }

  /** Adds rows that are `unknown` until they are filled. */
  extend(count: number): void {
    this.unknown += Math.max(0, count - this.rows.count)
    this.rows.extend(Math.max(count, this.rows.count))
  }

  /** Fills a row, unless that was done before. */
  fill(row: number, value: MetadataValue | undefined): void {
    if (this.rows.kinds[row] !== kinds.unknown) return
    const kind = this.#kindOf(value)
    if (kind === kinds.unknown) return
    this.rows.set(
      row,
      kind,
      kind === kinds.list ? this.#addList(value as readonly MetadataValue[]) : this.#encode(value),
    )
    this.unknown--
  }

  /** The same column with the given rows of this one, in this order. */
  async picked(rows: Uint32Array, pause: () => Promise<void> | undefined): Promise<Column> {
    const column = new Column()
    column.extend(rows.length)
    for (let to = 0; to < rows.length; to++) {
      if (to % rowsPerLook === 0) await pause()
      column.#copyCell(this, rows[to] as number, to)
    }
    return column
  }

  #copyCell(from: Column, row: number, to: number): void {
    const kind = from.rows.kinds[row] as number
    if (kind === kinds.unknown) return
    const value = from.rows.values[row] as number
    this.unknown--
    this.rows.set(to, kind, kind === kinds.list ? this.#copyList(from, value) : this.#copyValue(from, kind, value))
  }

  #copyList(from: Column, list: number): number {
    const end = from.listStarts[list + 1] as number
    for (let i = from.listStarts[list] as number; i < end; i++) {
      const kind = from.elements.kinds[i] as number
      this.elements.push(kind, this.#copyValue(from, kind, from.elements.values[i] as number))
    }
    return this.#endList()
  }

  #copyValue(from: Column, kind: number, value: number): number {
    return kind === kinds.text ? this.#addText(from.texts[value] as string) : value
  }

  #kindOf(value: MetadataValue | undefined): number {
    if (value === undefined) return kinds.missing
    if (value === null) return kinds.null
    if (typeof value === 'string') return this.#hasRoomFor(value) ? kinds.text : kinds.unknown
    if (typeof value === 'number') return kinds.number
    if (typeof value === 'boolean') return value ? kinds.true : kinds.false
    if (!Array.isArray(value)) return kinds.other
    const fits = value.length <= maxListLength && value.every((one) => typeof one !== 'string' || this.#hasRoomFor(one))
    return fits ? kinds.list : kinds.unknown
  }

  #hasRoomFor(text: string): boolean {
    return text.length <= maxTextLength && this.texts.length < maxTexts - maxListLength
  }

  #encode(value: MetadataValue | undefined): number {
    if (typeof value === 'number') return value
    return typeof value === 'string' ? this.#addText(value) : 0
  }

  #addText(text: string): number {
    const known = this.#codes.get(text)
    if (known !== undefined) return known
    const code = this.texts.push(text) - 1
    this.#codes.set(text, code)
    this.#textBytes += bytesPerText + text.length * (isLatin(text) ? 1 : 2)
    return code
  }

  #addList(list: readonly MetadataValue[]): number {
    for (const element of list) {
      const kind = Array.isArray(element) ? kinds.other : this.#kindOf(element)
      this.elements.push(kind, this.#encode(element))
    }
    return this.#endList()
  }

  #endList(): number {
    const list = this.lists++
    if (list + 1 === this.listStarts.length) {
      this.listStarts = copied(this.listStarts, new Uint32Array(Math.ceil(this.listStarts.length * 1.5) + 8))
    }
    this.listStarts[list + 1] = this.elements.count
    return list
  }
}

function copied<Values extends { set(values: Values): void }>(values: Values, larger: Values): Values {
  larger.set(values)
  return larger
}

/** Whether the engine keeps it at one byte per character. */
function isLatin(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 255) return false
  return true
}
