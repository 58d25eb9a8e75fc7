import { RagError } from '../core/errors.js'
import { BlockBuffer, type BlockPlace } from './block-buffer.js'
import { toHeading } from './blocks.js'
import type { Block } from './types.js'
import { attribute, readXml, type XmlAttributes, type XmlHandler } from './xml.js'
import type { ZipArchive } from './zip.js'

/** A slide is held whole, and nobody writes this much on one. UTF-16 code units. */
const maxSlideUnits = 8 << 20
/** Places on a slide that say the same on every slide. */
const repeated: ReadonlySet<string> = new Set(['sldNum', 'dt', 'ftr', 'hdr'])
const cellBetween = ' | '
const titles: ReadonlySet<string> = new Set(['title', 'ctrTitle'])

interface Paragraph {
  readonly kind: 'text' | 'table'
  readonly text: string
}

/** The text of one slide. */
export class SlideText {
  title: string | undefined
  isHidden = false
  readonly #name: string
  readonly #paragraphs: Paragraph[] = []
  #titleText = ''
  #units = 0

  constructor(name: string) {
    this.#name = name
  }

  async readSlide(zip: ZipArchive, part: string): Promise<void> {
    await readXml(
      zip.text(part),
      new ShapeReader(this.#name, (paragraph, place) => this.#add(paragraph, place), {
        root: (attributes) => {
          this.isHidden = /^(0|false)$/.test(attributes.show ?? '')
        },
      }),
      zip.source,
    )
    this.title = toHeading(this.#titleText)
    // A title too long for a heading, or without words, is text.
    if (this.title === undefined && this.#titleText !== '')
      this.#paragraphs.unshift({ kind: 'text', text: this.#titleText })
  }

  async readDiagram(zip: ZipArchive, part: string): Promise<void> {
    await readXml(zip.text(part), new ShapeReader(this.#name, (paragraph) => this.#add(paragraph, '')), zip.source)
  }

  async readNotes(zip: ZipArchive, part: string): Promise<void> {
    const notes: Paragraph[] = []
    const keep = (paragraph: Paragraph, place: string) => {
      // The notes are in the body; the other places repeat the slide.
      if (place === 'body') notes.push(paragraph)
    }
    await readXml(zip.text(part), new ShapeReader(this.#name, keep), zip.source)
    for (const [index, { kind, text }] of notes.entries()) {
      this.#add({ kind, text: index === 0 ? `Notes: ${text}` : text }, '')
    }
  }

  *blocks(where: Omit<BlockPlace, 'kind'>): Generator<Block, void, undefined> {
    if (this.title !== undefined) yield { ...where, kind: 'heading', text: `${this.#titleText.trim()}\n\n` }
    const buffer = new BlockBuffer()
    for (const { kind, text } of this.#paragraphs) buffer.add(`${text}\n`, { kind, ...where })
    if (this.#paragraphs.length > 0) buffer.add('\n', { kind: this.#paragraphs.at(-1)?.kind ?? 'text', ...where })
    buffer.flush()
    yield* buffer.take()
  }

  #add(paragraph: Paragraph, place: string): void {
    this.#units += paragraph.text.length
    if (this.#units > maxSlideUnits) throw slideTooLong(this.#name)
    if (titles.has(place)) this.#titleText += `${this.#titleText === '' ? '' : ' '}${paragraph.text}`
    else if (!repeated.has(place)) this.#paragraphs.push(paragraph)
  }
}

interface ShapeEvents {
  /** The first element. */
  readonly root?: (attributes: XmlAttributes) => void
}

/** Finds the paragraphs of DrawingML (ECMA-376 part 1, 21.1.2) and the places they stand in (`title`, `body`, `''`). */
class ShapeReader implements XmlHandler {
  readonly #name: string
  readonly #give: (paragraph: Paragraph, place: string) => void
  readonly #events: ShapeEvents
  #isFirst = true
  #place = ''
  #text = ''
  #inText = false
  /** Inside the older form of a drawing beside its newer one. */
  #skipped = 0
  /** Paragraphs of each cell of the row. */
  #cells: string[][] | undefined
  /** Code units that were read, and what cells take. */
  #units = 0

  constructor(name: string, give: (paragraph: Paragraph, place: string) => void, events: ShapeEvents = {}) {
    this.#name = name
    this.#give = give
    this.#events = events
  }

  open(name: string, attributes: XmlAttributes): void {
    if (this.#isFirst) this.#events.root?.(attributes)
    this.#isFirst = false
    if (this.#skipped > 0 || name === 'Fallback') this.#skipped++
    else if (name === 'sp' || name === 'graphicFrame') this.#place = ''
    // A place without a type is the body.
    else if (name === 'ph') this.#place = attribute(attributes, 'type') ?? 'body'
    else if (name === 'p') this.#text = ''
    else if (name === 't') this.#inText = true
    else if (name === 'br') this.#write('\n')
    else if (name === 'tab') this.#write('\t')
    else if (name === 'tr') this.#cells = []
    else if (name === 'tc') this.#openCell()
  }

  close(name: string): void {
    if (this.#skipped > 0) this.#skipped--
    else if (name === 't') this.#inText = false
    else if (name === 'p') this.#closeParagraph()
    else if (name === 'tr') this.#closeRow()
  }

  text(text: string): void {
    if (this.#inText && this.#skipped === 0) this.#write(text)
  }

  #write(text: string): void {
    this.#count(text.length)
    this.#text += text
  }

  #openCell(): void {
    this.#count(cellBetween.length)
    this.#cells?.push([])
  }

  #count(units: number): void {
    this.#units += units
    if (this.#units > maxSlideUnits) throw slideTooLong(this.#name)
  }

  #closeParagraph(): void {
    const text = this.#text.trim()
    this.#text = ''
    if (text === '') return
    const cells = this.#cells
    const cell = cells?.at(-1)
    if (cells === undefined) this.#give({ kind: 'text', text }, this.#place)
    else if (cell === undefined) cells.push([text])
    else cell.push(text)
  }

  #closeRow(): void {
    const cells = (this.#cells ?? []).map((cell) => cell.join(' ').replace(/\s+/g, ' ').trim())
    this.#cells = undefined
    if (cells.some((cell) => cell !== '')) this.#give({ kind: 'table', text: cells.join(cellBetween) }, '')
  }
}

function slideTooLong(name: string): RagError {
  return new RagError('LIMIT', `"${name}" holds a slide with more than ${maxSlideUnits} characters.`, {
    data: { name, maxSlideUnits },
    hint: 'Split it into several slides, or give its text.',
  })
}
