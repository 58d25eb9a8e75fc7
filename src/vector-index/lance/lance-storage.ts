import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RagError } from '../../core/errors.js'
import { asStorageError, sealJson, unsealJson } from '../../util/safe-files.js'
import { WorkerPool } from '../../util/worker-pool.js'
import {
  boundsOf,
  type Improvement,
  type NumberedVectors,
  type SegmentHost,
  type SegmentMatches,
  type SegmentStorage,
  type StorageSearch,
  type StoredSnapshot,
} from '../segments/storage.js'
import { type SegmentView, shared } from '../segments/view.js'
import type { VectorIndexOptions } from '../types.js'
import { chooseTables, type TableMerge, type TableSizes } from './choose.js'
import { newTableName } from './names.js'
import type {
  Database,
  IndexTableTask,
  ManifestTask,
  MergeTablesTask,
  SealTableTask,
  TableIndex,
  TableRef,
  TableSearch,
  TableSearchOptions,
  TableSegment,
} from './types.js'

/** What {@link createLanceStorage} is made with. */
export interface LanceStorageOptions
  extends Pick<VectorIndexOptions, 'dimensions' | 'fingerprint' | 'directory' | 'readOnly'> {
  /** Where the tables lie, when it is not the folder. */
  readonly remote: Database | undefined
  /** The index of a table of so many rows. */
  readonly indexFor: (rows: number) => TableIndex
  /** What all of its tables' indexes have in common: a table with another one gets a new one. */
  readonly indexName: string
  readonly searchOptions: TableSearchOptions
  readonly sizes: TableSizes
}

interface Manifest {
  readonly version: number
  readonly fingerprint: string
  readonly dimensions: number
  readonly epoch: number
  readonly tables: readonly {
    readonly table: string
    readonly count: number
    readonly index?: TableIndex
    readonly indexName?: string
    /** Base64 of the removed rows, bit by place. */
    readonly removed?: string
  }[]
}

const manifestTable = 'manifest'
const manifestVersion = 1
const searchIdleMs = 300_000

/**
 * Segments as tables of LanceDB, each written once and then given an index; all of it in worker threads. A list of the tables, replaced in one step,
 * is the snapshot: tables that were written and are not in it do not exist for the next process, and are deleted by it.
 */
export function createLanceStorage(
  options: LanceStorageOptions,
  host: SegmentHost<TableSegment>,
): SegmentStorage<TableSegment> {
  return new LanceStorage(options, host)
}

class LanceStorage implements SegmentStorage<TableSegment> {
  readonly exact = false
  readonly keepsSnapshots: boolean
  readonly #options: LanceStorageOptions
  readonly #host: SegmentHost<TableSegment>
  /** Where the snapshot is. */
  readonly #home: Database | undefined
  /**
   * The native part computes in threads of its own, which the first thread that loads it gives their priority: were that a low one, searches
   * would wait for everybody, too.
   */
  readonly #searchers = new WorkerPool({
    worker: 'lance',
    size: 1,
    depth: 8,
    priority: 'normal',
    idleMs: searchIdleMs,
    abortGraceMs: Number.POSITIVE_INFINITY,
  })
  readonly #builders = new WorkerPool({ worker: 'lance', size: 1, priority: 'normal' })
  #temporary: Promise<string> | undefined
  /** Tables of the snapshot. */
  #saved: ReadonlySet<string> = new Set()
  readonly #made = new Map<string, Database>()
  #nextId = 1
  #stopped = false

  constructor(options: LanceStorageOptions, host: SegmentHost<TableSegment>) {
    this.#options = options
    this.#host = host
    this.#home = options.remote ?? (options.directory === undefined ? undefined : { uri: options.directory })
    this.keepsSnapshots = this.#home !== undefined
  }

  /** Codes and neighbours of the indexes, which LanceDB keeps once they have been searched. */
  get bytes(): number {
    return this.#host.living().reduce((sum, { count, dimensions, index }) => {
      if (index === undefined) return sum
      return sum + count * (index.kind === 'hnsw-sq' ? dimensions + index.M * 6 : index.subVectors + 8)
    }, 0)
  }

  async read(): Promise<StoredSnapshot<TableSegment> | undefined> {
    const database = this.#home
    // To connect to a folder would make it.
    if (database === undefined || (this.#options.remote === undefined && !existsSync(database.uri))) return undefined
    try {
      const text = await this.#build<string | undefined>('read-manifest', { database, table: manifestTable })
      if (text === undefined) return undefined
      const manifest = this.#parse(text)
      const views: SegmentView<TableSegment>[] = []
      for (const { count, index, indexName, removed, table } of manifest.tables) {
        const numbers = await this.#build<Float64Array>('numbers', { database, table, count })
        const bits = removed === undefined ? undefined : shared((count + 7) >> 3)
        bits?.set(Buffer.from(removed ?? '', 'base64'))
        const isOurs = index !== undefined && indexName === this.#options.indexName
        views.push({
          segment: {
            id: this.#nextId++,
            count,
            dimensions: this.#options.dimensions,
            numbers,
            database,
            table,
            ...(isOurs ? { index } : {}),
          },
          ...(bits === undefined ? {} : { removed: bits }),
          alive: count - ones(bits),
        })
        this.#made.set(table, database)
      }
      this.#saved = new Set(manifest.tables.map(({ table }) => table))
      return { epoch: manifest.epoch, views, isWhole: true }
    } catch (error) {
      this.#host.warn(this.#asProblem(error))
      return undefined
    }
  }

  async write({ epoch, views }: Pick<StoredSnapshot<TableSegment>, 'epoch' | 'views'>): Promise<void> {
    const database = this.#home
    if (database === undefined) return
    const tables = new Set(views.map(({ segment }) => segment.table))
    const before = this.#saved
    // Nothing of either list may be deleted while one takes the place of the other.
    this.#saved = new Set([...before, ...tables])
    const { dimensions, fingerprint, indexName } = this.#options
    const manifest: Manifest = {
      version: manifestVersion,
      fingerprint,
      dimensions,
      epoch,
      tables: views.map(({ segment: { count, index, table }, removed }) => ({
        table,
        count,
        ...(index === undefined ? {} : { index, indexName }),
        ...(removed === undefined ? {} : { removed: Buffer.from(removed).toString('base64') }),
      })),
    }
    const text = sealJson(manifest).toString('utf8')
    const keep = [...this.#made.keys(), ...tables]
    try {
      await this.#folder()
      await this.#build<void>('write-manifest', { database, table: manifestTable, text, keep } satisfies ManifestTask)
    } catch (error) {
      throw this.#asProblem(error)
    }
    this.#saved = tables
    await this.#dropUnused([...before])
  }

  async verify(): Promise<void> {
    // LanceDB checks what it reads.
  }

  async seal({ numbers, rows }: NumberedVectors): Promise<TableSegment> {
    const { dimensions } = this.#options
    const database = await this.#folder()
    const table = this.#newTable(database)
    const task: SealTableTask = { database, table, dimensions, numbers, rows }
    await this.#build<void>('seal', task, [rows.buffer as ArrayBuffer])
    return { id: this.#nextId++, count: numbers.length, dimensions, numbers, database, table }
  }

  async rowsOf({ count, database, dimensions, table }: TableSegment): Promise<Float32Array> {
    return this.#build<Float32Array>('rows', { database, table, count, dimensions })
  }

  isPrecious({ index }: TableSegment): boolean {
    return index !== undefined
  }

  async improve(views: readonly SegmentView<TableSegment>[]): Promise<Improvement<TableSegment> | undefined> {
    const merge = chooseTables(views, this.#options.sizes)
    if (merge === undefined) return undefined
    return { before: merge.views, made: merge.indexOnly ? await this.#index(merge) : await this.#merge(merge) }
  }

  async open(views: readonly SegmentView<TableSegment>[]): Promise<void> {
    await this.#searchers.run({ type: 'open', payload: views.map(refOf) })
  }

  async search(
    { allow, exact, queries, topK, views }: StorageSearch<TableSegment>,
    signal: AbortSignal | undefined,
  ): Promise<SegmentMatches> {
    const payload: TableSearch = {
      tables: views.map(refOf),
      dimensions: this.#options.dimensions,
      queries,
      topK,
      exact,
      options: this.#options.searchOptions,
      ...(allow === undefined ? {} : { allow: boundsOf(allow) }),
    }
    try {
      return await this.#searchers.run<SegmentMatches>({ type: 'search', payload }, { signal })
    } catch (error) {
      if (this.#stopped || signal?.aborted === true || !isDamage(error)) throw this.#asProblem(error, signal)
      this.#host.startAgain(this.#asProblem(error))
      throw new RagError('INTEGRITY', 'A table of the vector index cannot be read; the index is filled again.', {
        cause: error,
        hint: 'Ask again.',
        retryable: true,
      })
    }
  }

  async discard(segments: readonly TableSegment[]): Promise<void> {
    const living = new Set(this.#host.living().map(({ id }) => id))
    const ids = segments.map(({ id }) => id).filter((id) => !living.has(id))
    // A pool that is being closed ends with what it holds.
    if (this.#searchers.threads > 0) await this.#searchers.run({ type: 'drop', payload: ids }).catch(() => {})
    await this.#dropUnused(segments.map(({ table }) => table))
  }

  async stop(): Promise<void> {
    // What no snapshot needs is dropped while there is a thread to do it.
    if (this.#temporary === undefined)
      await this.#dropAll([...this.#made.keys()].filter((name) => !this.#saved.has(name)))
    this.#stopped = true
    await Promise.all([this.#searchers.close(), this.#builders.close()])
  }

  async tidy(): Promise<void> {
    if (this.#temporary !== undefined) await rm(await this.#temporary, { recursive: true, force: true })
  }

  /** The same rows, with an index. */
  async #index({ views: [view] }: TableMerge): Promise<SegmentView<TableSegment>> {
    const { segment, ...rest } = view as SegmentView<TableSegment>
    const index = this.#options.indexFor(segment.count)
    const { database, table } = segment
    await this.#build<void>('index', { database, table, index } satisfies IndexTableTask)
    return { ...rest, segment: { ...segment, id: this.#nextId++, index } }
  }

  async #merge({ views, withIndex }: TableMerge): Promise<SegmentView<TableSegment>> {
    const { dimensions, indexFor } = this.#options
    const database = await this.#folder()
    const table = this.#newTable(database)
    const index = withIndex ? indexFor(views.reduce((sum, { alive }) => sum + alive, 0)) : undefined
    const task: MergeTablesTask = {
      database,
      table,
      dimensions,
      inputs: views.map(({ removed, segment: { database, numbers, table } }) => ({
        database,
        table,
        numbers,
        ...(removed === undefined ? {} : { removed }),
      })),
      ...(index === undefined ? {} : { index }),
    }
    const numbers = await this.#build<Float64Array>('merge', task)
    const count = numbers.length
    return {
      segment: { id: this.#nextId++, count, dimensions, numbers, database, table, ...(index ? { index } : {}) },
      alive: count,
    }
  }

  async #build<Result>(type: string, payload: unknown, transfer: readonly ArrayBuffer[] = []): Promise<Result> {
    return this.#builders.run<Result>({ type, payload, transfer })
  }

  #newTable(database: Database): string {
    const name = newTableName()
    this.#made.set(name, database)
    return name
  }

  /** Drops what neither searches nor the snapshot need. */
  async #dropUnused(tables: readonly string[]): Promise<void> {
    const living = new Set(this.#host.living().map(({ table }) => table))
    await this.#dropAll(tables.filter((table) => !living.has(table) && !this.#saved.has(table)))
  }

  async #dropAll(tables: readonly string[]): Promise<void> {
    for (const table of tables) {
      const database = this.#made.get(table)
      this.#made.delete(table)
      if (database === undefined) continue
      // It is in the way of nobody, and the next snapshot but one deletes it.
      await this.#build('drop-tables', { database, tables: [table] }).catch(() => {})
    }
  }

  /** Where tables of this process are made. */
  async #folder(): Promise<Database> {
    const { directory, readOnly, remote } = this.#options
    if (remote !== undefined && readOnly !== true) return remote
    try {
      if (directory === undefined || readOnly === true) {
        this.#temporary ??= mkdtemp(join(tmpdir(), 'ufrag-lance-'))
        return { uri: await this.#temporary }
      }
      await mkdir(directory, { recursive: true })
      return { uri: directory }
    } catch (error) {
      this.#temporary = undefined
      throw asStorageError(error, 'The folder of the vector index', directory ?? tmpdir())
    }
  }

  #parse(text: string): Manifest {
    const manifest = unsealJson(Buffer.from(text, 'utf8')) as Manifest
    const { dimensions, fingerprint } = this.#options
    if (manifest.version > manifestVersion) {
      throw new RagError('UNSUPPORTED_VERSION', 'The vector index was written by a newer version of this library.', {
        data: { found: manifest.version, supported: manifestVersion },
      })
    }
    if (manifest.fingerprint !== fingerprint || manifest.dimensions !== dimensions) {
      throw new RagError('FINGERPRINT', 'The vector index was written with other vectors.', {
        data: { found: manifest.fingerprint, expected: fingerprint },
      })
    }
    return manifest
  }

  /** An error of LanceDB as ours. Its text names places, never rows; of the options only the address is told. */
  #asProblem(error: unknown, signal?: AbortSignal): unknown {
    if (RagError.isInstance(error) || signal?.aborted === true) return error
    return new RagError('STORAGE', 'LanceDB could not read or write the vector index.', {
      cause: error,
      data: { uri: this.#home?.uri },
      hint: 'Check that the place exists and that this process may read and write it.',
      retryable: this.#options.remote !== undefined,
    })
  }
}

function refOf({ segment, removed, alive }: SegmentView<TableSegment>): TableRef {
  const { count, database, id, index, numbers, table } = segment
  return {
    id,
    database,
    table,
    count,
    numbers,
    alive,
    indexed: index !== undefined,
    ...(removed === undefined ? {} : { removed }),
  }
}

/** Tables or files of them that are gone or are not what they were: that comes again as long as they are what they are. */
function isDamage(error: unknown): boolean {
  if (RagError.isInstance(error, 'INTEGRITY')) return true
  return (
    error instanceof Error && /not found|no such file|corrupt|out of range|unexpected end|invalid/i.test(error.message)
  )
}

function ones(bits: Uint8Array | undefined): number {
  let count = 0
  for (const byte of bits ?? []) for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1
  return count
}
