import { type BoundedLists, ImpactBounds } from './impact-bounds.js'
import type { Saturation } from './saturation.js'
import type { Segment } from './segment.js'
import { hasBit, type SegmentView } from './view.js'

/** Chunks, or windows of documents: what is scored. */
export type LevelName = 'chunks' | 'windows'

/** A term as one level scores it. */
export interface LevelTerm {
  /** What an occurrence adds where it counts whole: inverse document frequency times repetitions in the question times (k1 + 1). */
  readonly scale: number
  /** The term's place in the dictionary of each view, or -1. */
  readonly places: readonly number[]
}

/** The postings of a view on one level, and what they point to. */
export interface Units extends BoundedLists {
  readonly removed: Uint8Array | undefined
  readonly bounds: ImpactBounds
}

/**
 * The scores of one level while the terms of a question are added up, one after the other. A score is a sum of float32 in the order of the terms,
 * however it comes about: by `add()`, which takes a whole list of postings, or by `complete()`, which looks one place up in the lists that were not taken.
 */
export class Level {
  readonly units: readonly Units[]
  /** By view, then by place. */
  readonly scores: readonly Float32Array[]
  readonly #terms: readonly LevelTerm[]
  readonly #saturation: Saturation
  /** Postings from a term on, by term. */
  readonly #left: Float64Array
  #added = 0
  #greatest = 0

  constructor(
    units: readonly Units[],
    scores: readonly Float32Array[],
    options: { readonly terms: readonly LevelTerm[]; readonly saturation: Saturation },
  ) {
    this.units = units
    this.scores = scores
    this.#terms = options.terms
    this.#saturation = options.saturation
    this.#left = new Float64Array(options.terms.length + 1)
    for (let term = options.terms.length - 1; term >= 0; term--)
      this.#left[term] = (this.#left[term + 1] as number) + this.#postingsOf(term)
  }

  /** The greatest score so far; none ever falls. */
  get greatest(): number {
    return this.#greatest
  }

  get postingsAdded(): number {
    return (this.#left[0] as number) - this.postingsLeft
  }

  /** Terms that were not added, and their postings. */
  get termsLeft(): number {
    return this.#terms.length - this.#added
  }

  get postingsLeft(): number {
    return this.#left[this.#added] as number
  }

  get isComplete(): boolean {
    return this.#added === this.#terms.length
  }

  /** Adds the next term, view by view; yields the postings of each. */
  *addNext(): Generator<number> {
    const term = this.#added
    for (let view = 0; view < this.units.length; view++) {
      const [from, to] = this.#range(view, term)
      if (from === to) continue
      const addition: Addition = {
        units: this.units[view] as Units,
        scores: this.scores[view] as Float32Array,
        scale: (this.#terms[term] as LevelTerm).scale,
        saturation: this.#saturation,
      }
      for (let start = from; start < to; start += postingsPerStep) {
        const greatest = addPostings(addition, start, Math.min(to, start + postingsPerStep))
        if (greatest > this.#greatest) this.#greatest = greatest
      }
      yield to - from
    }
    this.#added++
  }

  /**
   * What the terms that were not added can add to a score of a view at most, rounding included: each of the additions may round up by half a
   * step of a float32, 2^-24 of the sum.
   */
  rest(view: number): number {
    let rest = 0
    for (let term = this.#added; term < this.#terms.length; term++) {
      const { scale, places } = this.#terms[term] as LevelTerm
      const place = places[view] as number
      if (place >= 0) rest += scale * (this.units[view] as Units).bounds.greatest(place, this.#saturation)
    }
    return rest === 0 ? 0 : rest + (this.#greatest + rest) * this.#terms.length * 2 ** -23
  }

  /** The most that any term that was not added can add, all together. */
  get restAtMost(): number {
    let rest = 0
    for (let term = this.#added; term < this.#terms.length; term++) rest += (this.#terms[term] as LevelTerm).scale
    return rest
  }

  /** The score of a place with all terms. Places of one reader ascend. */
  complete(reader: PlaceReader, place: number): number {
    const { view, cursors, ends } = reader
    const { removed, postings, lengths } = this.units[view] as Units
    let score = (this.scores[view] as Float32Array)[place] as number
    if (this.isComplete) return score
    if (removed !== undefined && hasBit(removed, place)) return 0
    const length = lengths[place] as number
    for (let term = this.#added; term < this.#terms.length; term++) {
      const to = ends[term] as number
      const found = seek(postings, cursors[term] as number, to, place)
      cursors[term] = found
      if (found < to) score = this.#plus(score, term, postings[found] as number, place, length)
    }
    return score
  }

  /** The score of any place, from its postings alone. */
  scoreOf(view: number, place: number): number {
    const { removed, postings, lengths } = this.units[view] as Units
    if (removed !== undefined && hasBit(removed, place)) return 0
    let score = 0
    const length = lengths[place] as number
    for (let term = 0; term < this.#terms.length; term++) {
      const [from, to] = this.#range(view, term)
      const found = bisect(postings, from, to, place)
      if (found < to) score = this.#plus(score, term, postings[found] as number, place, length)
    }
    return score
  }

  /** For `complete()`. */
  reader(view: number): PlaceReader {
    const ranges = this.#terms.map((_, term) => this.#range(view, term))
    return {
      view,
      cursors: Uint32Array.from(ranges, ([from]) => from),
      ends: Uint32Array.from(ranges, ([, to]) => to),
    }
  }

  /** The score with what a posting adds if it is that of the place. */
  #plus(score: number, term: number, posting: number, place: number, length: number): number {
    if (posting >>> 8 !== place) return score
    const { scale } = this.#terms[term] as LevelTerm
    return Math.fround(score + scale * this.#saturation.of(posting & 255, length))
  }

  #postingsOf(term: number): number {
    let sum = 0
    for (let view = 0; view < this.units.length; view++) {
      const [from, to] = this.#range(view, term)
      sum += to - from
    }
    return sum
  }

  #range(view: number, term: number): readonly [from: number, to: number] {
    const place = (this.#terms[term] as LevelTerm).places[view] as number
    if (place < 0) return [0, 0]
    const { starts } = this.units[view] as Units
    return [starts[place] as number, starts[place + 1] as number]
  }
}

/** Where a reader of ascending places is in each term's postings. */
export interface PlaceReader {
  readonly view: number
  readonly cursors: Uint32Array
  readonly ends: Uint32Array
}

interface Addition {
  readonly units: Units
  readonly scores: Float32Array
  readonly scale: number
  readonly saturation: Saturation
}

/**
 * Postings that are added by one call. V8 compiles a function that is called often as a whole; one long loop it replaces while that runs, and then,
 * in Node 20, leaves the replacement at the end of each loop for the interpreter: ten times slower.
 */
const postingsPerStep = 4_096

/** Adds what each posting is worth to the score of its place. Returns the greatest score it made. */
function addPostings({ units, scores, scale, saturation }: Addition, from: number, to: number): number {
  const { postings, lengths, removed } = units
  let greatest = 0
  for (let i = from; i < to; i++) {
    const posting = postings[i] as number
    const place = posting >>> 8
    if (removed !== undefined && hasBit(removed, place)) continue
    const added = scale * saturation.of(posting & 255, lengths[place] as number)
    const score = Math.fround((scores[place] as number) + added)
    scores[place] = score
    if (score > greatest) greatest = score
  }
  return greatest
}

const unitsOfViews: Record<LevelName, WeakMap<SegmentView, Units>> = { chunks: new WeakMap(), windows: new WeakMap() }
const boundsOfSegments: Record<LevelName, WeakMap<Segment, ImpactBounds>> = {
  chunks: new WeakMap(),
  windows: new WeakMap(),
}

/** What a level is made of in a view. */
export function unitsOf(view: SegmentView, level: LevelName): Units {
  return known(unitsOfViews[level], view, () => {
    const { segment, removed } = view
    const lists =
      level === 'chunks'
        ? { postings: segment.chunkPostings, starts: segment.chunkStarts, lengths: segment.chunkLengths }
        : { postings: segment.windowPostings, starts: segment.windowStarts, lengths: segment.windowLengths }
    const bounds = known(boundsOfSegments[level], segment, () => new ImpactBounds(lists))
    return { ...lists, bounds, removed: removed?.[level] }
  })
}

function known<Key extends object, Value>(values: WeakMap<Key, Value>, key: Key, make: () => Value): Value {
  let value = values.get(key)
  if (value === undefined) {
    value = make()
    values.set(key, value)
  }
  return value
}

/** The first posting of `[from, to)` that is not before a place. Soon found when it is near. */
function seek(postings: Uint32Array, from: number, to: number, place: number): number {
  let low = from
  let step = 1
  while (low + step <= to && (postings[low + step - 1] as number) >>> 8 < place) {
    low += step
    step *= 2
  }
  return bisect(postings, low, Math.min(to, low + step - 1), place)
}

function bisect(postings: Uint32Array, from: number, to: number, place: number): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((postings[middle] as number) >>> 8 < place) low = middle + 1
    else high = middle
  }
  return low
}
