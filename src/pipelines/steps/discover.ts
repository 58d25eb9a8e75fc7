import type { Stats } from 'node:fs'
import { lstat, opendir, realpath, stat } from 'node:fs/promises'
import { basename, join, relative, resolve, sep } from 'node:path'
import type { DocumentInput } from '../../core/document.js'
import { RagError } from '../../core/errors.js'
import type { FileStamp } from '../../store/types.js'
import { abortableValues } from '../../util/abort.js'
import { fileId } from '../../util/file-id.js'
import { errorCode, isMissingFile } from '../../util/system-error.js'
import { problemWith } from './check-input.js'

/** One document to ingest, or the reason why an input is none. */
export type Discovered =
  | {
      readonly kind: 'object'
      readonly source: string
      readonly input: Exclude<DocumentInput, string>
      /** Of an input with a path, and of what was read from the web. */
      readonly file?: FileStamp
    }
  /** Not read yet. */
  | { readonly kind: 'url'; readonly source: string; readonly url: string }
  | {
      readonly kind: 'file'
      readonly source: string
      readonly path: string
      readonly file: FileStamp
      readonly id: string
    }
  | { readonly kind: 'failed'; readonly source: string; readonly error: unknown }

export interface DiscoverOptions {
  /** Absolute folder that relative paths and document ids are relative to. */
  readonly root: string
  /** Absolute folder whose files are nobody's documents: that of the store. */
  readonly exclude?: string | undefined
  readonly signal?: AbortSignal
  /** Told of each folder among the inputs, before it is walked. */
  readonly onFolder?: (folder: string) => void
}

/** Entries of a folder that are looked at together. */
const lookedAtOnce = 64
/** Folders that a walk does not enter. Name one explicitly to ingest it. */
const skippedFolders = new Set(['node_modules', '__pycache__'])

/**
 * Turns inputs into single documents: folders are walked in the order of their names, globs expanded; hidden files and
 * `node_modules` are left out, links that leave the walked folder are not followed. What cannot be read is yielded as `failed`.
 */
export async function* discover(
  inputs: Iterable<DocumentInput> | AsyncIterable<DocumentInput>,
  options: DiscoverOptions,
): AsyncGenerator<Discovered> {
  for await (const input of abortableValues(inputs, options.signal)) {
    const problem = problemWith(input)
    if (problem !== undefined) yield { kind: 'failed', ...problem }
    else if (typeof input === 'string') yield* discoverPath(input, options)
    else if (input instanceof Uint8Array) yield { kind: 'object', source: 'memory:bytes', input: { data: input } }
    else if ('path' in input) yield* discoverFileObject(input, options)
    else yield { kind: 'object', source: `memory:${input.id ?? 'text'}`, input }
  }
}

const wildcards = /[*?[\]{}!()]/

async function* discoverPath(input: string, options: DiscoverOptions): AsyncGenerator<Discovered> {
  const { root } = options
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(input)) {
    const url = URL.canParse(input) ? new URL(input) : undefined
    if (url !== undefined) url.hash = ''
    // Its normal form, without the place in the page, is its id.
    yield { kind: 'url', source: url?.href ?? input, url: url?.href ?? input }
    return
  }
  const path = resolve(root, input)
  const found = await stat(path).catch(() => undefined) // Whatever the reason, the glob or NOT_FOUND below tells it.
  if (found !== undefined && (await leadsOut(path, root))) {
    yield { kind: 'failed', source: input, error: leadsOutOfRoot(input, root) }
  } else if (found?.isDirectory()) {
    options.onFolder?.(path)
    yield* walk(path, { ...options, start: path, within: await realpath(path).catch(() => path) })
  } else if (found !== undefined) yield toFile(path, found, root)
  else if (wildcards.test(input)) yield* expandGlob(input, options)
  else yield { kind: 'failed', source: input, error: notFound(input, root) }
}

async function* discoverFileObject(
  input: Extract<DocumentInput, { path: string }>,
  { root }: DiscoverOptions,
): AsyncGenerator<Discovered> {
  const path = resolve(root, input.path)
  const found = await stat(path).catch(() => undefined) // NOT_FOUND below tells it.
  const id = fileId(path, root)
  if (found === undefined) yield { kind: 'failed', source: input.path, error: notFound(input.path, root) }
  else if (await leadsOut(path, root)) yield { kind: 'failed', source: id, error: leadsOutOfRoot(input.path, root) }
  else if (!found.isFile()) yield { kind: 'failed', source: id, error: noFile(id) }
  else yield { kind: 'object', source: id, input: { ...input, path }, file: fileStamp(found) }
}

type WalkScope = DiscoverOptions & { readonly start: string; readonly within: string }

async function* walk(folder: string, scope: WalkScope): AsyncGenerator<Discovered> {
  if (folder === scope.exclude) return
  const names: string[] = []
  try {
    for await (const entry of await opendir(folder)) names.push(entry.name)
  } catch (error) {
    // A folder within that was deleted meanwhile is no failure; the one that was named is.
    if (folder === scope.start || !isMissingFile(error))
      yield { kind: 'failed', source: fileId(folder, scope.root), error: unreadable(folder, error) }
    return
  }
  const visible = names.filter((name) => !name.startsWith('.')).sort()
  for (let start = 0; start < visible.length; start += lookedAtOnce) {
    const paths = visible.slice(start, start + lookedAtOnce).map((name) => join(folder, name))
    // One after the other, most of the time would be spent waiting for a thread.
    const links = await Promise.allSettled(paths.map((path) => lstat(path)))
    for (const [place, path] of paths.entries()) {
      scope.signal?.throwIfAborted()
      const link = links[place] as PromiseSettledResult<Stats>
      try {
        if (link.status === 'rejected') throw link.reason
        yield* walkEntry(path, link.value, scope)
      } catch (error) {
        // What was deleted while its folder was listed is no failure.
        if (isMissingFile(error)) continue
        yield { kind: 'failed', source: fileId(path, scope.root), error: unreadable(path, error) }
      }
    }
  }
}

async function* walkEntry(path: string, link: Stats, scope: WalkScope): AsyncGenerator<Discovered> {
  if (link.isSymbolicLink() && !(await staysWithin(path, scope.within))) return
  const found = link.isSymbolicLink() ? await stat(path) : link
  // A linked folder inside the walked one is met at its own place.
  if (found.isDirectory() && !link.isSymbolicLink() && !skippedFolders.has(basename(path))) yield* walk(path, scope)
  else if (found.isFile()) yield toFile(path, found, scope.root)
}

async function* expandGlob(pattern: string, { root, exclude, signal }: DiscoverOptions): AsyncGenerator<Discovered> {
  if (await leadsOut(resolve(root, fixedPart(pattern)), root)) {
    yield { kind: 'failed', source: pattern, error: leadsOutOfRoot(pattern, root) }
    return
  }
  const { glob } = await import('tinyglobby')
  const paths = await glob(pattern, {
    cwd: root,
    absolute: true,
    followSymbolicLinks: false,
    ignore: [...skippedFolders].map((name) => `**/${name}/**`),
    ...(signal === undefined ? {} : { signal }),
  })
  if (paths.length === 0) {
    yield { kind: 'failed', source: pattern, error: notFound(pattern, root) }
    return
  }
  for (const path of paths.sort()) {
    if (exclude !== undefined && path.startsWith(exclude + sep)) continue
    const link = await lstat(path).catch(() => undefined) // Vanished since the listing.
    if (link?.isSymbolicLink() && (await leadsOut(path, root))) {
      yield { kind: 'failed', source: fileId(path, root), error: leadsOutOfRoot(path, root) }
      continue
    }
    const found = link?.isSymbolicLink() ? await stat(path).catch(() => undefined) : link
    if (found?.isFile()) yield toFile(path, found, root)
  }
}

/** The folders that a pattern names before its first wildcard: behind that no link is followed. */
function fixedPart(pattern: string): string {
  const parts = pattern.split(/[\\/]/)
  const wild = parts.findIndex((part) => wildcards.test(part))
  return parts.slice(0, wild).join('/')
}

function toFile(path: string, found: Stats, root: string): Discovered {
  const id = fileId(path, root)
  if (!found.isFile()) return { kind: 'failed', source: id, error: noFile(id) }
  return { kind: 'file', source: id, path, id, file: fileStamp(found) }
}

function noFile(id: string): RagError {
  return new RagError('UNSUPPORTED', `"${id}" is not a regular file.`, {
    data: { source: id },
    hint: 'Pass a folder as a path of its own. Pipes and devices are not read.',
  })
}

/** Whether a walk of a folder leaves out an absolute path in it: hidden ones, `node_modules`, and what is in them. */
export function isLeftOutOf(folder: string, path: string, exclude: string | undefined): boolean {
  if (exclude !== undefined && (path === exclude || path.startsWith(exclude + sep))) return true
  const inside = relative(folder, path).split(sep)
  return inside.some((name) => (name.startsWith('.') && name !== '' && name !== '..') || skippedFolders.has(name))
}

/** What tells an unchanged file without reading it. */
export function fileStamp(found: Stats): FileStamp {
  return { size: found.size, mtimeMs: found.mtimeMs, inode: found.ino, seenAt: Date.now() }
}

async function staysWithin(path: string, within: string): Promise<boolean> {
  const target = await realpath(path)
  return target === within || target.startsWith(within + sep)
}

/** Whether a path below `root` is, or goes through, a link to somewhere else. A path that is outside by its own words was meant. */
async function leadsOut(path: string, root: string): Promise<boolean> {
  if (path !== root && !path.startsWith(root.endsWith(sep) ? root : root + sep)) return false
  try {
    return !(await staysWithin(path, await realpath(root)))
  } catch {
    // It has vanished since it was seen: whoever reads it says so.
    return false
  }
}

function leadsOutOfRoot(input: string, root: string): RagError {
  return new RagError('UNSUPPORTED', `"${input}" is a link that leads out of the root folder.`, {
    data: { input, root },
    hint: 'Name the place it leads to, or set "root" to a folder that holds both.',
  })
}

function notFound(input: string, root: string): RagError {
  return new RagError('NOT_FOUND', `Nothing was found at "${input}".`, {
    data: { input, root },
    hint: 'Relative paths start at the "root" option, by default the working directory. Pass text as { id, text }.',
  })
}

function unreadable(path: string, cause: unknown): RagError {
  const code = errorCode(cause)
  return new RagError('STORAGE', `"${path}" could not be read.`, {
    data: { path, code },
    cause,
    hint: 'Check its permissions.',
  })
}
