import { resolve } from 'node:path'
import { RagError } from '../core/errors.js'
import { nearest } from '../util/nearest.js'
import type { ModelNeeds, ModelRequest, WeightsPath } from './locate.js'
import { hubEndpoint } from './places.js'
import { knownModels, nameOf, repositoriesOf } from './registry.js'
import type { Looked } from './search.js'

/** `NOT_FOUND`, or what is wrong with the files that are there. */
export function notHere<Choice extends WeightsPath>(
  request: ModelRequest,
  needs: ModelNeeds<Choice>,
  looked: readonly Looked[],
): unknown {
  const { model } = request
  const broken = looked.find(({ error }) => error !== undefined)
  if (broken !== undefined) return broken.error
  const places = looked.map(({ path, problem }) => `${path} (${problem})`)
  return new RagError(
    'NOT_FOUND',
    `The model "${model}" is not on this machine, and HF_HUB_OFFLINE forbids to fetch it. Looked in: ${places.join('; ')}.`,
    {
      data: { model, looked: placesOf(looked), lookedFor: needs.wanted },
      hint: `${suggest(model)}Unset HF_HUB_OFFLINE and run "ufrag pull ${model}". ${byHand(request, needs)}`,
    },
  )
}

/** A failure of the hub tells also where on this machine was looked. */
export function withPlaces(error: unknown, looked: readonly Looked[]): unknown {
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
  const folder = modelsDir ?? environment.UFRAG_MODELS
  const target = folder === undefined ? `a folder FOLDER/${id} and set UFRAG_MODELS=FOLDER` : resolve(folder, id)
  const files = [...required, wanted[0] ?? ''].join(', ')
  return `By hand: put ${files} (and 1_Pooling/config.json, if there is one) from ${hubEndpoint(environment)}/${id}/tree/main into ${target}.`
}

/** Who may have been meant, as the beginning of a hint; empty when nobody is near. */
export function suggest(model: string): string {
  const names = knownModels.map(({ id }) => nameOf(id))
  const meant = nearest(nameOf(model), names)
  return meant === undefined || meant === nameOf(model) ? '' : `Did you mean ${meant}? `
}
