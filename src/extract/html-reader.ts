import { Tokenizer, type TokenizerCallbacks } from 'htmlparser2'
import { RagError } from '../core/errors.js'
import { toHeading } from './blocks.js'
import { HtmlSkip } from './html-skip.js'
import { HtmlWriter } from './html-writer.js'
import type { Block } from './types.js'

/** A tag or comment may not be longer, because it must be held whole. UTF-16 code units. */
const maxTokenUnits = 16 << 20

const attributesOfInterest: ReadonlySet<string> = new Set(['hidden', 'aria-hidden', 'style', 'role', 'lang'])
const maxAttributeUnits = 1000

/**
 * Turns markup into blocks. It works on htmlparser2's tokenizer, not its parser: the parser keeps a stack of open elements that it
 * searches and shifts, which is quadratic in their depth.
 */
export class HtmlReader implements TokenizerCallbacks {
  title: string | undefined
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
  #titleText: string | undefined
  readonly #skip = new HtmlSkip()
  readonly #writer = new HtmlWriter()

  constructor(name: string) {
    this.#name = name
  }

  get firstHeading(): string | undefined {
    return this.#writer.firstHeading
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
    this.#writer.end()
  }

  /** The blocks finished since the last call. */
  take(): readonly Block[] {
    return this.#writer.take()
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

  #addText(text: string): void {
    if (this.#skip.isActive) return
    if (this.#titleText === undefined) this.#writer.addText(text)
    else if (this.#titleText.length < maxAttributeUnits) this.#titleText += text
  }

  #open(name: string): void {
    if (this.#skip.takesOpen(name)) return
    if (this.#skip.begins(name, this.#attributes)) {
      this.#writer.leaveOut(name)
      return
    }
    if (name === 'html' || name === 'body') this.#readLanguage()
    else if (name === 'title') this.#titleText ??= ''
    this.#writer.open(name)
  }

  #close(name: string): void {
    if (this.#skip.takesClose(name)) return
    if (name === 'title') this.#closeTitle()
    this.#writer.close(name)
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
}

function tokenTooLong(name: string): RagError {
  return new RagError('LIMIT', `"${name}" holds a tag or comment longer than ${maxTokenUnits} characters.`, {
    data: { name, maxTokenUnits },
    hint: 'It is hardly HTML made for readers; remove what is embedded in it.',
  })
}
