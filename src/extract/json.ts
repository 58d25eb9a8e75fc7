import { RagError } from '../core/errors.js'
import { BlockBuffer } from './block-buffer.js'
import { maxHeadingUnits, refuseEmpty } from './blocks.js'
import { decodeText } from './decode.js'
import { JsonGrammar, type JsonValue } from './json-grammar.js'
import type { Block, ExtractOptions, Extractor, ExtractSource } from './types.js'

/** Options of {@link createJsonExtractor}. */
export interface JsonExtractorOptions {
  /**
   * Where the text is: names of keys joined by dots, `*` for any key or element. `articles.*.body` takes every body, and nothing else.
   * In JSON Lines it begins in each line. Default: every value, with its keys.
   */
  readonly text?: string
}

/**
 * Reads JSON and JSON Lines of any length in bounded memory, with the tokenizer of `@streamparser/json`. Each value is a line behind
 * its keys (`author.name: Ada`), short lists are joined, `null` is left out; the elements of the outermost list are records, with a
 * blank line between. Texts longer than a line are prose. With {@link JsonExtractorOptions.text} the text at that path and nothing else.
 *
 * Rejects with `EMPTY`, `CORRUPT` (no JSON, as RFC 8259 has it) or `LIMIT` (a value above 16 Mi code units, more than 1,000 levels).
 */
export function createJsonExtractor({ text }: JsonExtractorOptions = {}): Extractor {
  const path = text?.split('.')
  if (path?.includes('')) {
    throw new RagError('BAD_OPTION', 'The path of the text in JSON must be names joined by dots.', {
      data: { option: 'extractor.json.text' },
      hint: 'For example "articles.*.body"; "*" stands for any key or element.',
    })
  }
  return {
    id: 'json',
    fingerprint: `json/1 ${text ?? ''}`,
    mediaTypes: ['application/json', 'application/x-ndjson'],
    async extract(source, options) {
      return { blocks: refuseEmpty(jsonBlocks(source, options, path), source.name) }
    },
  }
}

/** A string or number is held whole. UTF-16 code units. */
const maxValueUnits = 16 << 20

async function* jsonBlocks(
  source: ExtractSource,
  { signal }: ExtractOptions,
  path: readonly string[] | undefined,
): AsyncGenerator<Block, void, undefined> {
  const { Tokenizer } = await import('@streamparser/json')
  const writer = path === undefined ? new RecordWriter() : new PathWriter(path)
  const grammar = new JsonGrammar(writer, { name: source.name, lines: source.mediaType === 'application/x-ndjson' })
  const tokenizer = new Tokenizer()
  // As they are written: a number of twenty digits is an identifier, which a double would round.
  const digits = (number: string) => number as unknown as number
  Object.assign(tokenizer, { parseNumber: digits })
  let given = 0
  let units = 0
  tokenizer.onToken = ({ token, value }) => {
    given = units
    grammar.accept(token, value)
  }
  tokenizer.onError = (error) => {
    throw RagError.isInstance(error) ? error : grammar.corrupt()
  }
  for await (const part of decodeText(source.stream())) {
    signal?.throwIfAborted()
    units += part.length
    tokenizer.write(part)
    if (units - given > maxValueUnits) throw valueTooLong(source.name)
    yield* writer.take()
  }
  if (units === 0) return
  tokenizer.end()
  grammar.end()
  writer.end()
  yield* writer.take()
}

/** A text longer than this is prose, not a field. */
const longValueUnits = 300

/** Writes every value behind its keys. */
class RecordWriter {
  readonly #buffer = new BlockBuffer()
  /** Key of the line that is being written, and the line; a list goes on with it. */
  #key = ''
  #line = ''
  #listed = false
  /** Something was written since the last record ended. */
  #open = false

  value(value: JsonValue, path: readonly (string | number)[]): void {
    if (value === null || value === '') return
    const text = String(value).toWellFormed()
    const key = keyOf(path)
    const listed = typeof path.at(-1) === 'number'
    this.#open = true
    if (text.length > longValueUnits || text.includes('\n')) {
      this.#endLine()
      this.#buffer.add(`${labelled(key, text.trim())}\n\n`, { kind: 'text' })
      return
    }
    if (listed && this.#listed && key === this.#key && this.#line.length + text.length < longValueUnits) {
      this.#line += `, ${text}`
      return
    }
    this.#endLine()
    this.#key = key
    this.#listed = listed
    this.#line = labelled(key, text)
  }

  /** An element of the outermost list, or a value of its own, is over. */
  endRecord(): void {
    if (!this.#open) return
    this.#open = false
    this.#endLine()
    this.#buffer.add('\n', { kind: 'table' })
    // A record is a table of its own: kept whole where a chunk has room for it.
    this.#buffer.flush()
  }

  end(): void {
    this.#endLine()
    this.#buffer.flush()
  }

  take(): readonly Block[] {
    return this.#buffer.take()
  }

  #endLine(): void {
    if (this.#line !== '') this.#buffer.add(`${this.#line}\n`, { kind: 'table' })
    this.#line = ''
    this.#key = ''
    this.#listed = false
  }
}

/** Writes the texts at a path. */
class PathWriter {
  readonly #path: readonly string[]
  readonly #buffer = new BlockBuffer()

  constructor(path: readonly string[]) {
    this.#path = path
  }

  value(value: JsonValue, path: readonly (string | number)[]): void {
    if (value === null || path.length !== this.#path.length) return
    if (!this.#path.every((step, depth) => step === '*' || step === String(path[depth]))) return
    this.#buffer.add(`${String(value).toWellFormed().trim()}\n\n`, { kind: 'text' })
  }

  endRecord(): void {}

  end(): void {
    this.#buffer.flush()
  }

  take(): readonly Block[] {
    return this.#buffer.take()
  }
}

/** The keys on the way to a value, without the numbers of elements; of a long one the end. */
function keyOf(path: readonly (string | number)[]): string {
  const keys: string[] = []
  // From the end: keys of a deep or long path would be joined again for every value.
  for (let i = path.length - 1, units = 0; i >= 0 && units <= maxHeadingUnits; i--, units++) {
    const step = path[i]
    if (typeof step !== 'string') continue
    const key = step.slice(-4 * maxHeadingUnits).replace(/\s+/g, ' ')
    units += key.length
    keys.push(key)
  }
  return keys.reverse().join('.').slice(-maxHeadingUnits).toWellFormed()
}

function labelled(key: string, text: string): string {
  return key === '' ? text : `${key}: ${text}`
}

function valueTooLong(name: string): RagError {
  return new RagError('LIMIT', `"${name}" holds a value longer than ${maxValueUnits} characters.`, {
    data: { name, maxValueUnits },
    hint: 'Split it, or declare the file as text/plain to read it as it is.',
  })
}
