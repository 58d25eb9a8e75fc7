import { Tokenizer, type TokenizerCallbacks } from 'htmlparser2'
import { RagError } from '../core/errors.js'
import { cutPoint, maxBlockUnits, readUntil, refuseEmpty, toBlocks, toHeading } from './blocks.js'
import { decodeText } from './decode.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from './types.js'

/**
 * Reads HTML of any length and depth in bounded memory: what a reader of the page would see, a line per block element, the cells of
 * a table row separated by ` | `, `<pre>` as it is. Left out: scripts, styles, `<nav>`, `<svg>`, `<template>`, `<noscript>`, hidden
 * elements, and headers, footers and asides that are mostly links. Headings make the path. Nothing is fetched.
 *
 * Rejects with `EMPTY` when nothing is left, and with `LIMIT` for a single tag or comment above 16 Mi code units.
 */
export function createHtmlExtractor(): Extractor {
  return {
    id: 'html',
    fingerprint: 'html/1',
    mediaTypes: ['text/html'],
    extract: extractHtml,
  }
}

async function extractHtml(source: ExtractSource, { signal }: ExtractOptions): Promise<Extraction> {
  return readHtml(decodeHtml(source.stream()), { name: source.name, signal })
}

/** Reads HTML that is decoded already, as it lies inside of other documents. */
export async function readHtml(
  parts: AsyncIterable<string>,
  { name, signal }: { readonly name: string; readonly signal: AbortSignal | undefined },
): Promise<Extraction> {
  const reader = new HtmlReader(name)
  const reading = refuseEmpty(read(reader, parts, signal), name)
  const blocks = await readUntil(reading, () => reader.title !== undefined)
  const { title = reader.firstHeading, language } = reader
  return {
    ...(title === undefined ? {} : { title }),
    ...(language === undefined ? {} : { language }),
    blocks,
  }
}

async function* read(
  reader: HtmlReader,
  parts: AsyncIterable<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Block, void, undefined> {
  for await (const part of parts) {
    signal?.throwIfAborted()
    reader.write(part)
    yield* reader.take()
  }
  reader.end()
  yield* reader.take()
}

/** The text of HTML in the character set that it is told to be in, else that it says itself. */
export async function* decodeHtml(
  stream: AsyncIterable<Uint8Array>,
  told?: string,
): AsyncGenerator<string, void, undefined> {
  const { bytes, charset } = await readCharset(stream)
  yield* decodeText(bytes, told ?? charset)
}

/** Browsers look for `<meta charset>` in the first KiB; documents are not always that tidy. */
const charsetWindow = 4096

async function readCharset(
  stream: AsyncIterable<Uint8Array>,
): Promise<{ readonly bytes: AsyncIterable<Uint8Array>; readonly charset: string | undefined }> {
  const iterator = stream[Symbol.asyncIterator]()
  const first: Uint8Array[] = []
  for (let length = 0; length < charsetWindow; ) {
    const next = await iterator.next()
    if (next.done === true) break
    first.push(next.value)
    length += next.value.length
  }
  async function* all(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* first
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value
    } finally {
      await iterator.return?.()
    }
  }
  const head = Buffer.concat(first).subarray(0, charsetWindow).toString('latin1')
  const label = /<meta\s[^>]{0,200}charset\s{0,20}=\s{0,20}["']?\s{0,20}([\w-]{1,40})/i.exec(head)?.[1]
  return { bytes: all(), charset: label }
}

/** A tag or comment may not be longer, because it must be held whole. UTF-16 code units. */
const maxTokenUnits = 16 << 20

const dropped: ReadonlySet<string> = new Set(
  'script style noscript template svg nav iframe canvas object audio video select datalist textarea'.split(' '),
)
/** Landmarks that are navigation, too, when most of their text is links. */
const landmarks: ReadonlySet<string> = new Set(['header', 'footer', 'aside'])
const droppedRoles: ReadonlySet<string> = new Set(['navigation', 'search', 'menu', 'menubar'])
const voids: ReadonlySet<string> = new Set(
  'area base basefont br col embed frame hr img input keygen link meta param source track wbr'.split(' '),
)
/** Elements that stand on lines of their own, with the line ends around them. */
const lineEnds: ReadonlyMap<string, 1 | 2> = new Map([
  ...'address article aside body br caption center dd details dialog dir div dt fieldset figcaption footer form head header hgroup html legend li main menu option search section summary tbody tfoot thead title tr'
    .split(' ')
    .map((name) => [name, 1] as const),
  ...'blockquote dl figure h1 h2 h3 h4 h5 h6 hr ol p pre table ul'.split(' ').map((name) => [name, 2] as const),
])
/** Elements whose end tag may be left out: they end where one of the same name begins, or what holds them ends. */
const openEnded: ReadonlySet<string> = new Set('p li dt dd tr td th option tbody thead tfoot'.split(' '))
const attributesOfInterest: ReadonlySet<string> = new Set(['hidden', 'aria-hidden', 'style', 'role', 'lang'])
const maxAttributeUnits = 1000

/** What is being left out: an element, until its end. */
interface Skip {
  readonly name: string
  /** Elements of the same name open inside, itself included. */
  depth: number
  /** Other elements open inside, counted only where the end tag may be missing. */
  inner: number
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

/**
 * Turns markup into blocks. It works on htmlparser2's tokenizer, not its parser: the parser keeps a stack of open elements that it
 * searches and shifts, which is quadratic in their depth. Nothing here needs the tree, so a few counters stand for it.
 */
class HtmlReader implements TokenizerCallbacks {
  title: string | undefined
  firstHeading: string | undefined
  language: string | undefined
  readonly #name: string
  readonly #tokenizer = new Tokenizer({ xmlMode: false, decodeEntities: true }, this)
  /** Markup that the tokenizer may still point into, and where it begins in the document. */
  #window = ''
  #windowStart = 0
  #consumed = 0
  /** The tag being read. */
  #tag = ''
  #attributes = new Map<string, string>()
  #attribute = ''
  #value = ''

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
  #titleText: string | undefined
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
  #skip: Skip | undefined
  #landmark: Landmark | undefined

  constructor(name: string) {
    this.#name = name
  }

  write(part: string): void {
    if (this.#consumed > this.#windowStart) {
      this.#window = this.#window.slice(this.#consumed - this.#windowStart)
      this.#windowStart = this.#consumed
    }
    this.#window += part
    if (this.#window.length > maxTokenUnits) throw tokenTooLong(this.#name)
    this.#tokenizer.write(part)
  }

  end(): void {
    this.#tokenizer.end()
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

  // What the tokenizer reports. Places are counted from the start of the document.

  ontext(start: number, end: number): void {
    this.#addText(this.#slice(start, end))
  }

  ontextentity(point: number, end: number): void {
    this.#consumed = end
    this.#addText(String.fromCodePoint(point))
  }

  onopentagname(start: number, end: number): void {
    this.#tag = this.#slice(start, end).toLowerCase()
    this.#attributes.clear()
  }

  onattribname(start: number, end: number): void {
    this.#attribute = this.#slice(start, end).toLowerCase()
    this.#value = ''
  }

  onattribdata(start: number, end: number): void {
    const value = this.#slice(start, end)
    if (this.#value.length < maxAttributeUnits) this.#value += value.slice(0, maxAttributeUnits)
  }

  onattribentity(point: number): void {
    this.#value += String.fromCodePoint(point)
  }

  onattribend(): void {
    if (attributesOfInterest.has(this.#attribute)) this.#attributes.set(this.#attribute, this.#value)
  }

  onopentagend(end: number): void {
    this.#consumed = end
    this.#open(this.#tag)
  }

  onselfclosingtag(end: number): void {
    this.#consumed = end
    this.#open(this.#tag)
    // Only foreign elements can close themselves; HTML ignores the slash.
    if (this.#tag === 'svg') this.#close('svg')
  }

  onclosetag(start: number, end: number): void {
    this.#close(this.#slice(start, end).toLowerCase())
  }

  oncomment(_start: number, end: number): void {
    this.#consumed = end
  }

  oncdata(_start: number, end: number): void {
    this.#consumed = end
  }

  ondeclaration(_start: number, end: number): void {
    this.#consumed = end
  }

  onprocessinginstruction(_start: number, end: number): void {
    this.#consumed = end
  }

  onend(): void {}

  #slice(start: number, end: number): string {
    this.#consumed = end
    return this.#window.slice(start - this.#windowStart, end - this.#windowStart)
  }

  #open(name: string): void {
    if (this.#skip !== undefined && this.#skipsOpen(name, this.#skip)) return
    if (this.#isLeftOut(name)) {
      this.#gap = Math.max(this.#gap, lineEnds.get(name) ?? 0)
      this.#skip = { name, depth: 1, inner: 0 }
      return
    }
    if (name === 'html' || name === 'body') this.#readLanguage()
    else if (name === 'title') this.#titleText ??= ''
    else if (name === 'a') this.#inLink = true
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

  #close(name: string): void {
    if (this.#skip !== undefined && this.#skipsClose(name, this.#skip)) return
    if (name === 'title') this.#closeTitle()
    else if (name === 'a') this.#inLink = false
    this.#breakLine(name)
    if (headingDepth(name) > 0) {
      if (this.#heading > 0) this.#endHeading()
    } else if (name === 'pre') this.#closePre()
    else if (name === 'table') this.#closeTable()
    else if (name === 'td' || name === 'th') this.#inCell = false
    else if (landmarks.has(name)) this.#closeLandmark(name)
  }

  #isLeftOut(name: string): boolean {
    if (dropped.has(name)) return true
    if (this.#attributes.size === 0 || voids.has(name) || name === 'html' || name === 'body') return false
    const hidden = this.#attributes.get('hidden')
    if (hidden !== undefined && hidden.toLowerCase() !== 'until-found') return true
    if (this.#attributes.get('aria-hidden')?.toLowerCase() === 'true') return true
    if (droppedRoles.has(this.#attributes.get('role')?.toLowerCase() ?? '')) return true
    return /(display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden)/i.test(this.#attributes.get('style') ?? '')
  }

  /** Whether the element belongs to what is left out. */
  #skipsOpen(name: string, skip: Skip): boolean {
    if (openEnded.has(skip.name)) {
      const ends = skip.inner === 0 && (name === skip.name || (skip.name === 'p' && lineEnds.has(name)))
      if (ends) {
        this.#skip = undefined
        return false
      }
      if (!voids.has(name) && !openEnded.has(name)) skip.inner++
    } else if (name === skip.name) skip.depth++
    return true
  }

  #skipsClose(name: string, skip: Skip): boolean {
    if (name === skip.name && skip.inner === 0) {
      if (--skip.depth === 0) this.#skip = undefined
      return true
    }
    if (!openEnded.has(skip.name) || openEnded.has(name)) return true
    if (skip.inner-- > 0) return true
    // The element around it ends, and it with that.
    this.#skip = undefined
    return false
  }

  #readLanguage(): void {
    const language = this.#attributes.get('lang')?.trim()
    if (language !== undefined && /^[a-z]{2,3}(-[a-z0-9]{1,8}){0,4}$/i.test(language)) this.language ??= language
  }

  #closeTitle(): void {
    if (this.#titleText === undefined) return
    this.title ??= toHeading(this.#titleText)
    this.#titleText = undefined
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

  #addText(data: string): void {
    if (this.#skip !== undefined) return
    if (this.#titleText !== undefined) {
      if (this.#titleText.length < maxAttributeUnits) this.#titleText += data
      return
    }
    const text = data.includes('\u00ad') ? data.replaceAll('\u00ad', '') : data
    if (this.#pre === 0) this.#addWords(text)
    else {
      if (this.#gap > 0) this.#settle()
      this.#append(text)
    }
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

/** A table cell longer than this is a column of a page, not a field. */
const longCellUnits = 200

function headingDepth(name: string): number {
  return name.length === 2 && name[0] === 'h' ? '123456'.indexOf(name[1] as string) + 1 : 0
}

function isSpace(text: string, place: number): boolean {
  return /\s/.test(text[place] as string)
}

function tokenTooLong(name: string): RagError {
  return new RagError('LIMIT', `"${name}" holds a tag or comment longer than ${maxTokenUnits} characters.`, {
    data: { name, maxTokenUnits },
    hint: 'It is hardly HTML made for readers; remove what is embedded in it.',
  })
}
