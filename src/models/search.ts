import { join } from 'node:path'
import { RagError } from '../core/errors.js'
import { asStorageError, listModelFiles } from './files.js'
import { areMarkedAbsent, cachedCommit, cachedRepository, snapshotDirectory } from './hub-cache.js'
import type { LocatedModel, ModelNeeds, ModelRequest, WeightsPath } from './locate.js'
import { type ModelPlace, modelPlaces } from './places.js'
import { nameOf, repositoriesOf } from './registry.js'

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
  readonly isFinal: boolean
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
        if ('problem' in result) {
          looked.push({ path: candidate.directory, from: place.from, ...result })
          // Something else will be used, or fetched: whoever put this here wants to know why.
          if (result.error !== undefined) request.logger?.warn(result.problem, { model: request.model })
        } else {
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
    isFinal: async (paths) => place.kind === 'folder' || (await areMarkedAbsent(repository, { commit, paths })),
  }
}

type Look<Choice extends WeightsPath> =
  | Pick<LocatedModel<Choice>, 'weights' | 'files'>
  | Pick<Looked, 'problem' | 'error'>

async function look<Choice extends WeightsPath>(
  { directory }: Candidate,
  needs: ModelNeeds<Choice>,
): Promise<Look<Choice>> {
  try {
    const files = await listModelFiles(directory)
    if (files.length === 0) return { problem: 'not there' }
    const weights = needs.choose(files)
    if (weights === undefined) return { problem: `has no usable weights (${needs.wanted.join(', ')})` }
    const missing = needs.required.filter((file) => !files.includes(file))
    if (missing.length > 0) return { problem: `lacks ${missing.join(', ')}` }
    return { weights, files: await needs.complete(directory, weights) }
  } catch (reason) {
    const error = asStorageError(reason, `the model in "${directory}"`)
    if (RagError.isInstance(error)) return { problem: error.message, error }
    throw error
  }
}
