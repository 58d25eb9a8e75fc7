import { join } from 'node:path'
import { stableJson } from '../util/stable-json.js'
import { contentHashOf } from './content-hash.js'
import { asStorageError, listModelFiles } from './files.js'
import { type LocatedModel, locateModel, type ModelRequest } from './locate.js'
import { onnxNeeds, tokenizerFiles } from './needs.js'
import { type ModelFolder, readRerankerSettings, readSettings, type SettingsOverrides } from './settings.js'
import type { EmbeddingModel, Quantization, RerankingModel } from './types.js'
import { detectProcessor, type Processor, type WeightsChoice } from './weights.js'

/** Options of {@link openEmbeddingModel}. */
export interface EmbeddingModelRequest extends ModelRequest, SettingsOverrides {
  /** Precision of the weights. Default `'fp32'`. Where it is not to be had, another is taken, and the logger is warned. */
  readonly quantization?: Quantization | undefined
  /** What 8-bit weights are chosen for. Default: this machine's. */
  readonly processor?: Processor | undefined
}

/**
 * Finds an embedding model and everything that must be known to use it; loads nothing. What the caller says wins over what is known of
 * the model, and that over what its files say. Precisions that are not there are replaced, with one warning: `int8` by fp32, fp16,
 * int4; `int4` by int8, fp32, fp16; `fp16` and `fp32` by one another, then int8, int4; `quantization` of the result is the truth.
 *
 * Rejects with `NOT_FOUND` (no such model, with the places that were looked in), `PROVIDER` or `MISSING_PEER` (it cannot be
 * fetched), `UNSUPPORTED` (a model that needs more than pooling), `INTEGRITY` (a damaged file, by name), `STORAGE` (files that cannot
 * be read), `STORAGE_FULL` or `BAD_OPTION`.
 */
export async function openEmbeddingModel(request: EmbeddingModelRequest): Promise<EmbeddingModel> {
  try {
    return await findAndDescribe(request)
  } catch (error) {
    throw asStorageError(error, `the model "${request.model}"`)
  }
}

/** Options of {@link openRerankingModel}. */
export interface RerankingModelRequest
  extends ModelRequest,
    Pick<EmbeddingModelRequest, 'quantization' | 'processor' | 'maxTokens'> {}

/** Finds a model that scores pairs of texts, as {@link openEmbeddingModel} finds one that embeds them. */
export async function openRerankingModel(request: RerankingModelRequest): Promise<RerankingModel> {
  try {
    const located = await locateOnnx(request, (folder) => readRerankerSettings(folder, request))
    return await describe(located, await readRerankerSettings(located, request), request)
  } catch (error) {
    throw asStorageError(error, `the model "${request.model}"`)
  }
}

async function findAndDescribe(request: EmbeddingModelRequest): Promise<EmbeddingModel> {
  const { logger } = request
  const located = await locateOnnx(request, (folder) => readSettings(folder, request))
  const { poolingGuessed, ...settings } = await readSettings(located, request)
  if (poolingGuessed) {
    logger?.warn('The model does not say how its token vectors become one; their mean is taken.', {
      model: located.name,
      directory: located.directory,
    })
  }
  return describe(located, settings, request)
}

/** `check` refuses a model before its weights are fetched. */
export async function locateOnnx(
  request: RerankingModelRequest,
  check: (folder: ModelFolder) => Promise<unknown>,
): Promise<LocatedModel<WeightsChoice>> {
  const { quantization = 'fp32', logger } = request
  const processor = request.processor ?? (await detectProcessor())
  const needs = onnxNeeds({ quantization, processor })
  const located = await locateModel(request, { ...needs, check: async (folder) => void (await check(folder)) })
  warnOfSubstitute(located, quantization, logger)
  return located
}

/** What is known of a model that was found. */
export async function describe<Settings extends object>(
  located: LocatedModel<WeightsChoice>,
  settings: Settings,
  { signal }: ModelRequest,
) {
  const { name, directory, weights, files } = located
  const contentHash = await hashOf(located, { settings: stableJson(settings), signal })
  return {
    name,
    directory,
    weights: join(directory, weights.path),
    weightsFiles: files,
    quantization: weights.quantization,
    contentHash,
    ...settings,
  }
}

function warnOfSubstitute(
  { name, weights }: LocatedModel<WeightsChoice>,
  wanted: Quantization,
  logger: ModelRequest['logger'],
): void {
  const { path, quantization, exact, saturates } = weights
  const data = { model: name, wanted, quantization, file: path }
  if (!exact) logger?.warn(`The model "${name}" has no ${wanted} weights; ${quantization} is used.`, data)
  else if (saturates) {
    logger?.warn(`The 8-bit weights of "${name}" are made for other processors: on this one they are less exact.`, data)
  }
}

async function hashOf(
  { directory, files }: LocatedModel<WeightsChoice>,
  { settings, signal }: { readonly settings: string; readonly signal: AbortSignal | undefined },
): Promise<string> {
  const present = await listModelFiles(directory)
  const tokenizer = tokenizerFiles.filter((file) => present.includes(file))
  return contentHashOf({ whole: tokenizer.map((file) => join(directory, file)), sampled: files, settings }, signal)
}
