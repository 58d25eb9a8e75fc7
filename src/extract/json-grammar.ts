import { RagError } from '../core/errors.js'

/** A value that holds no others; numbers are as they are written. */
export type JsonValue = string | boolean | null

/** What is told of a JSON text. */
export interface JsonHandler {
  /** A value that holds no others. `path` is of keys and element numbers; it changes after the call. */
  value(value: JsonValue, path: readonly (string | number)[]): void
  /** An element of the outermost list is over, or the whole value where there is no list around it. */
  endRecord(): void
}

/** Kinds of tokens of `@streamparser/json`, whose own enumeration is loaded with the package only; the others are values. */
const kinds = {
  leftBrace: 0,
  rightBrace: 1,
  leftBracket: 2,
  rightBracket: 3,
  colon: 4,
  comma: 5,
  string: 9,
} as const

/** What may come next. */
type Expected = 'value' | 'value-or-end' | 'key' | 'key-or-end' | 'colon' | 'comma-or-end' | 'text-or-end' | 'end'

const maxLevels = 1_000

/**
 * Tells whether tokens make JSON (RFC 8259), and what the values in it are, holding nothing but the path to where it is. With `lines`
 * one value after another, each a record (JSON Lines; the line ends between are not asked for).
 */
export class JsonGrammar {
  readonly #handler: JsonHandler
  readonly #name: string
  readonly #lines: boolean
  readonly #path: (string | number)[] = []
  /** For each level, whether it is a list. */
  readonly #lists: boolean[] = []
  /** Level whose elements are records; -1 before the first list. */
  #recordLevel = -1
  #expected: Expected = 'value'
  #values = 0

  constructor(handler: JsonHandler, options: { readonly name: string; readonly lines: boolean }) {
    this.#handler = handler
    this.#name = options.name
    this.#lines = options.lines
  }

  accept(kind: number, value: unknown): void {
    if (kind === kinds.leftBrace || kind === kinds.leftBracket) this.#open(kind === kinds.leftBracket)
    else if (kind === kinds.rightBrace || kind === kinds.rightBracket) this.#close(kind === kinds.rightBracket)
    else if (kind === kinds.comma) this.#next()
    else if (kind === kinds.colon) {
      this.#expect('colon')
      this.#expected = 'value'
    } else if (kind === kinds.string && this.#expected.startsWith('key')) this.#key(value as string)
    else this.#scalar(value as JsonValue)
  }

  /** Throws `CORRUPT` unless the last value is whole. White space alone is no value, and no JSON. */
  end(): void {
    const isWhole = this.#expected === 'end' || this.#expected === 'text-or-end'
    if (!isWhole && !(this.#lines && this.#values === 0 && this.#path.length === 0)) throw this.corrupt()
  }

  corrupt(): RagError {
    const place = this.#lines ? `, in value ${this.#values + 1}` : ''
    return new RagError('CORRUPT', `"${this.#name}" is no JSON${place}.`, {
      data: { name: this.#name, ...(this.#lines ? { value: this.#values + 1 } : {}) },
      hint: 'Mend it, or declare the file as text/plain to read it as it is (comments are no JSON either).',
    })
  }

  #open(isList: boolean): void {
    this.#expectValue()
    if (this.#lists.length === maxLevels) throw tooDeep(this.#name)
    this.#lists.push(isList)
    this.#path.push(isList ? 0 : '')
    if (isList && this.#recordLevel < 0) this.#recordLevel = this.#lists.length
    this.#expected = isList ? 'value-or-end' : 'key-or-end'
  }

  #close(isList: boolean): void {
    const empty = isList ? 'value-or-end' : 'key-or-end'
    if (this.#lists.at(-1) !== isList || (this.#expected !== empty && this.#expected !== 'comma-or-end')) {
      throw this.corrupt()
    }
    if (this.#lists.length === this.#recordLevel) this.#recordLevel = -1
    this.#lists.pop()
    this.#path.pop()
    this.#endValue()
  }

  #next(): void {
    this.#expect('comma-or-end')
    const last = this.#path.length - 1
    const step = this.#path[last]
    if (typeof step === 'number') this.#path[last] = step + 1
    this.#expected = typeof step === 'number' ? 'value' : 'key'
  }

  #key(key: string): void {
    this.#path[this.#path.length - 1] = key
    this.#expected = 'colon'
  }

  #scalar(value: JsonValue): void {
    this.#expectValue()
    this.#handler.value(value, this.#path)
    this.#endValue()
  }

  #endValue(): void {
    const level = this.#lists.length
    if (level === this.#recordLevel) this.#handler.endRecord()
    if (level > 0) {
      this.#expected = 'comma-or-end'
      return
    }
    this.#handler.endRecord()
    this.#values++
    this.#expected = this.#lines ? 'text-or-end' : 'end'
  }

  #expectValue(): void {
    if (this.#expected !== 'text-or-end' && this.#expected !== 'value' && this.#expected !== 'value-or-end') {
      throw this.corrupt()
    }
  }

  #expect(expected: Expected): void {
    if (this.#expected !== expected) throw this.corrupt()
  }
}

function tooDeep(name: string): RagError {
  return new RagError('LIMIT', `"${name}" is nested more than ${maxLevels} levels deep.`, {
    data: { name, maxLevels },
    hint: 'Declare the file as text/plain to read it as it is.',
  })
}
