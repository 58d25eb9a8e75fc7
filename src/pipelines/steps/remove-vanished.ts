import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import type { StoreNamespace } from '../../store/types.js'
import { fileId } from '../../util/file-id.js'
import { inBatches } from '../../util/in-batches.js'
import { isMissingFile } from '../../util/system-error.js'
import { createPause, createTurns } from '../../util/yield.js'

export interface RemoveVanishedOptions {
  readonly namespace: StoreNamespace
  /** Absolute folder that document ids are relative to. */
  readonly root: string
  /** Absolute folder that must be there, and stay the same one, while files below it are looked for: a disk may be gone, too. */
  readonly folder: string
  readonly signal?: AbortSignal
}

/** Files that are looked at together, and documents that are removed together. */
const lookedAtOnce = 64
const removedAtOnce = 1_000

/**
 * Removes the documents of files that are gone: of `paths` themselves, and of everything below them. Only documents that were found as
 * files, under the ids their paths give them; each is looked for once more, so that what is there stays, whoever has not seen
 * it. Failures noted of such files are forgotten. Yields the ids, after the flush to disk.
 */
export async function* removeVanished(
  paths: readonly string[],
  { folder, namespace, root, signal }: RemoveVanishedOptions,
): AsyncGenerator<string[], void, undefined> {
  const before = await stat(folder).catch(() => undefined) // Gone, or unreadable: nothing is known of what is in it.
  if (before?.isDirectory() !== true) return
  for await (const batch of inBatches(vanishedIds(paths, { namespace, root, signal }), removedAtOnce)) {
    signal?.throwIfAborted()
    // A walk over many documents takes its time: what was gone then may be back.
    const ids: string[] = []
    for await (const id of withoutFile(batch, root)) ids.push(id)
    if (ids.length === 0) continue
    const now = await stat(folder).catch(() => undefined) // As above.
    if (now === undefined || !isSameFolder(before, now)) return
    const removed = ids.filter((id) => namespace.get(id) !== undefined)
    await namespace.remove(ids)
    if (removed.length > 0) yield removed
  }
}

/** Another device in the place of a folder is another disk, or none. */
function isSameFolder(before: Stats, now: Stats): boolean {
  return now.isDirectory() && before.dev === now.dev && before.ino === now.ino
}

type Scope = Pick<RemoveVanishedOptions, 'namespace' | 'root'> & { readonly signal: AbortSignal | undefined }

async function* vanishedIds(paths: readonly string[], scope: Scope): AsyncGenerator<string> {
  let candidates: string[] = []
  for await (const id of candidateIds(paths, scope)) {
    candidates.push(id)
    if (candidates.length < lookedAtOnce) continue
    yield* withoutFile(candidates, scope.root)
    candidates = []
  }
  yield* withoutFile(candidates, scope.root)
}

/** Ids of documents, and of failures, that were found as files at the paths or below. */
async function* candidateIds(paths: readonly string[], { namespace, root, signal }: Scope): AsyncGenerator<string> {
  const pause = createPause(createTurns(), () => signal?.throwIfAborted())
  for (const path of paths) {
    await pause()
    for (const document of documentsNear(path, { namespace, root })) {
      await pause()
      if (isWalked(document) && isAtOrBelow(resolve(root, document.id), path)) yield document.id
    }
  }
  for (const { documentId: id, file, source } of namespace.failures()) {
    await pause()
    if (file === undefined || id !== source || namespace.get(id) !== undefined) continue
    const place = resolve(root, id)
    if (paths.some((path) => isAtOrBelow(place, path))) yield id
  }
}

/** The documents whose ids may be those of a path and of what is below it, and perhaps others. */
function* documentsNear(path: string, { namespace, root }: Pick<Scope, 'namespace' | 'root'>) {
  // Ids are relative below the root and absolute elsewhere: a folder that holds the root has some of both.
  if (isAtOrBelow(root, path)) return yield* namespace.list()
  const id = fileId(path, root)
  const own = namespace.get(id)
  if (own !== undefined) yield own
  // In the order of ids, those with one beginning are together.
  for (const document of namespace.list({ after: `${id}/` })) {
    if (!document.id.startsWith(`${id}/`)) return
    yield document
  }
}

function isAtOrBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}

/** Whether a document was found as a file, under the id its path gives it. */
function isWalked({ file, id, source }: { readonly file?: object; readonly id: string; readonly source: string }) {
  // What was read from the web has validators, and never was in a folder.
  return file !== undefined && !('validators' in file) && id === source
}

async function* withoutFile(ids: readonly string[], root: string): AsyncGenerator<string> {
  const gone = await Promise.all(ids.map((id) => isGone(resolve(root, id))))
  for (const [place, id] of ids.entries()) if (gone[place]) yield id
}

/** Whether there is no file. One that cannot be looked at may be there. */
async function isGone(path: string): Promise<boolean> {
  try {
    return !(await stat(path)).isFile()
  } catch (error) {
    return isMissingFile(error)
  }
}
