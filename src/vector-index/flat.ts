import { RagError } from '../core/errors.js'
import { createTurns } from '../util/yield.js'
import { checkDimensions, checkQueries, refusedMemory } from './checks.js'
import {
  compacted,
  copyRows,
  emptyView,
  type FlatView,
  isWorthCompacting,
  searchView,
  withAll,
  withoutRanges,
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
import { type Staged, Steps, Update, updateIsOpen } from './update.js'

/** Options of {@link createFlatIndex}. */
export interface FlatIndexOptions extends VectorIndexOptions {
  /**
   * Keeps a one-byte copy of the rows, which costs a fourth more memory and makes a search some fifteen times faster.
   * The results are the same to the last bit. Default true; it is left out by itself where WebAssembly SIMD is missing.
   */
  readonly accelerate?: boolean
}

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

/**
 * A flat index in memory, or with a `directory` one that begins where the last was closed: its vectors lie in files there and are looked at by a worker
 * thread, all but the latest; see `segments/segmented.ts`.
 */
export async function openFlatIndex(options: FlatIndexOptions): Promise<VectorIndex> {
  if (options.directory === undefined) return createFlatIndex(options)
  const { openSegmentedIndex } = await import('./segments/segmented.js')
  return openSegmentedIndex({ ...options, id: 'flat' })
}

class FlatIndex implements VectorIndex {
  readonly id = 'flat'
  readonly capabilities = { exact: true }
  readonly dimensions: number
  readonly #accelerate: boolean
  readonly #turns: NonNullable<VectorIndexOptions['turns']>
  readonly #steps = new Steps()
  #epoch = 0
  #view: FlatView
  #update: VectorUpdate | undefined
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
      building: false,
    }
  }

  update(): VectorUpdate {
    this.#assertOpen()
    if (this.#update !== undefined) throw updateIsOpen()
    this.#update = new Update<never>({
      dimensions: this.dimensions,
      sealRows: Number.POSITIVE_INFINITY,
      enqueue: (step, check) => this.#enqueue(step, check),
      seal: async () => {
        throw new Error('There is no limit that could be reached.')
      },
      without: (sealed) => sealed,
      discard: () => {},
      publish: (staged, epoch, stretches) => this.#publish(staged, epoch, stretches),
      ended: (update) => {
        if (this.#update === update) this.#update = undefined
      },
    })
    return this.#update
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
    checkQueries(vector, topK, this.dimensions, 1)
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

  #enqueue(step: (stretches: Stretches) => Promise<void>, check: () => void): Promise<void> {
    const stretches = new Stretches(this.#turns, () => {
      this.#assertOpen()
      check()
    })
    return this.#steps.run(() => step(stretches))
  }

  /** Swaps the view: from one statement to the next every search sees everything staged, or nothing. */
  async #publish({ removed, view: added }: Staged<never>, epoch: number, stretches: Stretches): Promise<void> {
    const before = this.#view.table.count
    try {
      let view = withAll(withoutRanges(this.#view, removed), await copyRows(added, this.#view.table, stretches))
      if (isWorthCompacting(view)) {
        view = await compacted(view, { dimensions: this.dimensions, accelerate: this.#accelerate }, stretches)
      }
      stretches.check()
      this.#view = view
      this.#epoch = epoch
    } catch (error) {
      this.#view.table.truncate(before)
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
