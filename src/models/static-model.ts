import { dirname, join } from 'node:path'
import { RagError } from '../core/errors.js'
import { contentHashOf } from './content-hash.js'
import { listModelFiles } from './files.js'
import { asObject, readJson } from './json-file.js'
import type { ModelRequest } from './locate.js'
import { locateStaticModel } from './needs.js'
import { openSafetensors, type SafetensorsFile, type Tensor } from './safetensors.js'

/**
 * A static model on this machine: a matrix with a row per token; the vector of a text is the mean of the rows of its tokens. Plain
 * data: it crosses threads.
 */
export interface StaticModel {
  /** Hub id, or the name of the folder. */
  readonly name: string
  /** Absolute folder of `tokenizer.json`. */
  readonly directory: string
  /** Absolute path of the weights, a safetensors file. */
  readonly weights: string
  /** Names of its tensors: a matrix; a factor per token; the row of each token, where several share one. */
  readonly tensors: {
    readonly rows: string
    readonly factors: string | undefined
    readonly mapping: string | undefined
  }
  /** Ids of tokens are below this. */
  readonly tokens: number
  /** Values per row. */
  readonly dimensions: number
  /** Tokens the tokenizer does not know are left out; otherwise they count with the row that was trained for them. */
  readonly dropsUnknown: boolean
  /** Tokens of a text that count, as far as the project of the format says; the rest is cut off. */
  readonly maxTokens: number
  /** Hash over weights and tokenizer: two folders with the same content have the same. */
  readonly contentHash: string
}

/** More than any model has: a matrix of such rows is damaged, or not one of embeddings. */
const maxDimensions = 65_536
/** What `StaticModel.encode` of model2vec cuts at by default; sentence-transformers reads texts to their end. */
const model2vecMaxTokens = 512

/**
 * Finds a static model and describes it; its matrix is not read. Two formats are known:
 * - model2vec (https://github.com/MinishLab/model2vec): tensor `embeddings`, of newer versions also `weights` and `mapping`;
 * - `StaticEmbedding` of sentence-transformers: tensor `embedding.weight`.
 *
 * Rejects with `NOT_FOUND` (no such model, with the places that were looked in), `INTEGRITY` (a damaged file, by name, or tensors
 * that do not fit together), `UNSUPPORTED` for a model with more steps than a mean, or `BAD_OPTION`.
 */
export async function openStaticModel(request: ModelRequest): Promise<StaticModel> {
  const { name, directory: folder, weights } = await locateStaticModel(request)
  await refuseFurtherModules(folder)
  const file = await openSafetensors(join(folder, weights.path))
  try {
    const directory = dirname(file.path)
    const contentHash = await hashOf(directory, file.path, request.signal)
    return { name, directory, weights: file.path, ...describe(file), contentHash }
  } finally {
    await file.close()
  }
}

async function hashOf(directory: string, weights: string, signal: AbortSignal | undefined): Promise<string> {
  const present = await listModelFiles(directory)
  const tokenizer = ['tokenizer.json', 'tokenizer_config.json'].filter((file) => present.includes(file))
  const whole = tokenizer.map((file) => join(directory, file))
  return contentHashOf({ whole, sampled: [weights], settings: 'static' }, signal)
}

function describe({
  path,
  tensors,
}: SafetensorsFile): Omit<StaticModel, 'name' | 'directory' | 'weights' | 'contentHash'> {
  const ofModel2vec = tensors.get('embeddings')
  const rows = ofModel2vec ?? tensors.get('embedding.weight')
  if (rows === undefined) {
    throw new RagError(
      'UNSUPPORTED',
      `The file "${path}" is not one of a static model: it has no tensor "embeddings".`,
      {
        data: { path, tensors: [...tensors.keys()].slice(0, 10) },
        hint: "For a transformer, choose embedder: { kind: 'onnx' }.",
      },
    )
  }
  const [count = 0, dimensions = 0] = rows.shape
  if (rows.shape.length !== 2 || count < 1 || dimensions < 1 || dimensions > maxDimensions) {
    throw misfit(path, rows, `a matrix of 1 to ${maxDimensions} columns`)
  }
  const mapping = ofModel2vec && tensors.get('mapping')
  const tokens = mapping === undefined ? count : (mapping.shape[0] ?? 0)
  if (mapping !== undefined && mapping.shape.length !== 1) throw misfit(path, mapping, 'a list')
  const factors = ofModel2vec && tensors.get('weights')
  if (factors !== undefined && (factors.shape.length !== 1 || factors.shape[0] !== tokens)) {
    throw misfit(path, factors, `a list of ${tokens} values`)
  }
  return {
    tensors: { rows: rows.name, factors: factors?.name, mapping: mapping?.name },
    tokens,
    dimensions,
    dropsUnknown: ofModel2vec !== undefined,
    maxTokens: ofModel2vec === undefined ? Number.POSITIVE_INFINITY : model2vecMaxTokens,
  }
}

/** Vectors are brought to length 1 here in any case, so `Normalize` asks for nothing. */
const supportedModules = new Set(['StaticEmbedding', 'Normalize'])

async function refuseFurtherModules(directory: string): Promise<void> {
  const path = join(directory, 'modules.json')
  const modules = await readJson(path)
  const list: readonly unknown[] = Array.isArray(modules) ? modules : []
  const types = list.map((module) => String(asObject(module).type).replace(/^.*\./s, ''))
  const foreign = types.filter((type) => !supportedModules.has(type))
  if (foreign.length === 0) return
  throw new RagError('UNSUPPORTED', `The model has steps that a static model has not: ${foreign.join(', ')}.`, {
    data: { path, modules: foreign },
    hint: types.includes('Transformer') ? "Choose embedder: { kind: 'onnx' }." : 'Choose another model.',
  })
}

function misfit(path: string, { name, shape }: Tensor, wanted: string): RagError {
  return new RagError('INTEGRITY', `In the file "${path}" the tensor "${name}" is not ${wanted}.`, {
    data: { path, tensor: name, shape },
    hint: 'Copy or download it again.',
  })
}
