import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { RagError } from '../core/errors.js'
import { isDiskFull } from './system-error.js'

/** Temporary file, fsync, rename, fsync of the folder: after a crash the old file or the new one is there, whole. */
export async function replaceFile(directory: string, name: string, parts: readonly Uint8Array[]): Promise<void> {
  const temporary = join(directory, `manifest-${randomUUID()}.tmp`)
  try {
    const handle = await open(temporary, 'wx')
    try {
      for (const part of parts) await handle.writeFile(part)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, join(directory, name))
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(directory)
}

/** Makes names that were given in a folder survive a power cut. */
export async function syncFolder(directory: string): Promise<void> {
  // Windows cannot open a folder; its file systems journal the rename.
  if (process.platform === 'win32') return
  const handle = await open(directory)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A value as JSON behind its checksum: the CRC-32 of what follows, in hex, a line end, JSON. */
export function sealJson(value: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(value))
  return Buffer.concat([Buffer.from(`${crc32(json).toString(16).padStart(8, '0')}\n`), json])
}

/** The inverse of {@link sealJson}. Throws `INTEGRITY` when the checksum does not fit; what it vouches for was written whole. */
export function unsealJson(bytes: Buffer): unknown {
  const json = bytes.subarray(9)
  if (bytes.length < 10 || bytes.toString('latin1', 0, 9) !== `${crc32(json).toString(16).padStart(8, '0')}\n`)
    throw new RagError('INTEGRITY', 'The list of segments fails its checksum.')
  return JSON.parse(json.toString('utf8'))
}

/** An error of the file system as `STORAGE_FULL` or `STORAGE`; a `RagError` as it is. `what` is half a sentence: "The lexical index". */
export function asStorageError(error: unknown, what: string, directory: string): RagError {
  if (RagError.isInstance(error)) return error
  return isDiskFull(error)
    ? new RagError('STORAGE_FULL', `The disk is full. ${what} was not written.`, {
        cause: error,
        data: { directory },
        hint: 'Free space; an index is rebuilt from the store when it is missing.',
      })
    : new RagError('STORAGE', `${what} cannot be read or written.`, {
        cause: error,
        data: { directory },
        hint: 'Check that the folder exists and that this process may write it.',
      })
}
