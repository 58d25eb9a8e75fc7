import { join } from 'node:path'
import { modelFolder, type WeightsKind, weightFiles } from '../../test/fixtures/models/model-folder.js'

const formats = ['fp32', 'fp16', 'int8', 'int8-vnni', 'int8-blocks', 'int4'] as const

/** Path of a model of the size of MiniLM-L6. */
export function minilm(
  kind: WeightsKind,
  { output = 'tokens' }: { readonly output?: 'tokens' | 'sentence' } = {},
): string {
  const weights = output === 'tokens' ? formats : (['fp32', 'int8'] as const)
  return join(modelFolder({ size: 'minilm', weights, output }), 'onnx', weightFiles[kind])
}
