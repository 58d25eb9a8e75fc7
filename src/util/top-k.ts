/** A candidate that was kept. */
export interface Scored {
  readonly number: number
  readonly score: number
}

/** Entries the first allocation has room for; it doubles up to `k`, so that a large `k` costs nothing until it is used. */
const initialCapacity = 64

/**
 * Keeps the `k` best of many (score, number) pairs: higher scores first, equal scores by the smaller number. A binary heap over
 * typed arrays with the worst entry at the root: a candidate that is not good enough costs one comparison, no push allocates.
 */
export class TopK {
  readonly #k: number
  #scores: Float64Array
  #numbers: Float64Array
  #size = 0

  /** `k` is a whole number; 0 keeps nothing. */
  constructor(k: number) {
    this.#k = k
    const capacity = Math.min(k, initialCapacity)
    this.#scores = new Float64Array(capacity)
    this.#numbers = new Float64Array(capacity)
  }

  /** Entries kept so far. */
  get size(): number {
    return this.#size
  }

  /** Score below which a candidate cannot be kept: the worst of `k` entries, or `-Infinity` while there are fewer. */
  get threshold(): number {
    if (this.#size < this.#k) return Number.NEGATIVE_INFINITY
    return this.#k === 0 ? Number.POSITIVE_INFINITY : (this.#scores[0] as number)
  }

  /** Offers a candidate. NaN is never kept. Whoever offers a number twice gets it twice. */
  push(score: number, number: number): void {
    if (Number.isNaN(score)) return
    if (this.#size < this.#k) this.#rise(score, number)
    else if (this.#size > 0 && isWorse(this.#scores[0] as number, this.#numbers[0] as number, score, number)) {
      this.#sink(score, number)
    }
  }

  /** Returns the entries, best first, and leaves the heap empty for another use. */
  drain(): Scored[] {
    const best = new Array<Scored>(this.#size)
    while (this.#size > 0) {
      const place = --this.#size
      best[place] = { number: this.#numbers[0] as number, score: this.#scores[0] as number }
      this.#sink(this.#scores[place] as number, this.#numbers[place] as number)
    }
    return best
  }

  /** Adds an entry at the end and lets it rise while its parent is better. */
  #rise(score: number, number: number): void {
    if (this.#size === this.#scores.length) this.#grow()
    const scores = this.#scores
    const numbers = this.#numbers
    let place = this.#size++
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!isWorse(score, number, scores[parent] as number, numbers[parent] as number)) break
      scores[place] = scores[parent] as number
      numbers[place] = numbers[parent] as number
      place = parent
    }
    scores[place] = score
    numbers[place] = number
  }

  #grow(): void {
    const capacity = Math.min(this.#k, this.#scores.length * 2)
    const scores = new Float64Array(capacity)
    const numbers = new Float64Array(capacity)
    scores.set(this.#scores)
    numbers.set(this.#numbers)
    this.#scores = scores
    this.#numbers = numbers
  }

  /** Puts an entry in the root's place and lets it sink while a child is worse. */
  #sink(score: number, number: number): void {
    const scores = this.#scores
    const numbers = this.#numbers
    const size = this.#size
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= size) break
      const right = child + 1
      if (
        right < size &&
        isWorse(scores[right] as number, numbers[right] as number, scores[child] as number, numbers[child] as number)
      ) {
        child = right
      }
      if (!isWorse(scores[child] as number, numbers[child] as number, score, number)) break
      scores[place] = scores[child] as number
      numbers[place] = numbers[child] as number
      place = child
    }
    scores[place] = score
    numbers[place] = number
  }
}

function isWorse(score: number, number: number, otherScore: number, otherNumber: number): boolean {
  return score < otherScore || (score === otherScore && number > otherNumber)
}
