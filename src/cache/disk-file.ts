import { mkdirSync, statSync } from 'node:fs'
import { RagError } from '../core/errors.js'
import { type Environment, type EnvironmentOptions, environmentFile, openEnvironment } from '../lmdb/environment.js'

/** An environment, and which file it is: another that was put in its place has another inode. */
export interface CacheFile {
  readonly environment: Environment
  readonly inode: number
}

/** Others may delete the file at any moment: so often is it opened again when it has gone while it was being opened. */
export const maxAttempts = 5

/** Opens the environment of a cache, with its folder if there is none. Rejects as `openEnvironment` does. */
export async function openCacheFile(options: EnvironmentOptions): Promise<CacheFile> {
  const { directory } = options
  for (let attempt = 1; ; attempt++) {
    makeDirectory(directory)
    const before = inodeOf(directory)
    const environment = await openEnvironment(options)
    const inode = inodeOf(directory)
    if (inode !== undefined && (before === undefined || before === inode)) return { environment, inode }
    await environment.close()
    if (attempt < maxAttempts) continue
    throw new RagError('STORAGE', 'The file of a cache is deleted as soon as it is there.', { data: { directory } })
  }
}

/** Of the file that is there now; `undefined` when there is none. */
export function inodeOf(directory: string): number | undefined {
  return statSync(environmentFile(directory), { throwIfNoEntry: false })?.ino
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true })
  } catch (cause) {
    throw new RagError('STORAGE', 'The folder of the cache could not be made.', {
      data: { directory },
      cause,
      hint: 'Choose another folder, or grant this user the right to write there.',
    })
  }
}
