import type { Citation, Groundedness, GroundedSentence, Source } from '../../core/answer.js'
import type { Analyzer } from '../../text/analyzer.js'
import { sentenceSpans } from '../../text/sentences.js'
import { shownText } from './pack.js'

/** What is looked at: its text with its markers, and what they cite. */
export interface WrittenAnswer {
  readonly text: string
  readonly citations: readonly Pick<Citation, 'marker' | 'position'>[]
}

export interface GroundednessTools {
  readonly analyzerFor: (language: string) => Promise<Analyzer>
  /** See `RetrieveTools`. */
  readonly turn: () => Promise<void>
}

/** Characters of an answer that are looked at; of longer ones the beginning. */
const maxLength = 50_000
/** Characters analysed before others have their turn: some 0.1 ms. */
const charactersPerTurn = 4_000

/**
 * Tells how much of an answer its sources say; see {@link Groundedness}. Words are compared as the language of the best source reduces
 * them. A marker belongs to the sentence of the last word before it, so that `…tall. [1]` cites for the sentence before it. `undefined` when
 * no sentence has content words.
 */
export async function measureGroundedness(
  { citations, text }: WrittenAnswer,
  sources: readonly Source[],
  { analyzerFor, turn }: GroundednessTools,
): Promise<Groundedness | undefined> {
  const [best] = sources
  if (best === undefined) return undefined
  const known = new KnownWords(sources, await analyzerFor(best.chunk.language))
  const sentences: GroundedSentence[] = []
  let supported = 0
  let all = 0
  let analysed = 0
  for (const { start, end, markers, words } of statementsOf(text.slice(0, maxLength), citations)) {
    analysed += words.length
    if (analysed >= charactersPerTurn) {
      analysed = 0
      await turn()
    }
    const terms = known.contentOf(words)
    if (terms.size === 0) continue
    await known.read(markers, turn)
    const held = known.mostHeld(terms, markers)
    supported += held
    all += terms.size
    sentences.push({ start, end, score: held / terms.size, citations: markers })
  }
  return all === 0 ? undefined : { score: supported / all, sentences }
}

/** A sentence of an answer. */
interface Statement {
  readonly start: number
  readonly end: number
  /** Its text with blanks in the place of markers. */
  readonly words: string
  /** Ascending. */
  readonly markers: readonly number[]
}

function statementsOf(text: string, citations: WrittenAnswer['citations']): Statement[] {
  const places = citations.filter(({ position }) => position.end <= text.length)
  const bare = withoutMarkers(text, places)
  const bounds = sentenceSpans(bare)
  const cited = new Map<number, Set<number>>()
  let sentence = 0
  for (const { marker, position } of places) {
    // Markers ascend, and so do sentences: the last one that begins before the marker holds the last word before it.
    while (sentence + 2 < bounds.length && (bounds[sentence + 2] as number) < position.start) sentence += 2
    const markers = cited.get(sentence) ?? new Set()
    cited.set(sentence, markers.add(marker))
  }
  return Array.from({ length: bounds.length / 2 }, (_, i) => {
    const start = bounds[2 * i] as number
    const end = bounds[2 * i + 1] as number
    const markers = [...(cited.get(2 * i) ?? [])].sort((a, b) => a - b)
    return { start, end, words: bare.slice(start, end), markers }
  })
}

/** Blanks stand in their place, so that every other character stays where it was. */
function withoutMarkers(text: string, citations: WrittenAnswer['citations']): string {
  let bare = ''
  let from = 0
  for (const { position } of citations) {
    bare += text.slice(from, position.start) + ' '.repeat(position.end - position.start)
    from = position.end
  }
  return bare + text.slice(from)
}

/** Stretches of a text that end between words, if they can. */
const parts = /[\s\S]{1,4000}(?=\s|$)|[\s\S]{1,4000}/g

/** The words of the sources, each read when it is first asked about. */
class KnownWords {
  readonly #sources: ReadonlyMap<number, Source>
  readonly #analyzer: Analyzer
  readonly #words = new Map<number, ReadonlySet<string>>()

  constructor(sources: readonly Source[], analyzer: Analyzer) {
    this.#sources = new Map(sources.map((source) => [source.marker, source]))
    this.#analyzer = analyzer
  }

  contentOf(words: string): Set<string> {
    return new Set(this.#analyzer.terms(words).filter((term) => !this.#analyzer.isStopWord(term)))
  }

  /** Reads the sources of these markers, or all; others have their turn in between. */
  async read(markers: readonly number[], turn: () => Promise<void>): Promise<void> {
    for (const marker of markers.length > 0 ? markers : this.#sources.keys()) {
      const source = this.#sources.get(marker)
      if (source === undefined || this.#words.has(marker)) continue
      const words = new Set<string>()
      for (const [part] of allText(source).matchAll(parts)) {
        for (const term of this.#analyzer.terms(part)) words.add(term)
        await turn()
      }
      this.#words.set(marker, words)
    }
  }

  /** How many of the terms the sources of these markers hold together; without markers, the one source that holds most. */
  mostHeld(terms: ReadonlySet<string>, markers: readonly number[]): number {
    const cited = markers.map((marker) => this.#wordsOf(marker))
    if (cited.length > 0) return count(terms, (term) => cited.some((words) => words.has(term)))
    let most = 0
    for (const marker of this.#sources.keys()) {
      const words = this.#wordsOf(marker)
      most = Math.max(
        most,
        count(terms, (term) => words.has(term)),
      )
    }
    return most
  }

  #wordsOf(marker: number): ReadonlySet<string> {
    return this.#words.get(marker) ?? new Set()
  }
}

function allText(source: Source): string {
  const { headings, title } = source.chunk
  return [title, ...headings, shownText(source).text].join('\n')
}

function count<Value>(values: Iterable<Value>, holds: (value: Value) => boolean): number {
  let number = 0
  for (const value of values) if (holds(value)) number++
  return number
}
