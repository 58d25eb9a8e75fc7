import { join } from 'node:path'
import type { EmbeddingModel } from '../../src/models/types.js'
import { type ModelFolderOptions, modelFolder, weightFiles } from '../fixtures/models/model-folder.js'

/** A test model as `openEmbeddingModel` would describe it; the first of its `weights` is the one that is used (default fp32). */
export function embeddingModel(
  options: ModelFolderOptions = {},
  overrides: Partial<EmbeddingModel> = {},
): EmbeddingModel {
  const { weights = ['fp32'], weightsFolder = 'onnx', pooling, hidden, size = 'tiny', maxTokens } = options
  const [kind = 'fp32'] = weights
  const directory = modelFolder({ ...options, weights })
  return {
    name: 'test-model',
    directory,
    weights: join(directory, weightsFolder, weightFiles[kind]),
    quantization: kind === 'int8-vnni' || kind === 'int8-blocks' ? 'int8' : kind,
    contentHash: 'test',
    pooling: pooling ?? 'mean',
    prefixes: { query: '', passage: '' },
    dimensions: hidden ?? { tiny: 32, minilm: 384 }[size],
    maxTokens: maxTokens ?? { tiny: 128, minilm: 512 }[size],
    ...overrides,
  }
}
