import { randomUUID } from 'node:crypto'
import { lstat, mkdir, open, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { RagError } from '../../core/errors.js'
import { isDiskFull, isMissingFile, systemErrorCode } from '../../util/system-error.js'

/** Makes a folder that nobody looks into, on the same disk as `out`, so that it can be renamed. Throws `BAD_OPTION` when `out` exists. */
export async function makeFolderBeside(out: string): Promise<string> {
  if (await exists(out)) throw existsAlready(out)
  const folder = join(dirname(out), `.${basename(out)}-${randomUUID().slice(0, 8)}`)
  await mkdir(folder, { recursive: true })
  return folder
}

/** Gives the folder its name, for good: flushed to disk. */
export async function publish(folder: string, out: string): Promise<void> {
  // A folder is renamed over an empty one without a word, so what has come meanwhile is looked for.
  if (await exists(out)) throw existsAlready(out)
  await rename(folder, out)
  // Windows cannot open a folder, and does not need to.
  if (process.platform === 'win32') return
  const parent = await open(dirname(out))
  try {
    await parent.sync()
  } finally {
    await parent.close()
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isMissingFile(error)) return false
    throw error
  }
}

function existsAlready(out: string): RagError {
  return new RagError('BAD_OPTION', `There is something at "${out}" already.`, {
    data: { out },
    hint: 'Name a folder that does not exist, or remove it first.',
  })
}

/** Turns what the file system says into errors of ours: `STORAGE_FULL` or `STORAGE`. */
export async function storing<Result>(out: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === undefined) throw error
    const full = isDiskFull(error)
    throw new RagError(full ? 'STORAGE_FULL' : 'STORAGE', `The static model cannot be written to "${out}".`, {
      cause: error,
      data: { out, code },
      hint: full ? 'Free some space, or name a folder on another disk.' : 'Check that the folder can be written to.',
    })
  }
}
