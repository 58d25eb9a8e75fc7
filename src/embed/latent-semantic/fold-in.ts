import { normalise } from '../../util/vector-math.js'
import type { Basis } from './basis.js'
import { findTerm } from './term-table.js'

/** Weight of what stands around a chunk, against the chunk's own words: the best of 0.5, 1 and 2 (`docs/decisions/0012-latent-semantic.md`). */
const contextWeight = 2
/** Terms of consecutive chunks that are one context, some sixteen chunks of 400 characters: more blurs the passages of long documents. */
const contextTerms = 600

/** Brings texts into the space of a basis. One for each thread: it keeps counts of its own. */
export class FoldIn {
  readonly #basis: Basis
  /** By term: how often it occurs in the text that is being read. */
  readonly #counts: Float32Array
  /** Terms of the text that is being read. */
  readonly #seen: number[] = []
  /** Of the terms in `#seen`. */
  readonly #weights: number[] = []

  constructor(basis: Basis) {
    this.#basis = basis
    this.#counts = new Float32Array(basis.factors.length)
  }

  /**
   * Writes the unit vector of a text to `target` from `place` on: the sum of its terms' rows, each times its weight and 1 + ln(count) (folding
   * in: Deerwester et al. 1990; a text of the sample gets the vector that the decomposition gave it, but for length). False, and
   * zeros, when no term is known.
   */
  text(terms: Iterable<readonly [term: string, count: number]>, target: Float32Array, place: number): boolean {
    for (const [term, count] of terms) this.#count(findTerm(this.#basis.terms, term), count)
    return this.#finish(target, place)
  }

  /**
   * Unit vectors of consecutive chunks of a document, each with what stands around it mixed in, so that a chunk is found by what its
   * surroundings are about. Zeros for a chunk without a known term.
   */
  chunks(chunks: readonly (readonly string[])[]): Float32Array {
    const { dimensions } = this.#basis
    const vectors = new Float32Array(chunks.length * dimensions)
    const numbers = chunks.map((terms) => terms.map((term) => findTerm(this.#basis.terms, term)))
    const context = new Float32Array(dimensions)
    for (const [from, to] of contexts(chunks)) {
      for (let chunk = from; chunk < to; chunk++)
        for (const number of numbers[chunk] as number[]) this.#count(number, 1)
      this.#finish(context, 0)
      for (let chunk = from; chunk < to; chunk++) {
        for (const number of numbers[chunk] as number[]) this.#count(number, 1)
        if (!this.#finish(vectors, chunk * dimensions)) continue
        for (let i = 0; i < dimensions; i++) {
          const place = chunk * dimensions + i
          vectors[place] = (vectors[place] as number) + contextWeight * (context[i] as number)
        }
        normalise(vectors, chunk * dimensions, dimensions)
      }
    }
    return vectors
  }

  #count(term: number, count: number): void {
    if (term < 0) return
    const before = this.#counts[term] as number
    if (before === 0) this.#seen.push(term)
    this.#counts[term] = before + count
  }

  #finish(target: Float32Array, place: number): boolean {
    const { dimensions, factors, rows } = this.#basis
    for (const [i, term] of this.#seen.entries()) {
      this.#weights[i] = (factors[term] as number) * termFrequency(this.#counts[term] as number)
      this.#counts[term] = 0
    }
    sumRows({ rows, dimensions, places: this.#seen, weights: this.#weights }, target, place)
    this.#seen.length = 0
    return normalise(target, place, dimensions) > 0
  }
}

/** Writes the weighted sum of some rows: eight columns at a time, whose sums stay in registers while all rows pass by. */
function sumRows(
  sum: {
    readonly rows: Int8Array
    readonly dimensions: number
    /** Which rows. */
    readonly places: readonly number[]
    /** By place in `places`. */
    readonly weights: readonly number[]
  },
  target: Float32Array,
  start: number,
): void {
  const { dimensions, places, rows, weights } = sum
  const { length } = places
  let column = 0
  for (; column + 8 <= dimensions; column += 8) {
    let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0]
    for (let i = 0; i < length; i++) {
      const weight = weights[i] as number
      const from = (places[i] as number) * dimensions + column
      a += weight * (rows[from] as number)
      b += weight * (rows[from + 1] as number)
      c += weight * (rows[from + 2] as number)
      d += weight * (rows[from + 3] as number)
      e += weight * (rows[from + 4] as number)
      f += weight * (rows[from + 5] as number)
      g += weight * (rows[from + 6] as number)
      h += weight * (rows[from + 7] as number)
    }
    const to = start + column
    target[to] = a
    target[to + 1] = b
    target[to + 2] = c
    target[to + 3] = d
    target[to + 4] = e
    target[to + 5] = f
    target[to + 6] = g
    target[to + 7] = h
  }
  for (; column < dimensions; column++) {
    let sum = 0
    for (let i = 0; i < length; i++) {
      sum += (weights[i] as number) * (rows[(places[i] as number) * dimensions + column] as number)
    }
    target[start + column] = sum
  }
}

/** How much a term counts that occurs so often. */
export function termFrequency(count: number): number {
  return 1 + Math.log(count)
}

/** Cuts chunks into runs `[from, to)` of some {@link contextTerms} terms. */
function* contexts(chunks: readonly (readonly string[])[]): Generator<readonly [from: number, to: number]> {
  let from = 0
  let terms = 0
  for (const [place, chunk] of chunks.entries()) {
    terms += chunk.length
    if (terms < contextTerms && place + 1 < chunks.length) continue
    yield [from, place + 1]
    from = place + 1
    terms = 0
  }
}
