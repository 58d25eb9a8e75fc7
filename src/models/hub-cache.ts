import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isMissingFile } from '../util/system-error.js'
import { isFile } from './files.js'

/**
 * The layout of the hub cache, which Python's tools share: `models--OWNER--NAME/` holds `blobs/` (files by their hash),
 * `snapshots/COMMIT/` (links to them, by their names), `refs/REVISION` (the commit of a branch or tag) and `.no_exist/COMMIT/` (empty
 * files: names that were asked for in vain).
 */
export interface CachedRepository {
  /** Absolute folder of the repository in the cache. */
  readonly directory: string
}

export function cachedRepository(cache: string, id: string): CachedRepository {
  return { directory: join(cache, `models--${id.replaceAll('/', '--')}`) }
}

const isCommit = (text: string): boolean => /^[0-9a-f]{40}$/.test(text)

/** The commit that a branch, tag or commit stood for when it was last fetched. */
export async function cachedCommit({ directory }: CachedRepository, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision
  const commit = await readOptional(join(directory, 'refs', revision))
  if (commit !== undefined && isCommit(commit.trim())) return commit.trim()
  // Folders that were copied by hand come without refs; where there is one snapshot, there is no doubt.
  const snapshots = await readdir(join(directory, 'snapshots')).catch(ignoreAbsent)
  return snapshots?.length === 1 ? snapshots[0] : undefined
}

export function snapshotDirectory({ directory }: CachedRepository, commit: string): string {
  return join(directory, 'snapshots', commit)
}

export function blobPath({ directory }: CachedRepository, hash: string): string {
  return join(directory, 'blobs', hash)
}

/** Notes what a branch or tag stands for now. Done last, so that it never points to a snapshot that lacks files. */
export async function writeRef(
  { directory }: CachedRepository,
  { revision, commit }: { readonly revision: string; readonly commit: string },
): Promise<void> {
  if (isCommit(revision)) return
  const path = join(directory, 'refs', revision)
  if ((await readOptional(path)) === commit) return
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`
  await writeFile(temporary, commit)
  await rename(temporary, path)
}

/** Notes that a commit has none of these files, so that the next start need not ask the hub. */
export async function markAbsent(
  { directory }: CachedRepository,
  { commit, paths }: { readonly commit: string; readonly paths: readonly string[] },
): Promise<void> {
  for (const path of paths) {
    const marker = join(directory, '.no_exist', commit, path)
    await mkdir(dirname(marker), { recursive: true })
    await writeFile(marker, '')
  }
}

export async function areMarkedAbsent(
  { directory }: CachedRepository,
  { commit, paths }: { readonly commit: string; readonly paths: readonly string[] },
): Promise<boolean> {
  for (const path of paths) if (!(await isFile(join(directory, '.no_exist', commit, path)))) return false
  return true
}

async function readOptional(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(ignoreAbsent)
}

function ignoreAbsent(error: unknown): undefined {
  if (isMissingFile(error)) return undefined
  throw error
}
