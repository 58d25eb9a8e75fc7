import { join } from 'node:path'
import { RagError } from '../core/errors.js'
import { describe, locateOnnx, type RerankingModelRequest } from './describe.js'
import { asStorageError } from './files.js'
import { asObject, readJson } from './json-file.js'
import type { ModelFolder } from './settings.js'
import type { TextModel } from './types.js'

/** Options of {@link openTextModel}. */
export type TextModelRequest = Omit<RerankingModelRequest, 'maxTokens'>

/** Finds a model that writes text, as `openEmbeddingModel` finds one that embeds it. `UNSUPPORTED` for one that does something else. */
export async function openTextModel(request: TextModelRequest): Promise<TextModel> {
  try {
    const located = await locateOnnx(request, readTextSettings)
    return await describe(located, await readTextSettings(located), request)
  } catch (error) {
    throw asStorageError(error, `the model "${request.model}"`)
  }
}

async function readTextSettings({ directory, name }: ModelFolder): Promise<Pick<TextModel, 'contextTokens'>> {
  const config = asObject(await readJson(join(directory, 'config.json')))
  const architectures = Array.isArray(config.architectures) ? config.architectures.map(String) : []
  if (architectures.length > 0 && !architectures.some((one) => /(?:ForCausalLM|LMHeadModel)$/.test(one))) {
    throw new RagError('UNSUPPORTED', `"${name}" does not write text.`, {
      data: { model: name, architectures },
      hint: 'Choose a causal language model in the ONNX format that follows instructions.',
    })
  }
  const places = config.max_position_embeddings ?? config.n_positions
  // Some write 10^30 for "no end".
  return {
    contextTokens: Number.isInteger(places) && (places as number) > 0 ? (places as number) : Number.POSITIVE_INFINITY,
  }
}
