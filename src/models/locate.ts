import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, isAbsolute, join, resolve } from 'node:path'
import { RagError } from '../core/errors.js'
import type { Logger } from '../core/lifecycle.js'
import { nearest } from '../util/nearest.js'
import { isAbsent, listModelFiles } from './files.js'
import { areMarkedAbsent, cachedCommit, cachedRepository, snapshotDirectory } from './hub-cache.js'
import { type Environment, type ModelPlace, modelPlaces } from './places.js'
import { knownModels, nameOf, repositoriesOf } from './registry.js'

/** Which model, and where it may be. */
export interface ModelRequest {
  /**
   * A folder (an absolute path, one that begins with `./`, `../` or `~/`, or any that exists in the working directory and holds a
   * model), a hub id (`sentence-transformers/all-MiniLM-L6-v2`), or the short name of a known model (`all-MiniLM-L6-v2`).
   */
  readonly model: string
  /** Folder of models by their names, looked into first. Default: none; then `UFRAG_MODELS` and the hub cache are. */
  readonly modelsDir?: string | undefined
  /** Branch, tag or commit on the hub. Default `main`; for folders it means nothing. */
  readonly revision?: string | undefined
  /** Told when something else than what was asked for is used. Default: nobody. */
  readonly logger?: Logger | undefined
  /** Ends waiting and downloads; the call rejects with its reason. */
  readonly signal?: AbortSignal | undefined
  /** Default `process.env`. */
  readonly environment?: Environment | undefined
}

/** What of a model is needed: how its weights are chosen, and what must lie beside them. */
export interface ModelNeeds<Choice extends WeightsPath> {
  /** The weights among the files of a model; `undefined` when none are usable. */
  choose(files: readonly string[]): Choice | undefined
  /** Paths of weights that would be exactly what was asked for. */
  readonly wanted: readonly string[]
  /** Files without which weights are of no use. */
  readonly required: readonly string[]
  /** Checks chosen weights; resolves with all files they consist of, absolute. Rejects with `INTEGRITY` or `NOT_FOUND`. */
  complete(directory: string, choice: Choice): Promise<readonly string[]>
}

/** Chosen weights. */
export interface WeightsPath {
  /** Within the model's folder, with `/`. */
  readonly path: string
  /** Just what was asked for, no substitute. */
  readonly exact: boolean
}

/** A model on this machine. */
export interface LocatedModel<Choice extends WeightsPath> {
  /** Hub id, or the name of the folder. */
  readonly name: string
  /** Absolute. */
  readonly directory: string
  /** It was asked for by a hub id or a short name. */
  readonly byId: boolean
  readonly weights: Choice
  /** All files of the weights, absolute, the one at `weights.path` first. */
  readonly files: readonly string[]
}

/**
 * Finds a model on this machine, without network. Rejects with `NOT_FOUND` that lists where it was looked for and what was missing there;
 * with `BAD_OPTION` for a name that is neither folder nor id; with `INTEGRITY` for weights that are damaged.
 */
export async function locateModel<Choice extends WeightsPath>(
  request: ModelRequest,
  needs: ModelNeeds<Choice>,
): Promise<LocatedModel<Choice>> {
  const folder = await folderOf(request.model)
  if (folder !== undefined) return openFolder(folder, needs)
  requireId(request.model)
  const { found, looked } = await search(request, needs)
  if (found !== undefined) return found.model
  throw notHere(request, needs, looked)
}

/** The folder that is meant, or `undefined` when an id is. */
async function folderOf(model: string): Promise<string | undefined> {
  const path = model.startsWith('~/') ? join(homedir(), model.slice(2)) : model
  if (isAbsolute(path) || /^\.{1,2}(?:[/\\]|$)/.test(path)) {
    if ((await kindOf(path)) === 'folder') return resolve(path)
    throw new RagError('NOT_FOUND', `There is no model folder at "${resolve(path)}".`, {
      data: { model, path: resolve(path) },
      hint: 'Give the folder that holds config.json, tokenizer.json and the weights, or a hub id such as sentence-transformers/all-MiniLM-L6-v2.',
    })
  }
  if (model === '' || (await kindOf(path)) !== 'folder') return undefined
  // A folder that happens to have the name of a model is only meant when it holds one.
  const files = await listModelFiles(path)
  return files.includes('config.json') || files.some((file) => /\.(?:onnx|safetensors)$/.test(file))
    ? resolve(path)
    : undefined
}

async function kindOf(path: string): Promise<'folder' | 'other' | undefined> {
  if (path.includes('\0')) return undefined
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'other'
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

async function openFolder<Choice extends WeightsPath>(
  directory: string,
  needs: ModelNeeds<Choice>,
): Promise<LocatedModel<Choice>> {
  const files = await listModelFiles(directory)
  const weights = needs.choose(files)
  const missing = needs.required.filter((file) => !files.includes(file))
  if (weights === undefined || missing.length > 0) {
    const lacking = [...missing, ...(weights === undefined ? [`weights (${needs.wanted.join(', ')})`] : [])]
    throw new RagError('NOT_FOUND', `The model folder "${directory}" lacks ${lacking.join(', ')}.`, {
      data: {
        directory,
        missing,
        lookedFor: needs.wanted,
        found: files.filter((file) => /\.(?:onnx|safetensors)$/.test(file)),
      },
      hint: 'Put the files there, or give a hub id: it is fetched whole with "ufrag pull".',
    })
  }
  const complete = await needs.complete(directory, weights)
  return { name: basename(directory), directory, byId: false, weights, files: complete }
}

/** What the hub itself accepts; nothing that could lead out of a folder. */
const idPattern = /^(?![.-])[\w.-]{1,96}(?:\/(?![.-])[\w.-]{1,96})?$/

function requireId(model: string): void {
  if (idPattern.test(model) && !/--|\.\./.test(model)) return
  throw new RagError('BAD_OPTION', `"${model}" is neither a folder that exists nor a hub id.`, {
    data: { model },
    hint: 'Folders begin with ./ or /; ids look like sentence-transformers/all-MiniLM-L6-v2.',
  })
}

/** What was found in one folder that was looked into. */
export interface Looked {
  readonly path: string
  readonly from: string
  readonly problem: string
  /** Why files that are there cannot be used. */
  readonly error?: unknown
}

export interface Found<Choice extends WeightsPath> {
  readonly model: LocatedModel<Choice>
  /** Nothing better is to be had, so nobody need ask the hub. */
  readonly final: boolean
}

/**
 * Looks through the places. The first folder with exactly the weights that were asked for wins; else the first with a substitute,
 * folders that somebody filled by hand before the cache.
 */
export async function search<Choice extends WeightsPath>(
  request: ModelRequest,
  needs: ModelNeeds<Choice>,
): Promise<{ readonly found: Found<Choice> | undefined; readonly looked: readonly Looked[] }> {
  const looked: Looked[] = []
  const substitutes: Found<Choice>[] = []
  const { modelsDir, environment = process.env } = request
  const places = modelPlaces({ environment, ...(modelsDir !== undefined && { modelsDir }) })
  for (const place of places) {
    for (const id of repositoriesOf(request.model)) {
      for await (const candidate of candidates(place, { id, revision: request.revision ?? 'main' })) {
        request.signal?.throwIfAborted()
        const result = await look(candidate, needs)
        if ('problem' in result) looked.push({ path: candidate.directory, from: place.from, ...result })
        else {
          const name = repositoriesOf(request.model)[0] as string
          const model = { name, directory: candidate.directory, byId: true, ...result }
          if (result.weights.exact) return { found: { model, final: true }, looked }
          substitutes.push({ model, final: await candidate.isFinal(needs.wanted) })
        }
      }
    }
  }
  return { found: substitutes[0], looked }
}

interface Candidate {
  readonly directory: string
  /** Whether the hub has none of these either. */
  isFinal(wanted: readonly string[]): Promise<boolean>
}

async function* candidates(
  place: ModelPlace,
  { id, revision }: { readonly id: string; readonly revision: string },
): AsyncGenerator<Candidate> {
  if (place.kind === 'folder') {
    // Whoever fills a folder by hand decides what is in it.
    const isFinal = async () => true
    yield { directory: join(place.path, id), isFinal }
    if (nameOf(id) !== id) yield { directory: join(place.path, nameOf(id)), isFinal }
  }
  const repository = cachedRepository(place.path, id)
  const commit = await cachedCommit(repository, revision)
  if (commit === undefined) {
    if (place.kind === 'cache') yield { directory: repository.directory, isFinal: async () => false }
    return
  }
  yield {
    directory: snapshotDirectory(repository, commit),
    isFinal: (paths) => areMarkedAbsent(repository, { commit, paths }),
  }
}

type Look<Choice extends WeightsPath> =
  | Pick<LocatedModel<Choice>, 'weights' | 'files'>
  | Pick<Looked, 'problem' | 'error'>

async function look<Choice extends WeightsPath>(
  { directory }: Candidate,
  needs: ModelNeeds<Choice>,
): Promise<Look<Choice>> {
  const files = await listModelFiles(directory)
  if (files.length === 0) return { problem: 'not there' }
  const weights = needs.choose(files)
  if (weights === undefined) return { problem: `has no usable weights (${needs.wanted.join(', ')})` }
  const missing = needs.required.filter((file) => !files.includes(file))
  if (missing.length > 0) return { problem: `lacks ${missing.join(', ')}` }
  try {
    return { weights, files: await needs.complete(directory, weights) }
  } catch (error) {
    if (RagError.isInstance(error)) return { problem: error.message, error }
    throw error
  }
}

/** `NOT_FOUND`, or what is wrong with the files that are there. */
export function notHere<Choice extends WeightsPath>(
  { model }: ModelRequest,
  needs: ModelNeeds<Choice>,
  looked: readonly Looked[],
): unknown {
  const broken = looked.find(({ error }) => error !== undefined)
  if (broken !== undefined) return broken.error
  const meant = nearest(
    nameOf(model),
    knownModels.map(({ id }) => nameOf(id)),
  )
  const places = looked.map(({ path, problem }) => `${path} (${problem})`)
  return new RagError('NOT_FOUND', `The model "${model}" is not on this machine. Looked in: ${places.join('; ')}.`, {
    data: {
      model,
      looked: looked.map(({ path, from, problem }) => ({ path, from, problem })),
      lookedFor: needs.wanted,
    },
    hint: `${meant === undefined || meant === nameOf(model) ? '' : `Did you mean ${meant}? `}Run: ufrag pull ${model}`,
  })
}
