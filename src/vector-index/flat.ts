import { RagError } from '../core/errors.js'
import { RangeSet } from '../core/range-set.js'
import { TopK } from '../util/top-k.js'
import { allFinite, dot } from '../util/vector-math.js'
import { createTurns, type Turns } from '../util/yield.js'
import { type QuantisedQuery, QuantisedRows } from './flat-kernel.js'
import type { VectorIndex, VectorMatch, VectorSearchOptions } from './types.js'

/** Options of {@link createFlatIndex}. */
export interface FlatIndexOptions {
  /** Values per vector, 1 to 65,536. */
  readonly dimensions: number
  /**
   * Keeps a one-byte copy of the rows, which costs a fourth more memory and makes a search some fifteen times faster.
   * The results are the same to the last bit. Default true; it is left out by itself where WebAssembly SIMD is missing.
   */
  readonly accelerate?: boolean
  /** Shares the event loop with others that compute. Default: turns of its own, 4 ms per turn of the loop. */
  readonly turns?: Turns
}

const maxDimensions = 65_536
/** Rows of one allocation. Small, because a namespace with three chunks should not pay for thousands. */
const rowsPerBlock = 32
/**
 * Below this a plain scan takes well under a millisecond, and many small namespaces need no WebAssembly memory each.
 */
const accelerateFrom = 512
/** Removed rows stay where they are until there are so many more than a fourth of the living ones. */
const deadRowsKept = 256
/** Milliseconds of work between two turns. */
const stretchMs = 1
/** Rows handled between two looks at the clock. */
const rowsPerLook = 64

/**
 * Finds the nearest vectors by looking at every one: exact, always, in any order of adding and removing. Meant for up
 * to some ten thousand vectors; 20,000 of 384 dimensions take 1.3 ms (`bench/flat.ts`). Long searches and updates yield
 * to the event loop every few milliseconds, and a search sees the vectors that were there when it began. Vectors
 * passed to `add()` must not change until it resolves.
 *
 * Throws `RagError` `BAD_OPTION` for dimensions out of range; its methods reject with `BAD_INPUT` for unusable vectors
 * and numbers, with `LIMIT` when memory is refused (nothing is changed then) and with `CLOSED` after `close()`.
 */
export function createFlatIndex({
  dimensions,
  accelerate = true,
  turns = createTurns(),
}: FlatIndexOptions): VectorIndex {
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > maxDimensions) {
    throw new RagError('BAD_OPTION', `dimensions is a whole number from 1 to ${maxDimensions}.`, {
      data: { dimensions },
    })
  }
  return new FlatIndex({ dimensions, accelerate, turns })
}

/**
 * What can be found: `numbers[i]`, ascending, is the vector in row `rows[i]` of the table. A view never changes, except
 * that a later view may share its arrays and use their free end: searches keep the one they began with, and no lock is
 * needed.
 */
interface View {
  readonly numbers: Float64Array<ArrayBuffer>
  readonly rows: Uint32Array<ArrayBuffer>
  readonly count: number
  readonly table: RowTable
}

/** `[start, end)` of places in a view. */
type Places = readonly [start: number, end: number]

class FlatIndex implements VectorIndex {
  readonly id = 'flat'
  readonly capabilities = { exact: true }
  readonly dimensions: number
  readonly #accelerate: boolean
  readonly #turns: Turns
  #view: View
  #updates: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor({ dimensions, accelerate, turns }: Required<FlatIndexOptions>) {
    this.dimensions = dimensions
    this.#turns = turns
    this.#accelerate = accelerate
    this.#view = this.#empty()
  }

  get size(): number {
    return this.#view.count
  }

  get bytes(): number {
    const { numbers, rows, table } = this.#view
    return numbers.byteLength + rows.byteLength + table.bytes
  }

  add(numbers: readonly number[], vectors: Float32Array): Promise<void> {
    return this.#enqueue(async (stretches) => {
      await this.#checkBatch(numbers, vectors, stretches)
      const { table } = this.#view
      const firstRow = table.count
      try {
        for (let i = 0; i < numbers.length; i++) {
          table.append(vectors, i * this.dimensions)
          if (i % rowsPerLook === 0) await stretches.pause()
        }
        this.#view = withRows(this.#view, numbers, firstRow)
      } catch (error) {
        table.truncate(firstRow)
        throw refusedMemory(error)
      }
    })
  }

  remove(ranges: readonly (readonly [start: number, end: number])[]): Promise<void> {
    return this.#enqueue(async (stretches) => {
      await stretches.pause()
      const view = without(this.#view, RangeSet.from(ranges))
      if (view.table.count - view.count <= deadRowsKept + view.count / 4) {
        this.#view = view
        return
      }
      try {
        const compacted = await this.#compacted(view, stretches)
        stretches.check()
        this.#view = compacted
      } catch (error) {
        throw refusedMemory(error)
      }
    })
  }

  async search(vector: Float32Array, { topK, allow }: VectorSearchOptions): Promise<VectorMatch[]> {
    const stretches = this.#stretches()
    const view = this.#view
    this.#checkQuery(vector, topK)
    // Copied, because the caller may use its array again while this search waits for its turn.
    const query = vector.slice()
    await stretches.pause()
    const places = allow === undefined ? [[0, view.count] as const] : placesOf(view, allow)
    const allowed = places.reduce((sum, [start, end]) => sum + end - start, 0)
    const wanted = Math.min(topK, allowed)
    if (wanted === 0) return []

    const { quantised } = view.table
    const undecided =
      quantised === undefined || allowed < Math.max(accelerateFrom, wanted * 4)
        ? everyPlace(places)
        : await contenders(view, quantised, quantised.quantise(query), places, wanted, stretches)

    const best = new TopK(wanted)
    let seen = 0
    for (const place of undecided) {
      best.push(view.table.dot(query, view.rows[place] as number), view.numbers[place] as number)
      if (++seen % rowsPerLook === 0) await stretches.pause()
    }
    return best.drain()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#view = this.#empty()
  }

  /** Updates run one after the other, in the order of the calls; one that fails does not stop the next. */
  #enqueue(update: (stretches: Stretches) => Promise<void>): Promise<void> {
    const run = this.#updates.then(() => update(this.#stretches()))
    this.#updates = run.catch(() => {
      // The caller of that update holds `run` and sees the failure there.
    })
    return run
  }

  #stretches(): Stretches {
    return new Stretches(this.#turns, () => {
      if (this.#closed) throw new RagError('CLOSED', 'The vector index was closed.')
    })
  }

  async #checkBatch(numbers: readonly number[], vectors: Float32Array, stretches: Stretches): Promise<void> {
    const { dimensions } = this
    if (vectors.length !== numbers.length * dimensions) {
      throw new RagError('BAD_INPUT', 'The vectors have the wrong length.', {
        data: { numbers: numbers.length, dimensions, values: vectors.length },
        hint: 'Give numbers.length x dimensions values.',
      })
    }
    for (let i = 0; i < numbers.length; i++) {
      const number = numbers[i] as number
      if (!Number.isSafeInteger(number) || number < 0) {
        throw new RagError('BAD_INPUT', 'A chunk number is a whole number from 0.', { data: { number } })
      }
      if (!allFinite(vectors, i * dimensions, (i + 1) * dimensions)) throw notFinite({ number })
      if (i % rowsPerLook === 0) await stretches.pause()
    }
  }

  #checkQuery(vector: Float32Array, topK: number): void {
    if (vector.length !== this.dimensions) {
      throw new RagError('BAD_INPUT', 'The query vector has the wrong length.', {
        data: { dimensions: this.dimensions, values: vector.length },
      })
    }
    if (!allFinite(vector, 0, vector.length)) throw notFinite({})
    if (!Number.isInteger(topK) || topK < 0) {
      throw new RagError('BAD_OPTION', 'topK is a whole number from 0.', { data: { topK } })
    }
  }

  async #compacted({ numbers, rows, count, table }: View, stretches: Stretches): Promise<View> {
    const copy = new RowTable(this.dimensions, this.#accelerate)
    for (let i = 0; i < count; i++) {
      copy.append(...table.row(rows[i] as number))
      if (i % rowsPerLook === 0) await stretches.pause()
    }
    return {
      numbers: numbers.slice(0, count),
      rows: Uint32Array.from({ length: count }, (_, i) => i),
      count,
      table: copy,
    }
  }

  #empty(): View {
    return {
      numbers: new Float64Array(0),
      rows: new Uint32Array(0),
      count: 0,
      table: new RowTable(this.dimensions, this.#accelerate),
    }
  }
}

/** Vectors by row, in blocks that never move; rows that were appended are never changed. */
class RowTable {
  readonly #dimensions: number
  readonly #blocks: Float32Array[] = []
  /** The coarse copy, once there are enough rows. It holds all rows or is absent. */
  quantised: QuantisedRows | undefined
  #accelerate: boolean
  #count = 0

  constructor(dimensions: number, accelerate: boolean) {
    this.#dimensions = dimensions
    this.#accelerate = accelerate
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#blocks.length * rowsPerBlock * this.#dimensions * 4 + (this.quantised?.bytes ?? 0)
  }

  append(vectors: Float32Array, start: number): void {
    const within = this.#count % rowsPerBlock
    if (within === 0) this.#blocks.push(new Float32Array(rowsPerBlock * this.#dimensions))
    const block = this.#blocks.at(-1) as Float32Array
    block.set(vectors.subarray(start, start + this.#dimensions), within * this.#dimensions)
    this.#count++
    if (this.#accelerate && this.#count >= accelerateFrom) this.#quantise()
  }

  /** Forgets the rows from `count` on. */
  truncate(count: number): void {
    this.#count = count
    this.#blocks.length = Math.ceil(count / rowsPerBlock)
    this.quantised?.truncate(count)
  }

  /** The block that holds a row, and where in it. */
  row(row: number): [block: Float32Array, start: number] {
    return [this.#blocks[Math.floor(row / rowsPerBlock)] as Float32Array, (row % rowsPerBlock) * this.#dimensions]
  }

  dot(vector: Float32Array, row: number): number {
    const block = this.#blocks[Math.floor(row / rowsPerBlock)] as Float32Array
    return dot(vector, 0, block, (row % rowsPerBlock) * this.#dimensions, this.#dimensions)
  }

  #quantise(): void {
    this.quantised ??= QuantisedRows.create(this.#dimensions)
    let room = this.quantised !== undefined
    while (room && this.quantised !== undefined && this.quantised.count < this.#count) {
      room = this.quantised.append(...this.row(this.quantised.count))
    }
    if (room) return
    this.quantised = undefined
    this.#accelerate = false
  }
}

/** Cuts one caller's work into stretches that take turns with everybody else's. */
class Stretches {
  readonly #turns: Turns
  /** Throws when the work is no longer wanted. */
  readonly check: () => void
  #began = 0

  constructor(turns: Turns, check: () => void) {
    this.#turns = turns
    this.check = check
  }

  /** Call it often: it returns at once unless the stretch is used up. */
  pause(): Promise<void> | undefined {
    return performance.now() - this.#began < stretchMs ? undefined : this.#next()
  }

  async #next(): Promise<void> {
    this.check()
    await this.#turns.next()
    this.check()
    this.#began = performance.now()
  }
}

/**
 * The places that can be among the `wanted` best, by the intervals of the coarse scan: a place is out when `wanted`
 * others are certainly better. Of 20,000 random unit vectors some dozens stay; of vectors that all lie equally near,
 * all do.
 */
async function contenders(
  view: View,
  quantised: QuantisedRows,
  query: QuantisedQuery,
  places: readonly Places[],
  wanted: number,
  stretches: Stretches,
): Promise<number[]> {
  const certain = new TopK(wanted)
  const found: number[] = []
  const ceilings: number[] = []
  for (const { place, row, count } of runs(view, places, quantised.rowsPerScan)) {
    const sums = quantised.scan(query, row, count)
    for (let i = 0; i < count; i++) {
      const estimate = quantised.estimate(query, row + i, sums[i] as number)
      const uncertainty = quantised.uncertainty(query, row + i)
      if (estimate + uncertainty < certain.threshold) continue
      found.push(place + i)
      ceilings.push(estimate + uncertainty)
      certain.push(estimate - uncertainty, place + i)
    }
    await stretches.pause()
  }
  const { threshold } = certain
  return found.filter((_, i) => (ceilings[i] as number) >= threshold)
}

/** Cuts places into runs whose rows follow each other, of at most `longest` rows. */
function* runs(view: View, places: readonly Places[], longest: number) {
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

function placesOf({ numbers, count }: View, allow: RangeSet): Places[] {
  const places: Places[] = []
  for (const [start, end] of allow) {
    const first = lowerBound(numbers, count, start)
    const last = lowerBound(numbers, count, end)
    if (last > first) places.push([first, last])
  }
  return places
}

/** The first of `count` places whose number is not below `number`. */
function lowerBound(numbers: Float64Array, count: number, number: number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((numbers[middle] as number) < number) low = middle + 1
    else high = middle
  }
  return low
}

/** The view with `added[i]` in row `firstRow + i`; of numbers that were there, or come twice, the last row counts. */
function withRows(view: View, added: readonly number[], firstRow: number): View {
  const entries = [...new Map(added.map((number, i) => [number, firstRow + i]))].sort((a, b) => a[0] - b[0])
  const [first] = entries
  if (first === undefined) return view
  const last = view.count === 0 ? -1 : (view.numbers[view.count - 1] as number)
  return first[0] > last ? appended(view, entries) : merged(view, entries)
}

/** Chunk numbers only grow, so nearly every batch comes here: its entries use the free end of the arrays. */
function appended(view: View, entries: readonly (readonly [number: number, row: number])[]): View {
  const count = view.count + entries.length
  let { numbers, rows } = view
  if (count > numbers.length) {
    const capacity = Math.max(count, Math.ceil(numbers.length * 1.25))
    numbers = new Float64Array(capacity)
    rows = new Uint32Array(capacity)
    numbers.set(view.numbers.subarray(0, view.count))
    rows.set(view.rows.subarray(0, view.count))
  }
  for (const [i, [number, row]] of entries.entries()) {
    numbers[view.count + i] = number
    rows[view.count + i] = row
  }
  return { numbers, rows, count, table: view.table }
}

function merged(view: View, entries: readonly (readonly [number: number, row: number])[]): View {
  const numbers = new Float64Array(view.count + entries.length)
  const rows = new Uint32Array(numbers.length)
  let count = 0
  let place = 0
  const push = (number: number, row: number): void => {
    numbers[count] = number
    rows[count++] = row
  }
  for (const [number, row] of entries) {
    while (place < view.count && (view.numbers[place] as number) < number) {
      push(view.numbers[place] as number, view.rows[place++] as number)
    }
    if (place < view.count && view.numbers[place] === number) place++
    push(number, row)
  }
  while (place < view.count) push(view.numbers[place] as number, view.rows[place++] as number)
  return { numbers, rows, count, table: view.table }
}

function without(view: View, ranges: RangeSet): View {
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

function notFinite(data: Readonly<Record<string, unknown>>): RagError {
  return new RagError('BAD_INPUT', 'A vector holds NaN or infinity.', {
    data,
    hint: 'Check the embedder: nothing was changed.',
  })
}

function refusedMemory(cause: unknown): unknown {
  if (!(cause instanceof RangeError)) return cause
  return new RagError('LIMIT', 'The memory for more vectors was refused.', {
    cause,
    hint: 'Nothing was changed. Use an approximate index on disk, or give the process more memory.',
  })
}
