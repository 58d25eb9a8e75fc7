import { indexedText } from '../../../src/core/piece.js'
import type { RangeSet } from '../../../src/core/range-set.js'
import type { Analyzer } from '../../../src/text/analyzer.js'

export interface OracleDocument {
  readonly base: number
  readonly title: string
  readonly chunks: readonly { readonly text: string; readonly headings: readonly string[] }[]
}

interface Unit {
  readonly counts: ReadonlyMap<string, number>
  readonly length: number
}

interface OracleWindow extends Unit {
  readonly numbers: readonly number[]
}

const k1 = 1.5
const b = 0.75
const windowTokens = 20_000

/** BM25 on two levels, written down plainly over maps: what the index must agree with. */
export class Oracle {
  readonly #analyzer: Analyzer
  /** Windows by document base. */
  readonly #documents = new Map<number, OracleWindow[]>()
  /** Chunks by number. */
  readonly #chunks = new Map<number, Unit>()
  readonly #units = new Map<string, Unit>()

  constructor(analyzer: Analyzer) {
    this.#analyzer = analyzer
  }

  get chunks(): number {
    return this.#chunks.size
  }

  get documents(): number {
    return this.#livingWindows().size
  }

  numbers(): number[] {
    return [...this.#chunks.keys()]
  }

  add({ base, title, chunks }: OracleDocument): void {
    const windows: OracleWindow[] = []
    let texts: string[] = []
    let numbers: number[] = []
    let lines = new Set<string>()
    const endWindow = () => {
      windows.push({ ...this.#unit([...lines, ...texts].join('\n')), numbers })
      texts = []
      numbers = []
      lines = new Set()
    }
    chunks.forEach(({ text, headings }, ordinal) => {
      this.#chunks.set(base + ordinal, this.#unit(indexedText(title, headings, text)))
      for (const line of [title, ...headings]) lines.add(line)
      texts.push(text)
      numbers.push(base + ordinal)
      if (this.#length([...lines, ...texts]) >= windowTokens) endWindow()
    })
    if (numbers.length > 0) endWindow()
    this.#documents.set(base, windows)
  }

  remove(start: number, end: number): void {
    for (const number of this.numbers()) if (number >= start && number < end) this.#chunks.delete(number)
  }

  search(
    query: string,
    options: { readonly topK: number; readonly documentWeight: number; readonly allow?: RangeSet },
  ): { number: number; score: number }[] {
    const all = this.#analyzer.terms(query)
    const content = all.filter((term) => !this.#analyzer.isStopWord(term))
    const terms = content.length > 0 ? content : all
    const chunkScores = score([...this.#chunks], terms)
    const windows = [...this.#livingWindows()].flatMap(([base, windows]) =>
      windows.map((window) => [base, window] as const),
    )
    const documentScores = new Map<number, number>()
    for (const [place, value] of score(
      windows.map(([, window], place) => [place, window] as const),
      terms,
    )) {
      const base = windows[place]![0]
      documentScores.set(base, Math.max(value, documentScores.get(base) ?? 0))
    }
    const bases = new Map(
      [...this.#documents].flatMap(([base, ws]) => ws.flatMap((w) => w.numbers.map((n) => [n, base] as const))),
    )
    const bestChunk = Math.max(...chunkScores.values(), 0)
    const bestDocument = Math.max(...documentScores.values(), 0)
    return [...chunkScores]
      .map(([number, value]) => {
        const ofDocument = documentScores.get(bases.get(number) as number) ?? 0
        return { number, score: value / bestChunk + (options.documentWeight * ofDocument) / (bestDocument || 1) }
      })
      .filter(({ number }) => options.allow?.has(number) ?? true)
      .sort((x, y) => y.score - x.score || x.number - y.number)
      .slice(0, options.topK)
  }

  /** A window is there until all its chunks are gone. */
  #livingWindows(): Map<number, OracleWindow[]> {
    const living = new Map<number, OracleWindow[]>()
    for (const [base, windows] of this.#documents) {
      const left = windows.filter(({ numbers }) => numbers.some((number) => this.#chunks.has(number)))
      if (left.length > 0) living.set(base, left)
    }
    return living
  }

  #length(texts: readonly string[]): number {
    return texts.reduce((sum, text) => sum + this.#unit(text).length, 0)
  }

  #unit(text: string): Unit {
    const known = this.#units.get(text)
    if (known !== undefined) return known
    const unit = this.#count(text)
    this.#units.set(text, unit)
    return unit
  }

  #count(text: string): Unit {
    const counts = new Map<string, number>()
    const terms = this.#analyzer.terms(text)
    for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1)
    return { counts, length: terms.filter((term) => !this.#analyzer.isStopWord(term)).length }
  }
}

function score(units: readonly (readonly [number, Unit])[], terms: readonly string[]): Map<number, number> {
  const average = units.reduce((sum, [, { length }]) => sum + length, 0) / units.length || 1
  const scores = new Map<number, number>()
  for (const term of terms) {
    const holding = units.filter(([, { counts }]) => counts.has(term))
    const idf = Math.log(1 + (units.length - holding.length + 0.5) / (holding.length + 0.5))
    for (const [id, { counts, length }] of holding) {
      const tf = Math.min(255, counts.get(term) ?? 0)
      const part = (idf * tf * (k1 + 1)) / (tf + k1 * (1 - b + (b * length) / average))
      scores.set(id, (scores.get(id) ?? 0) + part)
    }
  }
  return scores
}
