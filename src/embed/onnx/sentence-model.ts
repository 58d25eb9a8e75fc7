import { RagError } from '../../core/errors.js'
import type { EmbeddingModel, Pooling, TokenizedTexts } from '../../models/types.js'
import { createBatchInputs } from '../../onnx/batch-inputs.js'
import { floatsOf } from '../../onnx/float-data.js'
import type { Session, TensorInfo } from '../../onnx/session.js'
import type { LaneVectors } from './lane.js'
import { poolRows } from './pooling.js'

/** What {@link createSentenceModel} needs to know of a model. */
export interface SentenceModelOptions {
  readonly model: Pick<EmbeddingModel, 'name' | 'weights' | 'pooling' | 'dimensions'>
  /** Values per vector, at most those of the model: the first ones are kept. */
  readonly dimensions: number
  /** See `Tokenizer`. */
  readonly paddingId: number
}

/** A model that turns batches of token ids into vectors. */
export interface SentenceModel {
  run(batch: TokenizedTexts): Promise<LaneVectors & { readonly vectors: Float32Array<ArrayBuffer> }>
}

/**
 * Finds out what a model takes and gives. Vectors of tokens are pooled here; a graph that gives only sentence vectors has pooled them
 * itself, whatever `pooling` says. Throws `INTEGRITY` for a file that is no embedding model or not the one its settings describe.
 */
export function createSentenceModel(session: Session, options: SentenceModelOptions): SentenceModel {
  const { model, dimensions, paddingId } = options
  const toInputs = createBatchInputs(session, { paddingId, file: model.weights })
  const { output, pooling } = chooseOutput(session.outputs, model)
  const checkWidth = (width: number | string | undefined) => {
    if (typeof width === 'number' && width !== model.dimensions) throw wrongWidth(width, model)
  }
  checkWidth(output.shape?.at(-1))

  return {
    async run(batch) {
      const { feeds, sequence } = toInputs(batch)
      const rows = batch.offsets.length - 1
      if (sequence === 0) return { vectors: new Float32Array(rows * dimensions), unusable: [...Array(rows).keys()] }
      const tensor = await session.run(feeds, output.name)
      const hidden = tensor.dims.at(-1) as number
      checkWidth(hidden)
      return poolRows(
        { values: floatsOf(tensor.data), sequence, hidden },
        { pooling, offsets: batch.offsets, dimensions },
      )
    },
  }
}

/** Names of outputs that are what we look for, where a model has several of one shape. */
const tokenOutputs = ['last_hidden_state', 'token_embeddings']
const sentenceOutputs = ['sentence_embedding', 'pooler_output']

function chooseOutput(
  outputs: readonly TensorInfo[],
  { pooling, name, weights }: SentenceModelOptions['model'],
): { readonly output: TensorInfo; readonly pooling: Pooling } {
  const floats = outputs.filter(({ type }) => type === 'float32' || type === 'float16')
  const find = (rank: number, names: readonly string[]) => {
    const candidates = floats.filter(({ shape }) => shape?.length === rank)
    return candidates.find((output) => names.includes(output.name)) ?? candidates[0]
  }
  const tokens = find(3, tokenOutputs)
  const sentences = find(2, sentenceOutputs)
  if (pooling !== 'none' && tokens !== undefined) return { output: tokens, pooling }
  if (sentences !== undefined) return { output: sentences, pooling: 'none' }
  throw new RagError('INTEGRITY', `The model "${name}" gives no vectors of tokens or sentences.`, {
    data: { file: weights, pooling, outputs },
    hint:
      tokens === undefined
        ? 'Give an export of the model for feature extraction.'
        : "Its graph does not pool: give `pooling` as 'mean', 'cls' or 'last-token'.",
  })
}

function wrongWidth(width: number, { name, weights, dimensions }: SentenceModelOptions['model']): RagError {
  return new RagError(
    'INTEGRITY',
    `The model "${name}" gives ${width} values per vector, its settings say ${dimensions}.`,
    {
      data: { file: weights, width, dimensions },
      hint: 'The weights and the config.json beside them are not of the same model: get both again.',
    },
  )
}
