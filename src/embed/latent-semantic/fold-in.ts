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
  readonly #seen: number[] = []

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
    target.fill(0, place, place + dimensions)
    for (const term of this.#seen) {
      const weight = (factors[term] as number) * termFrequency(this.#counts[term] as number)
      this.#counts[term] = 0
      const row = term * dimensions
      for (let i = 0; i < dimensions; i++)
        target[place + i] = (target[place + i] as number) + weight * (rows[row + i] as number)
    }
    this.#seen.length = 0
    return normalise(target, place, dimensions) > 0
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
