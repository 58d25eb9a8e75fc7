import { cutPoint, maxBlockUnits, readUntil, refuseEmpty, toBlocks, toHeading } from './blocks.js'
import { decodeText } from './decode.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from './types.js'

/**
 * Reads Markdown of any length in bounded memory. The text stays as it is written, without the YAML front matter; headings (`#` and
 * underlined) make the path, fenced code and tables are blocks of their own. The title is the front matter's `title`, else the first
 * level-1 heading near the start. Rejects with `EMPTY` when there is nothing but white space.
 */
export function createMarkdownExtractor(): Extractor {
  return {
    id: 'markdown',
    fingerprint: 'markdown/1',
    mediaTypes: ['text/markdown'],
    extract: extractMarkdown,
  }
}

async function extractMarkdown(source: ExtractSource, { signal }: ExtractOptions): Promise<Extraction> {
  const reader = new MarkdownReader()
  const reading = refuseEmpty(read(reader, decodeText(source.stream()), signal), source.name)
  const blocks = await readUntil(reading, () => reader.title !== undefined)
  const { title } = reader
  return title === undefined ? { blocks } : { title, blocks }
}

async function* read(
  reader: MarkdownReader,
  parts: AsyncIterable<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Block, void, undefined> {
  for await (const line of toLines(parts)) {
    signal?.throwIfAborted()
    reader.add(line)
    yield* reader.take()
  }
  reader.end()
  yield* reader.take()
}

/** A line with its end, or a part of one that is longer than any line of structure. */
interface Line {
  readonly text: string
  /** It begins a line. A part that goes on with one is never structure. */
  readonly begins: boolean
}

const maxLineUnits = 16 * 1024

async function* toLines(parts: AsyncIterable<string>): AsyncGenerator<Line, void, undefined> {
  let rest = ''
  let begins = true
  for await (const part of parts) {
    const text = rest + part
    let start = 0
    for (;;) {
      const end = text.indexOf('\n', start) + 1
      const stop = end > 0 && end - start <= maxLineUnits ? end : cutLong(text, start)
      if (stop === undefined) break
      yield { text: text.slice(start, stop), begins }
      begins = stop === end
      start = stop
    }
    rest = text.slice(start)
  }
  if (rest !== '') yield { text: rest, begins }
}

function cutLong(text: string, start: number): number | undefined {
  if (text.length - start <= maxLineUnits) return undefined
  return start + cutPoint(text.slice(start, start + maxLineUnits + 1), maxLineUnits)
}

/** A fenced code block that is open. */
interface Fence {
  readonly mark: string
  readonly length: number
}

/** Turns lines into blocks. Text is collected until a block of another kind begins or {@link maxBlockUnits} are reached. */
class MarkdownReader {
  title: string | undefined
  #ready: Block[] = []
  #path: string[] = []
  /** Depth (1 to 6) of each heading in the path. */
  #depths: number[] = []
  #kind: 'text' | 'code' | 'table' = 'text'
  #text = ''
  /** Where in `#text` the paragraph begins that an underline would make a heading; -1: none. */
  #paragraphStart = -1
  /** Where in `#text` the last line begins, which a row of dashes would make the head of a table. */
  #lastLineStart = 0
  #fence: Fence | undefined
  /** Lines of front matter so far; `undefined` when it is over, or there is none. */
  #frontMatter: Line[] | undefined = []
  #frontMatterUnits = 0

  add(line: Line): void {
    if (this.#frontMatter !== undefined) this.#readFrontMatter(line, this.#frontMatter)
    else this.#readLine(line)
  }

  end(): void {
    // Front matter that never ends is none.
    this.#replay(this.#frontMatter ?? [])
    this.#flush(this.#text.length)
  }

  /** The blocks finished since the last call. */
  take(): readonly Block[] {
    const ready = this.#ready
    this.#ready = []
    return ready
  }

  #readFrontMatter(line: Line, before: Line[]): void {
    before.push(line)
    this.#frontMatterUnits += line.text.length
    const mark = line.text.trimEnd()
    if (before.length === 1) {
      if (mark !== '---') this.#replay(before)
      return
    }
    // A rule at the top of a text looks the same; what follows tells.
    const isYaml = before.length > 2 || /^([\w-]+[ \t]*:|#|---|\.\.\.)/.test(line.text)
    if (!isYaml || this.#frontMatterUnits > maxFrontMatterUnits) this.#replay(before)
    else if (mark === '---' || mark === '...') {
      this.#frontMatter = undefined
      this.title = frontMatterTitle(before.map(({ text }) => text).join(''))
    }
  }

  #replay(lines: readonly Line[]): void {
    this.#frontMatter = undefined
    for (const line of lines) this.#readLine(line)
  }

  #readLine({ text, begins }: Line): void {
    if (!begins) this.#append(text)
    else if (this.#fence !== undefined) this.#readCode(text, this.#fence)
    else if (!this.#readStructure(text)) this.#readText(text)
  }

  /** Takes the line when it opens a fence, is a heading, or belongs to a table. */
  #readStructure(text: string): boolean {
    const fence = openingFence(text)
    const heading = atxHeading(text)
    if (fence !== undefined) {
      this.#begin('code')
      this.#fence = fence
      this.#append(text)
    } else if (heading !== undefined) this.#heading(heading.depth, heading.text, text)
    else if (this.#kind === 'table') {
      if (isBlank(text)) this.#begin('text')
      this.#append(text)
    } else return false
    return true
  }

  #readCode(text: string, fence: Fence): void {
    this.#append(text)
    if (!closesFence(text, fence)) return
    this.#fence = undefined
    this.#begin('text')
  }

  #readText(text: string): void {
    const depth = this.#hasParagraph() ? underlineDepth(text) : undefined
    if (depth !== undefined) {
      const heading = this.#split(this.#paragraphStart)
      this.#heading(depth, heading, heading + text)
    } else if (isTableRule(text) && this.#text.includes('|', this.#lastLineStart)) {
      const head = this.#split(this.#lastLineStart)
      this.#begin('table')
      this.#append(head + text)
    } else {
      if (isBlank(text)) this.#paragraphStart = -1
      else if (this.#paragraphStart < 0 && !beginsOtherBlock(text)) this.#paragraphStart = this.#text.length
      this.#lastLineStart = this.#text.length
      this.#append(text)
    }
  }

  /** Whether what was collected ends with a paragraph that could be a heading. */
  #hasParagraph(): boolean {
    const units = this.#text.length - this.#paragraphStart
    if (this.#paragraphStart < 0 || units > maxUnderlinedUnits) return false
    return toHeading(this.#text.slice(this.#paragraphStart)) !== undefined
  }

  #heading(depth: number, label: string, text: string): void {
    this.#begin('text')
    while ((this.#depths.at(-1) ?? 0) >= depth) {
      this.#depths.pop()
      this.#path = this.#path.slice(0, -1)
    }
    const heading = toHeading(withoutMarkup(label))
    if (heading !== undefined) {
      this.#depths.push(depth)
      this.#path = [...this.#path, heading]
      if (depth === 1) this.title ??= heading
    }
    for (const block of toBlocks(text, { kind: 'heading', ...this.#headings() })) this.#ready.push(block)
  }

  #begin(kind: 'text' | 'code' | 'table'): void {
    this.#flush(this.#text.length)
    this.#kind = kind
  }

  #append(text: string): void {
    this.#text += text
    while (this.#text.length > maxBlockUnits) this.#flush(cutPoint(this.#text, maxBlockUnits))
  }

  /** Finishes what lies before `place` and takes what lies behind it. */
  #split(place: number): string {
    const taken = this.#text.slice(place)
    this.#text = this.#text.slice(0, place)
    this.#flush(place)
    return taken
  }

  /** Makes a block of the first `units` of what was collected and keeps the rest. */
  #flush(units: number): void {
    const text = this.#text.slice(0, units)
    this.#text = this.#text.slice(units)
    this.#paragraphStart = this.#text === '' || this.#paragraphStart < units ? -1 : this.#paragraphStart - units
    this.#lastLineStart = Math.max(0, this.#lastLineStart - units)
    if (text !== '') this.#ready.push({ kind: this.#kind, text, ...this.#headings() })
  }

  #headings(): Pick<Block, 'headings'> {
    return this.#path.length === 0 ? {} : { headings: this.#path }
  }
}

/** Front matter longer than this is taken for text. */
const maxFrontMatterUnits = 64 * 1024
/** An underlined heading may have several lines, but not be a page. */
const maxUnderlinedUnits = 1000

function isBlank(line: string): boolean {
  return line.trim() === ''
}

/** An opening fence: three or more backticks or tildes, at any depth (inside lists); no backtick in what follows backticks. */
function openingFence(line: string): Fence | undefined {
  const bare = line.trimStart()
  const mark = bare[0]
  if (mark !== '`' && mark !== '~') return undefined
  const length = runLength(bare, mark)
  if (length < 3 || (mark === '`' && bare.includes('`', length))) return undefined
  return { mark, length }
}

function closesFence(line: string, { mark, length }: Fence): boolean {
  const bare = line.trim()
  return bare.length >= length && runLength(bare, mark) === bare.length
}

function runLength(text: string, mark: string): number {
  let length = 0
  while (text[length] === mark) length++
  return length
}

function atxHeading(line: string): { readonly depth: number; readonly text: string } | undefined {
  const bare = line.trimStart()
  if (bare[0] !== '#' || line.length - bare.length > 3) return undefined
  const depth = runLength(bare, '#')
  const text = bare.slice(depth)
  if (depth > 6 || !(text === '' || /^\s/.test(text))) return undefined
  return { depth, text: withoutClosingMarks(text.trim()) }
}

/** `## Heading ##` */
function withoutClosingMarks(text: string): string {
  let end = text.length
  while (text[end - 1] === '#') end--
  return end === 0 ? '' : /\s/.test(text[end - 1] as string) ? text.slice(0, end).trimEnd() : text
}

function underlineDepth(line: string): 1 | 2 | undefined {
  const bare = line.trim()
  if (bare === '' || line.search(/\S/) > 3) return undefined
  if (runLength(bare, '=') === bare.length) return 1
  return runLength(bare, '-') === bare.length ? 2 : undefined
}

/** `| --- | :-: |`, the second line of a table. */
function isTableRule(line: string): boolean {
  return line.includes('|') && line.includes('-') && /^[\s|:-]+$/.test(line)
}

/** List items, quotations, indented code, HTML and rows of a table are no paragraphs that an underline could make a heading. */
function beginsOtherBlock(line: string): boolean {
  return /^( {4}|\t| {0,3}([>|<]|[-*+][ \t]|\d{1,9}[.)][ \t]))/.test(line)
}

/** A heading as words: links and pictures by their text, without emphasis, code marks and anchors. */
function withoutMarkup(text: string): string {
  return text
    .slice(0, maxUnderlinedUnits)
    .replace(/!?\[([^\][]*)\]\([^()]*\)/g, '$1')
    .replace(/\{#[^{}]*\}/g, '')
    .replace(/<\/?[a-z][^<>]*>/gi, '')
    .replace(/[*`]|\b__|__\b/g, '')
}

function frontMatterTitle(text: string): string | undefined {
  const value = /^title:[ \t]*(\S[^\n]*)/m.exec(text)?.[1]?.trim()
  if (value === undefined || /^[|>][-+\d]*$/.test(value)) return undefined
  const quoted = /^(["'])(.*)\1$/.exec(value)
  return toHeading(quoted?.[2] ?? value)
}
