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
  const places = allow === undefined ? [[0, view.count] as const] : placesOf(view, allow)
  const allowed = places.reduce((sum, [start, end]) => sum + end - start, 0)
  const wanted = Math.min(topK, allowed)
  if (wanted === 0) return []

  const { quantised } = view.table
  const undecided =
    quantised === undefined || allowed < Math.max(accelerateFrom, wanted * 4)
      ? everyPlace(places)
      : await contenders(quantised, query, {
          runs: runs(view, places, quantised.rowsPerScan),
          wanted,
          pause: () => stretches.pause(),
        })

  const best = new TopK(wanted)
  let seen = 0
  for (const place of undecided) {
    best.push(view.table.dot(query, view.rows[place] as number), view.numbers[place] as number)
    if (++seen % rowsPerLook === 0) await stretches.pause()
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

/** Places that follow each other and whose rows follow each other, too. */
export interface Run {
  readonly place: number
  readonly row: number
  readonly count: number
}

/**
 * The places that can be among the `wanted` best, by the intervals of the coarse scan: a place is out when `wanted`
 * others are certainly better. Of 20,000 random unit vectors some dozens stay; of vectors that all lie equally near,
 * all do.
 */
export async function contenders(
  quantised: QuantisedRows,
  vector: Float32Array,
  {
    runs,
    wanted,
    pause,
  }: {
    readonly runs: Iterable<Run>
    readonly wanted: number
    /** Called after each run. */
    readonly pause: () => Promise<void> | undefined
  },
): Promise<number[]> {
  const query = quantised.quantise(vector)
  const certain = new TopK(wanted)
  const found: number[] = []
  const ceilings: number[] = []
  for (const { place, row, count } of runs) {
    const sums = quantised.scan(query, row, count)
    for (let i = 0; i < count; i++) {
      const estimate = quantised.estimate(query, row + i, sums[i] as number)
      const uncertainty = quantised.uncertainty(query, row + i)
      if (estimate + uncertainty < certain.threshold) continue
      found.push(place + i)
      ceilings.push(estimate + uncertainty)
      certain.push(estimate - uncertainty, place + i)
    }
    await pause()
  }
  const { threshold } = certain
  return found.filter((_, i) => (ceilings[i] as number) >= threshold)
}

/** Cuts places into runs whose rows follow each other, of at most `longest` rows. */
function* runs(view: FlatView, places: readonly Places[], longest: number): Generator<Run> {
  const { rows } = view
  for (const [start, end] of places) {
    for (let place = start; place < end; ) {
      const row = rows[place] as number
      let count = 1
      while (count < longest && place + count < end && rows[place + count] === row + count) count++
      yield { place, row, count }
      place += count
    }
  }
}

function* everyPlace(places: readonly Places[]): Iterable<number> {
  for (const [start, end] of places) for (let place = start; place < end; place++) yield place
}

/** Where the numbers in these ranges, ascending and apart, are. */
export function placesOf(
  { numbers, count }: Pick<NumberedRows, 'numbers' | 'count'>,
  allow: Iterable<readonly [start: number, end: number]>,
): Places[] {
  const places: Places[] = []
  for (const [start, end] of allow) {
    const first = lowerBound(numbers, count, start)
    const last = lowerBound(numbers, count, end)
    if (last > first) places.push([first, last])
  }
  return places
}

/** The first of `count` places whose number is not below `number`. */
export function lowerBound(numbers: Float64Array, count: number, number: number): number {
  let low = 0
  let high = count
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
