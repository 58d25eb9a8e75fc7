import type { Citation, Source } from '../../core/answer.js'
import type { AnswerEvent } from '../../core/events.js'
import { sentenceSpans } from '../../text/sentences.js'
import { beginsCitationMarker, isCitationMarker, maxMarkerLength } from '../../util/citation-marker.js'
import { shownText } from './pack.js'

/** What the parser makes of an answer: its text, and a citation right after the delta that ends with its marker. */
export type CitedPart = Extract<AnswerEvent, { type: 'answer-delta' | 'citation' }>

/** Reads an answer while it is written. */
export interface CitationParser {
  /** Takes the next delta; gives what is certain by now. */
  push(delta: string): CitedPart[]
  /** The answer is complete: gives what was held back. */
  end(): CitedPart[]
  /** Numbers so far that named no source; they are not in the text. */
  readonly invented: number
}

/** Where the statement before a marker is looked for, in UTF-16 code units. */
const maxStatementLength = 2_000

/**
 * Finds `[1]`, `[1][2]`, `[1, 2]` and `[1-3]` in a stream, however it is cut into deltas. Markers leave it in the form
 * `[1][2]`, each followed by its citation; numbers that name no source are dropped, with the blank before them when
 * nothing of the marker is left. `\[1]` is a bracketed number that is no citation: it leaves as `[1]`. Positions refer
 * to the text that leaves the parser. A citation points at the sentence of its source that best matches the statement
 * before the marker: the one that holds it word for word, else the one that shares most of its rarer words, else the
 * first.
 */
export function createCitationParser(sources: readonly Source[]): CitationParser {
  return new StreamingParser(sources)
}

/** The citation of a stretch `[start, end)` of what a source shows. */
export function citationOf(source: Source, position: Citation['position'], { start, end }: Stretch): Citation {
  const { span, text } = shownText(source)
  const place = span.start + start
  const passages = source.passages ?? [source]
  const holder = passages.findLast(({ chunk }) => place >= chunk.span.start && place < chunk.span.end)
  const { chunk } = holder ?? source
  // Of a text around the passages only the page is known on which it begins.
  const { page } = holder === undefined ? span : chunk.span
  return {
    marker: source.marker,
    position,
    documentId: chunk.documentId,
    chunkId: chunk.id,
    title: chunk.title,
    ...(page === undefined ? {} : { page }),
    span: { start: place, end: span.start + end },
    quote: text.slice(start, end),
  }
}

class StreamingParser implements CitationParser {
  readonly #sources: ReadonlyMap<number, CitedSource>
  #held = ''
  #emitted = 0
  /** Text since the last marker; while it says nothing, a further marker supports the same statement. */
  #since = ''
  #statement = ''
  /** The blank before an invented marker that was dropped: a marker right behind it takes it over. */
  #blank = ''
  #invented = 0

  constructor(sources: readonly Source[]) {
    this.#sources = new Map(sources.map((source) => [source.marker, new CitedSource(source)]))
  }

  get invented(): number {
    return this.#invented
  }

  push(delta: string): CitedPart[] {
    return this.#read(this.#held + delta, false)
  }

  end(): CitedPart[] {
    return this.#read(this.#held, true)
  }

  #read(text: string, complete: boolean): CitedPart[] {
    const parts: CitedPart[] = []
    let ready = ''
    const flush = (): void => {
      if (ready !== '') parts.push({ type: 'answer-delta', text: ready })
      this.#emitted += ready.length
      ready = ''
    }
    let position = 0
    for (;;) {
      const token = nextToken(text, position, complete)
      ready += this.#noted(text.slice(position, token.start))
      position = token.end
      if (token.kind === 'end') break
      if (token.kind === 'literal') {
        ready += this.#noted(token.text)
        continue
      }
      const blank = token.blank === '' ? this.#blank : token.blank
      const cited = this.#cite(token.numbers)
      this.#blank = cited.length === 0 ? blank : ''
      if (cited.length === 0) continue
      ready += blank
      for (const source of cited) {
        const marker = `[${source.marker}]`
        ready += marker
        flush()
        const place = { start: this.#emitted - marker.length, end: this.#emitted }
        parts.push({ type: 'citation', citation: source.cite(this.#statement, place) })
      }
    }
    flush()
    this.#held = text.slice(position)
    return parts
  }

  /** Remembers text that is part of a statement. */
  #noted(text: string): string {
    if (text !== '') this.#blank = ''
    this.#since = (this.#since + text).slice(-maxStatementLength)
    return text
  }

  /** The sources that a marker names, each once; invented numbers are counted. */
  #cite(ranges: readonly NumberRange[]): CitedSource[] {
    const cited = new Set<CitedSource>()
    for (const [first, last] of ranges) {
      let known = 0
      for (const [number, source] of this.#sources) {
        if (number < first || number > last) continue
        cited.add(source)
        known++
      }
      this.#invented += last - first + 1 - known
    }
    if (cited.size > 0 && wordCharacter.test(this.#since)) this.#statement = lastSentence(this.#since)
    if (cited.size > 0) this.#since = ''
    return [...cited].sort((a, b) => a.marker - b.marker)
  }
}

type NumberRange = readonly [first: number, last: number]

/**
 * The next thing that is not plain text, at `[start, end)`. `end`: nothing more that is certain; text from there on is
 * held back.
 */
type Token =
  | { readonly kind: 'end'; readonly start: number; readonly end: number }
  | { readonly kind: 'literal'; readonly start: number; readonly end: number; readonly text: string }
  | {
      readonly kind: 'marker'
      readonly start: number
      readonly end: number
      /** The blank before the bracket, which goes when the marker goes. */
      readonly blank: string
      readonly numbers: readonly NumberRange[]
    }

/** A marker may follow one blank; a backslash takes its meaning away; what may become either at the end of a delta. */
const opening = /[ \t]?\[|\\\[|[ \t\\]$/g

function nextToken(text: string, from: number, complete: boolean): Token {
  opening.lastIndex = from
  for (let found = opening.exec(text); found !== null; found = opening.exec(text)) {
    const start = found.index
    const bracket = start + found[0].length - 1
    if (text[bracket] !== '[') return complete ? endAt(text.length) : endAt(start)
    let stop = bracket + 1
    while (stop < text.length && stop - bracket < maxMarkerLength && text[stop] !== ']' && text[stop] !== '[') stop++
    if (stop - bracket >= maxMarkerLength) continue
    const inside = text.slice(bracket, stop + 1)
    if (stop === text.length && !complete && beginsCitationMarker(inside)) return endAt(start)
    if (!isCitationMarker(inside)) continue
    const end = stop + 1
    if (found[0].startsWith('\\')) return { kind: 'literal', start, end, text: inside }
    return { kind: 'marker', start, end, blank: text.slice(start, bracket), numbers: numberRanges(inside) }
  }
  return endAt(text.length)
}

function endAt(position: number): Token {
  return { kind: 'end', start: position, end: position }
}

/** `[1, 3-5]` as `[[1, 1], [3, 5]]`. */
function numberRanges(inside: string): NumberRange[] {
  return inside
    .slice(1, -1)
    .split(/[,;]/)
    .map((item): NumberRange => {
      const numbers = [...item.matchAll(/\d+/g)].map(Number)
      return [Math.min(...numbers), Math.max(...numbers)]
    })
}

function lastSentence(text: string): string {
  return sentencesOf(text).findLast((sentence) => wordCharacter.test(sentence.text))?.text ?? text
}

const wordCharacter = /[\p{L}\p{N}]/u
/** Scripts without spaces are compared character by character. */
const words =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]|[\p{L}\p{M}\p{N}]+/gu
/** A shorter quotation may stand anywhere by chance. */
const minQuotationLength = 12

/** A source with what is needed to find sentences in it, made when it is first cited. */
class CitedSource {
  readonly #source: Source
  #sentences: readonly Sentence[] | undefined

  constructor(source: Source) {
    this.#source = source
  }

  get marker(): number {
    return this.#source.marker
  }

  cite(statement: string, position: Citation['position']): Citation {
    return citationOf(this.#source, position, this.#quoted(statement) ?? this.#mostAlike(statement))
  }

  /** The sentences that hold the statement word for word; its last punctuation may differ. */
  #quoted(statement: string): Stretch | undefined {
    const quotation = statement.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, '')
    if (quotation.length < minQuotationLength) return undefined
    const start = shownText(this.#source).text.indexOf(quotation)
    if (start < 0) return undefined
    const end = start + quotation.length
    const touched = this.#split().filter((sentence) => sentence.start < end && sentence.end > start)
    return { start: Math.min(start, touched[0]?.start ?? start), end: Math.max(end, touched.at(-1)?.end ?? end) }
  }

  /**
   * The sentence with the highest sum, over the words it shares with the statement, of one over the number of sentences
   * that have the word, damped by its length, or a sentence with many words would always win.
   */
  #mostAlike(statement: string): Stretch {
    const split = this.#split()
    const shared = [...wordsOf(statement)].map((word) => split.filter((sentence) => sentence.words.has(word)))
    const scores = new Map<Sentence, number>()
    for (const holders of shared) {
      for (const holder of holders) {
        scores.set(holder, (scores.get(holder) ?? 0) + 1 / holders.length / Math.sqrt(holder.words.size))
      }
    }
    let best: Sentence | undefined
    for (const sentence of split) {
      if (best === undefined || (scores.get(sentence) ?? 0) > (scores.get(best) ?? 0)) best = sentence
    }
    return best ?? { start: 0, end: shownText(this.#source).text.length }
  }

  #split(): readonly Sentence[] {
    const { text } = shownText(this.#source)
    this.#sentences ??= sentencesOf(text).map((sentence) => ({ ...sentence, words: wordsOf(sentence.text) }))
    return this.#sentences
  }
}

/** `[start, end)` in the text of a chunk. */
interface Stretch {
  readonly start: number
  readonly end: number
}

interface Sentence extends Stretch {
  readonly words: ReadonlySet<string>
}

function sentencesOf(text: string): (Stretch & { readonly text: string })[] {
  const bounds = sentenceSpans(text)
  return Array.from({ length: bounds.length / 2 }, (_, i) => {
    const start = bounds[2 * i] as number
    const end = bounds[2 * i + 1] as number
    return { start, end, text: text.slice(start, end) }
  })
}

function wordsOf(text: string): Set<string> {
  return new Set(Array.from(text.matchAll(words), ([word]) => word.toLowerCase()))
}
