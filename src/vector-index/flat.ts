import { RagError } from '../core/errors.js'
import { RangeSet } from '../core/range-set.js'
import { createTurns, type Turns } from '../util/yield.js'
import { checkBatch, checkDimensions, checkQuery, refusedMemory } from './checks.js'
import {
  compacted,
  emptyView,
  type FlatView,
  isWorthCompacting,
  searchView,
  withAll,
  withoutRanges,
  withRows,
} from './flat-view.js'
import { RowTable } from './row-table.js'
import { Stretches } from './stretches.js'
import type {
  VectorIndex,
  VectorIndexOptions,
  VectorMatch,
  VectorSearchOptions,
  VectorStats,
  VectorUpdate,
} from './types.js'

/** Options of {@link createFlatIndex}. */
export interface FlatIndexOptions extends VectorIndexOptions {
  /**
   * Keeps a one-byte copy of the rows, which costs a fourth more memory and makes a search some fifteen times faster.
   * The results are the same to the last bit. Default true; it is left out by itself where WebAssembly SIMD is missing.
   */
  readonly accelerate?: boolean
}

/** Rows handled between two looks at the clock. */
const rowsPerLook = 64

/**
 * Finds the nearest vectors by looking at every one: exact, always, in any order of adding and removing. Meant for up
 * to some ten thousand vectors; 20,000 of 384 dimensions take 1.3 ms (`bench/flat.ts`). Long searches and updates yield
 * to the event loop every few milliseconds, and a search sees the vectors that were there when it began.
 *
 * Throws `RagError` `BAD_OPTION` for dimensions out of range; its methods reject with `BAD_INPUT` for unusable vectors
 * and numbers, with `LIMIT` when memory is refused (nothing is changed then) and with `CLOSED` after `close()`.
 */
export function createFlatIndex(options: FlatIndexOptions): VectorIndex {
  checkDimensions(options.dimensions)
  return new FlatIndex(options)
}

class FlatIndex implements VectorIndex {
  readonly id = 'flat'
  readonly capabilities = { exact: true }
  readonly dimensions: number
  readonly #accelerate: boolean
  readonly #turns: Turns
  #epoch = 0
  #view: FlatView
  #update: Update | undefined
  #work: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor({ dimensions, accelerate = true, turns = createTurns() }: FlatIndexOptions) {
    this.dimensions = dimensions
    this.#turns = turns
    this.#accelerate = accelerate
    this.#view = this.#empty()
  }

  get epoch(): number {
    return this.#epoch
  }

  stats(): VectorStats {
    const { count, numbers, rows, table } = this.#view
    return {
      vectors: count,
      segments: count === 0 ? 0 : 1,
      bytes: numbers.byteLength + rows.byteLength + table.bytes,
    }
  }

  update(): VectorUpdate {
    this.#assertOpen()
    if (this.#update !== undefined) {
      throw new RagError('BAD_INPUT', 'An update of the vector index is open already.', {
        hint: 'Publish or abort it first.',
      })
    }
    const update = new Update(this.dimensions, {
      enqueue: (work) => this.#enqueue(work, () => update.check()),
      table: () => this.#view.table,
      publish: (staged, epoch, stretches) => this.#publish(staged, epoch, stretches),
      ended: () => {
        if (this.#update === update) this.#update = undefined
      },
    })
    this.#update = update
    return update
  }

  async persist(): Promise<void> {
    this.#assertOpen()
  }

  async search(vector: Float32Array, { topK, allow, signal }: VectorSearchOptions): Promise<VectorMatch[]> {
    const stretches = new Stretches(this.#turns, () => {
      this.#assertOpen()
      signal?.throwIfAborted()
    })
    stretches.check()
    checkQuery(vector, topK, this.dimensions)
    const view = this.#view
    // Copied, because the caller may use its array again while this search waits for its turn.
    const query = vector.slice()
    await stretches.pause()
    return searchView(view, query, { topK, allow }, stretches)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#update?.abort()
    this.#view = this.#empty()
  }

  /** Steps of updates run one after the other, in the order of the calls; one that fails does not stop the next. */
  #enqueue(work: (stretches: Stretches) => Promise<void>, check: () => void): Promise<void> {
    const stretches = new Stretches(this.#turns, () => {
      this.#assertOpen()
      check()
    })
    const run = this.#work.then(() => work(stretches))
    this.#work = run.catch(() => {
      // The caller of that step holds `run` and sees the failure there.
    })
    return run
  }

  /** Swaps the view: from one statement to the next every search sees everything staged, or nothing. */
  async #publish({ removed, view: added }: Staged, epoch: number, stretches: Stretches): Promise<void> {
    try {
      let view = withAll(withoutRanges(this.#view, removed), added)
      if (isWorthCompacting(view)) {
        view = await compacted(view, { dimensions: this.dimensions, accelerate: this.#accelerate }, stretches)
      }
      stretches.check()
      this.#view = view
      this.#epoch = epoch
    } catch (error) {
      throw refusedMemory(error)
    }
  }

  #empty(): FlatView {
    return emptyView(new RowTable(this.dimensions, this.#accelerate))
  }

  #assertOpen(): void {
    if (this.#closed) throw new RagError('CLOSED', 'The vector index was closed.')
  }
}

interface Staged {
  readonly view: FlatView
  readonly removed: RangeSet
}

interface UpdateHost {
  /** Runs a step after those before it. */
  enqueue(step: (stretches: Stretches) => Promise<void>): Promise<void>
  table(): RowTable
  publish(staged: Staged, epoch: number, stretches: Stretches): Promise<void>
  ended(): void
}

type NumberRange = readonly [start: number, end: number]

/** Appends rows to the index's table, where no search looks before they are in its view. */
class Update implements VectorUpdate {
  readonly #dimensions: number
  readonly #host: UpdateHost
  readonly #removed: NumberRange[] = []
  #staged: FlatView | undefined
  #firstRow = 0
  #ended = false
  #aborted = false

  constructor(dimensions: number, host: UpdateHost) {
    this.#dimensions = dimensions
    this.#host = host
  }

  async add(numbers: readonly number[], vectors: Float32Array): Promise<void> {
    this.#assertOpen()
    await this.#host.enqueue((stretches) => this.#stage(numbers, vectors, stretches))
  }

  remove(ranges: readonly NumberRange[]): void {
    this.#assertOpen()
    const copy = RangeSet.from(ranges)
    void this.#host.enqueue(async () => {
      this.#removed.push(...copy)
      // What was staged before is removed too, what comes after is not.
      if (this.#staged !== undefined) this.#staged = withoutRanges(this.#staged, copy)
    })
  }

  async publish(epoch: number): Promise<void> {
    this.#assertOpen()
    this.#ended = true
    await this.#host.enqueue(async (stretches) => {
      try {
        stretches.check()
        const view = this.#staged ?? emptyView(this.#host.table())
        await this.#host.publish({ view, removed: RangeSet.from(this.#removed) }, epoch, stretches)
      } catch (error) {
        this.#forget()
        throw error
      } finally {
        this.#host.ended()
      }
    })
  }

  abort(): void {
    if (this.#ended) return
    this.#ended = true
    this.#aborted = true
    // After the steps that are under way; an update that begins now comes later still.
    void this.#host.enqueue(async () => this.#forget())
    this.#host.ended()
  }

  /** Throws when nobody wants the staged rows any more. */
  check(): void {
    if (this.#aborted) throw endedError()
  }

  async #stage(numbers: readonly number[], vectors: Float32Array, stretches: Stretches): Promise<void> {
    stretches.check()
    await checkBatch(numbers, vectors, this.#dimensions, stretches)
    const staged = this.#staged ?? this.#begin()
    const { table } = staged
    const before = table.count
    try {
      for (let i = 0; i < numbers.length; i++) {
        table.append(vectors, i * this.#dimensions)
        if (i % rowsPerLook === 0) await stretches.pause()
      }
      this.#staged = withRows(staged, numbers, before)
    } catch (error) {
      table.truncate(before)
      throw refusedMemory(error)
    }
  }

  #begin(): FlatView {
    const table = this.#host.table()
    this.#firstRow = table.count
    this.#staged = emptyView(table)
    return this.#staged
  }

  #forget(): void {
    this.#staged?.table.truncate(this.#firstRow)
    this.#staged = undefined
  }

  #assertOpen(): void {
    if (this.#ended) throw endedError()
  }
}

function endedError(): RagError {
  return new RagError('CLOSED', 'The update has ended.')
}
