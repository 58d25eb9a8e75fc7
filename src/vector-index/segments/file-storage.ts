import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { RagError } from '../../core/errors.js'
import { asStorageError } from '../../util/safe-files.js'
import { WorkerPool } from '../../util/worker-pool.js'
import type { VectorIndexOptions } from '../types.js'
import type { MergeResult, MergeTask, SealTask } from './build.js'
import { chooseMerge, type Merge, type MergeSizes } from './choose.js'
import { type FileSegment, pathsOf, refOf } from './files.js'
import type { GraphOptions } from './graph.js'
import type { FileStamp } from './rows-file.js'
import type { SegmentSearch } from './search.js'
import {
  readNumbers,
  readRows,
  readSnapshot,
  type Snapshot,
  type SnapshotOptions,
  versionOf,
  writeSnapshot,
} from './snapshot.js'
import {
  boundsOf,
  type Improvement,
  type NumberedVectors,
  type SegmentHost,
  type SegmentMatches,
  type SegmentStorage,
  type StorageSearch,
  type StoredSnapshot,
} from './storage.js'
import { type SegmentView, shared } from './view.js'

/** What {@link createFileStorage} is made with. */
export interface FileStorageOptions
  extends Pick<VectorIndexOptions, 'dimensions' | 'fingerprint' | 'directory' | 'readOnly'> {
  /** Built over segments that are large enough; absent: every search looks at every row. */
  readonly graph: GraphOptions | undefined
  readonly sizes: MergeSizes & {
    /**
     * Rows of a scan that cost about as much as one candidate of a graph search: a graph is searched where that is less work than to look at every
     * allowed row.
     */
    readonly rowsPerCandidate: number
  }
}

/** An index nobody asks gives its thread back; the next question opens the segments again. */
const searchIdleMs = 300_000
/** A thread holds some 10 MB, and is there again in a few hundredths of a second. */
const buildIdleMs = 2_000

/**
 * Segments in files of a folder: searched in a worker thread, by a graph where one is built and less work, else by looking at every row. They are
 * written, joined and given their graphs in others. Without a folder (or with `readOnly`) the files lie in the system's folder for temporary ones.
 */
export function createFileStorage(
  options: FileStorageOptions,
  host: SegmentHost<FileSegment>,
): SegmentStorage<FileSegment> {
  return new FileStorage(options, host)
}

class FileStorage implements SegmentStorage<FileSegment> {
  readonly exact: boolean
  readonly keepsSnapshots: boolean
  readonly #options: FileStorageOptions
  readonly #host: SegmentHost<FileSegment>
  readonly #searchers = new WorkerPool({
    worker: 'vector',
    size: 1,
    depth: 8,
    priority: 'normal',
    idleMs: searchIdleMs,
    abortGraceMs: Number.POSITIVE_INFINITY,
  })
  /** One for what takes minutes, a graph, and one for who waits meanwhile for rows that are to be written. */
  readonly #builders = new WorkerPool({ worker: 'vector', size: 2, idleMs: buildIdleMs })
  #graph: GraphOptions | undefined
  /** The folder of files that no snapshot holds, when it is not the index's own. */
  #temporary: Promise<string> | undefined
  readonly #files = new Set<string>()
  /** Files of the snapshot on disk. */
  #saved: ReadonlySet<string> = new Set()
  /** Of the snapshot on disk, when it was last read or written. */
  #version: string | undefined
  #unread: Snapshot['unread'] = []
  #bytes = 0
  #nextId = 1
  #stopped = false

  constructor(options: FileStorageOptions, host: SegmentHost<FileSegment>) {
    this.#options = options
    this.#host = host
    this.#graph = options.graph
    this.exact = options.graph === undefined
    this.keepsSnapshots = options.directory !== undefined
  }

  get bytes(): number {
    return this.#bytes
  }

  async read(): Promise<StoredSnapshot<FileSegment> | undefined> {
    const { directory } = this.#options
    if (directory === undefined) return undefined
    this.#version = await versionOf(directory)
    const snapshot = await readSnapshot(this.#snapshotOptions(directory), {
      nextId: () => this.#nextId++,
      verify: async (path, stamp) => (await this.#isSound(path, stamp)) === true,
      warn: (problem) => this.#host.warn(problem),
    })
    if (snapshot === undefined) return undefined
    for (const { segment } of snapshot.views) for (const path of pathsOf(segment)) this.#files.add(path)
    this.#saved = new Set(this.#files)
    this.#unread = snapshot.unread
    const views = snapshot.views.map((view) => this.#withUsableGraph(view))
    return { epoch: snapshot.epoch, views, isWhole: views.every((view, i) => view === snapshot.views[i]) }
  }

  async write(snapshot: Pick<StoredSnapshot<FileSegment>, 'epoch' | 'views'>): Promise<void> {
    const { directory } = this.#options
    if (directory === undefined) return
    const files = new Set(snapshot.views.flatMap(({ segment }) => pathsOf(segment)))
    const before = this.#saved
    // Nothing of either list may be deleted while one takes the place of the other.
    this.#saved = new Set([...before, ...files])
    await writeSnapshot(this.#snapshotOptions(directory), snapshot, new Set([...this.#files, ...files]))
    this.#version = await versionOf(directory)
    this.#saved = files
    await this.#removeFiles([...before])
  }

  /** Reads files that only look sound so far. A damaged graph is built again; rows can only come from the store. */
  async verify(): Promise<void> {
    for (const { id, path, stamp } of this.#unread) {
      const find = () => this.#host.living().find((living) => living.id === id && pathsOf(living).includes(path))
      if (find() === undefined || this.#stopped) continue
      if ((await this.#isSound(path, stamp)) !== false || this.#stopped) continue
      const segment = find()
      // It was replaced meanwhile, and its files were deleted before they could be read.
      if (segment === undefined) continue
      const problem = new RagError('INTEGRITY', 'A file of the vector index is damaged.', {
        data: { file: stamp.name },
      })
      if (path === segment.rows.path) return this.#host.startAgain(problem)
      this.#host.warn(problem)
      this.#host.exchange((view) => (view.segment === segment ? this.#withoutGraph(view) : view))
    }
  }

  async seal({ numbers, rows }: NumberedVectors): Promise<FileSegment> {
    const { dimensions } = this.#options
    const path = await this.#newFile('rows')
    const task: SealTask = { path, dimensions, numbers, rows, sync: this.#temporary === undefined }
    const stamp = await this.#builders.run<FileStamp>({
      type: 'seal',
      payload: task,
      transfer: [rows.buffer as ArrayBuffer],
    })
    return { id: this.#nextId++, count: numbers.length, dimensions, numbers, rows: { path, stamp } }
  }

  rowsOf({ rows, count, dimensions }: FileSegment): Promise<Float32Array> {
    return readRows(rows.path, count, dimensions)
  }

  isPrecious({ graph }: FileSegment): boolean {
    return graph !== undefined
  }

  async isOurs(): Promise<boolean> {
    const { directory } = this.#options
    return directory === undefined || (await versionOf(directory)) === this.#version
  }

  async improve(views: readonly SegmentView<FileSegment>[]): Promise<Improvement<FileSegment> | undefined> {
    const merge = chooseMerge(views, { ...this.#options.sizes, hasGraphs: this.#graph !== undefined })
    if (merge === undefined) return undefined
    try {
      return await this.#merge(merge)
    } catch (error) {
      if (RagError.isInstance(error, 'MISSING_PEER')) this.#graph = undefined
      throw error
    }
  }

  async open(views: readonly SegmentView<FileSegment>[]): Promise<void> {
    this.#bytes = await this.#searchers.run<number>({ type: 'open', payload: views.map(refOf) })
  }

  async search(
    { views, queries, topK, allow, exact }: StorageSearch<FileSegment>,
    signal: AbortSignal | undefined,
  ): Promise<SegmentMatches> {
    const payload: SegmentSearch = {
      segments: views.map(refOf),
      queries,
      topK,
      exact,
      rowsPerCandidate: this.#options.sizes.rowsPerCandidate,
      ...(allow === undefined ? {} : { allow: boundsOf(allow) }),
    }
    return this.#search(payload, signal)
  }

  async discard(segments: readonly FileSegment[]): Promise<void> {
    const living = new Set(this.#host.living().map(({ id }) => id))
    const ids = segments.map(({ id }) => id).filter((id) => !living.has(id))
    // A pool that is being closed ends with what it holds.
    if (this.#searchers.threads > 0) await this.#searchers.run({ type: 'drop', payload: ids }).catch(() => {})
    await this.#removeFiles(segments.flatMap(pathsOf))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([this.#searchers.close(), this.#builders.close()])
  }

  async tidy(): Promise<void> {
    for (const path of this.#files) if (!this.#saved.has(path)) await rm(path, { force: true })
    if (this.#temporary !== undefined) await rm(await this.#temporary, { recursive: true, force: true })
  }

  async #search(search: SegmentSearch, signal: AbortSignal | undefined): Promise<SegmentMatches> {
    try {
      const found = await this.#searchers.run<SegmentMatches>({ type: 'search', payload: search }, { signal })
      this.#bytes = found.bytes
      return found
    } catch (error) {
      if (this.#stopped || signal?.aborted === true || !isDamage(error)) throw error
      if (search.segments.some(({ graph }) => graph !== undefined) && isOfGraph(error)) {
        this.#dropGraphs(error)
        return this.#search({ ...search, segments: search.segments.map(({ graph: _, ...bare }) => bare) }, signal)
      }
      this.#host.startAgain(error)
      throw new RagError('INTEGRITY', 'A file of the vector index cannot be read; the index is filled again.', {
        cause: error,
        hint: 'Ask again.',
        retryable: true,
      })
    }
  }

  async #merge({ views, withGraph, onBase }: Merge): Promise<Improvement<FileSegment>> {
    const [first] = views as readonly [SegmentView<FileSegment>, ...SegmentView<FileSegment>[]]
    const { dimensions } = this.#options
    const joins = views.length > 1 || first.removed !== undefined
    const path = joins ? await this.#newFile('rows') : undefined
    const graphPath = withGraph ? await this.#newFile('graph') : undefined
    const options = this.#graph
    const base = onBase ? first.segment.graph : undefined
    const task: MergeTask = {
      dimensions,
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
    const segment: FileSegment = {
      id: joins ? this.#nextId++ : first.segment.id,
      count,
      dimensions,
      numbers: path === undefined || rows === undefined ? first.segment.numbers : await readNumbers(path, count, rows),
      rows: path === undefined || rows === undefined ? first.segment.rows : { path, stamp: rows },
      ...(graph === undefined || graphPath === undefined || options === undefined
        ? {}
        : { graph: { path: graphPath, stamp: graph, options, largest: graph.largest } }),
    }
    return { before: views, made: onBase ? withBits(segment, first) : { segment, alive: count } }
  }

  async #removeFiles(paths: readonly string[]): Promise<void> {
    const living = new Set(this.#host.living().flatMap(pathsOf))
    for (const path of paths) {
      if (living.has(path) || this.#saved.has(path)) continue
      this.#files.delete(path)
      // It is in the way of nobody, and the folder is tidied by the next snapshot.
      await rm(path, { force: true }).catch(() => {})
    }
  }

  /** `undefined` where the thread could not look: that says nothing of the file. */
  async #isSound(path: string, stamp: FileStamp): Promise<boolean | undefined> {
    return this.#builders.run<boolean>({ type: 'verify', payload: { path, stamp } }).catch(() => undefined)
  }

  /** The view without a graph that is not the one this index would build. */
  #withUsableGraph(view: SegmentView<FileSegment>): SegmentView<FileSegment> {
    const { graph, ...bare } = view.segment
    if (graph === undefined || isSameGraph(graph.options, this.#graph)) return view
    return { ...view, segment: bare }
  }

  /** Goes on without graphs that cannot be opened; where they can be built, they are. */
  #dropGraphs(problem: unknown): void {
    this.#host.warn(problem)
    if (RagError.isInstance(problem, 'MISSING_PEER')) this.#graph = undefined
    this.#host.exchange((view) => this.#withoutGraph(view))
    this.#host.workSoon()
  }

  #withoutGraph(view: SegmentView<FileSegment>): SegmentView<FileSegment> {
    const { graph: _, ...segment } = view.segment
    return { ...view, segment: { ...segment, id: this.#nextId++ } }
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
    const { dimensions, fingerprint } = this.#options
    return { directory, fingerprint, dimensions }
  }
}

/** A segment whose first rows are those of another, removed ones included. */
function withBits(
  segment: FileSegment,
  { removed, segment: first, alive }: SegmentView<FileSegment>,
): SegmentView<FileSegment> {
  const added = segment.count - first.count
  if (removed === undefined) return { segment, alive: segment.count }
  const bits = shared(Math.ceil(segment.count / 8))
  bits.set(removed)
  return { segment, removed: bits, alive: alive + added }
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
