import { stat } from 'node:fs/promises'
import { RagError } from '../core/errors.js'
import { type FetchModelOptions, fetchModel } from './fetch-model.js'
import type { HubPatience } from './hub-client.js'
import { type LocatedModel, locateModel, type ModelNeeds, type ModelRequest, type WeightsPath } from './locate.js'
import { requireId } from './model-name.js'
import { kindNeeds, onnxNeeds, staticNeeds } from './needs.js'
import { type Environment, isOffline } from './places.js'
import type { PulledModel, PullOptions } from './pull.js'
import { findKnownModel } from './registry.js'
import { readKind } from './settings.js'
import type { Quantization } from './types.js'
import { detectProcessor, type Processor } from './weights.js'

/** The world a download happens in; tests bring their own. */
export interface PullSurroundings {
  readonly environment?: Environment
  readonly patience?: Partial<HubPatience>
  readonly processor?: Processor
}

/** See `pullModel`. */
export async function pull(
  model: string,
  { quantization = 'fp32', ...options }: PullOptions,
  surroundings: PullSurroundings = {},
): Promise<PulledModel> {
  const request: ModelRequest = { model, ...options, ...surroundings }
  requireId(request)
  // Whatever is to be told is told once, with the weights.
  const asking = { ...request, logger: undefined }
  const kind =
    findKnownModel(model)?.kind ?? (await readKind(await obtain(asking, kindNeeds, { verify: true, conclude: false })))
  if (kind === 'static') return pulled(kind, await obtain(request, staticNeeds, { verify: true }))
  const processor = surroundings.processor ?? (await detectProcessor())
  const found = await obtain(request, onnxNeeds({ quantization, processor }), { verify: true })
  if (!found.weights.exact) {
    options.logger?.warn(
      `The model "${found.name}" has no ${quantization} weights; these are ${found.weights.quantization}.`,
    )
  }
  return pulled(kind, found, found.weights.quantization)
}

/** Fetches, or does with what is here when that is all there can be. */
async function obtain<Choice extends WeightsPath>(
  request: ModelRequest,
  needs: ModelNeeds<Choice>,
  options: FetchModelOptions,
): Promise<LocatedModel<Choice>> {
  const { environment = process.env, logger } = request
  const atHand = () => locateModel({ ...request, environment: { ...environment, HF_HUB_OFFLINE: '1' } }, needs)
  if (isOffline(environment)) return atHand()
  try {
    return await fetchModel(request, needs, options)
  } catch (error) {
    if (!RagError.isInstance(error, 'PROVIDER') || !error.retryable) throw error
    const found = await atHand().catch(() => {
      // Then the hub's silence is what the caller must know of.
      throw error
    })
    if (!found.weights.exact) throw error
    logger?.warn('The hub is out of reach; the copy at hand was not compared with it.', {
      model: found.name,
      reason: error.message,
    })
    return found
  }
}

async function pulled(
  kind: PulledModel['kind'],
  { name, directory, files }: LocatedModel<WeightsPath>,
  quantization?: Quantization,
): Promise<PulledModel> {
  const [weights = ''] = files
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  return {
    model: name,
    kind,
    directory,
    weights,
    ...(quantization === undefined ? {} : { quantization }),
    bytes: sizes.reduce((sum, size) => sum + size, 0),
  }
}
