import { BlockBuffer, type BlockPlace, HeadingPath } from './block-buffer.js'
import { maxBlockUnits, maxHeadingUnits } from './blocks.js'
import { type DocxStyle, outlineDepth } from './docx-styles.js'
import type { Block } from './types.js'
import { attribute, type XmlAttributes, type XmlHandler } from './xml.js'

/**
 * Elements that are left out with all they hold: what tracked changes took away, the older form of a drawing beside its newer one, and
 * readings above characters.
 */
const leftOut: ReadonlySet<string> = new Set(
  'del moveFrom Fallback rt sdtPr tblPr sectPr pPrChange rPrChange trPrChange tcPrChange'.split(' '),
)

/** A paragraph that has begun. They stand inside each other where a text box hangs on one. */
interface Paragraph {
  text: string
  /** Runs open in it; what is told between them is about the paragraph. */
  runs: number
  isHidden: boolean
  heading: number
  isTitle: boolean
  isList: boolean
}

/** A cell longer than this is a column of the page's layout, not a field: its paragraphs keep their lines. */
const longCellUnits = 200

/** Cells of a row that are kept; a table that people read has a few. */
const maxCells = 16_384

/** A row of a table that has begun. */
interface Row {
  readonly cells: string[]
  /** Code units in its cells. */
  units: number
  /** Its cells are written as paragraphs, because one was too long to be a field. */
  isLayout: boolean
}

/** Turns WordprocessingML (ECMA-376 part 1, 17) into blocks. It keeps a paragraph, or a row of a table, and the path of headings. */
export class DocxText implements XmlHandler {
  title: string | undefined
  readonly #styles: ReadonlyMap<string, DocxStyle>
  readonly #buffer = new BlockBuffer()
  readonly #path = new HeadingPath()
  readonly #paragraphs: Paragraph[] = []
  readonly #rows: Row[] = []
  /** Elements open inside one that is left out, itself included. */
  #skipped = 0
  #inText = false
  /** Numbers of the notes that the text refers to, by kind and id, in order. */
  readonly #notes = new Map<string, number>()
  #inNotes = false
  /** The note is none that the text refers to: a separator, or one that was deleted. */
  #skipsNote = false
  /** The number that the next paragraph of a note begins with. */
  #noteMark = ''

  constructor(styles: ReadonlyMap<string, DocxStyle>) {
    this.#styles = styles
  }

  /** Whether the text refers to notes. */
  get hasNotes(): boolean {
    return this.#notes.size > 0
  }

  /** What comes now are notes, not the text. */
  beginNotes(): void {
    this.#inNotes = true
  }

  /** Writes what has begun and was never ended, as in a file that is cut off. */
  end(): void {
    while (this.#paragraphs.length > 0) this.#closeParagraph()
    while (this.#rows.length > 0) this.#closeRow()
    this.#buffer.flush()
  }

  take(): readonly Block[] {
    return this.#buffer.take()
  }

  open(name: string, attributes: XmlAttributes): void {
    if (this.#skipped > 0 || leftOut.has(name)) {
      this.#skipped++
      return
    }
    const paragraph = this.#paragraphs.at(-1)
    if (name === 'p') this.#paragraphs.push(newParagraph())
    else if (name === 'r' && paragraph !== undefined) {
      paragraph.runs++
      paragraph.isHidden = false
    } else if (name === 't') this.#inText = true
    else if (name === 'tr') this.#rows.push({ cells: [], units: 0, isLayout: false })
    else if (name === 'tc') this.#openCell()
    else if (name === 'footnote' || name === 'endnote') this.#openNote(name, attributes)
    else if (paragraph !== undefined && paragraph.runs > 0) this.#readRun(name, attributes, paragraph)
    else if (paragraph !== undefined) readProperty(name, attributes, paragraph, this.#styles)
  }

  close(name: string): void {
    if (this.#skipped > 0) {
      this.#skipped--
      return
    }
    if (name === 'p') this.#closeParagraph()
    else if (name === 'r') this.#closeRun()
    else if (name === 't') this.#inText = false
    else if (name === 'tr') this.#closeRow()
    else if ((name === 'footnote' || name === 'endnote') && this.#inNotes) this.#skipsNote = false
  }

  text(text: string): void {
    if (this.#inText && this.#skipped === 0) this.#write(text)
  }

  #openNote(kind: string, attributes: XmlAttributes): void {
    const number = this.#notes.get(`${kind} ${attribute(attributes, 'id')}`)
    this.#skipsNote = number === undefined
    this.#noteMark = number === undefined ? '' : `[${number}] `
  }

  /** What stands in a run beside its text. */
  #readRun(name: string, attributes: XmlAttributes, paragraph: Paragraph): void {
    const reference = /^(footnote|endnote)Reference$/.exec(name)?.[1]
    if (name === 'tab') this.#write('\t')
    else if (name === 'br' || name === 'cr') this.#write('\n')
    else if (name === 'noBreakHyphen') this.#write('-')
    else if (name === 'vanish') paragraph.isHidden = isOn(attributes)
    else if (name === 'sym') this.#write(symbolOf(attributes))
    else if (reference !== undefined) this.#refer(`${reference} ${attribute(attributes, 'id')}`)
  }

  #refer(note: string): void {
    const number = this.#notes.get(note) ?? this.#notes.size + 1
    this.#notes.set(note, number)
    this.#write(`[${number}]`)
  }

  #closeRun(): void {
    const paragraph = this.#paragraphs.at(-1)
    if (paragraph === undefined) return
    paragraph.runs = Math.max(0, paragraph.runs - 1)
    paragraph.isHidden = false
  }

  #write(text: string): void {
    const paragraph = this.#paragraphs.at(-1)
    if (paragraph === undefined || paragraph.isHidden || this.#skipsNote) return
    paragraph.text += text
    // What goes on for so long is no heading and no field.
    if (paragraph.text.length <= maxBlockUnits) return
    paragraph.heading = 0
    if (this.#rows.length > 0) this.#spill()
    this.#buffer.add(paragraph.text, this.#place('text'))
    paragraph.text = ''
  }

  #closeParagraph(): void {
    const paragraph = this.#paragraphs.pop()
    const text = paragraph?.text.trim() ?? ''
    if (paragraph === undefined || text === '') return
    if (this.#rows.length > 0) this.#addToCell(paragraph.isList ? `- ${text}` : text)
    else if (paragraph.heading > 0 && !this.#inNotes) this.#addHeading(paragraph, text)
    else {
      const mark = this.#noteMark
      this.#noteMark = ''
      this.#buffer.add(
        `${mark}${paragraph.isList ? '- ' : ''}${text}\n${paragraph.isList ? '' : '\n'}`,
        this.#place('text'),
      )
    }
  }

  #addHeading({ heading, isTitle }: Paragraph, text: string): void {
    const label = text.length > 4 * maxHeadingUnits ? undefined : this.#path.enter(heading, text)
    if (label !== undefined && (isTitle || heading === 1)) this.title ??= label
    this.#buffer.flush()
    this.#buffer.add(`${text}\n\n`, this.#place(label === undefined ? 'text' : 'heading'))
    this.#buffer.flush()
  }

  #openCell(): void {
    const row = this.#rows.at(-1)
    if (row === undefined || row.isLayout) return
    row.cells.push('')
    if (row.cells.length > maxCells) this.#spill()
  }

  #addToCell(text: string): void {
    const row = this.#rows.at(-1) as Row
    if (row.isLayout) {
      this.#buffer.add(`${text}\n`, this.#place('text'))
      return
    }
    const last = Math.max(0, row.cells.length - 1)
    const before = row.cells[last] ?? ''
    row.cells[last] = before === '' ? text : `${before}\n${text}`
    row.units += text.length + 1
    if (row.units > maxBlockUnits) this.#spill()
  }

  /** Writes the rows that have begun as paragraphs, since they are too long to be kept. */
  #spill(): void {
    for (const row of this.#rows) {
      row.isLayout = true
      for (const cell of row.cells.splice(0)) if (cell !== '') this.#buffer.add(`${cell}\n`, this.#place('text'))
    }
  }

  #closeRow(): void {
    const row = this.#rows.pop()
    if (row === undefined || row.isLayout || row.cells.every((cell) => cell === '')) return
    const isLayout = row.cells.some((cell) => cell.length > longCellUnits && cell.includes('\n'))
    const text = isLayout
      ? row.cells.filter((cell) => cell !== '').join('\n')
      : row.cells
          .map((cell) => cell.replace(/\s+/g, ' '))
          .join(' | ')
          .trimEnd()
    // A table inside a cell becomes lines of it.
    if (this.#rows.length > 0) this.#addToCell(text)
    else this.#buffer.add(`${text}\n`, this.#place(isLayout ? 'text' : 'table'))
  }

  #place(kind: Block['kind']): BlockPlace {
    const headings = this.#inNotes ? undefined : this.#path.headings
    return headings === undefined ? { kind } : { kind, headings }
  }
}

function newParagraph(): Paragraph {
  return { text: '', runs: 0, isHidden: false, heading: 0, isTitle: false, isList: false }
}

/** What is told of a paragraph before its first run. */
function readProperty(
  name: string,
  attributes: XmlAttributes,
  paragraph: Paragraph,
  styles: ReadonlyMap<string, DocxStyle>,
): void {
  const value = attribute(attributes, 'val')
  if (name === 'pStyle') Object.assign(paragraph, styles.get(value ?? ''))
  else if (name === 'numId') paragraph.isList = value !== '0'
  else if (name === 'outlineLvl') paragraph.heading = outlineDepth(value) ?? paragraph.heading
}

/** A property that is there holds, unless it says that it does not. */
function isOn(attributes: XmlAttributes): boolean {
  return !/^(0|false|off)$/.test(attribute(attributes, 'val') ?? '')
}

/** A character told by its number; those of the private area are pictures of a font. */
function symbolOf(attributes: XmlAttributes): string {
  const code = Number.parseInt(attribute(attributes, 'char') ?? '', 16)
  return code >= 0x20 && code < 0xd800 ? String.fromCharCode(code) : ''
}
