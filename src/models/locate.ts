import { basename } from 'node:path'
import { RagError } from '../core/errors.js'
import type { Logger } from '../core/lifecycle.js'
import { notHere, withPlaces } from './explain.js'
import { isWeightsFile, listModelFiles } from './files.js'
import type { PullProgress } from './hub.js'
import type { HubPatience } from './hub-client.js'
import { folderOf, requireId } from './model-name.js'
import { type Environment, isOffline } from './places.js'
import { search } from './search.js'
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
  // With something at hand, nobody waits long for something better.
  const patience = found === undefined ? request.patience : { ...request.patience, attempts: 1 }
  try {
    return await fetchModel({ ...request, patience }, needs, { verify: false })
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
