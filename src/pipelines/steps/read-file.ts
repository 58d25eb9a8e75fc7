import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { RagError } from '../../core/errors.js'
import { errorCode } from '../../util/system-error.js'

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

/** Up to so many bytes from a place on. */
export async function readAt(file: FileHandle, place: number, length: number): Promise<Uint8Array> {
  const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, place)
  return buffer.subarray(0, bytesRead)
}

/** A regular file, opened to be read. */
export async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle | undefined
  try {
    // To open a pipe waits for its other end, unless told not to; and what was a file when it was found may be one by now.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    if ((await file.stat()).isFile()) return file
  } catch (error) {
    await file?.close()
    throw fileError(path, error)
  }
  await file.close()
  throw new RagError('UNSUPPORTED', `"${path}" is not a regular file.`, { data: { path } })
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
