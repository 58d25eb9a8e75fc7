import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RagError } from '../core/errors.js'
import { asStorageError, replaceFile, sealJson, unsealJson } from '../util/safe-files.js'
import { isMissingFile } from '../util/system-error.js'
import { openSegment, type Segment, segmentBytes, segmentChecksum, segmentHeaderBytes } from './segment.js'
import { type SegmentView, viewOf } from './view.js'

/** A segment that lies in a file. */
export interface SavedSegment {
  readonly file: string
  readonly checksum: number
}

/** What was found on disk. */
export interface Snapshot {
  readonly epoch: number
  readonly views: readonly SegmentView[]
  readonly files: ReadonlyMap<Segment, SavedSegment>
}

/** In messages. */
const what = 'The folder of the lexical index'
const manifestName = 'manifest'
const manifestVersion = 1
/** Only files named like this are ever deleted. */
const ownFile = /^(segment|manifest)-[0-9a-f-]{36}(\.tmp)?$/
/** A snapshot that is replaced while it is read is read again, so often. */
const attempts = 3

interface Manifest {
  readonly version: number
  readonly fingerprint: string
  readonly epoch: number
  readonly segments: readonly (SavedSegment & {
    /** Base64 of the removed chunks, bit by place. */
    readonly removed?: string
  })[]
}

/**
 * Reads the snapshot in a folder. `undefined` when there is none, or when any of it is missing, damaged, of another fingerprint or of a newer
 * version: one lost segment cannot be told from documents that were removed, so nothing of the snapshot is used, and
 * `warn` hears why. So it is when the folder cannot be read at all: the index is derived, and questions can be answered without.
 */
export async function readSnapshot(
  directory: string,
  fingerprint: string,
  warn: (problem: RagError) => void,
): Promise<Snapshot | undefined> {
  try {
    for (let attempt = 1; ; attempt++) {
      const bytes = await readManifest(directory)
      if (bytes === undefined) return undefined
      try {
        return await loadSnapshot(directory, parseManifest(bytes, fingerprint))
      } catch (error) {
        if (attempt === attempts || bytes.equals((await readManifest(directory)) ?? bytes)) throw error
      }
    }
  } catch (error) {
    warn(asProblem(error))
    return undefined
  }
}

/** Writes segments that are not on disk yet and then, in one step, the list of them. Rejects with `STORAGE` or `STORAGE_FULL`; the earlier snapshot then still stands. */
export async function writeSnapshot(
  directory: string,
  snapshot: Snapshot,
  fingerprint: string,
): Promise<ReadonlyMap<Segment, SavedSegment>> {
  try {
    await mkdir(directory, { recursive: true })
    const files = new Map<Segment, SavedSegment>()
    for (const { segment } of snapshot.views)
      files.set(segment, snapshot.files.get(segment) ?? (await writeSegmentFile(directory, segment)))
    const manifest: Manifest = {
      version: manifestVersion,
      fingerprint,
      epoch: snapshot.epoch,
      segments: snapshot.views.map(({ segment, removed }) => ({
        ...(files.get(segment) as SavedSegment),
        ...(removed === undefined ? {} : { removed: Buffer.from(removed.chunks).toString('base64') }),
      })),
    }
    await replaceFile(directory, manifestName, [sealJson(manifest)])
    await removeOthers(directory, new Set([...files.values()].map(({ file }) => file)))
    return files
  } catch (error) {
    throw asStorageError(error, what, directory)
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

function parseManifest(bytes: Buffer, fingerprint: string): Manifest {
  // Its own checksum vouches for it: this version or another wrote it, whole.
  const manifest = unsealJson(bytes) as Manifest
  if (manifest.version > manifestVersion)
    throw new RagError('UNSUPPORTED_VERSION', 'The index was written by a newer version of this library.', {
      data: { found: manifest.version, supported: manifestVersion },
    })
  if (manifest.fingerprint !== fingerprint)
    throw new RagError('FINGERPRINT', 'The index was written with another analysis of text.', {
      data: { found: manifest.fingerprint, expected: fingerprint },
    })
  return manifest
}

async function loadSnapshot(directory: string, manifest: Manifest): Promise<Snapshot> {
  const views: SegmentView[] = []
  const files = new Map<Segment, SavedSegment>()
  for (const { file, checksum, removed } of manifest.segments) {
    const segment = await readSegmentFile(join(directory, file))
    if (segmentChecksum(segment) !== checksum)
      throw new RagError('INTEGRITY', 'A segment is not the one that was listed.', { data: { file } })
    const bits = removed === undefined ? undefined : new Uint8Array(Buffer.from(removed, 'base64'))
    views.push(viewOf(segment, bits))
    files.set(segment, { file, checksum })
  }
  return { epoch: manifest.epoch, views, files }
}

async function readSegmentFile(path: string): Promise<Segment> {
  const handle = await open(path)
  try {
    const header = new Uint8Array(segmentHeaderBytes)
    await readFully(handle, header, 0)
    const size = segmentBytes(header)
    // The size on disk is checked before memory of the announced size is asked for.
    if ((await handle.stat()).size !== size)
      throw new RagError('INTEGRITY', 'A segment file is not as long as its header says.', { data: { size } })
    const buffer = new ArrayBuffer(size)
    const bytes = new Uint8Array(buffer)
    for (let start = 0; start < size; start += readBytes)
      await readFully(handle, bytes.subarray(start, start + readBytes), start)
    return await openSegment(buffer)
  } finally {
    await handle.close()
  }
}

/** One read or write: large enough to be fast, small enough to share the thread pool. */
const readBytes = 4 << 20

async function readFully(handle: FileHandle, target: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await handle.read(target, done, target.length - done, position + done)
    if (bytesRead === 0) throw new RagError('INTEGRITY', 'A segment file ends too early.')
    done += bytesRead
  }
}

async function writeSegmentFile(directory: string, segment: Segment): Promise<SavedSegment> {
  const file = `segment-${randomUUID()}`
  const bytes = new Uint8Array(segment.buffer)
  const parts: Uint8Array[] = []
  for (let start = 0; start < bytes.length; start += readBytes) parts.push(bytes.subarray(start, start + readBytes))
  await replaceFile(directory, file, parts)
  return { file, checksum: segmentChecksum(segment) }
}

/** Deletes our files that the list no longer names. A process that is about to read one finds a new list. */
async function removeOthers(directory: string, keep: ReadonlySet<string>): Promise<void> {
  const names = await readdir(directory)
  for (const name of names.filter((name) => ownFile.test(name) && !keep.has(name)))
    await rm(join(directory, name), { force: true })
}

function asProblem(error: unknown): RagError {
  if (RagError.isInstance(error)) return error
  return new RagError('INTEGRITY', 'A part of the lexical index cannot be read.', { cause: error })
}
