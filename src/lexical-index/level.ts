import { BlockBounds, type BoundedList, type BoundedLists, spanEndOf, spanOf } from './block-bounds.js'
import { blocksOf } from './blocks.js'
import type { BoundArithmetic } from './bound-kernel.js'
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
  readonly bounds: BlockBounds
  /** Units that are there, by term, of long lists that were counted. */
  readonly frequencies: Map<number, number>
}

interface LevelOptions {
  readonly units: readonly Units[]
  /** The weightiest first. */
  readonly terms: readonly LevelTerm[]
  readonly saturation: Saturation
}

/**
 * One level of a question: what its blocks can be worth at most, and what its units are worth. A score is a sum of float32 in the order of the terms.
 */
export class Level {
  readonly units: readonly Units[]
  readonly terms: number
  readonly #lists: readonly TermLists[]
  readonly #scales: Float64Array
  readonly #saturation: Saturation

  constructor({ units, terms, saturation }: LevelOptions) {
    this.units = units
    this.terms = terms.length
    this.#lists = units.map(({ starts }, view) => listsOf(starts, terms, view))
    this.#scales = Float64Array.from(terms, ({ scale }) => scale)
    this.#saturation = saturation
  }

  /**
   * Adds up, by view and block, what a unit of the block scores at most, into arrays of zeros. Rounding is allowed for: a sum of n float32 is
   * wrong by less than n steps of 2^-24 of it, that of the bounds and that of the score; the rest of the margin is for those who combine bounds. Yields the work
   * done, in postings.
   */
  *addBounds(bounds: readonly Float32Array[], arithmetic: BoundArithmetic): Generator<number> {
    const margin = 1 + (this.terms + 4) * 2 ** -22
    for (const [view, units] of this.units.entries()) {
      const { from, to, places, bounded } = this.#lists[view] as TermLists
      const own = bounds[view] as Float32Array
      for (let term = 0; term < this.terms; term++) {
        const [start, end] = [from[term] as number, to[term] as number]
        if (start === end) continue
        const scale = (this.#scales[term] as number) * margin
        const place = places[term] as number
        const isNew = units.bounds.isNew(place, this.#saturation)
        const list = units.bounds.list(place, this.#saturation)
        bounded[term] = list
        if (list === undefined) {
          this.#addPostings(units, { start, end, scale, bounds: own })
          yield end - start
        } else {
          arithmetic.add(own, list.impacts, scale * list.unit)
          yield (isNew ? end - start : 0) + (own.length >>> 2)
        }
      }
    }
  }

  #addPostings(
    units: Units,
    list: { readonly start: number; readonly end: number; readonly scale: number; readonly bounds: Float32Array },
  ): void {
    const { start, end, scale, bounds } = list
    const { postings, lengths, blocks } = units
    const { of } = blocks
    let block = -1
    let greatest = 0
    for (let i = start; i < end; i++) {
      const posting = postings[i] as number
      const place = posting >>> 8
      const impact = this.#saturation.of(posting & 255, lengths[place] as number)
      if (of[place] !== block) {
        if (block >= 0) bounds[block] = (bounds[block] as number) + scale * greatest
        block = of[place] as number
        greatest = impact
      } else if (impact > greatest) greatest = impact
    }
    if (block >= 0) bounds[block] = (bounds[block] as number) + scale * greatest
  }

  /** The scores of the units `[from, to)` of a view, which lie in one block, into `scores` from 0 on. Returns the greatest. */
  score(view: number, from: number, to: number, scores: Float32Array): number {
    const { postings, lengths, removed, blocks } = this.units[view] as Units
    const lists = this.#lists[view] as TermLists
    const block = blocks.of[from] as number
    scores.fill(0, 0, to - from)
    for (let term = 0; term < this.terms; term++) {
      const list = lists.bounded[term]
      let start = lists.from[term] as number
      let end = lists.to[term] as number
      if (list !== undefined) {
        if (list.impacts[block] === 0) continue
        start = spanOf(list.spans, block)
        end = spanEndOf(list.spans, block)
      }
      const scale = this.#scales[term] as number
      for (let i = bisect(postings, start, end, from); i < end; i++) {
        const posting = postings[i] as number
        const place = posting >>> 8
        if (place >= to) break
        const added = scale * this.#saturation.of(posting & 255, lengths[place] as number)
        scores[place - from] = (scores[place - from] as number) + added
      }
    }
    let greatest = 0
    for (let place = from; place < to; place++) {
      if (removed !== undefined && hasBit(removed, place)) scores[place - from] = 0
      greatest = Math.max(greatest, scores[place - from] as number)
    }
    return greatest
  }

  /** The score of one unit. */
  scoreOf(view: number, place: number): number {
    return this.score(view, place, place + 1, this.#one)
  }
  readonly #one = new Float32Array(1)
}

/** The lists of the terms in a view. */
interface TermLists {
  /** Places in the dictionary, or -1. */
  readonly places: readonly number[]
  readonly from: Uint32Array
  readonly to: Uint32Array
  /** What is known of those that are long. */
  readonly bounded: (BoundedList | undefined)[]
}

function listsOf(starts: Uint32Array, terms: readonly LevelTerm[], view: number): TermLists {
  const places = terms.map(({ places }) => places[view] as number)
  return {
    places,
    from: Uint32Array.from(places, (place) => (place < 0 ? 0 : (starts[place] as number))),
    to: Uint32Array.from(places, (place) => (place < 0 ? 0 : (starts[place + 1] as number))),
    bounded: places.map(() => undefined),
  }
}

const unitsOfViews: Record<LevelName, WeakMap<SegmentView, Units>> = { chunks: new WeakMap(), windows: new WeakMap() }
const boundsOfSegments: Record<LevelName, WeakMap<Segment, BlockBounds>> = {
  chunks: new WeakMap(),
  windows: new WeakMap(),
}

/** What a level is made of in a view. */
export function unitsOf(view: SegmentView, level: LevelName): Units {
  return known(unitsOfViews[level], view, () => {
    const { segment, removed } = view
    const blocks = blocksOf(segment)[level]
    const lists =
      level === 'chunks'
        ? { postings: segment.chunkPostings, starts: segment.chunkStarts, lengths: segment.chunkLengths, blocks }
        : { postings: segment.windowPostings, starts: segment.windowStarts, lengths: segment.windowLengths, blocks }
    const bounds = known(boundsOfSegments[level], segment, () => new BlockBounds(lists))
    return { ...lists, bounds, removed: removed?.[level], frequencies: new Map() }
  })
}

/** Bytes of what searches have learnt of a segment. */
export function learntBytes(segment: Segment): number {
  return (boundsOfSegments.chunks.get(segment)?.bytes ?? 0) + (boundsOfSegments.windows.get(segment)?.bytes ?? 0)
}

function known<Key extends object, Value>(values: WeakMap<Key, Value>, key: Key, make: () => Value): Value {
  let value = values.get(key)
  if (value === undefined) {
    value = make()
    values.set(key, value)
  }
  return value
}

/** Postings that are gone through faster than they are halved. */
const nearEnough = 16

/** The first posting of `[from, to)` that is not before a place. */
function bisect(postings: Uint32Array, from: number, to: number, place: number): number {
  let low = from
  let high = to
  while (low + nearEnough < high) {
    const middle = (low + high) >>> 1
    if ((postings[middle] as number) >>> 8 < place) low = middle + 1
    else high = middle
  }
  while (low < high && (postings[low] as number) >>> 8 < place) low++
  return low
}
