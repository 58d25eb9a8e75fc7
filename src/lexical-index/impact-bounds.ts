import type { Saturation } from './saturation.js'

/** Postings of a list that is looked at once to learn its bound; shorter ones count as if their best were as good as can be. */
const leastPostings = 512

interface Bound {
  readonly mostRepeated: number
  readonly leastLengthPerRepetition: number
}

/** Lists of one level of a segment. */
export interface BoundedLists {
  readonly postings: Uint32Array
  /** Where each term's postings begin, and their count. */
  readonly starts: Uint32Array
  readonly lengths: Uint32Array
}

/**
 * How much an occurrence of a term can add at most, in a list of postings. Of each long list that is asked for it remembers two numbers that are true
 * whatever the average length is, so that they outlive updates: the highest frequency, and the least length per occurrence. Nothing is written
 * to disk: learning them costs what scoring the list costs, once.
 */
export class ImpactBounds {
  readonly #lists: BoundedLists
  readonly #known = new Map<number, Bound>()

  constructor(lists: BoundedLists) {
    this.#lists = lists
  }

  /** No posting of the term has more than this of tf / (tf + constant + perToken * length). */
  greatest(term: number, { constant, perToken }: Saturation): number {
    const { starts } = this.#lists
    if ((starts[term + 1] as number) - (starts[term] as number) < leastPostings) return 1
    let bound = this.#known.get(term)
    if (bound === undefined) {
      bound = this.#learn(term)
      this.#known.set(term, bound)
    }
    // tf / (tf + c + p * length) = 1 / (1 + c / tf + p * length / tf), and each part is at its least.
    return 1 / (1 + constant / bound.mostRepeated + perToken * bound.leastLengthPerRepetition)
  }

  #learn(term: number): Bound {
    const { postings, starts, lengths } = this.#lists
    const end = starts[term + 1] as number
    let mostRepeated = 1
    let leastLengthPerRepetition = Number.POSITIVE_INFINITY
    for (let i = starts[term] as number; i < end; i++) {
      const posting = postings[i] as number
      const repeated = posting & 255
      if (repeated > mostRepeated) mostRepeated = repeated
      const length = (lengths[posting >>> 8] as number) / repeated
      if (length < leastLengthPerRepetition) leastLengthPerRepetition = length
    }
    return { mostRepeated, leastLengthPerRepetition }
  }
}
