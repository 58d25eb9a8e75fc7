import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RagError } from '../core/errors.js'
import { errorCode, isDiskFull, isMissingFile } from '../util/system-error.js'

const fileName = 'fit'
/** Only what is named like this is ever deleted. */
const ownFile = /^fit-[0-9a-f-]{36}\.tmp$/
const vectorFolder = /^vectors-[0-9a-f]{8}$/

/** Tells one version of the file from another without reading it. */
export type FitFileVersion = string

/** What a namespace's embedder was fitted to, as the last maintainer of the store left it. */
export class FitFile {
  readonly #directory: string

  /** `directory` is the namespace's, shared with its other indexes. */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** Folder of the vectors that belong to a fit. */
  vectors(checksum: string): string {
    return join(this.#directory, `vectors-${checksum}`)
  }

  /** `undefined` when there is none. */
  async version(): Promise<FitFileVersion | undefined> {
    try {
      const { ino, mtimeMs, size } = await stat(this.#path)
      return `${ino}:${mtimeMs}:${size}`
    } catch {
      // Missing, or not to be read: it is derived, and reading it says why.
      return undefined
    }
  }

  /** `undefined` when there is none. Rejects with `STORAGE`. */
  async read(): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.#path)
    } catch (error) {
      if (isMissingFile(error)) return undefined
      throw this.#failure(error)
    }
  }

  /** Replaces it in one step. Rejects with `STORAGE` or `STORAGE_FULL`; the file before it still stands then. */
  async write(bytes: Uint8Array): Promise<void> {
    const temporary = join(this.#directory, `${fileName}-${randomUUID()}.tmp`)
    try {
      await mkdir(this.#directory, { recursive: true })
      const file = await open(temporary, 'wx')
      try {
        await file.writeFile(bytes)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, this.#path)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {
        // A disk that took no bytes may not take this either; the next write cleans up.
      })
      throw this.#failure(error)
    }
  }

  /** Deletes the vectors of other fits, and what an interrupted write has left. */
  async removeOthers(checksum: string): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      const isOther = vectorFolder.test(name) && join(this.#directory, name) !== this.vectors(checksum)
      if (isOther || ownFile.test(name)) await rm(join(this.#directory, name), { recursive: true, force: true })
    }
  }

  get #path(): string {
    return join(this.#directory, fileName)
  }

  #failure(cause: unknown): RagError {
    const isFull = isDiskFull(cause)
    return new RagError(isFull ? 'STORAGE_FULL' : 'STORAGE', 'What was fitted could not be read or written.', {
      cause,
      data: { directory: this.#directory, code: errorCode(cause) ?? null },
      hint: isFull ? 'Free some space.' : 'Check the permissions of the folder.',
    })
  }
}
