import { join, posix, relative, sep } from 'node:path'
import { RagError } from '../core/errors.js'
import { isFile } from './files.js'
import { type LocatedModel, locateModel, type ModelNeeds, type ModelRequest, type WeightsPath } from './locate.js'
import { externalPath, inspectOnnxFile, requireExternalData } from './onnx-file.js'
import { openSafetensors } from './safetensors.js'
import { readKind, settingsFiles } from './settings.js'
import type { Quantization } from './types.js'
import { chooseWeights, type Processor, type WeightsChoice, weightsPaths } from './weights.js'

export interface OnnxNeedsOptions {
  readonly quantization: Quantization
  readonly processor: Processor
}

/** What a tokenizer is read from. */
/** Where newer exports keep the template of a chat, which then stands before one in `tokenizer_config.json`. */
export const chatTemplateFile = 'chat_template.jinja'
export const tokenizerFiles: readonly string[] = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  chatTemplateFile,
]

/** A transformer: an ONNX file of one precision, what it refers to, tokenizer and configuration. */
export function onnxNeeds({ quantization, processor }: OnnxNeedsOptions): ModelNeeds<WeightsChoice> {
  return {
    choose: (files) => chooseWeights(files, { quantization, processor }),
    wanted: weightsPaths(quantization, processor),
    required: ['config.json', 'tokenizer.json'],
    beside: isSmallFile,
    async further(directory, { path }) {
      const weights = join(directory, path)
      const { externalData } = await inspectOnnxFile(weights)
      return externalData.map(({ location }) =>
        relative(directory, externalPath(weights, location)).split(sep).join('/'),
      )
    },
    async complete(directory, { path }) {
      const weights = join(directory, path)
      return [weights, ...(await requireExternalData(weights, await inspectOnnxFile(weights)))]
    },
  }
}

/** Weights of static models: of model2vec and sentence-transformers, and of the latter with a folder for each step. */
const staticWeights = ['model.safetensors', '0_StaticEmbedding/model.safetensors']

/** A static model: a table of token vectors, and its tokenizer beside it. */
export const staticNeeds: ModelNeeds<WeightsPath> = {
  choose(files) {
    const path = staticWeights.find((one) => files.includes(one))
    return path === undefined ? undefined : { path, exact: true }
  },
  wanted: staticWeights,
  required: [],
  beside: isSmallFile,
  async check(folder) {
    if ((await readKind(folder)) === 'static') return
    throw new RagError('UNSUPPORTED', `"${folder.name}" is not a static model.`, {
      data: { model: folder.name },
      hint: `Choose it with embedder: { kind: 'onnx', model: '${folder.name}' }.`,
    })
  },
  // Fetched before, if it is there; if not, this says so.
  further: async (_, { path }) => [tokenizerOf(path)],
  async complete(directory, { path }) {
    const weights = join(directory, path)
    const file = await openSafetensors(weights)
    await file.close()
    const tokenizer = join(directory, tokenizerOf(path))
    if (await isFile(tokenizer)) return [weights]
    throw new RagError('NOT_FOUND', `There is no tokenizer at "${tokenizer}".`, {
      data: { file: tokenizer },
      hint: 'Put the tokenizer.json of the model there, or fetch the model with "ufrag pull".',
    })
  },
}

function tokenizerOf(weights: string): string {
  return posix.join(posix.dirname(weights), 'tokenizer.json')
}

/** Just what tells the kind of a model that nothing is known of. */
export const kindNeeds: ModelNeeds<WeightsPath> = {
  choose(files) {
    const path = ['config.json', 'modules.json'].find((one) => files.includes(one))
    return path === undefined ? undefined : { path, exact: true }
  },
  wanted: ['config.json'],
  required: [],
  beside: (path) => settingsFiles.some((file) => file === path),
  complete: async () => [],
}

/**
 * Finds a static model, as {@link locateModel} does; its folder is what opens it. Static models have one precision.
 */
export function locateStaticModel(request: ModelRequest): Promise<LocatedModel<WeightsPath>> {
  return locateModel(request, staticNeeds)
}

/** What is read of a model beside its weights: settings and tokenizer, also those of its steps. */
function isSmallFile(path: string): boolean {
  const name = /^(?:\d+_\w+\/)?([\w.-]+)$/.exec(path)?.[1]
  return name !== undefined && (tokenizerFiles.includes(name) || settingsFiles.some((file) => file === name))
}
