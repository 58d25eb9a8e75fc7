import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EmbeddingModel } from '../../src/models/types.js'
import { type ModelFolderOptions, modelFolder, weightFiles } from '../fixtures/models/model-folder.js'

/** A test model, described without reading more than its sizes; the first of its `weights` is the one that is used (default fp32). */
export function embeddingModel(
  options: ModelFolderOptions = {},
  overrides: Partial<EmbeddingModel> = {},
): EmbeddingModel {
  const { weights = ['fp32'], weightsFolder = 'onnx', pooling } = options
  const [kind = 'fp32'] = weights
  const directory = modelFolder({ ...options, weights })
  const read = (name: string) => JSON.parse(readFileSync(join(directory, name), 'utf8'))
  return {
    name: 'test-model',
    directory,
    weights: join(directory, weightsFolder, weightFiles[kind]),
    weightsFiles: [join(directory, weightsFolder, weightFiles[kind])],
    quantization: kind === 'int8-vnni' || kind === 'int8-blocks' ? 'int8' : kind,
    contentHash: 'test',
    pooling: pooling ?? 'mean',
    prefixes: { query: '', passage: '' },
    dimensions: read('config.json').hidden_size,
    maxTokens: read('sentence_bert_config.json').max_seq_length,
    ...overrides,
  }
}
