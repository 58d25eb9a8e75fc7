import type { QuestionFacts } from '../../text/agreement/agreement.js'
import { dot } from '../../util/vector-math.js'
import type { Widened } from './widen.js'

/** A question that was answered. */
export interface KnownQuestion {
  readonly question: string
  readonly facts: QuestionFacts
  /** Of unit length. */
  readonly vector: Float32Array
  /** What was searched beside it. */
  readonly widened: Widened | undefined
}

/** Known questions that are looked at, nearest first: the guards turn away all but a few. */
const mostNear = 8

/**
 * Questions that were answered, in the memory of this process, apart by scope: what one scope knows no other one finds. The one that was
 * added or found longest ago goes first. A look-up compares every vector of the scope: half a millisecond for 2,000 of 384 values.
 */
export class QuestionMemory {
  readonly #most: number
  readonly #scopes = new Map<string, Map<string, KnownQuestion>>()
  /** All of them, the oldest first. */
  readonly #ages = new Map<KnownQuestion, string>()

  constructor({ maxQuestions }: { readonly maxQuestions: number }) {
    this.#most = maxQuestions
  }

  get size(): number {
    return this.#ages.size
  }

  has(scope: string, question: string): boolean {
    return this.#scopes.get(scope)?.has(question) === true
  }

  add(scope: string, known: KnownQuestion): void {
    const questions = this.#scopes.get(scope) ?? new Map<string, KnownQuestion>()
    this.#scopes.set(scope, questions)
    const before = questions.get(known.question)
    if (before !== undefined) this.#ages.delete(before)
    // The vectors of many questions may share one buffer, which this must not keep.
    const own = { ...known, vector: known.vector.slice() }
    questions.set(known.question, own)
    this.#ages.set(own, scope)
    for (const [oldest, its] of this.#ages) {
      if (this.#ages.size <= this.#most) break
      this.forget(its, oldest)
    }
  }

  /** Those at least so similar, the nearest first. */
  near(
    scope: string,
    vector: Float32Array,
    least: number,
  ): { readonly known: KnownQuestion; readonly similarity: number }[] {
    const found: { readonly known: KnownQuestion; readonly similarity: number }[] = []
    for (const known of this.#scopes.get(scope)?.values() ?? []) {
      const similarity = dot(known.vector, 0, vector, 0, vector.length)
      if (similarity >= least) found.push({ known, similarity })
    }
    const nearest = found.sort((a, b) => b.similarity - a.similarity).slice(0, mostNear)
    const [first] = nearest
    if (first !== undefined) {
      this.#ages.delete(first.known)
      this.#ages.set(first.known, scope)
    }
    return nearest
  }

  forget(scope: string, known: KnownQuestion): void {
    this.#ages.delete(known)
    const questions = this.#scopes.get(scope)
    if (questions?.get(known.question) === known) questions.delete(known.question)
    if (questions?.size === 0) this.#scopes.delete(scope)
  }
}
