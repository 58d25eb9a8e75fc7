import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, isAbsolute, join, resolve } from 'node:path'
import { RagError } from '../core/errors.js'
import type { Logger } from '../core/lifecycle.js'
import { nearest } from '../util/nearest.js'
import { isAbsent, listModelFiles } from './files.js'
import type { PullProgress } from './hub.js'
import { areMarkedAbsent, cachedCommit, cachedRepository, snapshotDirectory } from './hub-cache.js'
import type { HubPatience } from './hub-client.js'
import { type Environment, isOffline, type ModelPlace, modelPlaces } from './places.js'
import { knownModels, nameOf, repositoriesOf } from './registry.js'
import type { ModelFolder } from './settings.js'

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
  /** Told how a download goes on, several times a second. */
  readonly onProgress?: ((progress: PullProgress) => void) | undefined
  /** Default `process.env`. */
  readonly environment?: Environment | undefined
  /** How long to wait for the hub, and how often to ask again. */
  readonly patience?: Partial<HubPatience> | undefined
}

/** What of a model is needed: how its weights are chosen, and what must lie beside them. */
export interface ModelNeeds<Choice extends WeightsPath> {
  /** The weights among the files of a model; `undefined` when none are usable. */
  choose(files: readonly string[]): Choice | undefined
  /** Paths of weights that would be exactly what was asked for. */
  readonly wanted: readonly string[]
  /** Files without which weights are of no use. */
  readonly required: readonly string[]
  /** Whether a small file is fetched along. */
  beside(path: string): boolean
  /** Refuses a model by its small files, before its weights are fetched. */
  check?(folder: ModelFolder): Promise<void>
  /** Files that the weights refer to, within the model's folder. */
  further?(directory: string, choice: Choice): Promise<readonly string[]>
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

/** A model on this machine, with the weights that were chosen. */
export interface LocatedModel<Choice extends WeightsPath> extends ModelFolder {
  readonly weights: Choice
  /** All files of the weights, absolute, the one at `weights.path` first. */
  readonly files: readonly string[]
}

/**
 * Finds a model on this machine; one that is asked for by its id and is not here is fetched from the hub into the hub cache. No
 * request is made when the weights that are wanted are here, when a folder filled by hand has a substitute, when the hub is known
 * to have no better ones, or when `HF_HUB_OFFLINE` is set. A substitute is also taken when the hub is out of reach.
 *
 * Rejects with `NOT_FOUND` that lists where it was looked for and what was missing there, `BAD_OPTION` for a name that is neither folder
 * nor id, `INTEGRITY` for damaged files, and as `fetchModel` does.
 */
export async function locateModel<Choice extends WeightsPath>(
  request: ModelRequest,
  needs: ModelNeeds<Choice>,
): Promise<LocatedModel<Choice>> {
  const folder = await folderOf(request.model)
  if (folder !== undefined) return openFolder(folder, needs)
  const { logger, signal, environment = process.env } = request
  requireId(request)
  const { found, looked } = await search(request, needs)
  if (found?.isFinal) return found.model
  if (isOffline(environment)) {
    if (found !== undefined) return found.model
    throw notHere(request, needs, looked)
  }
  // Loaded when something must be fetched, which is once in the life of most machines.
  const { fetchModel } = await import('./fetch-model.js')
  try {
    return await fetchModel(request, needs, { verify: false })
  } catch (error) {
    if (found === undefined || signal?.aborted || !isOutOfReach(error)) throw withPlaces(error, looked)
    logger?.warn('The hub cannot be asked for better weights; those at hand are used.', {
      model: found.model.name,
      reason: String(error),
    })
    return found.model
  }
}

/** Whether the hub may have what is wanted, but not now or not for us. */
function isOutOfReach(error: unknown): boolean {
  return RagError.isInstance(error, 'MISSING_PEER') || (RagError.isInstance(error, 'PROVIDER') && error.retryable)
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
  return files.includes('config.json') || files.some(isWeightsFile) ? resolve(path) : undefined
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
        found: files.filter(isWeightsFile),
      },
      hint: 'Put the files there, or give a hub id: it is fetched whole with "ufrag pull".',
    })
  }
  const complete = await needs.complete(directory, weights)
  return { name: basename(directory), directory, byId: false, weights, files: complete }
}

/** What the hub itself accepts; nothing that could lead out of a folder. */
const idPattern = /^(?![.-])[\w.-]{1,96}(?:\/(?![.-])[\w.-]{1,96})?$/

/** Throws `BAD_OPTION` for what cannot be an id or a revision. */
export function requireId({ model, revision = 'main' }: ModelRequest): void {
  if (!/^(?!\/)[\w./-]{1,255}$/.test(revision) || revision.includes('..')) {
    throw new RagError('BAD_OPTION', `The revision ${JSON.stringify(revision)} is no branch, tag or commit.`, {
      data: { revision },
    })
  }
  if (idPattern.test(model) && !/--|\.\./.test(model)) return
  throw new RagError('BAD_OPTION', `"${model}" is neither a folder that exists nor a hub id.`, {
    data: { model },
    hint: 'Folders begin with ./ or /; ids look like sentence-transformers/all-MiniLM-L6-v2.',
  })
}

/** What was found in one folder that was looked into. */
interface Looked {
  readonly path: string
  readonly from: string
  readonly problem: string
  /** Why files that are there cannot be used. */
  readonly error?: unknown
}

interface Found<Choice extends WeightsPath> {
  readonly model: LocatedModel<Choice>
  /** Nothing better is to be had, so nobody need ask the hub. */
  readonly isFinal: boolean
}

/**
 * Looks through the places. The first folder with exactly the weights that were asked for wins; else the first with a substitute,
 * folders that somebody filled by hand before the cache.
 */
async function search<Choice extends WeightsPath>(
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
          if (result.weights.exact) return { found: { model, isFinal: true }, looked }
          substitutes.push({ model, isFinal: await candidate.isFinal(needs.wanted) })
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
function notHere<Choice extends WeightsPath>(
  request: ModelRequest,
  needs: ModelNeeds<Choice>,
  looked: readonly Looked[],
): unknown {
  const { model } = request
  const broken = looked.find(({ error }) => error !== undefined)
  if (broken !== undefined) return broken.error
  const meant = nearest(
    nameOf(model),
    knownModels.map(({ id }) => nameOf(id)),
  )
  const places = looked.map(({ path, problem }) => `${path} (${problem})`)
  const suggestion = meant === undefined || meant === nameOf(model) ? '' : `Did you mean ${meant}? `
  return new RagError(
    'NOT_FOUND',
    `The model "${model}" is not on this machine, and HF_HUB_OFFLINE forbids to fetch it. Looked in: ${places.join('; ')}.`,
    {
      data: { model, looked: placesOf(looked), lookedFor: needs.wanted },
      hint: `${suggestion}Unset HF_HUB_OFFLINE and run "ufrag pull ${model}". ${byHand(request, needs)}`,
    },
  )
}

/** A failure of the hub tells also where on this machine was looked. */
function withPlaces(error: unknown, looked: readonly Looked[]): unknown {
  if (!RagError.isInstance(error)) return error
  const { code, message, data, hint, retryable, cause } = error
  return new RagError(code, message, {
    data: { ...data, looked: placesOf(looked) },
    retryable,
    ...(cause === undefined ? {} : { cause }),
    ...(hint === undefined ? {} : { hint }),
  })
}

function placesOf(looked: readonly Looked[]): readonly object[] {
  return looked.map(({ path, from, problem }) => ({ path, from, problem }))
}

/** How to do without the hub: which files, from where, to where. */
export function byHand<Choice extends WeightsPath>(
  { model, modelsDir, environment = process.env }: ModelRequest,
  { required, wanted }: ModelNeeds<Choice>,
): string {
  const [id = model] = repositoriesOf(model)
  const endpoint = environment.HF_ENDPOINT ?? 'https://huggingface.co'
  const folder = modelsDir ?? environment.UFRAG_MODELS
  const target = folder === undefined ? `a folder FOLDER/${id} and set UFRAG_MODELS=FOLDER` : resolve(folder, id)
  const files = [...required, wanted[0] ?? ''].join(', ')
  return `By hand: put ${files} (and 1_Pooling/config.json, if there is one) from ${endpoint}/${id}/tree/main into ${target}.`
}

/** Whether a file holds weights of a kind that somebody might have meant. */
export function isWeightsFile(path: string): boolean {
  return /\.(?:onnx|safetensors)$/.test(path)
}
