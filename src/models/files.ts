import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RagError } from '../core/errors.js'
import { isMissingFile, systemErrorCode } from '../util/system-error.js'

/** Folders within a model's that matter: ONNX files, and the steps of sentence-transformers (`1_Pooling`). */
const innerFolder = /^(?:onnx|\d+_\w+)$/

/** Files of a model that matter, as paths within its folder with `/`; empty when there is no such folder. Broken links do not count. */
export async function listModelFiles(directory: string): Promise<readonly string[]> {
  const names = await readFolder(directory)
  const folders = names.filter((name) => innerFolder.test(name))
  const inner = await Promise.all(
    folders.map(async (folder) => (await readFolder(join(directory, folder))).map((name) => `${folder}/${name}`)),
  )
  const paths = [...names, ...inner.flat()]
  const present = await Promise.all(paths.map((path) => isFile(join(directory, path))))
  return paths.filter((_, index) => present[index])
}

async function readFolder(directory: string): Promise<readonly string[]> {
  return readdir(directory).catch((error) => {
    if (isMissingFile(error)) return []
    throw error
  })
}

/** Follows links, as the hub cache is made of them. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    if (isMissingFile(error)) return false
    throw error
  }
}

/** Whether a file holds weights of a kind that somebody might have meant. */
export function isWeightsFile(path: string): boolean {
  return /\.(?:onnx|safetensors)$/.test(path)
}

/** What the operating system says of a file, in our words; other errors stay as they are. */
export function asStorageError(error: unknown, what: string): unknown {
  const code = systemErrorCode(error)
  if (code === undefined) return error
  const { path } = error as NodeJS.ErrnoException
  return new RagError('STORAGE', `The files of ${what} cannot be read (${code}).`, {
    cause: error,
    data: { code, ...(path === undefined ? {} : { path }) },
    hint: 'Give this user the right to read the folder and its files; links must not lead in a circle.',
  })
}
