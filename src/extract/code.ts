import { cutPoint, maxBlockUnits, refuseEmpty, toBlocks, toHeading } from './blocks.js'
import { decodeText } from './decode.js'
import { sourceLanguages } from './source-languages.js'
import { type Unit, type UnitRules, unitRules } from './source-units.js'
import type { Block, ExtractOptions, Extractor, ExtractSource } from './types.js'

/**
 * Reads source code of any length in bounded memory, as it is written. A function, class or the like, with the comments above it, is a block
 * or several of its own, and its name the heading, beneath that of what it stands in: `class Store` › `open()`. Where units begin and end is told by
 * lines and how far they are indented (see `source-units.ts`), not by parsing: code that is laid out in an unusual way is read whole
 * and only its names are missed. Rejects with `EMPTY`.
 */
export function createCodeExtractor(): Extractor {
  return {
    id: 'code',
    fingerprint: 'code/1',
    mediaTypes: sourceLanguages.map(({ mediaType }) => mediaType),
    async extract(source, options) {
      return { blocks: refuseEmpty(codeBlocks(source, options), source.name) }
    },
  }
}

async function* codeBlocks(source: ExtractSource, { signal }: ExtractOptions): AsyncGenerator<Block, void, undefined> {
  const family = sourceLanguages.find(({ mediaType }) => mediaType === source.mediaType)?.family ?? 'lines'
  const reader = new CodeReader(unitRules(family))
  let rest = ''
  for await (const part of decodeText(source.stream())) {
    signal?.throwIfAborted()
    rest += part
    let start = 0
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', start)) {
      reader.add(rest.slice(start, end + 1))
      start = end + 1
    }
    rest = rest.slice(start)
    while (rest.length > maxBlockUnits) {
      const cut = cutPoint(rest, maxBlockUnits)
      reader.addPart(rest.slice(0, cut))
      rest = rest.slice(cut)
    }
    yield* reader.take()
  }
  if (rest !== '') reader.add(rest)
  reader.end()
  yield* reader.take()
}

/** A unit that has begun and not ended. */
interface OpenUnit extends Unit {
  /** Columns that its first line is indented by. */
  readonly indent: number
}

/** So many columns a tab counts; it matters only where both are mixed. */
const tabColumns = 4

class CodeReader {
  readonly #rules: UnitRules | undefined
  readonly #open: OpenUnit[] = []
  #headings: readonly string[] = []
  /** Headings of what is in `#text`. */
  #gathered: readonly string[] = []
  #text = ''
  /** Comments, annotations and blank lines, until it is known what they lead to. */
  #leading = ''
  #leads = false
  #ready: Block[] = []

  constructor(rules: UnitRules | undefined) {
    this.#rules = rules
  }

  /** Adds a line, with its end. */
  add(line: string): void {
    if (this.#rules === undefined) this.#append(line)
    else this.#read(line, this.#rules)
  }

  /** Adds the beginning of a line that is too long for a line of structure. */
  addPart(text: string): void {
    this.#settle()
    this.#append(text)
  }

  end(): void {
    this.#settle()
    this.#flush()
  }

  /** The blocks finished since the last call. */
  take(): readonly Block[] {
    const ready = this.#ready
    this.#ready = []
    return ready
  }

  #read(line: string, rules: UnitRules): void {
    const indent = indentOf(line)
    if (indent === undefined) {
      // A blank line goes with the comment before it, or else with the code, whatever that is.
      if (this.#leads) this.#lead(line)
      else this.#trail(line)
      return
    }
    if (rules.leads(line) && rules.begins(line, false) === undefined) {
      this.#leads = true
      this.#lead(line)
      return
    }
    const top = this.#open.at(-1)
    if (top !== undefined && !top.holds && indent > top.indent) {
      // Whatever stands inside a function is its own business.
      this.#settle()
      this.#append(line)
      return
    }
    const isEnd = top !== undefined && indent <= top.indent && rules.ends(line)
    if (isEnd || (top !== undefined && indent === top.indent && rules.goesOn(line))) {
      this.#settle()
      // The brace that ends a class stays with its last method: alone it would be a passage that says nothing.
      if (isEnd && /^\s*(\}|end)[;,)\s]*$/.test(line)) this.#trail(line)
      else this.#append(line)
      if (isEnd) this.#leave(indent)
      return
    }
    this.#leave(indent)
    const unit = rules.begins(line, this.#open.length > 0)
    const name = unit === undefined ? undefined : toHeading(unit.name)
    if (unit !== undefined && name !== undefined) this.#enter({ ...unit, name, indent })
    this.#settle()
    this.#append(line)
  }

  /** Ends the units that begin at `indent` or further in. */
  #leave(indent: number): void {
    const before = this.#open.length
    while ((this.#open.at(-1)?.indent ?? -1) >= indent) this.#open.pop()
    if (this.#open.length !== before) this.#headings = this.#open.map(({ name }) => name)
  }

  #enter(unit: OpenUnit): void {
    this.#open.push(unit)
    this.#headings = this.#open.map(({ name }) => name)
  }

  #lead(line: string): void {
    this.#leading += line
    if (this.#leading.length > maxBlockUnits) this.#settle()
  }

  /** What leads to a line belongs where the line does. */
  #settle(): void {
    const leading = this.#leading
    this.#leading = ''
    this.#leads = false
    if (leading !== '') this.#append(leading)
  }

  #append(text: string): void {
    if (this.#headings !== this.#gathered) this.#flush()
    this.#gathered = this.#headings
    this.#trail(text)
  }

  /** Adds to what is gathered, wherever that stands. */
  #trail(text: string): void {
    this.#text += text
    while (this.#text.length > maxBlockUnits) {
      const cut = cutPoint(this.#text, maxBlockUnits)
      this.#emit(this.#text.slice(0, cut))
      this.#text = this.#text.slice(cut)
    }
  }

  #flush(): void {
    this.#emit(this.#text)
    this.#text = ''
  }

  #emit(text: string): void {
    const headings = this.#gathered.length === 0 ? {} : { headings: this.#gathered }
    for (const block of toBlocks(text, { kind: 'code', ...headings })) this.#ready.push(block)
  }
}

/** Columns before the first letter; `undefined` for a blank line. */
function indentOf(line: string): number | undefined {
  let columns = 0
  for (const letter of line) {
    if (letter === ' ') columns++
    else if (letter === '\t') columns += tabColumns
    else return /\s/.test(letter) ? undefined : columns
  }
  return undefined
}
