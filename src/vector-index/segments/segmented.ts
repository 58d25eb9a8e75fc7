import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { RagError } from '../../core/errors.js'
import type { RangeSet } from '../../core/range-set.js'
import { Readers } from '../../util/readers.js'
import { asStorageError } from '../../util/safe-files.js'
import { TopK } from '../../util/top-k.js'
import { WorkerPool } from '../../util/worker-pool.js'
import { createTurns } from '../../util/yield.js'
import { checkDimensions, checkQueries, refusedMemory } from '../checks.js'
import {
  compacted,
  copyRows,
  emptyView,
  type FlatView,
  isWorthCompacting,
  type NumberedRows,
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
import type { MergeResult, MergeTask, SealTask } from './build.js'
import { chooseMerge, type Merge, type MergeSizes } from './choose.js'
import type { GraphOptions } from './graph.js'
import type { FileStamp } from './rows-file.js'
import type { SegmentMatches, SegmentSearch } from './search.js'
import { readNumbers, readRows, readSnapshot, type SnapshotOptions, writeSnapshot } from './snapshot.js'
import { goneSince, rangesOf, refOf, type Segment, type SegmentView, shared, withoutNumbers } from './view.js'

/** Options of {@link openSegmentedIndex}. */
export interface SegmentedIndexOptions extends VectorIndexOptions {
  readonly id: string
  /** Built over segments that are large enough; absent: every search looks at every row. */
  readonly graph?: GraphOptions
  readonly sizes?: Partial<SegmentSizes>
}

export interface SegmentSizes extends MergeSizes {
  /** Rows in the memory of the calling thread, after which they become a segment. */
  readonly tailRows: number
  /**
   * Rows of a scan that cost about as much as one candidate of a graph search: a graph is searched where that is less work than to look at every
   * allowed row.
   */
  readonly rowsPerCandidate: number
}

/**
 * Rows of 384 dimensions are looked at by the calling thread at 65 ns each, so 10,000 take it 0.7 ms (`bench/flat.ts`). From 20,000 rows on a graph is
 * several times faster than a scan: a candidate takes 5 µs. A graph of 262,144 rows takes 250 MB while it is built.
 */
const defaultSizes: SegmentSizes = { tailRows: 10_000, graphRows: 20_000, maxRows: 1 << 18, rowsPerCandidate: 80 }
/** Staged and sealed rows take no more memory than this at a time. */
const maxSealBytes = 64 << 20
const rowsPerLook = 64
/** An index nobody asks gives its thread back; the next question opens the segments again. */
const searchIdleMs = 300_000

/**
 * Opens an index of a tail in memory, searched here and exactly, and immutable segments in files, searched in a worker thread: by a graph where one is
 * built and less work, else by looking at every row. Both score with the full vectors. Segments are written, joined and given their graphs in another
 * thread. Without a `directory` (or with `readOnly`) the files lie in the system's folder for temporary ones and go with `close()`.
 *
 * With a `directory` it begins with the snapshot there; when that is missing, unsound or of other vectors it begins empty with epoch 0, and the
 * caller adds everything again. So it does, with a warning, when a file turns out to be damaged later.
 */
export async function openSegmentedIndex(options: SegmentedIndexOptions): Promise<VectorIndex> {
  checkDimensions(options.dimensions)
  const index = new SegmentedIndex(options)
  await index.open()
  return index
}

/** What a search sees. Replaced as a whole. */
interface State {
  readonly epoch: number
  readonly tail: FlatView
  readonly segments: readonly SegmentView[]
}

class SegmentedIndex implements VectorIndex {
  readonly id: string
  readonly dimensions: number
  readonly capabilities: { readonly exact: boolean }
  readonly #options: SegmentedIndexOptions
  readonly #sizes: SegmentSizes
  readonly #turns: NonNullable<VectorIndexOptions['turns']>
  readonly #warn: (problem: RagError) => void
  readonly #steps = new Steps()
  readonly #readers = new Readers()
  readonly #searchers = new WorkerPool({
    worker: 'vector',
    size: 1,
    depth: 8,
    priority: 'normal',
    idleMs: searchIdleMs,
    abortGraceMs: Number.POSITIVE_INFINITY,
  })
  readonly #builders = new WorkerPool({ worker: 'vector', size: 1 })
  #state: State
  #graph: GraphOptions | undefined
  #update: VectorUpdate | undefined
  /** The folder of files that no snapshot holds, when it is not the index's own. */
  #temporary: Promise<string> | undefined
  /** Snapshot on disk: what it holds, and its files. */
  #saved: { readonly state: State | undefined; readonly files: ReadonlySet<string> } = {
    state: undefined,
    files: new Set(),
  }
  /** The tail as it lies in a file. */
  #savedTail: { readonly tail: FlatView; readonly segment: SegmentView } | undefined
  readonly #files = new Set<string>()
  #working: Promise<void> | undefined
  #sealing = false
  #persisting: Promise<void> = Promise.resolve()
  #searcherBytes = 0
  #nextId = 1
  #closed = false

  constructor(options: SegmentedIndexOptions) {
    const { dimensions, graph, id, sizes, turns = createTurns(), warn = () => {} } = options
    this.id = id
    this.dimensions = dimensions
    this.capabilities = { exact: graph === undefined }
    this.#options = options
    this.#graph = graph
    this.#turns = turns
    this.#warn = warn
    const complete = { ...defaultSizes, ...sizes }
    const rowBytes = dimensions * 4
    this.#sizes = {
      ...complete,
      tailRows: Math.max(1, Math.min(complete.tailRows, Math.floor(maxSealBytes / rowBytes))),
    }
    this.#state = this.#empty()
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
        ) + (segments.length === 0 ? 0 : this.#searcherBytes),
    }
  }

  /** Reads the snapshot. */
  async open(): Promise<void> {
    const { directory } = this.#options
    if (directory === undefined) return
    const snapshot = await readSnapshot(this.#snapshotOptions(directory), {
      nextId: () => this.#nextId++,
      verify: (path, stamp) => this.#verify(path, stamp),
      warn: this.#warn,
    })
    if (snapshot === undefined) return
    for (const { segment } of snapshot.views) for (const path of pathsOf(segment)) this.#files.add(path)
    const views = snapshot.views.map((view) => this.#withUsableGraph(view))
    this.#saved = { state: undefined, files: new Set(this.#files) }
    try {
      this.#state = await this.#withTail(snapshot.epoch, views)
    } catch (error) {
      return this.#warn(asProblem(error))
    }
    if (views.every(({ segment }, i) => segment === snapshot.views[i]?.segment))
      this.#saved = { ...this.#saved, state: this.#state }
    this.#openSegments(this.#state.segments)
    this.#workSoon(() => this.#verifyAll(snapshot.unread))
  }

  update(): VectorUpdate {
    this.#assertOpen()
    if (this.#update !== undefined) throw updateIsOpen()
    this.#update = new Update<SegmentView>({
      dimensions: this.dimensions,
      sealRows: this.#sizes.tailRows,
      enqueue: (step, check) => this.#steps.run(() => step(this.#stretches(check))),
      seal: (view, stretches) => this.#seal(view, stretches),
      without: withoutNumbers,
      discard: (views) => this.#discard(views.map(({ segment }) => segment)),
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

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#update?.abort()
    await Promise.all([this.#searchers.close(), this.#builders.close()])
    await this.#working
    await this.#persisting.catch(() => {
      // Whoever called persist() was told.
    })
    this.#state = this.#empty()
    this.#savedTail = undefined
    for (const path of this.#files) if (!this.#saved.files.has(path)) await rm(path, { force: true })
    if (this.#temporary !== undefined) await rm(await this.#temporary, { recursive: true, force: true })
  }

  async #search(
    vectors: Float32Array,
    { topK, allow, exact = false, signal }: VectorSearchOptions,
  ): Promise<VectorMatch[][]> {
    signal?.throwIfAborted()
    const { segments, tail } = this.#state
    // Copied, because the caller may use its array again while this search waits for its turn.
    const queries = vectors.slice()
    return this.#readers.while(async () => {
      const elsewhere =
        segments.length === 0 || topK === 0
          ? undefined
          : this.#searchSegments(
              {
                segments: segments.map(refOf),
                queries,
                topK,
                exact,
                rowsPerCandidate: this.#sizes.rowsPerCandidate,
                ...(allow === undefined ? {} : { allow: bounds(allow) }),
              },
              signal,
            )
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

  async #searchSegments(search: SegmentSearch, signal: AbortSignal | undefined): Promise<SegmentMatches> {
    try {
      const found = await this.#searchers.run<SegmentMatches>({ type: 'search', payload: search }, { signal })
      this.#searcherBytes = found.bytes
      return found
    } catch (error) {
      if (this.#closed || signal?.aborted === true || !isDamage(error)) throw error
      if (search.segments.some(({ graph }) => graph !== undefined) && isOfGraph(error)) {
        this.#dropGraphs(error)
        return this.#searchSegments(
          { ...search, segments: search.segments.map(({ graph: _, ...bare }) => bare) },
          signal,
        )
      }
      this.#startAgain(error)
      throw new RagError('INTEGRITY', 'A file of the vector index cannot be read; the index is filled again.', {
        cause: error,
        hint: 'Ask again.',
        retryable: true,
      })
    }
  }

  /** Swaps the state: from one statement to the next every search sees everything staged, or nothing. */
  async #publish(
    { removed, sealed, view: added }: Staged<SegmentView>,
    epoch: number,
    stretches: Stretches,
  ): Promise<void> {
    const { table } = this.#state.tail
    const before = table.count
    try {
      const copied = await copyRows(added, table, stretches)
      let tail = withoutRanges(this.#state.tail, removed)
      for (const { segment } of sealed) tail = withoutRanges(tail, rangesOf(segment.numbers))
      tail = withAll(tail, copied)
      if (!this.#sealing && isWorthCompacting(tail)) tail = await compacted(tail, this.#shape(), stretches)
      stretches.check()
      // From here on nothing is awaited: segments change in the background, too.
      const kept = this.#state.segments.map((view) => withoutNumbers(view, removed))
      const segments: SegmentView[] = []
      for (const view of [...kept, ...sealed]) {
        const later = sealed.slice(Math.max(0, sealed.indexOf(view) + 1))
        segments.push(
          [...later.map(({ segment }) => segment), copied].reduce(
            (left, { numbers, count }) => withoutNumbers(left, rangesOf(numbers, count)),
            view,
          ),
        )
      }
      this.#swap({ epoch, tail, segments })
    } catch (error) {
      table.truncate(before)
      throw refusedMemory(error)
    }
    this.#workSoon()
  }

  /** Makes a segment of a view's rows. */
  async #seal(view: FlatView, stretches: Stretches): Promise<SegmentView> {
    const { count } = view
    const rows = new Float32Array(count * this.dimensions)
    for (let i = 0; i < count; i++) {
      const [block, start] = view.table.row(view.rows[i] as number)
      rows.set(block.subarray(start, start + this.dimensions), i * this.dimensions)
      if (i % rowsPerLook === 0) await stretches.pause()
    }
    const numbers = new Float64Array(shared(count * 8).buffer)
    numbers.set(view.numbers.subarray(0, count))
    const path = await this.#newFile('rows')
    const task: SealTask = { path, dimensions: this.dimensions, numbers, rows, sync: this.#temporary === undefined }
    const stamp = await this.#builders.run<FileStamp>({ type: 'seal', payload: task, transfer: [rows.buffer] })
    return {
      segment: { id: this.#nextId++, count, dimensions: this.dimensions, numbers, rows: { path, stamp } },
      alive: count,
    }
  }

  /** Begins what is to be done in the background, unless it is going on. */
  #workSoon(first: () => Promise<void> = async () => {}): void {
    if (this.#closed || this.#working !== undefined) return
    this.#working = first()
      .then(() => this.#work())
      .catch((error: unknown) => {
        // Nothing is lost but time: searches look at more rows, and the next publication tries again.
        if (!this.#closed) this.#warn(asProblem(error))
        if (RagError.isInstance(error, 'MISSING_PEER')) this.#graph = undefined
      })
      .finally(() => {
        this.#working = undefined
      })
  }

  async #work(): Promise<void> {
    for (;;) {
      if (this.#closed) return
      if (this.#state.tail.count >= this.#sizes.tailRows) await this.#sealTail()
      else {
        const merge = chooseMerge(this.#state.segments, { ...this.#sizes, hasGraphs: this.#graph !== undefined })
        if (merge === undefined) return
        await this.#merge(merge)
      }
    }
  }

  async #sealTail(): Promise<void> {
    this.#sealing = true
    try {
      const before = this.#state.tail
      const sealed = await this.#seal(before, this.#stretches())
      await this.#openInThread([sealed])
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

  async #merge({ views, withGraph, onBase }: Merge): Promise<void> {
    const [first] = views as readonly [SegmentView, ...SegmentView[]]
    const joins = views.length > 1 || first.removed !== undefined
    const path = joins ? await this.#newFile('rows') : undefined
    const graphPath = withGraph ? await this.#newFile('graph') : undefined
    const options = this.#graph
    const base = onBase ? first.segment.graph : undefined
    const task: MergeTask = {
      dimensions: this.dimensions,
      inputs: views.map(({ segment: { rows, count }, removed }) => ({
        path: rows.path,
        count,
        ...(removed === undefined ? {} : { removed }),
      })),
      sync: this.#temporary === undefined,
      ...(path === undefined ? {} : { path }),
      ...(graphPath === undefined || options === undefined
        ? {}
        : {
            graph: {
              path: graphPath,
              options,
              threads: availableParallelism(),
              ...(base === undefined ? {} : { base: { path: base.path, largest: base.largest } }),
            },
          }),
    }
    const result = await this.#builders.run<MergeResult>({ type: 'merge', payload: task })
    const { count, graph, rows } = result
    const segment: Segment = {
      id: joins ? this.#nextId++ : first.segment.id,
      count,
      dimensions: this.dimensions,
      numbers: path === undefined || rows === undefined ? first.segment.numbers : await readNumbers(path, count, rows),
      rows: path === undefined || rows === undefined ? first.segment.rows : { path, stamp: rows },
      ...(graph === undefined || graphPath === undefined || options === undefined
        ? {}
        : { graph: { path: graphPath, stamp: graph, options, largest: graph.largest } }),
    }
    const made = onBase ? withBits(segment, first) : { segment, alive: count }
    await this.#openInThread([made])
    this.#replace(views, made)
  }

  /** Puts a segment in the place of those it was made of, less what was removed from them meanwhile. */
  #replace(before: readonly SegmentView[], made: SegmentView): void {
    const { epoch, segments, tail } = this.#state
    const ids = new Set(before.map(({ segment }) => segment.id))
    let view = made
    for (const input of before) {
      const now = segments.find(({ segment }) => segment.id === input.segment.id)
      view = withoutNumbers(view, goneSince(input, now))
    }
    this.#swap({ epoch, tail, segments: [...segments.filter(({ segment }) => !ids.has(segment.id)), view] })
  }

  #swap(state: State): void {
    const before = this.#state
    this.#state = { ...state, segments: state.segments.filter(({ alive }) => alive > 0) }
    const kept = new Set(this.#state.segments.flatMap(({ segment }) => pathsOf(segment)))
    const dropped = before.segments
      .map(({ segment }) => segment)
      .filter((segment) => pathsOf(segment).some((path) => !kept.has(path)))
    const never = state.segments
      .map(({ segment }) => segment)
      .filter((segment) => !pathsOf(segment).every((path) => kept.has(path)))
    this.#discard([...dropped, ...never])
  }

  /** Closes and deletes what is in no state any more, when nobody reads it. */
  #discard(segments: readonly Segment[]): void {
    if (segments.length === 0 || this.#closed) return
    void this.#readers.left().then(async () => {
      const living = new Set(this.#state.segments.map(({ segment }) => segment.id))
      const ids = segments.map(({ id }) => id).filter((id) => !living.has(id))
      // A pool that is being closed ends with what it holds.
      if (this.#searchers.threads > 0) await this.#searchers.run({ type: 'drop', payload: ids }).catch(() => {})
      await this.#persisting.catch(() => {})
      await this.#removeFiles(segments.flatMap(pathsOf))
    })
  }

  async #removeFiles(paths: readonly string[]): Promise<void> {
    const living = new Set(this.#state.segments.flatMap(({ segment }) => pathsOf(segment)))
    if (this.#savedTail !== undefined) for (const path of pathsOf(this.#savedTail.segment.segment)) living.add(path)
    for (const path of paths) {
      if (living.has(path) || this.#saved.files.has(path)) continue
      this.#files.delete(path)
      // It is in the way of nobody, and the folder is tidied by the next snapshot.
      await rm(path, { force: true }).catch(() => {})
    }
  }

  async #persistNow(): Promise<void> {
    const { directory, readOnly } = this.#options
    this.#assertOpen()
    if (directory === undefined) return
    if (readOnly === true) throw new RagError('READ_ONLY', 'The vector index was opened read-only.')
    const state = this.#state
    if (this.#saved.state === state || (this.#saved.state === undefined && state.epoch === 0)) return
    const views = [...state.segments]
    if (state.tail.count > 0) views.push(await this.#tailSegment(state.tail))
    const files = new Set(views.flatMap(({ segment }) => pathsOf(segment)))
    const before = this.#saved.files
    // Nothing of either list may be deleted while one takes the place of the other.
    this.#saved = { state: this.#saved.state, files: new Set([...before, ...files]) }
    await writeSnapshot(
      this.#snapshotOptions(directory),
      { epoch: state.epoch, views },
      new Set([...this.#files, ...files]),
    )
    this.#saved = { state, files }
    await this.#removeFiles([...before])
  }

  /** The tail in a file. */
  async #tailSegment(tail: FlatView): Promise<SegmentView> {
    if (this.#savedTail?.tail !== tail) {
      this.#savedTail = { tail, segment: await this.#seal(tail, this.#stretches()) }
    }
    return this.#savedTail.segment
  }

  /** Segments without a graph that are small enough, all together, go back into memory. */
  async #withTail(epoch: number, views: readonly SegmentView[]): Promise<State> {
    const segments: SegmentView[] = []
    const table = new RowTable(this.dimensions, true)
    const stretches = this.#stretches()
    let tail = emptyView(table)
    for (const view of views.toReversed()) {
      if (view.segment.graph !== undefined || tail.count + view.alive >= this.#sizes.tailRows) segments.unshift(view)
      else tail = withAll(tail, await readInto(table, view, stretches))
    }
    return { epoch, tail, segments }
  }

  /** The view without a graph that is not the one this index would build. */
  #withUsableGraph(view: SegmentView): SegmentView {
    const { graph, ...bare } = view.segment
    if (graph === undefined || isSameGraph(graph.options, this.#graph)) return view
    return { ...view, segment: bare }
  }

  async #verify(path: string, stamp: FileStamp): Promise<boolean> {
    // A file that cannot be read is not sound.
    return this.#builders.run<boolean>({ type: 'verify', payload: { path, stamp } }).catch(() => false)
  }

  /** Reads files that only look sound so far. A damaged graph is built again; rows can only come from the store. */
  async #verifyAll(
    files: readonly { readonly id: number; readonly path: string; readonly stamp: FileStamp }[],
  ): Promise<void> {
    for (const { id, path, stamp } of files) {
      const view = this.#state.segments.find(({ segment }) => segment.id === id && pathsOf(segment).includes(path))
      if (view === undefined || this.#closed) continue
      if ((await this.#verify(path, stamp)) || this.#closed) continue
      const problem = new RagError('INTEGRITY', 'A file of the vector index is damaged.', {
        data: { file: stamp.name },
      })
      if (path === view.segment.rows.path) return this.#startAgain(problem)
      this.#warn(problem)
      const { epoch, segments, tail } = this.#state
      this.#swap({
        epoch,
        tail,
        segments: segments.map((now) => (now.segment === view.segment ? this.#withoutGraph(now) : now)),
      })
    }
  }

  /** Goes on without graphs that cannot be opened; where they can be built, they are. */
  #dropGraphs(problem: unknown): void {
    this.#warn(asProblem(problem))
    if (RagError.isInstance(problem, 'MISSING_PEER')) this.#graph = undefined
    const { epoch, segments, tail } = this.#state
    this.#swap({ epoch, tail, segments: segments.map((view) => this.#withoutGraph(view)) })
    this.#workSoon()
  }

  #withoutGraph(view: SegmentView): SegmentView {
    const { graph: _, ...segment } = view.segment
    return { ...view, segment: { ...segment, id: this.#nextId++ } }
  }

  /** Forgets everything: at epoch 0 the caller adds everything again. */
  #startAgain(problem: unknown): void {
    this.#warn(asProblem(problem))
    this.#swap(this.#empty())
  }

  #openSegments(views: readonly SegmentView[]): void {
    if (views.length === 0) return
    this.#openInThread(views).catch(() => {
      // The first search meets the same failure and tells it.
    })
  }

  async #openInThread(views: readonly SegmentView[]): Promise<void> {
    this.#searcherBytes = await this.#searchers.run<number>({ type: 'open', payload: views.map(refOf) })
  }

  async #newFile(kind: 'rows' | 'graph'): Promise<string> {
    const path = join(await this.#folder(), `${kind}-${randomUUID()}`)
    this.#files.add(path)
    return path
  }

  async #folder(): Promise<string> {
    const { directory, readOnly } = this.#options
    try {
      if (directory === undefined || readOnly === true) {
        this.#temporary ??= mkdtemp(join(tmpdir(), 'ufrag-vectors-'))
        return await this.#temporary
      }
      await mkdir(directory, { recursive: true })
      return directory
    } catch (error) {
      this.#temporary = undefined
      throw asStorageError(error, 'The folder of the vector index', directory ?? tmpdir())
    }
  }

  #snapshotOptions(directory: string): SnapshotOptions {
    return { directory, fingerprint: this.#options.fingerprint, dimensions: this.dimensions }
  }

  #shape() {
    return { dimensions: this.dimensions, accelerate: true }
  }

  #empty(): State {
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

function pathsOf({ rows, graph }: Segment): string[] {
  return graph === undefined ? [rows.path] : [rows.path, graph.path]
}

/** Start and end of ranges, one after the other. */
function bounds({ starts, ends }: RangeSet): Float64Array {
  const flat = new Float64Array(starts.length * 2)
  for (let i = 0; i < starts.length; i++) {
    flat[2 * i] = starts[i] as number
    flat[2 * i + 1] = ends[i] as number
  }
  return flat
}

/** Joins what the tail has found with what the segments have; no number is in both. */
function merged(
  here: readonly (readonly VectorMatch[])[],
  { numbers, scores, counts }: SegmentMatches,
  topK: number,
): VectorMatch[][] {
  let place = 0
  return here.map((matches, query) => {
    const end = place + (counts[query] as number)
    const best = new TopK(topK)
    for (; place < end; place++) best.push(scores[place] as number, numbers[place] as number)
    for (const { number, score } of matches) best.push(score, number)
    return best.drain()
  })
}

/** What of a later view of the same table is not in an earlier one, and which numbers of the earlier one are gone or have another row. */
function changesSince(before: FlatView, now: FlatView): { left: FlatView; gone: [number, number][] } {
  const gone: [number, number][] = []
  const numbers = new Float64Array(now.count)
  const rows = new Uint32Array(now.count)
  let count = 0
  let place = 0
  for (let i = 0; i < before.count; i++) {
    const number = before.numbers[i] as number
    for (; place < now.count && (now.numbers[place] as number) < number; place++) keep()
    if (now.numbers[place] === number && place < now.count && now.rows[place] === before.rows[i]) place++
    else gone.push([number, number + 1])
  }
  for (; place < now.count; place++) keep()
  return { left: { numbers, rows, count, table: now.table }, gone }

  function keep(): void {
    numbers[count] = now.numbers[place] as number
    rows[count++] = now.rows[place] as number
  }
}

/** A segment whose first rows are those of another, removed ones included. */
function withBits(segment: Segment, { removed, segment: first, alive }: SegmentView): SegmentView {
  const added = segment.count - first.count
  if (removed === undefined) return { segment, alive: segment.count }
  const bits = shared(Math.ceil(segment.count / 8))
  bits.set(removed)
  return { segment, removed: bits, alive: alive + added }
}

/** Appends the rows of a segment to a table. */
async function readInto(
  table: RowTable,
  { segment, removed }: SegmentView,
  stretches: Stretches,
): Promise<NumberedRows> {
  const { count, dimensions, numbers, rows } = segment
  const vectors = await readRows(rows.path, count, dimensions)
  const kept: number[] = []
  const first = table.count
  for (let place = 0; place < count; place++) {
    if (removed !== undefined && (((removed[place >> 3] as number) >> (place & 7)) & 1) === 1) continue
    table.append(vectors, place * dimensions)
    kept.push(numbers[place] as number)
    if (place % rowsPerLook === 0) await stretches.pause()
  }
  return {
    numbers: Float64Array.from(kept),
    rows: Uint32Array.from(kept, (_, i) => first + i),
    count: kept.length,
  }
}

function isSameGraph(one: GraphOptions, other: GraphOptions | undefined): boolean {
  return (
    other !== undefined &&
    one.engine === other.engine &&
    one.quantization === other.quantization &&
    one.connectivity === other.connectivity &&
    one.expansionAdd === other.expansionAdd
  )
}

/** A failure that comes again as long as the files are what they are. */
function isDamage(error: unknown): boolean {
  if (RagError.isInstance(error, 'INTEGRITY') || RagError.isInstance(error, 'MISSING_PEER')) return true
  return error instanceof Error && error.message.startsWith('ENOENT')
}

function isOfGraph(error: unknown): boolean {
  return RagError.isInstance(error, 'MISSING_PEER') || (RagError.isInstance(error) && error.data.graph !== undefined)
}

function asProblem(error: unknown): RagError {
  if (RagError.isInstance(error)) return error
  return new RagError('WORKER', 'Work on the vector index failed.', { cause: error })
}
