import { RagError } from '../../core/errors.js'
import { Readers } from '../../util/readers.js'
import { createTurns } from '../../util/yield.js'
import { checkDimensions, checkQueries, refusedMemory } from '../checks.js'
import {
  compacted,
  copyRows,
  emptyView,
  type FlatView,
  isWorthCompacting,
  searchView,
  withAll,
  withoutRanges,
} from '../flat-view.js'
import { RowTable } from '../row-table.js'
import { Stretches } from '../stretches.js'
import type {
  VectorIndex,
  VectorIndexOptions,
  VectorMatch,
  VectorSearchOptions,
  VectorStats,
  VectorUpdate,
} from '../types.js'
import { type Staged, Steps, Update, updateIsOpen } from '../update.js'
import type { Improvement, SegmentHost, SegmentStorage } from './storage.js'
import { appendRows, changesSince, gathered, merged } from './tail.js'
import { goneSince, rangesOf, type Segment, type SegmentView, withoutNumbers } from './view.js'

/** What {@link openIndexOfSegments} is made with. */
export interface IndexOfSegmentsOptions<Of extends Segment> extends VectorIndexOptions {
  readonly id: string
  /** Rows in the memory of the calling thread, after which they become a segment. */
  readonly tailRows: number
  readonly storage: (host: SegmentHost<Of>) => SegmentStorage<Of>
}

/** Staged rows at most; while they are sealed there is a copy of them, and the next ones are staged: three times as much. */
const maxSealBytes = 64 << 20

/**
 * Opens an index of a tail in memory, searched here and exactly, and immutable segments, which are written, joined and searched by a storage.
 *
 * It begins with the storage's snapshot; when that is missing, unsound or of other vectors it begins empty with epoch 0, and the
 * caller adds everything again. So it does, with a warning, when a segment turns out to be damaged later.
 */
export async function openIndexOfSegments<Of extends Segment>(
  options: IndexOfSegmentsOptions<Of>,
): Promise<VectorIndex> {
  checkDimensions(options.dimensions)
  const index = new IndexOfSegments(options)
  await index.open()
  return index
}

/** What a search sees. Replaced as a whole. */
interface State<Of extends Segment> {
  readonly epoch: number
  readonly tail: FlatView
  readonly segments: readonly SegmentView<Of>[]
}

class IndexOfSegments<Of extends Segment> implements VectorIndex {
  readonly id: string
  readonly dimensions: number
  readonly capabilities: { readonly exact: boolean }
  readonly #storage: SegmentStorage<Of>
  readonly #tailRows: number
  readonly #readOnly: boolean
  readonly #turns: NonNullable<VectorIndexOptions['turns']>
  readonly #improved: () => void
  readonly #warn: (problem: RagError) => void
  readonly #steps = new Steps()
  readonly #readers = new Readers()
  #state: State<Of>
  /** What the snapshot holds. */
  #saved: State<Of> | undefined
  /** The tail as it lies in the snapshot. */
  #savedTail: { readonly tail: FlatView; readonly view: SegmentView<Of> } | undefined
  #update: VectorUpdate | undefined
  #working: Promise<void> | undefined
  #sealing = false
  #persisting: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: IndexOfSegmentsOptions<Of>) {
    const { dimensions, id, improved = () => {}, readOnly = false, storage, tailRows } = options
    const { turns = createTurns(), warn = () => {} } = options
    this.id = id
    this.dimensions = dimensions
    this.#readOnly = readOnly
    this.#turns = turns
    this.#improved = improved
    this.#warn = warn
    this.#tailRows = Math.max(1, Math.min(tailRows, Math.floor(maxSealBytes / (dimensions * 4))))
    this.#state = this.#empty()
    this.#storage = storage({
      living: () => [...this.#state.segments, ...(this.#savedTail ? [this.#savedTail.view] : [])].map(segmentOf),
      exchange: (change) => this.#swap({ ...this.#state, segments: this.#state.segments.map(change) }),
      workSoon: () => this.#workSoon(),
      startAgain: (problem) => {
        this.#warn(asProblem(problem))
        this.#swap(this.#empty())
      },
      warn: (problem) => this.#warn(asProblem(problem)),
    })
    this.capabilities = { exact: this.#storage.exact }
  }

  get epoch(): number {
    return this.#state.epoch
  }

  stats(): VectorStats {
    const { segments, tail } = this.#state
    const held = ({ segment, removed }: SegmentView) => segment.numbers.byteLength + (removed?.byteLength ?? 0)
    return {
      vectors: segments.reduce((sum, { alive }) => sum + alive, tail.count),
      segments: segments.length + (tail.count === 0 ? 0 : 1),
      bytes:
        segments.reduce(
          (sum, view) => sum + held(view),
          tail.numbers.byteLength + tail.rows.byteLength + tail.table.bytes,
        ) + (segments.length === 0 ? 0 : this.#storage.bytes),
      building: this.#working !== undefined,
    }
  }

  /** Reads the snapshot. */
  async open(): Promise<void> {
    const snapshot = await this.#storage.read()
    if (snapshot === undefined) return
    try {
      this.#state = await this.#withTail(snapshot.epoch, snapshot.views)
    } catch (error) {
      return this.#warn(asProblem(error))
    }
    if (snapshot.isWhole) this.#saved = this.#state
    if (this.#state.segments.length > 0) {
      this.#storage.open(this.#state.segments).catch(() => {
        // The first search meets the same failure and tells it.
      })
    }
    this.#workSoon(() => this.#storage.verify())
  }

  update(): VectorUpdate {
    this.#assertOpen()
    if (this.#update !== undefined) throw updateIsOpen()
    this.#update = new Update<SegmentView<Of>>({
      dimensions: this.dimensions,
      sealRows: this.#tailRows,
      enqueue: (step, check) => this.#steps.run(() => step(this.#stretches(check))),
      seal: (view, stretches) => this.#seal(view, stretches),
      without: withoutNumbers,
      discard: (views) => this.#discard(views.map(segmentOf)),
      publish: (staged, epoch, stretches) => this.#publish(staged, epoch, stretches),
      ended: (update) => {
        if (this.#update === update) this.#update = undefined
      },
    })
    return this.#update
  }

  async search(vector: Float32Array, options: VectorSearchOptions): Promise<VectorMatch[]> {
    this.#assertOpen()
    checkQueries(vector, options.topK, this.dimensions, 1)
    return (await this.#search(vector, options))[0] as VectorMatch[]
  }

  async searchMany(vectors: Float32Array, options: VectorSearchOptions): Promise<VectorMatch[][]> {
    this.#assertOpen()
    checkQueries(vectors, options.topK, this.dimensions)
    return vectors.length === 0 ? [] : this.#search(vectors, options)
  }

  persist(): Promise<void> {
    // One after the other; the one before tells its own caller when it fails.
    this.#persisting = this.#persisting.catch(() => {}).then(() => this.#persistNow())
    return this.#persisting
  }

  async settled(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#update?.abort()
    await this.#storage.stop()
    await this.#working
    await this.#persisting.catch(() => {
      // Whoever called persist() was told.
    })
    this.#state = this.#empty()
    this.#savedTail = undefined
    await this.#storage.tidy()
  }

  async #search(
    vectors: Float32Array,
    { topK, allow, exact = false, signal }: VectorSearchOptions,
  ): Promise<VectorMatch[][]> {
    signal?.throwIfAborted()
    const { segments: views, tail } = this.#state
    // Copied, because the caller may use its array again while this search waits for its turn.
    const queries = vectors.slice()
    return this.#readers.while(async () => {
      const elsewhere =
        views.length === 0 || topK === 0
          ? undefined
          : this.#storage.search({ views, queries, topK, exact, allow }, signal)
      // The tail is searched meanwhile; a failure there is met where it is awaited.
      elsewhere?.catch(() => {})
      const stretches = this.#stretches(() => signal?.throwIfAborted())
      const found: VectorMatch[][] = []
      for (let start = 0; start < queries.length; start += this.dimensions) {
        await stretches.pause()
        found.push(await searchView(tail, queries.subarray(start, start + this.dimensions), { topK, allow }, stretches))
      }
      return elsewhere === undefined ? found : merged(found, await elsewhere, topK)
    })
  }

  /** Swaps the state: from one statement to the next every search sees everything staged, or nothing. */
  async #publish(
    { removed, sealed, view: added }: Staged<SegmentView<Of>>,
    epoch: number,
    stretches: Stretches,
  ): Promise<void> {
    const { table } = this.#state.tail
    const before = table.count
    try {
      const copied = await copyRows(added, table, stretches)
      const ranges = new Map<SegmentView<Of>, readonly (readonly [start: number, end: number])[]>()
      for (const view of sealed) {
        await stretches.pause()
        ranges.set(view, [...rangesOf(view.segment.numbers)])
      }
      const last = [...rangesOf(copied.numbers, copied.count)]
      const rangesOfSealed = (view: SegmentView<Of>) => ranges.get(view) ?? []
      let tail = withoutRanges(this.#state.tail, removed)
      for (const view of sealed) tail = withoutRanges(tail, rangesOfSealed(view))
      tail = withAll(tail, copied)
      if (!this.#sealing && isWorthCompacting(tail)) tail = await compacted(tail, this.#shape(), stretches)
      stretches.check()
      // From here on nothing is awaited: segments change in the background, too.
      const kept = this.#state.segments.map((view) => withoutNumbers(view, removed))
      const segments: SegmentView<Of>[] = []
      for (const view of [...kept, ...sealed]) {
        const later = sealed.slice(Math.max(0, sealed.indexOf(view) + 1)).map(rangesOfSealed)
        segments.push([...later, last].reduce((left, numbers) => withoutNumbers(left, numbers), view))
      }
      this.#swap({ epoch, tail, segments })
    } catch (error) {
      table.truncate(before)
      throw refusedMemory(error)
    }
    this.#workSoon()
  }

  /** Makes a segment of a view's rows. */
  async #seal(view: FlatView, stretches: Stretches): Promise<SegmentView<Of>> {
    const segment = await this.#storage.seal(await gathered(view, this.dimensions, stretches))
    return { segment, alive: view.count }
  }

  /** Begins what is to be done in the background, unless it is going on. */
  #workSoon(first: () => Promise<void> = async () => {}): void {
    if (this.#closed || this.#working !== undefined) return
    this.#working = first()
      .then(() => this.#work())
      .catch((error: unknown) => {
        // Nothing is lost but time: searches look at more rows, and the next publication tries again.
        if (!this.#closed) this.#warn(asProblem(error))
      })
      .finally(() => {
        this.#working = undefined
      })
  }

  async #work(): Promise<void> {
    while (!this.#closed) {
      if (this.#state.tail.count >= this.#tailRows) await this.#sealTail()
      else {
        const improvement = await this.#storage.improve(this.#state.segments)
        if (improvement === undefined) return
        await this.#storage.open([improvement.made])
        this.#replace(improvement)
        if (await this.#isWorthWriting(improvement)) this.#improved()
      }
    }
  }

  /** What took long, unless another process writes there as well: each would take the other's files for leftovers, graph after graph. */
  async #isWorthWriting({ made }: Improvement<Of>): Promise<boolean> {
    if (!this.#storage.isPrecious(made.segment)) return false
    const isOurs = (await this.#storage.isOurs?.()) ?? true
    return isOurs && !this.#closed
  }

  async #sealTail(): Promise<void> {
    this.#sealing = true
    try {
      const before = this.#state.tail
      const sealed = await this.#seal(before, this.#stretches())
      await this.#storage.open([sealed])
      await this.#steps.run(async () => {
        const stretches = this.#stretches()
        const { tail } = this.#state
        // Nobody makes a tail compact while it is sealed: another table is that of an index which began again.
        if (tail.table !== before.table) return this.#discard([sealed.segment])
        const { left, gone } = changesSince(before, tail)
        const rest = await compacted(left, this.#shape(), stretches)
        stretches.check()
        const { epoch, segments } = this.#state
        this.#swap({ epoch, tail: rest, segments: [...segments, withoutNumbers(sealed, gone)] })
      })
    } finally {
      this.#sealing = false
    }
  }

  /** Puts a segment in the place of those it was made of, less what was removed from them meanwhile. */
  #replace({ before, made }: Improvement<Of>): void {
    const { epoch, segments, tail } = this.#state
    const ids = new Set(before.map(({ segment }) => segment.id))
    let view = made
    for (const input of before) {
      const now = segments.find(({ segment }) => segment.id === input.segment.id)
      view = withoutNumbers(view, goneSince(input, now))
    }
    this.#swap({ epoch, tail, segments: [...segments.filter(({ segment }) => !ids.has(segment.id)), view] })
  }

  #swap(state: State<Of>): void {
    const before = this.#state
    this.#state = { ...state, segments: state.segments.filter(({ alive }) => alive > 0) }
    const kept = new Set(this.#state.segments.map(segmentOf))
    this.#discard([...before.segments, ...state.segments].map(segmentOf).filter((segment) => !kept.has(segment)))
  }

  /** Closes and deletes what is in no state any more, when nobody reads it. */
  #discard(segments: readonly Of[]): void {
    if (segments.length === 0 || this.#closed) return
    void this.#readers.left().then(async () => {
      await this.#persisting.catch(() => {})
      await this.#storage.discard(segments)
    })
  }

  async #persistNow(): Promise<void> {
    this.#assertOpen()
    if (!this.#storage.keepsSnapshots) return
    if (this.#readOnly) throw new RagError('READ_ONLY', 'The vector index was opened read-only.')
    const state = this.#state
    if (this.#saved === state || (this.#saved === undefined && state.epoch === 0)) return
    const views = [...state.segments]
    if (state.tail.count > 0) views.push(await this.#tailView(state.tail))
    await this.#storage.write({ epoch: state.epoch, views })
    this.#saved = state
  }

  /** The tail as a segment. */
  async #tailView(tail: FlatView): Promise<SegmentView<Of>> {
    if (this.#savedTail?.tail !== tail) this.#savedTail = { tail, view: await this.#seal(tail, this.#stretches()) }
    return this.#savedTail.view
  }

  /** Segments that are small enough, all together, go back into memory. */
  async #withTail(epoch: number, views: readonly SegmentView<Of>[]): Promise<State<Of>> {
    const segments: SegmentView<Of>[] = []
    const table = new RowTable(this.dimensions, true)
    const stretches = this.#stretches()
    let tail = emptyView(table)
    for (const view of views.toReversed()) {
      if (this.#storage.isPrecious(view.segment) || tail.count + view.alive >= this.#tailRows) segments.unshift(view)
      else {
        const rows = await this.#storage.rowsOf(view.segment)
        tail = withAll(tail, await appendRows(table, view, { rows, stretches }))
      }
    }
    return { epoch, tail, segments }
  }

  #shape() {
    return { dimensions: this.dimensions, accelerate: true }
  }

  #empty(): State<Of> {
    return { epoch: 0, tail: emptyView(new RowTable(this.dimensions, true)), segments: [] }
  }

  #stretches(check: () => void = () => {}): Stretches {
    return new Stretches(this.#turns, () => {
      this.#assertOpen()
      check()
    })
  }

  #assertOpen(): void {
    if (this.#closed) throw new RagError('CLOSED', 'The vector index was closed.')
  }
}

function segmentOf<Of extends Segment>({ segment }: SegmentView<Of>): Of {
  return segment
}

function asProblem(error: unknown): RagError {
  if (RagError.isInstance(error)) return error
  return new RagError('WORKER', 'Work on the vector index failed.', { cause: error })
}
