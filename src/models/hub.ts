import { randomUUID } from 'node:crypto'
import { copyFile, link, mkdir, realpath, rename, rm, stat, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { RagError } from '../core/errors.js'
import { importOptional } from '../util/import-optional.js'
import { isDiskFull, isMissingFile, systemErrorCode } from '../util/system-error.js'
import { blobPath, type CachedRepository, cachedRepository, snapshotDirectory, writeRef } from './hub-cache.js'
import type { HubClient } from './hub-client.js'
import { type Transfer, transfer } from './transfer.js'

/** Where a download stands. */
export interface PullProgress {
  /** The file that has just grown. */
  readonly file: string
  /** Bytes of all files that are here, and that are needed as far as is known; what was cached before counts as received. */
  readonly receivedBytes: number
  readonly totalBytes: number
}

/** A model on the hub at one commit. */
export interface HubRepository {
  readonly id: string
  readonly commit: string
  /** Paths of its files. */
  readonly files: readonly string[]
  /** Where its files go, under their names. */
  readonly directory: string
  /**
   * Brings files into the cache, several at a time, and checks each by size and hash. Those that are there already cost nothing, or
   * with `verify` the reading. Rejects with `INTEGRITY`, `STORAGE_FULL`, `STORAGE`, or as the client does.
   */
  fetch(paths: readonly string[], options: FetchOptions): Promise<void>
  /** Notes the commit as what the revision stands for, for later calls without the hub. */
  conclude(): Promise<void>
}

export interface FetchOptions {
  readonly verify: boolean
  readonly onProgress?: ((progress: PullProgress) => void) | undefined
  /** Another process fetches this file already. */
  readonly onWaiting?: ((file: string) => void) | undefined
}

export interface HubLocation {
  readonly id: string
  /** Branch, tag or commit. */
  readonly revision: string
  /** Folder of the hub cache. */
  readonly cache: string
}

/**
 * Asks the hub for the commit and the files of a model. `@huggingface/hub` does the asking; its downloads we do not use: version 2.17 neither
 * checks what arrives nor continues what broke off, lets two processes write into one file, and prints to the console.
 */
export async function openRepository(client: HubClient, location: HubLocation): Promise<HubRepository> {
  const { id, revision, cache } = location
  const hub = await importOptional('@huggingface/hub', () => import('@huggingface/hub'), 'npm i @huggingface/hub@2')
  const access = { hubUrl: client.endpoint, fetch: client.fetch }
  const { sha: commit } = await hub.modelInfo({ name: id, revision, additionalFields: ['sha'], ...access })
  if (!/^[0-9a-f]{40}$/.test(commit)) throw notUnderstood(id, 'a commit')
  const listed = new Map<string, ListedFile>()
  for await (const entry of hub.listFiles({ repo: id, revision: commit, recursive: true, ...access })) {
    if (entry.type === 'file') listed.set(entry.path, readEntry(id, entry))
  }
  const repository = cachedRepository(cache, id)
  const progress = new Map<string, { received: number; readonly size: number }>()
  return {
    id,
    commit,
    files: [...listed.keys()],
    directory: snapshotDirectory(repository, commit),
    async fetch(paths, options) {
      const files = paths.map((path) => {
        const file = listed.get(path)
        if (file === undefined) throw missingFile(id, path)
        return file
      })
      for (const { path, size } of files) progress.set(path, progress.get(path) ?? { received: 0, size })
      const report = (path: string, received: number): void => {
        const entry = progress.get(path)
        if (entry === undefined || entry.received === received) return
        entry.received = received
        const entries = [...progress.values()]
        options.onProgress?.({
          file: path,
          receivedBytes: entries.reduce((sum, one) => sum + one.received, 0),
          totalBytes: entries.reduce((sum, one) => sum + one.size, 0),
        })
      }
      await fetchAll(client, files, { ...options, id, commit, repository, report })
    },
    conclude: () => guardDisk(repository.directory, () => writeRef(repository, { revision, commit })),
  }
}

interface ListedFile {
  readonly path: string
  readonly size: number
  readonly hash: Transfer['hash']
}

function readEntry(
  id: string,
  entry: {
    readonly path: string
    readonly size: number
    readonly oid?: string
    readonly lfs?: { readonly oid: string; readonly size: number }
  },
): ListedFile {
  const hash: Transfer['hash'] =
    entry.lfs === undefined ? { kind: 'git', hex: entry.oid ?? '' } : { kind: 'sha256', hex: entry.lfs.oid }
  const size = entry.lfs?.size ?? entry.size
  const isSound = hash.kind === 'git' ? /^[0-9a-f]{40}$/.test(hash.hex) : /^[0-9a-f]{64}$/.test(hash.hex)
  if (!isSound || !Number.isSafeInteger(size) || size < 0) throw notUnderstood(id, `the file "${entry.path}"`)
  return { path: entry.path, size, hash }
}

interface FetchContext extends FetchOptions {
  readonly id: string
  readonly commit: string
  readonly repository: CachedRepository
  readonly report: (path: string, received: number) => void
}

/** Small files come one round trip each: a few at once, in the order given. */
const filesAtOnce = 4

async function fetchAll(client: HubClient, files: readonly ListedFile[], context: FetchContext): Promise<void> {
  const waiting = [...files]
  let failed = false
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined && !failed; file = waiting.shift()) {
      try {
        await fetchOne(client, file, context)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const results = await Promise.allSettled(Array.from({ length: filesAtOnce }, work))
  const failure = results.find((result) => result.status === 'rejected')
  if (failure !== undefined) throw failure.reason
}

async function fetchOne(client: HubClient, file: ListedFile, context: FetchContext): Promise<void> {
  const { id, commit, repository, report, verify, onWaiting } = context
  const { path, size, hash } = file
  const pointer = join(snapshotDirectory(repository, commit), ...path.split('/'))
  if (!verify && (await sizeOf(pointer)) === size) return report(path, size)
  const blob = blobPath(repository, hash.hex)
  await guardDisk(repository.directory, () => mkdir(dirname(blob), { recursive: true }))
  const url = `${client.endpoint}/${id}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`
  await guardDisk(repository.directory, () =>
    transfer(client, {
      url,
      name: path,
      size,
      hash,
      path: blob,
      verify,
      onReceived: (received) => report(path, received),
      onWaiting: () => onWaiting?.(path),
    }),
  )
  await guardDisk(repository.directory, () => point(pointer, blob))
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const file = await stat(path)
    return file.isFile() ? file.size : undefined
  } catch (error) {
    if (isMissingFile(error)) return undefined
    throw error
  }
}

/** Gives a blob its name in the snapshot, in one step. Relative links survive a cache that is moved. */
async function point(pointer: string, blob: string): Promise<void> {
  if ((await realpath(pointer).catch(() => undefined)) === (await realpath(blob))) return
  await mkdir(dirname(pointer), { recursive: true })
  const temporary = `${pointer}.${randomUUID()}`
  try {
    await symlink(relative(dirname(pointer), blob), temporary)
      // Windows allows links only to some; file systems of memory cards know neither kind.
      .catch(() => link(blob, temporary))
      .catch(() => copyFile(blob, temporary))
    await rename(temporary, pointer)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** What the operating system says of the cache folder, in our words. */
async function guardDisk<Value>(directory: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === undefined) throw error
    const isFull = isDiskFull(error)
    throw new RagError(
      isFull ? 'STORAGE_FULL' : 'STORAGE',
      `The model cache "${directory}" cannot be written (${code}).`,
      {
        cause: error,
        data: { directory, code },
        hint: isFull
          ? 'Free some space, or name another disk with HF_HOME.'
          : 'Give this user the right to write there, or name another folder with HF_HOME.',
        retryable: isFull,
      },
    )
  }
}

function missingFile(id: string, file: string): RagError {
  return new RagError('NOT_FOUND', `The model "${id}" refers to the file "${file}", which the hub does not have.`, {
    data: { model: id, file },
    hint: 'The model was published without it; choose another quantization or another model.',
  })
}

function notUnderstood(id: string, what: string): RagError {
  return new RagError(
    'PROVIDER',
    `The hub's answer about "${id}" is not understood: it names ${what} without its hash.`,
    {
      data: { model: id },
      hint: 'If HF_ENDPOINT names a mirror, it may not be a complete one.',
    },
  )
}
