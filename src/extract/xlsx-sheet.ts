import { RagError } from '../core/errors.js'
import type { CellFormats } from './xlsx-formats.js'
import { attribute, type XmlAttributes, type XmlHandler } from './xml.js'

/** Empty cells between others, over a whole sheet; more of them is a sheet made to keep its reader busy. */
const maxGaps = 50_000_000
/** Columns of a sheet at most, as in Excel. */
const maxColumns = 16_384
/** A cell longer than Excel allows (32,767) by far is cut, so that a row stays bounded. */
const maxCellUnits = 1 << 20
/** A row is held whole. UTF-16 code units. */
const maxRowUnits = 4 << 20
/** Of all sheets, as they are shown: few bytes of a sheet can refer to much text that cells share. UTF-16 code units. */
const maxSheetUnits = 256 << 20

/** What the sheets of a workbook have in common. */
export interface SheetContext {
  readonly strings: readonly string[]
  readonly formats: CellFormats
  /** Name of the workbook. */
  readonly name: string
  /** Code units that cells have shown so far. */
  units: number
}

/** Turns a sheet (ECMA-376 part 1, 18.3) into rows of fields, as they are shown. */
export class SheetRows implements XmlHandler {
  readonly #context: SheetContext
  #ready: (readonly string[])[] = []
  #row: string[] = []
  #rowUnits = 0
  #column = 0
  #type = ''
  #format = 0
  #value = ''
  #isValue = false
  #readings = 0
  #gaps = 0

  constructor(context: SheetContext) {
    this.#context = context
  }

  take(): readonly (readonly string[])[] {
    const ready = this.#ready
    this.#ready = []
    return ready
  }

  open(name: string, attributes: XmlAttributes): void {
    if (name === 'row') {
      this.#row = []
      this.#rowUnits = 0
      this.#column = 0
    } else if (name === 'c') {
      this.#column = columnOf(attribute(attributes, 'r')) ?? this.#column
      this.#type = attribute(attributes, 't') ?? 'n'
      this.#format = Number(attribute(attributes, 's') ?? 0)
      this.#value = ''
    } else if (name === 'rPh') this.#readings++
    else if (name === 'v' || name === 't') this.#isValue = this.#readings === 0
  }

  close(name: string): void {
    if (name === 'v' || name === 't') this.#isValue = false
    else if (name === 'rPh') this.#readings--
    else if (name === 'c') this.#endCell()
    else if (name === 'row') this.#ready.push(this.#row)
  }

  text(text: string): void {
    if (this.#isValue && this.#value.length < maxCellUnits) this.#value += text
  }

  #endCell(): void {
    const text = this.#shown().trim()
    if (text !== '' && this.#column < maxColumns) {
      this.#gaps += Math.max(0, this.#column - this.#row.length)
      if (this.#gaps > maxGaps) throw tooManyGaps(this.#context.name)
      this.#count(text.length)
      while (this.#row.length < this.#column) this.#row.push('')
      this.#row[this.#column] = text
    }
    this.#column++
  }

  #count(units: number): void {
    const context = this.#context
    this.#rowUnits += units
    context.units += units
    if (this.#rowUnits > maxRowUnits) throw tooMuchShown(context.name, 'row', maxRowUnits)
    if (context.units > maxSheetUnits) throw tooMuchShown(context.name, 'workbook', maxSheetUnits)
  }

  #shown(): string {
    const value = this.#value
    if (this.#type === 's') return value === '' ? '' : (this.#context.strings[Number(value)] ?? '')
    if (this.#type === 'b') return value === '1' ? 'TRUE' : value === '0' ? 'FALSE' : value
    // What a formula failed with is no content.
    if (this.#type === 'e') return ''
    if (this.#type !== 'n' || value === '') return value
    return this.#context.formats.show(value, this.#format)
  }
}

function tooManyGaps(name: string): RagError {
  return new RagError('LIMIT', `"${name}" holds a sheet with more than ${maxGaps} empty cells between others.`, {
    data: { name, maxGaps },
    hint: 'Save it as CSV, or remove the empty columns.',
  })
}

function tooMuchShown(name: string, where: 'row' | 'workbook', limit: number): RagError {
  return new RagError('LIMIT', `"${name}" shows more than ${limit} characters in a ${where}.`, {
    data: { name, where, limit },
    hint: 'Split it, or save its sheets as CSV.',
  })
}

/** The column, from 0, of a place such as `AB12`. */
function columnOf(place: string | undefined): number | undefined {
  const letters = /^[A-Za-z]{1,3}/.exec(place ?? '')?.[0]?.toUpperCase()
  if (letters === undefined) return undefined
  return [...letters].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1
}
