import { RagError } from '../../core/errors.js'
import type { RerankingModel, TokenizedPairs } from '../../models/types.js'
import { createBatchInputs } from '../../onnx/batch-inputs.js'
import { floatsOf } from '../../onnx/float-data.js'
import type { Session, TensorInfo } from '../../onnx/session.js'

/** What {@link createPairModel} needs to know of a model. */
export interface PairModelOptions {
  readonly model: Pick<RerankingModel, 'name' | 'weights'>
  /** See `Tokenizer`. */
  readonly paddingId: number
}

/** A model that gives a logit for each pair of texts. */
export interface PairModel {
  run(batch: TokenizedPairs): Promise<Float32Array>
}

/** Finds out what a model takes and gives. Throws `INTEGRITY` for one that does not give one number per row. */
export function createPairModel(session: Session, { model, paddingId }: PairModelOptions): PairModel {
  const toInputs = createBatchInputs(session, { paddingId, file: model.weights })
  const output = session.outputs.find(isLogit)
  if (output === undefined) throw noLogits(session.outputs, model)
  return {
    async run(batch) {
      const rows = batch.offsets.length - 1
      const { data, dims } = await session.run(toInputs(batch).feeds, output.name)
      const logits = floatsOf(data)
      if (logits.length !== rows) throw noLogits([{ ...output, shape: dims }], model)
      return logits
    },
  }
}

/** `[batch, 1]` or `[batch]`. */
function isLogit({ type, shape }: TensorInfo): boolean {
  const isFloat = type === 'float32' || type === 'float16'
  if (!isFloat || shape === undefined) return false
  return shape.length === 1 || (shape.length === 2 && (shape[1] === 1 || typeof shape[1] !== 'number'))
}

function noLogits(outputs: readonly TensorInfo[], { name, weights }: PairModelOptions['model']): RagError {
  return new RagError('INTEGRITY', `The model "${name}" does not give one score per pair of texts.`, {
    data: { file: weights, outputs },
    hint: 'Give an export of a cross-encoder with one label, for text classification.',
  })
}
