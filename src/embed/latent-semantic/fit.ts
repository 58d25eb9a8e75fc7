import { RagError } from '../../core/errors.js'
import type { Analyzer } from '../../text/analyzer.js'
import type { LegWeights, SamplePart } from '../types.js'
import { type Basis, writeBasis } from './basis.js'
import { chunkTerms } from './chunk-terms.js'
import { termFrequency } from './fold-in.js'
import type { SparseMatrix } from './sparse-matrix.js'
import { TermCounts } from './term-matrix.js'
import { truncatedSvd } from './truncated-svd.js'

export interface FitRequest {
  /** At most. */
  readonly dimensions: number
  /** Of the fitter; kept with the result. */
  readonly fingerprint: string
  readonly corpusChunks: number
  readonly corpusDocuments: number
}

export interface FitTools {
  readonly analyzerFor: (language: string) => Promise<Analyzer>
  /** Awaited between stretches of work; throws to stop it. */
  readonly pause: () => Promise<void>
}

/**
 * Terms of consecutive chunks that are one row of the matrix: some five chunks of 400 characters. Single chunks share too few words: alone, the vectors of
 * 128 dimensions then find 12% less on seven sets, and 4% less beside BM25 (`docs/decisions/0012-latent-semantic.md`).
 */
const unitTerms = 200
/** A term in one unit only says nothing of what goes together. */
const leastUnits = 2
/** Terms kept, the most frequent: each costs `dimensions + 4` bytes and more. */
const maxTerms = 65_536

/**
 * Latent semantic analysis (Deerwester et al. 1990): counts the terms of a sample, weighs them by 1 + ln(count) and inverse document
 * frequency, and keeps the directions in which the rows lie.
 */
export class CorpusFit {
  readonly #tools: FitTools
  readonly #languages = new Set<string>()
  readonly #units = new TermCounts()

  constructor(tools: FitTools) {
    this.#tools = tools
  }

  /** Takes parts of the sample. Throws `INTEGRITY` for bytes that are no piece. */
  async add(parts: readonly SamplePart[]): Promise<void> {
    for (const part of parts) {
      const analyzer = await this.#tools.analyzerFor(part.language)
      this.#languages.add(analyzer.language)
      for (const unit of unitsOf(part, analyzer)) this.#units.add(unit)
    }
  }

  /** Learns from what was added. Throws `EMPTY` when no two units share a term. */
  async finish(request: FitRequest): Promise<Basis> {
    const { dimensions, fingerprint, corpusChunks } = request
    const { terms, matrix, weights } = weigh(this.#units)
    if (terms.length === 0) {
      throw new RagError('EMPTY', 'There is nothing to learn from: no two passages of the sample share a word.', {
        data: { units: this.#units.rows },
      })
    }
    const rank = directionsFor(matrix.rows, dimensions)
    const { basis } = await truncatedSvd(matrix, { rank, pause: this.#tools.pause })
    return writeBasis({
      dimensions: rank,
      terms,
      weights,
      vectors: basis,
      facts: { fingerprint, corpusChunks, languages: [...this.#languages].sort(), weights: legWeights(request) },
    })
  }
}

/**
 * Where nearly all directions are kept, nothing is found to go together, so a small corpus gets fewer: of 4, 8, 16 ... 128, best were 8 to
 * 32 for 83 units, 32 for 212 and 64 for 485 (parts of seven sets).
 */
const unitsPerDirection = 8
const leastDirections = 8

function directionsFor(units: number, most: number): number {
  return Math.min(most, Math.max(leastDirections, Math.ceil(units / unitsPerDirection)))
}

/** Chunks of a document that is short enough to be about one thing. */
const shortDocument = 4

/**
 * What the legs are worth on this corpus, by the length of its documents. Where they are short, the words of the document and the
 * vectors, in which its surroundings prevail, count as much as the words of a chunk; the longer they are, the more a question is about a
 * passage: best at 1 on sets of 2 to 4 chunks per document, at 0.76 on one of 12, at 0.43 on one of 77, which is about a fourth root. How much of
 * the vectors' weight a question gets is decided by the question (`fusion/adaptive.ts`).
 */
function legWeights({ corpusChunks, corpusDocuments }: FitRequest): LegWeights {
  const meanChunks = corpusChunks / Math.max(1, corpusDocuments)
  const weight = Math.min(1, shortDocument / meanChunks) ** 0.25
  return { document: weight, vector: weight }
}

/** The terms of consecutive chunks, title and headings once. */
function* unitsOf(part: SamplePart, analyzer: Analyzer): Generator<string[]> {
  let unit: string[] = []
  for (const { heading, text } of chunkTerms(part, analyzer, part)) {
    for (const term of heading) unit.push(term)
    for (const term of text) unit.push(term)
    if (unit.length < unitTerms) continue
    yield unit
    unit = []
  }
  if (unit.length > 0) yield unit
}

/** Keeps the terms that tell something, and weighs them; rows have length 1. */
function weigh(units: TermCounts): { terms: string[]; weights: Float64Array; matrix: SparseMatrix } {
  const counts = units.matrix()
  const frequencies = new Uint32Array(counts.columns)
  for (const term of counts.places) frequencies[term] = (frequencies[term] as number) + 1
  const kept = keptTerms(frequencies)
  const numbers = new Int32Array(counts.columns).fill(-1)
  for (const [number, term] of kept.entries()) numbers[term] = number
  const weights = Float64Array.from(kept, (term) => Math.log((counts.rows + 1) / ((frequencies[term] as number) + 0.5)))
  const names = units.terms
  return {
    terms: kept.map((term) => names[term] as string),
    weights,
    matrix: weighted(counts, numbers, weights),
  }
}

/** In the order in which they were first met. */
function keptTerms(frequencies: Uint32Array): number[] {
  const kept: number[] = []
  for (const [term, frequency] of frequencies.entries()) if (frequency >= leastUnits) kept.push(term)
  if (kept.length <= maxTerms) return kept
  return kept
    .sort((a, b) => (frequencies[b] as number) - (frequencies[a] as number) || a - b)
    .slice(0, maxTerms)
    .sort((a, b) => a - b)
}

function weighted(counts: SparseMatrix, numbers: Int32Array, weights: Float64Array): SparseMatrix {
  const starts = new Uint32Array(counts.rows + 1)
  const places = new Uint32Array(counts.places.length)
  const values = new Float32Array(counts.places.length)
  let end = 0
  for (let row = 0; row < counts.rows; row++) {
    let squares = 0
    for (let i = counts.starts[row] as number; i < (counts.starts[row + 1] as number); i++) {
      const number = numbers[counts.places[i] as number] as number
      if (number < 0) continue
      const value = termFrequency(counts.values[i] as number) * (weights[number] as number)
      places[end] = number
      values[end++] = value
      squares += value * value
    }
    const scale = squares === 0 ? 0 : 1 / Math.sqrt(squares)
    for (let i = starts[row] as number; i < end; i++) values[i] = (values[i] as number) * scale
    starts[row + 1] = end
  }
  return {
    rows: counts.rows,
    columns: weights.length,
    starts,
    places: places.subarray(0, end),
    values: values.subarray(0, end),
  }
}
