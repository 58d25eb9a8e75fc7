import { cutPoint, maxBlockUnits, toBlocks, toHeading } from './blocks.js'
import { headingDepth, landmarks, lineEnds } from './html-elements.js'
import type { Block } from './types.js'

/**
 * Writes the text of a page as blocks, told which elements begin and end, and what text is between them: lines, cells, list marks, the
 * path of headings. Nothing needs the tree, so a few counters stand for it.
 */
export class HtmlWriter {
  firstHeading: string | undefined
  #ready: Block[] = []
  #text = ''
  #kind: 'text' | 'code' | 'table' = 'text'
  /** The last character written, over all blocks. */
  #last = '\n'
  /** Line ends, and a space, owed before the next word. */
  #gap = 0
  #space = false
  #path: readonly string[] = []
  #depths: readonly number[] = []
  /** 1 to 6 inside a heading, else 0. */
  #heading = 0
  #pre = 0
  #tables = 0
  /** The row has a cell already; borders of cells not written yet, because only another word shows that the row goes on. */
  #inRow = false
  #rowHasText = false
  #bars = 0
  #inCell = false
  /** Text of the current cell so far. */
  #cellUnits = 0
  /** A list item has begun, and its mark is owed. */
  #item = false
  #inLink = false
  #landmark: Landmark | undefined

  open(name: string): void {
    if (name === 'a') this.#inLink = true
    else if (landmarks.has(name)) this.#openLandmark(name)
    this.#breakLine(name)
    const heading = headingDepth(name)
    if (heading > 0) {
      this.#begin(this.#tables > 0 ? 'table' : 'text')
      this.#heading = heading
    } else if (name === 'pre') this.#openPre()
    else if (name === 'table') this.#openTable()
    else if (name === 'tr') this.#openRow()
    else if (name === 'td' || name === 'th') this.#openCell()
    else if (name === 'li') this.#item = true
  }

  close(name: string): void {
    if (name === 'a') this.#inLink = false
    this.#breakLine(name)
    if (headingDepth(name) > 0) {
      if (this.#heading > 0) this.#endHeading()
    } else if (name === 'pre') this.#closePre()
    else if (name === 'table') this.#closeTable()
    else if (name === 'td' || name === 'th') this.#inCell = false
    else if (landmarks.has(name)) this.#closeLandmark(name)
  }

  /** An element is left out; it may have stood on a line of its own. */
  leaveOut(name: string): void {
    this.#gap = Math.max(this.#gap, lineEnds.get(name) ?? 0)
  }

  addText(data: string): void {
    const text = data.includes('\u00ad') ? data.replaceAll('\u00ad', '') : data
    if (this.#pre === 0) this.#addWords(text)
    else {
      if (this.#gap > 0) this.#settle()
      this.#append(text)
    }
  }

  end(): void {
    this.#landmark = undefined
    if (this.#heading > 0) this.#endHeading()
    this.#begin('text')
  }

  /** The blocks finished since the last call. */
  take(): readonly Block[] {
    if (this.#landmark !== undefined) return []
    const ready = this.#ready
    this.#ready = []
    return ready
  }

  #openLandmark(name: string): void {
    if (this.#landmark !== undefined) {
      if (this.#landmark.name === name) this.#landmark.depth++
      return
    }
    this.#begin(this.#kind)
    const ready = this.#ready.length
    const before = { ready, path: this.#path, depths: this.#depths, last: this.#last }
    this.#landmark = { name, depth: 1, before, units: 0, linkUnits: 0 }
  }

  #closeLandmark(name: string): void {
    const landmark = this.#landmark
    if (landmark === undefined || landmark.name !== name || --landmark.depth > 0) return
    this.#begin(this.#kind)
    this.#landmark = undefined
    if (landmark.linkUnits * 2 <= landmark.units) return
    const { ready, path, depths, last } = landmark.before
    this.#ready.length = ready
    this.#path = path
    this.#depths = depths
    this.#last = last
  }

  #openPre(): void {
    if (this.#pre++ === 0) this.#begin('code')
  }

  #closePre(): void {
    if (this.#pre === 0 || --this.#pre > 0) return
    this.#begin(this.#tables > 0 ? 'table' : 'text')
  }

  #openTable(): void {
    if (this.#tables++ === 0) this.#begin('table')
    this.#openRow()
  }

  #closeTable(): void {
    this.#openRow()
    if (this.#tables === 0 || --this.#tables > 0) return
    this.#begin('text')
  }

  #openCell(): void {
    if (this.#inRow) this.#bars++
    this.#inRow = true
    this.#inCell = true
    this.#cellUnits = 0
  }

  #openRow(): void {
    this.#inRow = false
    this.#rowHasText = false
    this.#inCell = false
    this.#bars = 0
  }

  #breakLine(name: string): void {
    const ends = lineEnds.get(name)
    if (ends === undefined) return
    if (name === 'table' || name === 'tr') this.#inCell = false
    // A short cell stays on one line; a long one is a column of the page's layout.
    if (this.#inCell && this.#cellUnits < longCellUnits) this.#space = true
    else this.#gap = Math.max(this.#gap, ends)
  }

  #addWords(text: string): void {
    const words = text.trim()
    if (words === '') {
      this.#space ||= text !== ''
      return
    }
    this.#space ||= isSpace(text, 0)
    this.#settle()
    const line = words.replace(/\s+/g, ' ')
    this.#cellUnits += line.length
    this.#append(line)
    this.#space = isSpace(text, text.length - 1)
  }

  /** Writes what is owed: line ends or a space, the borders of cells, the mark of a list item. */
  #settle(): void {
    if (this.#gap > 0 && !this.#rowHasText) {
      if (this.#last !== '\n') this.#append('\n'.repeat(this.#gap))
      this.#space = false
    } else if (this.#gap > 0 && this.#bars === 0) this.#append('\n')
    if (this.#bars > 0) this.#append(' |'.repeat(this.#bars))
    if ((this.#space || this.#bars > 0) && !isSpace(this.#last, 0)) this.#append(' ')
    if (this.#item) this.#append('- ')
    this.#rowHasText = this.#inCell
    this.#gap = 0
    this.#space = false
    this.#bars = 0
    this.#item = false
  }

  #append(text: string): void {
    if (text === '') return
    this.#text += text
    this.#last = text[text.length - 1] as string
    if (this.#landmark !== undefined) this.#weigh(text.length, this.#landmark)
    // What goes on for so long was a heading only by name.
    if (this.#heading > 0 && this.#text.length > maxBlockUnits) this.#heading = 0
    while (this.#text.length > maxBlockUnits) {
      const cut = cutPoint(this.#text, maxBlockUnits)
      this.#emit(this.#text.slice(0, cut))
      this.#text = this.#text.slice(cut)
    }
  }

  #weigh(units: number, landmark: Landmark): void {
    landmark.units += units
    if (this.#inLink) landmark.linkUnits += units
    if (landmark.units > maxLandmarkUnits) this.#landmark = undefined
  }

  #endHeading(): void {
    const depth = this.#heading
    const text = this.#text
    this.#heading = 0
    const heading = toHeading(text)
    if (heading === undefined) return
    this.#text = ''
    const keep = this.#depths.findIndex((above) => above >= depth)
    const above = keep < 0 ? this.#depths.length : keep
    this.#path = [...this.#path.slice(0, above), heading]
    this.#depths = [...this.#depths.slice(0, above), depth]
    if (depth === 1) this.firstHeading ??= heading
    this.#last = '\n'
    this.#gap = 0
    this.#space = false
    for (const block of toBlocks(`${text}\n\n`, { kind: 'heading', headings: this.#path })) this.#ready.push(block)
  }

  /** Ends the block being written, with its last line, and begins another. */
  #begin(kind: 'text' | 'code' | 'table'): void {
    if (this.#heading > 0) this.#endHeading()
    if (this.#text !== '') {
      const end = this.#last === '\n' ? '' : '\n'.repeat(Math.max(1, this.#gap))
      this.#emit(this.#text + end)
      this.#text = ''
      this.#last = '\n'
    }
    this.#gap = 0
    this.#space = false
    this.#rowHasText = false
    this.#kind = kind
  }

  #emit(text: string): void {
    const headings = this.#path.length === 0 ? {} : { headings: this.#path }
    for (const block of toBlocks(text, { kind: this.#kind, ...headings })) this.#ready.push(block)
  }
}

/** A header, footer or aside whose blocks are held back until it is known whether it is navigation. */
interface Landmark {
  readonly name: string
  depth: number
  /** What to go back to when it is. */
  readonly before: {
    readonly ready: number
    readonly path: readonly string[]
    readonly depths: readonly number[]
    readonly last: string
  }
  units: number
  linkUnits: number
}

/** A landmark with more text than this is no navigation. */
const maxLandmarkUnits = 8192

/** A table cell longer than this is a column of a page, not a field. */
const longCellUnits = 200

function isSpace(text: string, place: number): boolean {
  return /\s/.test(text[place] as string)
}
