import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { RagError } from '../core/errors.js'
import type { Logger } from '../core/lifecycle.js'
import { type Environment, environmentFile, getBytes, storageError } from '../lmdb/environment.js'
import { completeFile } from '../lmdb/file-length.js'
import { type Clock, systemClock } from '../util/clock.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { WorkerPool } from '../util/worker-pool.js'
import { requireLeast } from './checks.js'
import { type CacheFile, openCacheFile } from './disk-file.js'
import { ageLength, decodeTotals, hashKey, readAge, rows, type Totals } from './disk-format.js'
import { openEntry, sealEntry } from './envelope.js'
import type { Cache, CacheEntry, CacheHit, CacheStats } from './types.js'

/** Options of {@link createDiskCache}. */
export interface DiskCacheOptions {
  /** Folder of the cache alone; made when it is first needed. It may be deleted at any time. */
  readonly directory: string
  /** Entries at most, from 1. Default 1,000,000. */
  readonly maxEntries?: number
  /** Bytes at most, from 65,536. Default 1 GiB. */
  readonly maxBytes?: number
  readonly logger?: Logger
}

/** What the thread that writes is told when it starts. */
export interface CacheWorkerData {
  readonly directory: string
  readonly mapSize: number
  readonly maxEntries: number
  readonly maxBytes: number
}

/** Changes for one transaction; what is deleted is deleted first. Keys are given by their hashes. */
export interface CacheWrite {
  readonly clear?: boolean
  readonly deleted: readonly Uint8Array[]
  readonly entries: readonly { readonly hash: Uint8Array; readonly sealed: Uint8Array }[]
  /** To be evicted later than others. */
  readonly touched: readonly Uint8Array[]
}

export interface CacheWriteReply {
  readonly totals: Totals
  readonly evicted: number
  /** Of the file that was written: another one than the reader's has replaced it. */
  readonly inode: number | undefined
}

const usual = { maxEntries: 1_000_000, maxBytes: 2 ** 30 }
/** Bytes of values in one transaction: its pages lie in memory until it ends. */
const transactionBytes = 4 << 20
/** Entries that were asked for are made younger so many at a time: it costs a write. */
const touchesAtOnce = 256

/**
 * A cache in an LMDB environment of its own, shared by the processes of one machine. Reads take microseconds on the calling thread,
 * writes are transactions of a thread of its own. The entry that was written, or asked for, longest ago goes first. A damaged file is
 * deleted and begun anew: it is only a cache. Throws `BAD_OPTION`; what is wrong with the folder is told by the calls (`STORAGE`,
 * `STORAGE_FULL`, `READ_ONLY`).
 */
export function createDiskCache(options: DiskCacheOptions, clock: Clock = systemClock): Cache {
  const { maxEntries = usual.maxEntries, maxBytes = usual.maxBytes } = options
  requireLeast('maxEntries', maxEntries, 1)
  requireLeast('maxBytes', maxBytes, 65_536)
  const directory = resolve(options.directory)
  return new DiskCache({ directory, maxEntries, maxBytes, logger: options.logger }, clock)
}

interface CompleteOptions {
  readonly directory: string
  readonly maxEntries: number
  readonly maxBytes: number
  readonly logger: Logger | undefined
}

class DiskCache implements Cache {
  readonly id = 'disk'
  readonly capabilities = { shared: true, persistent: true }
  readonly #options: CompleteOptions
  readonly #clock: Clock
  readonly #mapSize: number
  readonly #pool: WorkerPool
  #reader: () => Promise<CacheFile>
  #totals: Totals = { entries: 0, bytes: 0, nextAge: 1 }
  #evictions = 0
  readonly #touched = new Map<string, Uint8Array>()
  #writing: Promise<unknown> = Promise.resolve()
  #used = false
  #closing: Promise<void> | undefined

  constructor(options: CompleteOptions, clock: Clock) {
    this.#options = options
    this.#clock = clock
    // Pages are freed late and half empty: twice the bytes, and some for what is being written.
    this.#mapSize = options.maxBytes * 2 + (64 << 20)
    const { directory, maxBytes, maxEntries } = options
    const workerData: CacheWorkerData = { directory, mapSize: this.#mapSize, maxBytes, maxEntries }
    this.#pool = new WorkerPool({
      worker: 'cache',
      size: 1,
      workerData,
      idleMs: 0,
      abortGraceMs: Number.POSITIVE_INFINITY,
    })
    this.#reader = this.#openOnce()
  }

  async get(keys: readonly string[]): Promise<(CacheHit | undefined)[]> {
    this.#assertOpen()
    if (keys.length === 0) return []
    const reader = await this.#reader()
    const { environment } = reader
    this.#assertOpen()
    try {
      const { hits, gone } = this.#read(environment, keys)
      // Nobody waits for these; what fails is found again by the next who asks.
      if (gone.length > 0) this.#write({ deleted: gone, entries: [], touched: [] }).catch(() => {})
      if (this.#touched.size >= touchesAtOnce) this.#writeTouches().catch(() => {})
      return hits
    } catch (cause) {
      const error = storageError(cause, this.#options.directory)
      if (error.code !== 'CORRUPT') throw error
      await this.#beginAnew(reader, error)
      return keys.map(() => undefined)
    }
  }

  #read(environment: Environment, keys: readonly string[]) {
    const now = this.#clock.date()
    const gone: Uint8Array[] = []
    // Otherwise what was written a moment ago may not be seen: reads of one turn of the event loop share a snapshot.
    environment.resetReadTxn()
    const hits = keys.map((key) => {
      const hash = hashKey(key)
      const row = getBytes(environment, rows.value(hash))
      if (row === undefined) return undefined
      const hit = row.length < ageLength ? undefined : openEntry(key, row.subarray(ageLength))
      if (hit === undefined || (hit.expiresAt !== undefined && hit.expiresAt <= now)) {
        gone.push(hash)
        return undefined
      }
      this.#noteUse(key, hash, row)
      return hit
    })
    return { hits, gone }
  }

  async set(entries: readonly CacheEntry[]): Promise<void> {
    this.#assertOpen()
    const largest = this.#options.maxBytes / 4
    let batch: { hash: Uint8Array; sealed: Uint8Array }[] = []
    let bytes = 0
    const writes: Promise<unknown>[] = []
    const flush = () => {
      if (batch.length > 0) writes.push(this.#write({ deleted: [], entries: batch, touched: [] }))
      batch = []
      bytes = 0
    }
    for (const entry of entries) {
      if (entry.value.length > largest) continue
      batch.push({ hash: hashKey(entry.key), sealed: sealEntry(entry) })
      bytes += entry.value.length
      if (bytes >= transactionBytes) flush()
    }
    flush()
    await Promise.all(writes)
  }

  async delete(keys: readonly string[]): Promise<void> {
    this.#assertOpen()
    if (keys.length > 0) await this.#write({ deleted: keys.map(hashKey), entries: [], touched: [] })
  }

  async clear(): Promise<void> {
    this.#assertOpen()
    this.#touched.clear()
    await this.#write({ clear: true, deleted: [], entries: [], touched: [] })
  }

  async prune(): Promise<number> {
    this.#assertOpen()
    await this.#reader()
    return this.#pool.run<number>({ type: 'prune', payload: this.#clock.date() })
  }

  async stats(): Promise<CacheStats> {
    this.#assertOpen()
    const { environment } = await this.#reader()
    environment.resetReadTxn()
    const { entries, bytes } = decodeTotals(getBytes(environment, rows.totals))
    return { entries, bytes, evictions: this.#evictions }
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  async #shutDown(): Promise<void> {
    if (!this.#used) return
    await this.#writing
    await this.#pool.run({ type: 'close', payload: undefined }).catch(() => {
      // The file is sound whatever happened: it only has not been made as long as it should be.
    })
    await this.#pool.close()
    const reader = await this.#reader().catch(() => undefined)
    await reader?.environment.close()
  }

  #openOnce(): () => Promise<CacheFile> {
    return memoizeAsync(async () => {
      try {
        return await this.#open()
      } catch (error) {
        if (!RagError.isInstance(error, 'CORRUPT')) throw error
        this.#deleteFiles(error)
        return this.#open()
      }
    })
  }

  #deleteFiles({ message }: RagError): void {
    const { directory, logger } = this.#options
    logger?.warn('The file of a cache is damaged: the cache begins anew.', { directory, error: message })
    for (const suffix of ['', '-lock']) rmSync(`${environmentFile(directory)}${suffix}`, { force: true })
  }

  /** Damage that was met by reading. The thread that writes finds another file in the place of its own, and follows. */
  async #beginAnew(old: CacheFile, error: RagError): Promise<void> {
    if ((await this.#reader()) !== old) return
    this.#deleteFiles(error)
    await this.#reopen(old)
  }

  async #open(): Promise<CacheFile> {
    const { directory } = this.#options
    this.#used = true
    const file = await openCacheFile({ directory, mapSize: this.#mapSize, readOnly: false })
    completeFile(file.environment, directory)
    this.#totals = decodeTotals(getBytes(file.environment, rows.totals))
    return file
  }

  /** An entry of the older half is made young again. To do so with every use would make a write of every read. */
  #noteUse(key: string, hash: Uint8Array, row: Uint8Array): void {
    const { entries, nextAge } = this.#totals
    if (readAge(row) < nextAge - entries / 2) this.#touched.set(key, hash)
  }

  async #writeTouches(): Promise<void> {
    const touched = [...this.#touched.values()]
    this.#touched.clear()
    await this.#write({ deleted: [], entries: [], touched })
  }

  #write(request: CacheWrite): Promise<void> {
    const run = this.#writeOnce(request).catch((error) => {
      // A damaged file was left for a new one, which takes it.
      if (RagError.isInstance(error, 'CORRUPT')) return this.#writeOnce(request)
      throw error
    })
    this.#writing = Promise.all([this.#writing, run.catch(() => {})])
    return run
  }

  async #writeOnce(request: CacheWrite): Promise<void> {
    const reader = await this.#reader()
    try {
      const { totals, evicted, inode } = await this.#pool.run<CacheWriteReply>({ type: 'write', payload: request })
      this.#totals = totals
      this.#evictions += evicted
      if (inode !== reader.inode) await this.#reopen(reader)
    } catch (error) {
      if (RagError.isInstance(error, 'CORRUPT')) await this.#beginAnew(reader, error)
      throw error
    }
  }

  /** Somebody deleted the folder: the writer has made a new one, and what was in the old one is gone. */
  async #reopen(old: CacheFile): Promise<void> {
    const current = await this.#reader()
    if (current !== old) return
    this.#reader = this.#openOnce()
    await this.#reader()
    await old.environment.close()
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new RagError('CLOSED', 'The cache was closed.')
  }
}
