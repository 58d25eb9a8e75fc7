import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { RagError } from '../../core/errors.js'
import { errorCode } from '../../util/system-error.js'

/** To open a pipe waits for its other end, unless told not to; and what was a file when it was found may be one by now. */
const openFlags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/** A file in parts. */
export async function* fileStream(path: string, highWaterMark: number): AsyncGenerator<Uint8Array> {
  const file = await openFile(path)
  try {
    yield* file.createReadStream({ highWaterMark, autoClose: false }) as AsyncIterable<Uint8Array>
  } catch (error) {
    throw fileError(path, error)
  } finally {
    await file.close()
  }
}

/**
 * A whole regular file of at most so many bytes; `undefined` when it is larger. It blocks, for a worker thread to use: half a dozen ways to the thread pool
 * of Node and back cost ten times what a small file does.
 */
export function readSmallFile(path: string, limit: number): Uint8Array | undefined {
  let file: number | undefined
  try {
    file = openSync(path, openFlags)
    const stats = fstatSync(file)
    if (!stats.isFile()) throw notRegular(path)
    if (stats.size > limit) return undefined
    // One more than it says: it may be growing, and some files say nothing.
    const bytes = new Uint8Array(Math.min(limit, stats.size) + 1)
    let end = 0
    for (let read = -1; read !== 0 && end < bytes.length; end += read)
      read = readSync(file, bytes, end, bytes.length - end, end)
    return end === bytes.length ? undefined : bytes.subarray(0, end)
  } catch (error) {
    throw RagError.isInstance(error) ? error : fileError(path, error)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** Up to so many bytes from a place on. */
export async function readAt(file: FileHandle, place: number, length: number): Promise<Uint8Array> {
  const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, place)
  return buffer.subarray(0, bytesRead)
}

/** A regular file, opened to be read. */
export async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle | undefined
  try {
    file = await open(path, openFlags)
    if ((await file.stat()).isFile()) return file
  } catch (error) {
    await file?.close()
    throw fileError(path, error)
  }
  await file.close()
  throw notRegular(path)
}

function notRegular(path: string): RagError {
  return new RagError('UNSUPPORTED', `"${path}" is not a regular file.`, { data: { path } })
}

/** A file system error in our words. */
export function fileError(path: string, cause: unknown): unknown {
  const code = errorCode(cause)
  if (code === undefined) return cause
  const data = { path, code }
  if (code === 'ENOENT') return new RagError('NOT_FOUND', `"${path}" does not exist.`, { data, cause })
  if (code === 'EACCES' || code === 'EPERM') {
    return new RagError('STORAGE', `"${path}" may not be read.`, { data, cause, hint: 'Check its permissions.' })
  }
  return new RagError('STORAGE', `"${path}" could not be read (${code}).`, { data, cause, retryable: true })
}
