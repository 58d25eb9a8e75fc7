import { mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { endianness } from 'node:os'
import { join } from 'node:path'
import { RagError } from '../../core/errors.js'
import { asStorageError, replaceFile, sealJson, unsealJson } from '../../util/safe-files.js'
import { isMissingFile } from '../../util/system-error.js'
import type { FileSegment } from './files.js'
import type { GraphOptions } from './graph.js'
import { type FileStamp, rowsLayout, startIsSound, wholeBlocks } from './rows-file.js'
import { type SegmentView, shared } from './view.js'

/** What was found on disk. */
export interface Snapshot {
  readonly epoch: number
  readonly views: readonly SegmentView<FileSegment>[]
  /** Files whose size and time are those they were written with: sound as far as that tells. */
  readonly unread: readonly { readonly id: number; readonly path: string; readonly stamp: FileStamp }[]
}

export interface SnapshotOptions {
  readonly directory: string
  readonly fingerprint: string
  readonly dimensions: number
}

interface Manifest {
  readonly version: number
  readonly fingerprint: string
  readonly bytes: string
  readonly dimensions: number
  readonly epoch: number
  readonly segments: readonly {
    readonly count: number
    readonly rows: FileStamp
    readonly graph?: FileStamp & { readonly options: GraphOptions; readonly largest: number }
    /** Base64 of the removed rows, bit by place. */
    readonly removed?: string
  }[]
}

const what = 'The folder of the vector index'
const manifestName = 'manifest'
const manifestVersion = 1
/** Only files named like this are ever deleted. */
const ownFile = /^(rows|graph|manifest)-[0-9a-f-]{36}(\.tmp)?$/
/** A file that no list names may be one that another process is about to name; after so long it is a leftover. */
const leftoverAfterMs = 600_000

/**
 * Reads the list of segments in a folder. `undefined` when there is none, or when it or the rows of any segment are missing, damaged, of other
 * vectors or of a newer version: the index is then filled from the store again, and `warn` hears why. A graph that is missing or unsound is
 * left out: it can be built from the rows. `verify` reads a whole file.
 */
export async function readSnapshot(
  options: SnapshotOptions,
  {
    nextId,
    verify,
    warn,
  }: {
    readonly nextId: () => number
    readonly verify: (path: string, stamp: FileStamp) => Promise<boolean>
    readonly warn: (problem: RagError) => void
  },
): Promise<Snapshot | undefined> {
  const { directory } = options
  try {
    const bytes = await readManifest(directory)
    if (bytes === undefined) return undefined
    const manifest = parseManifest(bytes, options)
    const unread: { id: number; path: string; stamp: FileStamp }[] = []
    /** Whether a file is what it was; one that looks like it is read later. */
    const isSound = async (stamp: FileStamp, id: number): Promise<boolean> => {
      const path = join(directory, stamp.name)
      const found = await stat(path).catch(() => undefined)
      if (found?.size !== stamp.size || !found.isFile()) return false
      if (found.mtimeMs !== stamp.mtimeMs) return verify(path, stamp)
      unread.push({ id, path, stamp })
      return true
    }
    const views: SegmentView<FileSegment>[] = []
    for (const { count, rows, graph, removed } of manifest.segments) {
      const id = nextId()
      if (!(await isSound(rows, id)))
        throw new RagError('INTEGRITY', 'A file of vectors is missing or damaged.', { data: { file: rows.name } })
      const hasGraph = graph !== undefined && (await isSound(graph, id))
      if (graph !== undefined && !hasGraph) {
        warn(
          new RagError('INTEGRITY', 'A graph of vectors is missing or damaged; it is built again.', {
            data: { file: graph.name },
          }),
        )
      }
      const bits = removed === undefined ? undefined : Buffer.from(removed, 'base64')
      views.push({
        segment: {
          id,
          count,
          dimensions: options.dimensions,
          numbers: await readNumbers(join(directory, rows.name), count, rows),
          rows: { path: join(directory, rows.name), stamp: rows },
          ...(graph !== undefined && hasGraph
            ? {
                graph: {
                  path: join(directory, graph.name),
                  stamp: graph,
                  options: graph.options,
                  largest: graph.largest,
                },
              }
            : {}),
        },
        ...(bits === undefined ? {} : { removed: copyShared(bits) }),
        alive: count - ones(bits),
      })
    }
    return { epoch: manifest.epoch, views, unread }
  } catch (error) {
    warn(asProblem(error))
    return undefined
  }
}

/** Replaces the list of segments in one step, then deletes files that no list names. Rejects with `STORAGE` or `STORAGE_FULL`; the earlier list then still stands. */
export async function writeSnapshot(
  { directory, fingerprint, dimensions }: SnapshotOptions,
  { epoch, views }: Pick<Snapshot, 'epoch' | 'views'>,
  keep: ReadonlySet<string>,
): Promise<void> {
  try {
    await mkdir(directory, { recursive: true })
    const manifest: Manifest = {
      version: manifestVersion,
      fingerprint,
      bytes: endianness(),
      dimensions,
      epoch,
      segments: views.map(({ segment: { count, rows, graph }, removed }) => ({
        count,
        rows: rows.stamp,
        ...(graph === undefined ? {} : { graph: { ...graph.stamp, options: graph.options, largest: graph.largest } }),
        ...(removed === undefined ? {} : { removed: Buffer.from(removed).toString('base64') }),
      })),
    }
    await replaceFile(directory, manifestName, [sealJson(manifest)])
    await removeLeftovers(directory, keep)
  } catch (error) {
    throw asStorageError(error, what, directory)
  }
}

/** What tells one list of segments in a folder from the next; `undefined` when there is none. */
export async function versionOf(directory: string): Promise<string | undefined> {
  try {
    const { ino, mtimeMs, size } = await stat(join(directory, manifestName))
    return `${ino}/${mtimeMs}/${size}`
  } catch {
    return undefined
  }
}

/** Reads the numbers at the start of a file of rows and checks them. */
export async function readNumbers(path: string, count: number, stamp: FileStamp): Promise<Float64Array> {
  const bytes = shared(wholeBlocks(count * 8, stamp))
  await readFully(path, bytes, 0)
  if (!startIsSound(bytes, stamp)) {
    throw new RagError('INTEGRITY', 'A file of vectors fails its checksum.', { data: { file: stamp.name } })
  }
  return new Float64Array(copyShared(bytes.subarray(0, count * 8)).buffer)
}

/** Reads all rows of a file. */
export async function readRows(path: string, count: number, dimensions: number): Promise<Float32Array> {
  const rows = new Float32Array(count * dimensions)
  await readFully(path, new Uint8Array(rows.buffer), rowsLayout(count, dimensions).rows)
  return rows
}

async function readFully(path: string, target: Uint8Array, position: number): Promise<void> {
  const handle = await open(path)
  try {
    for (let done = 0; done < target.length; ) {
      const { bytesRead } = await handle.read(target, done, target.length - done, position + done)
      if (bytesRead === 0) throw new RagError('INTEGRITY', 'A file of vectors ends too early.')
      done += bytesRead
    }
  } finally {
    await handle.close()
  }
}

async function readManifest(directory: string): Promise<Buffer | undefined> {
  try {
    return await readFile(join(directory, manifestName))
  } catch (error) {
    if (isMissingFile(error)) return undefined
    throw asStorageError(error, what, directory)
  }
}

function parseManifest(bytes: Buffer, { fingerprint, dimensions }: SnapshotOptions): Manifest {
  const manifest = unsealJson(bytes) as Manifest
  if (manifest.version > manifestVersion) {
    throw new RagError('UNSUPPORTED_VERSION', 'The vector index was written by a newer version of this library.', {
      data: { found: manifest.version, supported: manifestVersion },
    })
  }
  if (manifest.fingerprint !== fingerprint || manifest.dimensions !== dimensions || manifest.bytes !== endianness()) {
    throw new RagError('FINGERPRINT', 'The vector index was written with other vectors.', {
      data: { found: manifest.fingerprint, expected: fingerprint },
    })
  }
  return manifest
}

async function removeLeftovers(directory: string, keep: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    if (!ownFile.test(name) || keep.has(path)) continue
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && Date.now() - found.mtimeMs > leftoverAfterMs) await rm(path, { force: true })
  }
}

function copyShared(bytes: Uint8Array): Uint8Array {
  const copy = shared(bytes.length)
  copy.set(bytes)
  return copy
}

function ones(bits: Uint8Array | undefined): number {
  let count = 0
  for (const byte of bits ?? []) for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1
  return count
}

function asProblem(error: unknown): RagError {
  if (RagError.isInstance(error)) return error
  return new RagError('INTEGRITY', 'A part of the vector index cannot be read.', { cause: error })
}
