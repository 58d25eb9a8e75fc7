import type { RangeSet } from '../core/range-set.js'
import { TopK } from '../util/top-k.js'
import type { QuantisedRows } from './flat-kernel.js'
import { accelerateFrom, RowTable } from './row-table.js'
import type { Stretches } from './stretches.js'
import type { VectorMatch } from './types.js'

/** Rows handled between two looks at the clock. */
const rowsPerLook = 64
/** Removed rows stay where they are until there are so many more than a fourth of the living ones. */
const deadRowsKept = 256

/**
 * What can be found: `numbers[i]`, ascending, is the vector in row `rows[i]` of the table. A view never changes, except
 * that a later view may share its arrays and use their free end: searches keep the one they began with, and no lock is
 * needed.
 */
export interface FlatView extends NumberedRows {
  readonly table: RowTable
}

/** Numbers, ascending, and the row of each; only the first `count` count. */
export interface NumberedRows {
  readonly numbers: Float64Array
  readonly rows: Uint32Array<ArrayBuffer>
  readonly count: number
}

/** `[start, end)` of places. */
export type Places = readonly [start: number, end: number]

/** A view of nothing, on a table that may hold something. */
export function emptyView(table: RowTable): FlatView {
  return { numbers: new Float64Array(0), rows: new Uint32Array(0), count: 0, table }
}

/** The `topK` nearest, exactly. */
export async function searchView(
  view: FlatView,
  query: Float32Array,
  { topK, allow }: { readonly topK: number; readonly allow: RangeSet | undefined },
  stretches: Stretches,
): Promise<VectorMatch[]> {
  const places = allow === undefined ? undefined : await allowedPlaces(view, allow, stretches)
  const allowed = places === undefined ? view.count : places.length
  const wanted = Math.min(topK, allowed)
  if (wanted === 0) return []

  const { quantised } = view.table
  const undecided =
    quantised === undefined || allowed < Math.max(accelerateFrom, wanted * 4)
      ? places
      : await contenders(quantised, query, {
          places,
          count: view.count,
          rows: view.rows,
          wanted,
          pause: () => stretches.pause(),
        })

  const best = new TopK(wanted)
  const count = undecided === undefined ? allowed : undecided.length
  for (let i = 0; i < count; i++) {
    const place = undecided === undefined ? i : (undecided[i] as number)
    best.push(view.table.dot(query, view.rows[place] as number), view.numbers[place] as number)
    if (i % rowsPerLook === 0) await stretches.pause()
  }
  return best.drain()
}

/** The view with `added[i]` in row `firstRow + i`; of numbers that were there, or come twice, the last row counts. */
export function withRows(view: FlatView, added: readonly number[], firstRow: number): FlatView {
  return withAll(view, inOrder(added, firstRow))
}

/** The view with other rows of its table; they take the place of those with the same numbers. */
export function withAll(view: FlatView, addition: NumberedRows): FlatView {
  if (addition.count === 0) return view
  const last = view.count === 0 ? -1 : (view.numbers[view.count - 1] as number)
  return (addition.numbers[0] as number) > last ? appended(view, addition) : merged(view, addition)
}

/** The view without the numbers in `ranges`, which ascend and are apart; the same view when there are none. */
export function withoutRanges(view: FlatView, ranges: Iterable<Places>): FlatView {
  const gone = placesOf(view, ranges)
  if (gone.length === 0) return view
  const numbers = new Float64Array(view.count)
  const rows = new Uint32Array(view.count)
  let count = 0
  let place = 0
  for (const [start, end] of [...gone, [view.count, view.count] as const]) {
    numbers.set(view.numbers.subarray(place, start), count)
    rows.set(view.rows.subarray(place, start), count)
    count += start - place
    place = end
  }
  return { numbers, rows, count, table: view.table }
}

/** Whether so many rows of the table are in no view any more that a copy without them is worth its while. */
export function isWorthCompacting({ table, count }: FlatView): boolean {
  return table.count - count > deadRowsKept + count / 4
}

/** The same view on a table that holds nothing else. */
export async function compacted(
  view: FlatView,
  options: { readonly dimensions: number; readonly accelerate: boolean },
  stretches: Stretches,
): Promise<FlatView> {
  const table = new RowTable(options.dimensions, options.accelerate)
  return { ...(await copyRows(view, table, stretches)), table }
}

/** Appends the rows of a view to another table, and tells where they are there. */
export async function copyRows(
  { numbers, rows, count, table }: FlatView,
  target: RowTable,
  stretches: Stretches,
): Promise<NumberedRows> {
  const first = target.count
  for (let i = 0; i < count; i++) {
    target.append(...table.row(rows[i] as number))
    if (i % rowsPerLook === 0) await stretches.pause()
  }
  return { numbers: numbers.slice(0, count), rows: Uint32Array.from({ length: count }, (_, i) => first + i), count }
}

export interface CoarseSearch {
  /** Absent: the first `count`. */
  readonly places: Uint32Array | undefined
  readonly count: number
  /** Row of each place. Absent: the place itself. */
  readonly rows?: Uint32Array | undefined
  readonly wanted: number
  /** Called every thousand rows or so. */
  readonly pause: () => Promise<void> | undefined
}

/**
 * The places that can be among the `wanted` best, by the intervals of the coarse scan: a place is out when `wanted`
 * others are certainly better. Of 20,000 random unit vectors some dozens stay; of vectors that all lie equally near,
 * all do.
 */
export async function contenders(
  quantised: QuantisedRows,
  vector: Float32Array,
  { places, count, rows, wanted, pause }: CoarseSearch,
): Promise<number[]> {
  const query = quantised.quantise(vector)
  const certain = new TopK(wanted)
  const found: number[] = []
  const ceilings: number[] = []
  const total = places?.length ?? count
  for (let from = 0; from < total; from += quantised.rowsPerScan) {
    const some = rowsAt({ places, rows }, { from, to: Math.min(total, from + quantised.rowsPerScan) })
    const sums = follow(some) ? quantised.scan(query, some[0] as number, some.length) : quantised.scanRows(query, some)
    for (let i = 0; i < some.length; i++) {
      const row = some[i] as number
      const estimate = quantised.estimate(query, row, sums[i] as number)
      const uncertainty = quantised.uncertainty(query, row)
      if (estimate + uncertainty < certain.threshold) continue
      const place = places === undefined ? from + i : (places[from + i] as number)
      found.push(place)
      ceilings.push(estimate + uncertainty)
      certain.push(estimate - uncertainty, place)
    }
    await pause()
  }
  const { threshold } = certain
  return found.filter((_, i) => (ceilings[i] as number) >= threshold)
}

function rowsAt(
  { places, rows }: Pick<CoarseSearch, 'places' | 'rows'>,
  { from, to }: { readonly from: number; readonly to: number },
): Uint32Array {
  if (places === undefined && rows !== undefined) return rows.subarray(from, to)
  if (rows === undefined && places !== undefined) return places.subarray(from, to)
  const some = new Uint32Array(to - from)
  for (let i = 0; i < some.length; i++) some[i] = rows?.[places?.[from + i] as number] ?? from + i
  return some
}

/** Whether rows come one after the other. */
function follow(rows: Uint32Array): boolean {
  const first = rows[0] as number
  for (let i = 1; i < rows.length; i++) if (rows[i] !== first + i) return false
  return true
}

/** Ranges and places handled between two looks at the clock. */
const placesPerLook = 4_096

/** Every place whose number is allowed, ascending. */
async function allowedPlaces(
  { numbers, count }: NumberedRows,
  { starts, ends }: RangeSet,
  stretches: Stretches,
): Promise<Uint32Array> {
  let places = new Uint32Array(Math.min(count, 1_024))
  let length = 0
  let place = 0
  let untilLook = placesPerLook
  for (let i = 0; i < starts.length && place < count; i++) {
    const first = lowerBound(numbers, { count, number: starts[i] as number, from: place })
    const last = lowerBound(numbers, { count, number: ends[i] as number, from: first })
    if (length + last - first > places.length) {
      const larger = new Uint32Array(Math.min(count, Math.max(length + last - first, places.length * 2)))
      larger.set(places)
      places = larger
    }
    for (place = first; place < last; place++) places[length++] = place
    untilLook -= last - first + 1
    if (untilLook > 0) continue
    untilLook = placesPerLook
    await stretches.pause()
  }
  return places.subarray(0, length)
}

/** Where the numbers in these ranges, which ascend and are apart, are. */
export function placesOf(
  { numbers, count }: Pick<NumberedRows, 'numbers' | 'count'>,
  ranges: Iterable<Places>,
): Places[] {
  const places: Places[] = []
  let from = 0
  for (const [start, end] of ranges) {
    const first = lowerBound(numbers, { count, number: start, from })
    const last = lowerBound(numbers, { count, number: end, from: first })
    if (last > first) places.push([first, last])
    from = last
  }
  return places
}

/** The first of `count` places, from `from` on, whose number is not below `number`. Soon found when it is near. */
function lowerBound(
  numbers: Float64Array,
  { count, number, from }: { readonly count: number; readonly number: number; readonly from: number },
): number {
  let step = 1
  let low = from
  while (low + step <= count && (numbers[low + step - 1] as number) < number) {
    low += step
    step *= 2
  }
  let high = Math.min(count, low + step - 1)
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((numbers[middle] as number) < number) low = middle + 1
    else high = middle
  }
  return low
}

function inOrder(added: readonly number[], firstRow: number): NumberedRows {
  const ascends = added.every((number, i) => i === 0 || (added[i - 1] as number) < number)
  const entries = ascends
    ? undefined
    : [...new Map(added.map((number, i) => [number, firstRow + i]))].sort((a, b) => a[0] - b[0])
  return entries === undefined
    ? {
        numbers: Float64Array.from(added),
        rows: Uint32Array.from(added, (_, i) => firstRow + i),
        count: added.length,
      }
    : {
        numbers: Float64Array.from(entries, ([number]) => number),
        rows: Uint32Array.from(entries, ([, row]) => row),
        count: entries.length,
      }
}

/** Chunk numbers only grow, so nearly every batch comes here: its entries use the free end of the arrays. */
function appended(view: FlatView, addition: NumberedRows): FlatView {
  const count = view.count + addition.count
  let { numbers, rows } = view
  if (count > numbers.length) {
    const capacity = Math.max(count, Math.ceil(numbers.length * 1.25))
    numbers = new Float64Array(capacity)
    rows = new Uint32Array(capacity)
    numbers.set(view.numbers.subarray(0, view.count))
    rows.set(view.rows.subarray(0, view.count))
  }
  numbers.set(addition.numbers.subarray(0, addition.count), view.count)
  rows.set(addition.rows.subarray(0, addition.count), view.count)
  return { numbers, rows, count, table: view.table }
}

function merged(view: FlatView, addition: NumberedRows): FlatView {
  const numbers = new Float64Array(view.count + addition.count)
  const rows = new Uint32Array(numbers.length)
  let count = 0
  let place = 0
  const push = (number: number, row: number): void => {
    numbers[count] = number
    rows[count++] = row
  }
  for (let i = 0; i < addition.count; i++) {
    const number = addition.numbers[i] as number
    while (place < view.count && (view.numbers[place] as number) < number) {
      push(view.numbers[place] as number, view.rows[place++] as number)
    }
    if (place < view.count && view.numbers[place] === number) place++
    push(number, addition.rows[i] as number)
  }
  while (place < view.count) push(view.numbers[place] as number, view.rows[place++] as number)
  return { numbers, rows, count, table: view.table }
}
