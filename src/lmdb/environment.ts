import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { endianness } from 'node:os'
import { join } from 'node:path'
import type { RootDatabase, RootDatabaseOptionsWithPath } from 'lmdb'
import { RagError } from '../core/errors.js'
import { importOptional } from '../util/import-optional.js'

/** The environment: one ordered map from bytes to bytes. */
export type Environment = RootDatabase<Uint8Array, Uint8Array>

export interface EnvironmentOptions {
  readonly directory: string
  readonly readOnly: boolean
  /** Bytes of address space. */
  readonly mapSize: number
  /** Runs the opening, which is a transaction of its own. Default: just so. */
  readonly protect?: (open: () => Environment) => Environment
}

/** Where the environment lies in the store's folder. */
export function environmentFile(directory: string): string {
  return join(directory, 'store.mdb')
}

/**
 * Opens the environment, in the main thread or in the writer's: threads of one process share it. Throws `RagError` with what is
 * wrong with the folder or the file; all of it is looked at beforehand, because the library ends the process (SIGSEGV, SIGBUS)
 * when it opens a file that is not its own or that was cut off.
 */
export async function openEnvironment(options: EnvironmentOptions): Promise<Environment> {
  const { directory, readOnly, mapSize, protect = (open) => open() } = options
  const { open } = await importOptional('lmdb', () => import('lmdb'), 'npm i lmdb@3.5')
  const path = environmentFile(directory)
  try {
    if (!readOnly) requireWritable([directory, path, `${path}-lock`])
    inspect(path, readOnly)
    if (!readOnly) requireRoom(path, directory)
    const space = addressSpace()
    if (fileSize(path) > space / 2) throw Object.assign(new Error('The file cannot be mapped.'), { code: 'ENOMEM' })
    const settings: RootDatabaseOptionsWithPath = {
      path,
      // Otherwise a folder with a dot in its name would be taken for a file.
      noSubdir: true,
      encoding: 'binary',
      keyEncoding: 'binary',
      pageSize,
      mapSize: Math.floor(Math.min(mapSize, space / 4)),
      maxReaders: 512,
      // A commit returns after the flush to disk, not before.
      overlappingSync: false,
      readOnly: readOnly && !isWritable(path),
    }
    return protect(() => open(settings))
  } catch (error) {
    throw storageError(error, directory)
  }
}

/**
 * Runs a write transaction, flushed to disk when it returns. `begin` fails silently in the library; a transaction without a
 * number is one that did not begin, and to write in it would end the process.
 */
export function transact<Result>(environment: Environment, action: () => Result): Result {
  return environment.transactionSync(() => {
    if (environment.getWriteTxnId() === 0) {
      throw new RagError('STORAGE', 'The store cannot begin a write: an earlier one failed on the disk.', {
        hint: 'Check the disk, then close the store and open it again.',
      })
    }
    return action()
  })
}

/**
 * The bytes of a value, copied, or `undefined`. `getBinaryFast` returns a Buffer whose `length` is the value's but whose memory
 * is a shared buffer of 16 MB that the next call overwrites: to pass it on would copy, or show, all of that.
 */
export function getBytes(environment: Environment, key: Uint8Array): Uint8Array | undefined {
  const shared = environment.getBinaryFast(key)
  if (shared === undefined) return undefined
  const bytes = new Uint8Array(shared.length)
  bytes.set(new Uint8Array(shared.buffer, shared.byteOffset, shared.length))
  return bytes
}

/** Turns what the library or the file system threw into a `RagError`; one that is already is returned as it is. */
export function storageError(error: unknown, directory: string): RagError {
  if (RagError.isInstance(error)) return error
  const code = codeOf(error)
  const known = problems.find(({ codes }) => codes.includes(code))
  const { kind, message, hint, retryable = false } = known ?? unknownProblem
  return new RagError(kind, message, { cause: error, data: { directory, code }, hint, retryable })
}

interface Problem {
  /** Error codes of Node, of the operating system as the library reports them (positive), and of LMDB (negative). */
  readonly codes: readonly (string | number)[]
  readonly kind: 'STORAGE' | 'STORAGE_FULL' | 'READ_ONLY' | 'CORRUPT'
  readonly message: string
  readonly hint: string
  readonly retryable?: boolean
}

const damagedRow = 'row'

const problems: readonly Problem[] = [
  {
    // 5 is EIO: a write that was cut short by a full disk is reported so. The last one is MDB_MAP_FULL.
    codes: ['ENOSPC', 28, 5, 'EDQUOT', 122, 'EFBIG', 27, -30792],
    kind: 'STORAGE_FULL',
    message: 'The disk is full; nothing that was committed is lost.',
    hint: 'Free some space, then repeat. If there is space, check the disk for errors.',
    retryable: true,
  },
  {
    codes: ['EROFS', 30],
    kind: 'READ_ONLY',
    message: 'The storage folder lies on a read-only file system.',
    hint: 'Open the store with `readOnly: true`, or choose another folder.',
  },
  {
    codes: ['EACCES', 13, 'EPERM', 1],
    kind: 'STORAGE',
    message: 'The storage folder may not be read or written by this user.',
    hint: 'Grant this user the right to read and write the folder and its files.',
  },
  {
    codes: ['ENOENT', 2],
    kind: 'STORAGE',
    message: 'The storage folder, or the store in it, does not exist.',
    hint: 'Check the path; a store that is opened read-only must have been written before.',
  },
  {
    codes: ['ENOTDIR', 20, 'EEXIST', 17, 'EISDIR', 21],
    kind: 'STORAGE',
    message: 'The storage path, or a part of it, is not a folder.',
    hint: 'Choose another path, or move away the file that is in its place.',
  },
  {
    // MDB_INVALID, MDB_VERSION_MISMATCH, MDB_CORRUPTED, MDB_PAGE_NOTFOUND, and MDB_BAD_TXN, which follows upon them.
    codes: [damagedRow, -30793, -30794, -30796, -30797, -30782],
    kind: 'CORRUPT',
    message: 'The store is damaged.',
    hint: 'Restore it from a copy, or delete the folder and ingest again.',
  },
  {
    codes: ['ENOMEM', 12],
    kind: 'STORAGE',
    message: 'There is not enough address space to open the store.',
    hint: 'Lower `mapSize`, or raise the limit on virtual memory (ulimit -v).',
  },
]

const unknownProblem: Omit<Problem, 'codes'> = {
  kind: 'STORAGE',
  message: 'The store could not be read or written.',
  hint: 'See the cause.',
}

function codeOf(error: unknown): string | number {
  // A row that is not JSON.
  if (error instanceof SyntaxError) return damagedRow
  if (!(error instanceof Error) || !('code' in error)) return 'unknown'
  return typeof error.code === 'number' || typeof error.code === 'string' ? error.code : 'unknown'
}

/** Smaller pages waste less: a piece of 38 KB leaves half a page empty. */
const pageSize = 4096
const magic = 0xbeefc0de
const headerBytes = 0xa0

/** A failed attempt by the library itself would keep the file open. */
function requireWritable(paths: readonly string[]): void {
  for (const path of paths) if (existsSync(path)) accessSync(path, constants.W_OK)
}

/** Bytes that must be free for a new store: its lock file is mapped, and a page of it that finds no room ends the process (SIGBUS). */
const leastRoom = 1 << 20

function requireRoom(path: string, directory: string): void {
  if (existsSync(`${path}-lock`)) return
  const { bavail, bsize } = statfsSync(directory)
  if (bavail * bsize < leastRoom)
    throw Object.assign(new Error('There is no room for a new store.'), { code: 'ENOSPC' })
}

/** Throws `CORRUPT` for a file that is no environment or is shorter than its contents, before the library touches it. */
function inspect(path: string, readOnly: boolean): void {
  const size = fileSize(path)
  if (readOnly && size === 0) {
    throw new RagError('STORAGE', 'There is no store to read.', {
      data: { path },
      hint: 'Check the path; a store that is opened read-only must have been written before.',
    })
  }
  if (size === 0) return
  const metas = readMetas(path)
  const pages = metas.map(({ lastPage }) => lastPage + 1)
  if (metas.length !== 2 || size < 2 * (metas[0]?.pageSize ?? size)) throw corrupt(path, 'is not a store')
  const missing = Math.max(...pages) * (metas[0]?.pageSize ?? 0) - size
  if (missing > (readOnly ? 0 : maxUnwritten)) throw corrupt(path, 'was cut off', { missingBytes: missing })
}

/** Bytes; 0 when there is none. */
export function fileSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** Pages at the very end that were never needed may not be in the file: see `completeFile`. */
const maxUnwritten = 1 << 20

interface Meta {
  readonly pageSize: number
  readonly lastPage: number
}

/** The two headers, as far as they are sound. Layout: `MDB_page` of 24 bytes, then `MDB_meta` of data version 2. */
function readMetas(path: string): Meta[] {
  const first = readMeta(path, 0)
  const second = first === undefined ? undefined : readMeta(path, first.pageSize)
  return [first, second].filter((meta) => meta !== undefined)
}

function readMeta(path: string, position: number): Meta | undefined {
  const header = Buffer.alloc(headerBytes)
  const file = openSync(path, 'r')
  try {
    if (readSync(file, header, 0, headerBytes, position) < headerBytes) return undefined
  } finally {
    closeSync(file)
  }
  const view = new DataView(header.buffer, header.byteOffset, headerBytes)
  const little = endianness() === 'LE'
  if (view.getUint32(0x18, little) !== magic) return undefined
  const size = view.getUint32(0x30, little)
  if (size < 512 || size > 65_536) return undefined
  return { pageSize: size, lastPage: Number(view.getBigUint64(0x90, little)) }
}

function corrupt(path: string, what: string, data: Readonly<Record<string, unknown>> = {}): RagError {
  return new RagError('CORRUPT', `The file of the store ${what}.`, {
    data: { path, ...data },
    hint: 'Restore it from a copy, or delete the folder and ingest again.',
  })
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    // Whatever the reason, the file can only be read.
    return false
  }
}

/** Bytes that may still be mapped; the library ends the process when a mapping fails. */
function addressSpace(): number {
  if (process.platform !== 'linux') return Number.POSITIVE_INFINITY
  try {
    const limit = /^Max address space\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))
    const used = Number(/^\d+/.exec(readFileSync('/proc/self/statm', 'latin1'))?.[0] ?? 0) * 4096
    return limit === null ? Number.POSITIVE_INFINITY : Math.max(0, Number(limit[1]) - used)
  } catch {
    // Without /proc there is nothing to ask, and a limit is unlikely.
    return Number.POSITIVE_INFINITY
  }
}
