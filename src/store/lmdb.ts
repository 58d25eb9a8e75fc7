import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { resolve } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Chunk } from '../core/chunk.js'
import { RagError } from '../core/errors.js'
import type { Logger } from '../core/lifecycle.js'
import type { Piece } from '../core/piece.js'
import { type Environment, getBytes, openEnvironment, storageError, transact } from '../lmdb/environment.js'
import { completeFile } from '../lmdb/file-length.js'
import { noVectors, PieceDirectory } from './directory.js'
import { LmdbDocumentWriter } from './lmdb-document-writer.js'
import { createStore, noStore, storeId } from './lmdb-format.js'
import { type KeyRange, keys, type NamespaceRow, rows, type StoredVersion } from './lmdb-layout.js'
import { WriterThread } from './lmdb-writer.js'
import { acquireMaintenanceLock } from './maintenance-lock.js'
import { chunkOf, damaged, RecentlyRead, readPiece, textWithin, versionGone } from './pieces.js'
import type {
  Changes,
  DocumentRecord,
  DocumentWriter,
  FailedDocument,
  FileStamp,
  Store,
  StoreCapabilities,
  StoreNamespace,
} from './types.js'
import { idBytes, maxIdBytes, storeClosed } from './validate.js'

/** Options of {@link openLmdbStore}. */
export interface LmdbStoreOptions {
  /** Folder of the store; made when it is missing, unless `readOnly`. On a local disk: LMDB does not work over a network. */
  readonly directory: string
  /** Never writes, and fails when there is no store. Default `false`. */
  readonly readOnly?: boolean
  /** Told about what nobody waits for, such as old versions that cannot be deleted yet. Silent by default. */
  readonly logger?: Logger
  /**
   * Bytes of address space reserved for the store, not memory or disk. Default 64 GiB, and at most a quarter of what `ulimit -v`
   * leaves. The store may outgrow it, at the price of mapping it again.
   */
  readonly mapSize?: number
  /** Milliseconds that a replaced or removed version stays readable for those who hold its record. Default 60,000. */
  readonly retireMs?: number
}

const defaultMapSize = 64 * 2 ** 30
const defaultRetireMs = 60_000
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/**
 * Opens, or makes, a store in a folder: an LMDB environment that several processes of one machine may read and write at once.
 * Reads happen in the calling thread and see the latest commit of any process; writes happen in a thread of their own, so that
 * flushes do not hold up the event loop.
 *
 * Rejects with `STORAGE` or `READ_ONLY` when the folder cannot be used, `STORAGE_FULL`, `CORRUPT`, or `UNSUPPORTED_VERSION` for a
 * store of a newer version of this library, which is left as it is.
 */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<Store> {
  const {
    readOnly = false,
    logger = silent,
    mapSize = process.platform === 'win32' ? 2 ** 30 : defaultMapSize,
    retireMs = defaultRetireMs,
  } = options
  const directory = resolve(options.directory)
  if (!readOnly) makeDirectory(directory)

  const environment = await openEnvironment({ directory, mapSize, readOnly })
  try {
    if (!readOnly) prepare(environment, directory)
    const id = storeId(environment, directory)
    if (id === undefined) throw noStore(directory)
    const thread = readOnly ? undefined : new WriterThread({ directory, mapSize, retireMs, logger })
    if (hasLeftovers(environment)) thread?.start()
    return new LmdbStore({ environment, thread, directory, id })
  } catch (error) {
    await environment.close()
    throw storageError(error, directory)
  }
}

/** Makes the store if there is none. The one write of this thread: a single small row, once in a store's life. */
function prepare(environment: Environment, directory: string): void {
  completeFile(environment, directory)
  if (storeId(environment, directory) !== undefined) return
  transact(environment, () => createStore(environment, directory))
  flushDirectory(directory)
}

/** Otherwise a power cut could take the new file out of its folder, with all that was flushed into it. */
function flushDirectory(directory: string): void {
  // Windows cannot open a folder, and does not need to.
  if (process.platform === 'win32') return
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Whether something is waiting to be deleted, or was being written when its process died. */
function hasLeftovers(environment: Environment): boolean {
  return [keys.journals(), keys.retirements()].some((range) => environment.getKeysCount({ ...range, limit: 1 }) > 0)
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true })
  } catch (error) {
    throw storageError(error, directory)
  }
}

interface LmdbStoreParts {
  readonly environment: Environment
  readonly thread: WriterThread | undefined
  readonly directory: string
  readonly id: string
}

class LmdbStore implements Store {
  readonly id: string
  readonly directory: string
  readonly capabilities: StoreCapabilities
  readonly #reader: Reader
  readonly #thread: WriterThread | undefined
  readonly #locks = new Set<() => Promise<void>>()
  #closing: Promise<void> | undefined

  constructor({ environment, thread, directory, id }: LmdbStoreParts) {
    this.id = id
    this.directory = directory
    this.capabilities = { persistent: true, shared: true, readOnly: thread === undefined }
    this.#reader = new Reader(environment, directory)
    this.#thread = thread
  }

  namespace(name: string): StoreNamespace {
    return new LmdbNamespace(name, this.#reader, () => this.#writable())
  }

  namespaces(): string[] {
    const found = this.#reader.entries(keys.namespaces())
    return found.flatMap(({ key, value }) => (rows.namespace(value).epoch > 0 ? [keys.nameIn(key)] : [])).sort()
  }

  async acquireMaintenance(): Promise<(() => Promise<void>) | undefined> {
    this.#reader.requireOpen()
    if (this.#thread === undefined) return undefined
    try {
      const release = await acquireMaintenanceLock(this.directory)
      if (release === undefined) return undefined
      this.#locks.add(release)
      return async () => {
        if (this.#locks.delete(release)) await release()
      }
    } catch (error) {
      throw storageError(error, this.directory)
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#reader.refuse()
    await this.#thread?.close()
    for (const release of this.#locks) await release()
    this.#locks.clear()
    await this.#reader.close()
  }

  #writable(): WriterThread {
    this.#reader.requireOpen()
    if (this.#thread !== undefined) return this.#thread
    throw new RagError('READ_ONLY', 'The store was opened read-only.', {
      data: { directory: this.directory },
      hint: 'Open it without `readOnly`.',
    })
  }
}

/** Bytes of tables of contents, and of pieces before they were decoded, that are kept at hand. */
const maxDirectoryBytes = 4 << 20
const maxPieceBytes = 4 << 20

/** Reads of the latest commit. Errors of the library become `RagError`s here. */
class Reader {
  readonly #environment: Environment
  readonly #directory: string
  readonly #directories = new RecentlyRead<PieceDirectory>(maxDirectoryBytes)
  readonly #pieces = new RecentlyRead<Piece>(maxPieceBytes)
  #open = true

  constructor(environment: Environment, directory: string) {
    this.#environment = environment
    this.#directory = directory
  }

  /** Runs reads that all see one moment: the latest commit of any process. Nothing in `read` may wait. */
  latest<Result>(read: (environment: Environment) => Result): Result {
    this.requireOpen()
    try {
      this.#environment.resetReadTxn()
      return read(this.#environment)
    } catch (error) {
      throw storageError(error, this.#directory)
    }
  }

  /** Rows of a range, up to `limit`, as of the latest commit. */
  entries(range: KeyRange, limit?: number): { readonly key: Uint8Array; readonly value: Uint8Array }[] {
    return this.latest((environment) => [...environment.getRange(limit === undefined ? range : { ...range, limit })])
  }

  /** Inside {@link Reader.latest}. Throws `NOT_FOUND` for a version that was deleted. */
  directory(environment: Environment, document: DocumentRecord): PieceDirectory {
    return this.#directories.get(`${document.generation}`, () => {
      const bytes = getBytes(environment, keys.directory(document.generation))
      if (bytes === undefined) throw versionGone(document)
      return { value: new PieceDirectory(new Float64Array(bytes.buffer)), bytes: bytes.length }
    })
  }

  /** Inside {@link Reader.latest}. */
  piece(environment: Environment, document: DocumentRecord, place: number): Piece {
    return this.#pieces.get(`${document.generation}/${place}`, () => {
      const bytes = this.pieceBytes(environment, document, place)
      return { value: readPiece(document, bytes), bytes: bytes.length }
    })
  }

  /** Inside {@link Reader.latest}. */
  pieceBytes(environment: Environment, document: DocumentRecord, place: number): Uint8Array {
    const bytes = getBytes(environment, keys.piece(document.generation, place))
    if (bytes === undefined) throw versionGone(document)
    if (crc32(bytes) !== this.directory(environment, document).at(place).checksum) throw damaged(document)
    return bytes
  }

  requireOpen(): void {
    if (!this.#open) throw storeClosed()
  }

  /** Refuses every read from now on. */
  refuse(): void {
    this.#open = false
  }

  async close(): Promise<void> {
    await this.#environment.close()
  }
}

/** Documents that `list()` and `changes()` read at a time. */
const pageRows = 64
/** Documents that one `remove` transaction takes. */
const removedAtOnce = 1000

class LmdbNamespace implements StoreNamespace {
  readonly name: string
  readonly #reader: Reader
  readonly #writable: () => WriterThread
  readonly #key: Uint8Array

  constructor(name: string, reader: Reader, writable: () => WriterThread) {
    this.name = name
    this.#reader = reader
    this.#writable = writable
    this.#key = keys.namespace(name)
  }

  epoch(): number {
    return this.#row()?.epoch ?? 0
  }

  nextNumber(): number {
    return this.#row()?.nextNumber ?? 0
  }

  counts(): { readonly documents: number; readonly chunks: number } {
    const { documents, chunks } = this.#row() ?? { documents: 0, chunks: 0 }
    return { documents, chunks }
  }

  get(documentId: string): DocumentRecord | undefined {
    const id = idBytes(documentId)
    return this.#reader.latest((environment) => id && this.#find(environment, id))
  }

  *list({ after }: { readonly after?: string } = {}): Generator<DocumentRecord> {
    const namespace = this.#row()
    if (namespace === undefined) return
    const range = keys.documents(namespace.id)
    let start = after === undefined ? range.start : keys.after(keys.document(namespace.id, beginningOf(after)))
    for (;;) {
      const page = this.#reader.entries({ ...range, start }, pageRows)
      for (const { value } of page) yield rows.version(value).record
      const last = page.at(-1)
      if (last === undefined || page.length < pageRows) return
      start = keys.after(last.key)
    }
  }

  begin(documentId: string): DocumentWriter {
    return new LmdbDocumentWriter(this.#writable(), this.name, documentId)
  }

  async remove(documentIds: readonly string[]): Promise<number> {
    const thread = this.#writable()
    const known = documentIds.filter((id) => idBytes(id) !== undefined)
    let removed = 0
    for (let from = 0; from < known.length; from += removedAtOnce) {
      const some = known.slice(from, from + removedAtOnce)
      removed += await thread.request<'remove'>({ kind: 'remove', namespace: this.name, documentIds: some })
    }
    return removed
  }

  changes(since: number): Changes | undefined {
    return this.#reader.latest((environment) => {
      const namespace = this.#rowIn(environment)
      if (namespace === undefined) return since > 0 ? undefined : { epoch: 0, added: [], removed: [] }
      const { id, epoch, logStart } = namespace
      if (since > epoch || (since > 0 && since < logStart)) return undefined
      const added = { [Symbol.iterator]: () => this.#added(id, Math.max(0, since), epoch) }
      if (since <= 0) return { epoch, added, removed: [] }
      const removed = [...environment.getRange(keys.removedAfter(id, since))].flatMap(({ value }) => {
        const { start, end, addedAt } = rows.removed(value)
        return addedAt <= since ? [[start, end] as const] : []
      })
      return { epoch, added, removed }
    })
  }

  /** What was committed after `since` and up to `until` and is current when its turn comes, oldest first. */
  *#added(namespaceId: number, since: number, until: number): Generator<DocumentRecord> {
    const range = keys.addedAfter(namespaceId, since)
    const end = keys.addedAfter(namespaceId, until).start
    for (let { start } = range; ; ) {
      const page = this.#reader.latest((environment) => {
        const namespace = this.#rowIn(environment)
        if (namespace?.id !== namespaceId) return []
        return [...environment.getRange({ ...range, start, end, limit: pageRows })].map(({ key, value }) => ({
          key,
          record: this.#require(environment, namespace, value),
        }))
      })
      for (const { record } of page) yield record
      const last = page.at(-1)
      if (last === undefined || page.length < pageRows) return
      start = keys.after(last.key)
    }
  }

  *pieces(document: DocumentRecord, fromOrdinal = 0): Generator<Uint8Array> {
    const directory = this.#reader.latest((environment) => this.#reader.directory(environment, document))
    if (fromOrdinal > 0 && fromOrdinal >= document.chunks) return
    for (let place = fromOrdinal <= 0 ? 0 : directory.holding(fromOrdinal); place < directory.length; place++) {
      yield this.#reader.latest((environment) => this.#reader.pieceBytes(environment, document, place))
    }
  }

  *vectors(
    document: DocumentRecord,
    fromOrdinal = 0,
  ): Generator<{ readonly firstOrdinal: number; readonly vectors: Float32Array }> {
    const directory = this.#reader.latest((environment) => this.#reader.directory(environment, document))
    if (fromOrdinal > 0 && fromOrdinal >= document.chunks) return
    for (let place = fromOrdinal <= 0 ? 0 : directory.holding(fromOrdinal); place < directory.length; place++) {
      const { firstOrdinal, vectorsChecksum } = directory.at(place)
      if (vectorsChecksum === noVectors) continue
      const bytes = this.#reader.latest((environment) =>
        getBytes(environment, keys.vectors(document.generation, place)),
      )
      if (bytes === undefined) throw versionGone(document)
      if (crc32(bytes) !== vectorsChecksum) throw damaged(document)
      yield { firstOrdinal, vectors: new Float32Array(bytes.buffer) }
    }
  }

  locate(number: number): DocumentRecord | undefined {
    return this.#reader.latest((environment) => {
      const namespace = this.#rowIn(environment)
      return namespace && this.#locate(environment, namespace, number)
    })
  }

  chunks(numbers: readonly number[]): (Chunk | undefined)[] {
    return this.#reader.latest((environment) => {
      const namespace = this.#rowIn(environment)
      if (namespace === undefined) return numbers.map(() => undefined)
      return numbers.map((number) => {
        const document = this.#locate(environment, namespace, number)
        if (document === undefined) return undefined
        const ordinal = number - document.base
        const place = this.#reader.directory(environment, document).holding(ordinal)
        return chunkOf(document, this.#reader.piece(environment, document, place), ordinal)
      })
    })
  }

  text(documentId: string, start: number, end: number): string {
    const id = idBytes(documentId)
    return this.#reader.latest((environment) => {
      const document = id && this.#find(environment, id)
      if (document === undefined) return ''
      const directory = this.#reader.directory(environment, document)
      let text = ''
      for (let place = directory.reaching(start); place < directory.length; place++) {
        if (directory.at(place).start >= end) break
        text += textWithin(this.#reader.piece(environment, document, place), start, end)
      }
      return text
    })
  }

  async confirm({ generation, id: documentId }: DocumentRecord, file?: FileStamp): Promise<void> {
    await this.#writable().request<'confirm'>({ kind: 'confirm', namespace: this.name, documentId, generation, file })
  }

  failure(documentId: string): FailedDocument | undefined {
    const id = idBytes(documentId)
    return this.#reader.latest((environment) => {
      const namespace = id && this.#rowIn(environment)
      const row = namespace && getBytes(environment, keys.failure(namespace.id, id))
      return row && rows.failure(row).failure
    })
  }

  *failures(): Generator<FailedDocument> {
    const namespace = this.#row()
    if (namespace === undefined) return
    const found = this.#reader.entries(keys.failures(namespace.id)).map(({ value }) => rows.failure(value))
    for (const { failure } of found.sort((a, b) => b.order - a.order)) yield failure
  }

  #row(): NamespaceRow | undefined {
    return this.#reader.latest((environment) => this.#rowIn(environment))
  }

  #rowIn(environment: Environment): NamespaceRow | undefined {
    const row = getBytes(environment, this.#key)
    return row === undefined ? undefined : rows.namespace(row)
  }

  #find(environment: Environment, id: Uint8Array): DocumentRecord | undefined {
    const namespace = this.#rowIn(environment)
    return namespace && version(environment, namespace, id)?.record
  }

  #locate(environment: Environment, namespace: NamespaceRow, number: number): DocumentRecord | undefined {
    if (!Number.isInteger(number) || number < 0 || number >= namespace.nextNumber) return undefined
    const start = keys.number(namespace.id, number)
    const [nearest] = environment.getRange({ start, end: keys.numbers(namespace.id).start, reverse: true, limit: 1 })
    if (nearest === undefined) return undefined
    const document = this.#require(environment, namespace, nearest.value)
    return number < document.base + document.chunks ? document : undefined
  }

  /** The document that another row of the same moment names. */
  #require(environment: Environment, namespace: NamespaceRow, id: Uint8Array): DocumentRecord {
    const found = version(environment, namespace, id)
    if (found !== undefined) return found.record
    throw new RagError('CORRUPT', 'The store names a document that it does not hold.', {
      data: { documentId: rows.text(id) },
      hint: 'Restore it from a copy, or delete the folder and ingest again.',
    })
  }
}

/** Text that may be longer than any id, cut where no id can reach: the order of ids around it stays the same. */
function beginningOf(text: string): Uint8Array {
  return rows.encodeText(text).subarray(0, maxIdBytes + 1)
}

function version(environment: Environment, namespace: NamespaceRow, id: Uint8Array): StoredVersion | undefined {
  const row = getBytes(environment, keys.document(namespace.id, id))
  return row === undefined ? undefined : rows.version(row)
}
