import { RagError } from '../core/errors.js'
import { RangeSet } from '../core/range-set.js'
import { checkBatch, refusedMemory } from './checks.js'
import { emptyView, type FlatView, withoutRanges, withRows } from './flat-view.js'
import { RowTable } from './row-table.js'
import type { Stretches } from './stretches.js'
import type { VectorUpdate } from './types.js'

/** What an update has gathered. */
export interface Staged<Sealed> {
  /** Numbers that are no longer there, unless they are in what follows. */
  readonly removed: RangeSet
  /** In the order they came: of a number that is in several, the last counts; the view comes after all of them. */
  readonly sealed: readonly Sealed[]
  readonly view: FlatView
}

/** What an index does with its update. */
export interface UpdateHost<Sealed> {
  readonly dimensions: number
  /** Staged rows in memory, before they are sealed; as many again may be on their way. */
  readonly sealRows: number
  /** Runs a step after those before it, of whichever update. */
  enqueue(step: (stretches: Stretches) => Promise<void>, check: () => void): Promise<void>
  /** Puts rows away where they need less memory. */
  seal(view: FlatView, stretches: Stretches): Promise<Sealed>
  without(sealed: Sealed, ranges: RangeSet): Sealed
  /** Frees what was sealed and is not wanted. */
  discard(sealed: readonly Sealed[]): void
  publish(staged: Staged<Sealed>, epoch: number, stretches: Stretches): Promise<void>
  ended(update: VectorUpdate): void
}

type NumberRange = readonly [start: number, end: number]

/** Rows handled between two looks at the clock. */
const rowsPerLook = 64

/** Gathers changes in a table of its own, where no search looks, and hands everything over at once. */
export class Update<Sealed> implements VectorUpdate {
  readonly #host: UpdateHost<Sealed>
  readonly #removed: NumberRange[] = []
  #sealed: Sealed[] = []
  /** Rows that are on their way into `#sealed`, while the next ones are gathered. */
  #sealing: Promise<void> = Promise.resolve()
  #view: FlatView
  #ended = false
  #aborted = false

  constructor(host: UpdateHost<Sealed>) {
    this.#host = host
    this.#view = this.#empty()
  }

  async add(numbers: readonly number[], vectors: Float32Array): Promise<void> {
    this.#assertOpen()
    await this.#enqueue((stretches) => this.#stage(numbers, vectors, stretches))
  }

  remove(ranges: readonly NumberRange[]): void {
    this.#assertOpen()
    const copy = RangeSet.from(ranges)
    void this.#enqueue(async () => {
      await this.#sealing.catch(() => {}) // Thrown to whoever adds or publishes.
      this.#removed.push(...copy)
      // What was staged before is removed too, what comes after is not.
      this.#view = withoutRanges(this.#view, copy)
      this.#sealed = this.#sealed.map((sealed) => this.#host.without(sealed, copy))
    })
  }

  async publish(epoch: number): Promise<void> {
    this.#assertOpen()
    this.#ended = true
    await this.#enqueue(async (stretches) => {
      try {
        await this.#sealing
        stretches.check()
        const staged = { removed: RangeSet.from(this.#removed), sealed: this.#sealed, view: this.#view }
        await this.#host.publish(staged, epoch, stretches)
      } catch (error) {
        await this.#forget()
        throw error
      } finally {
        this.#host.ended(this)
      }
    })
  }

  abort(): void {
    if (this.#ended) return
    this.#ended = true
    this.#aborted = true
    // After the step that is under way.
    void this.#host.enqueue(
      () => this.#forget(),
      () => {},
    )
    this.#host.ended(this)
  }

  async #stage(numbers: readonly number[], vectors: Float32Array, stretches: Stretches): Promise<void> {
    stretches.check()
    await checkBatch(numbers, vectors, this.#host.dimensions, stretches)
    const { table } = this.#view
    const before = table.count
    try {
      for (let i = 0; i < numbers.length; i++) {
        table.append(vectors, i * this.#host.dimensions)
        if (i % rowsPerLook === 0) await stretches.pause()
      }
      this.#view = withRows(this.#view, numbers, before)
    } catch (error) {
      table.truncate(before)
      throw refusedMemory(error)
    }
    if (this.#view.count < this.#host.sealRows) return
    await this.#sealing
    this.#sealing = this.#host.seal(this.#view, stretches).then((sealed) => void this.#sealed.push(sealed))
    this.#sealing.catch(() => {}) // Thrown where it is awaited.
    this.#view = this.#empty()
  }

  #enqueue(step: (stretches: Stretches) => Promise<void>): Promise<void> {
    return this.#host.enqueue(step, () => {
      if (this.#aborted) throw endedError()
    })
  }

  async #forget(): Promise<void> {
    await this.#sealing.catch(() => {}) // Whoever staged them is told elsewhere, or has left.
    this.#host.discard(this.#sealed)
    this.#sealed = []
    this.#view = this.#empty()
  }

  #empty(): FlatView {
    return emptyView(new RowTable(this.#host.dimensions, false))
  }

  #assertOpen(): void {
    if (this.#ended) throw endedError()
  }
}

/** Steps of updates run one after the other, in the order of the calls; one that fails does not stop the next. */
export class Steps {
  #last: Promise<unknown> = Promise.resolve()

  run(step: () => Promise<void>): Promise<void> {
    const run = this.#last.then(step)
    this.#last = run.catch(() => {
      // The caller of that step holds `run` and sees the failure there.
    })
    return run
  }
}

export function updateIsOpen(): RagError {
  return new RagError('BAD_INPUT', 'An update of the vector index is open already.', {
    hint: 'Publish or abort it first.',
  })
}

function endedError(): RagError {
  return new RagError('CLOSED', 'The update has ended.')
}
