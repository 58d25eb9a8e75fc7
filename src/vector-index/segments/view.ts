import { placesOf } from '../flat-view.js'

/** Rows that never change, wherever they lie. */
export interface Segment {
  readonly id: number
  readonly count: number
  readonly dimensions: number
  /** Ascending, in shared memory. */
  readonly numbers: Float64Array
}

/** A segment as one epoch sees it. Immutable. */
export interface SegmentView<Of extends Segment = Segment> {
  readonly segment: Of
  /** Bit by place, in shared memory; absent when all are there. */
  readonly removed?: Uint8Array
  readonly alive: number
}

type NumberRange = readonly [start: number, end: number]

/** The view without the numbers in these ranges, which ascend and are apart; the same view when it has none of them. */
export function withoutNumbers<Of extends Segment>(
  view: SegmentView<Of>,
  ranges: Iterable<NumberRange>,
): SegmentView<Of> {
  const { segment } = view
  const places = placesOf(segment, ranges)
  if (places.length === 0) return view
  const removed = shared(Math.ceil(segment.count / 8))
  if (view.removed !== undefined) removed.set(view.removed)
  let { alive } = view
  for (const [start, end] of places) {
    for (let place = start; place < end; place++) {
      const bit = 1 << (place & 7)
      if (((removed[place >> 3] as number) & bit) !== 0) continue
      removed[place >> 3] = (removed[place >> 3] as number) | bit
      alive--
    }
  }
  return alive === view.alive ? view : { segment, removed, alive }
}

/** Ascending numbers as ranges. */
export function* rangesOf(numbers: Float64Array, count = numbers.length): Generator<NumberRange> {
  for (let i = 0; i < count; ) {
    const start = numbers[i] as number
    let end = start + 1
    while (++i < count && numbers[i] === end) end++
    yield [start, end]
  }
}

/** Numbers that were there in `before` and are not in `after`, ascending; all of them when there is no `after`. */
export function* goneSince(before: SegmentView, after: SegmentView | undefined): Generator<NumberRange> {
  if (before.removed === after?.removed && after !== undefined) return
  const { numbers, count } = before.segment
  for (let place = 0; place < count; place++) {
    if (!isThere(before, place) || (after !== undefined && isThere(after, place))) continue
    const number = numbers[place] as number
    yield [number, number + 1]
  }
}

/** Memory that threads share. */
export function shared(bytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(bytes))
}

export function firstNumber({ segment }: SegmentView): number {
  return segment.numbers[0] as number
}

export function lastNumber({ segment }: SegmentView): number {
  return segment.numbers[segment.count - 1] as number
}

function isThere({ removed }: SegmentView, place: number): boolean {
  return !isRemoved(removed, place)
}

export function isRemoved(removed: Uint8Array | undefined, place: number): boolean {
  return removed !== undefined && (((removed[place >> 3] as number) >> (place & 7)) & 1) === 1
}
