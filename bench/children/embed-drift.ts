import { createOnnxEmbedder } from '../../src/embed/onnx/onnx.js'
import { type Drift, measureDrift } from '../lib/drift.js'

export interface DriftTask {
  readonly directory: string
  readonly texts: readonly string[]
  readonly contenders: readonly { readonly quantization: 'fp32' | 'int8'; readonly deterministic: boolean }[]
}

/** How much the vector of a text depends on its batch mates, for each contender. */
export default async function embedTwice({ directory, texts, contenders }: DriftTask): Promise<Drift[]> {
  const drifts: Drift[] = []
  for (const options of contenders) {
    const embedder = await createOnnxEmbedder({ model: directory, ...options })
    drifts.push(await measureDrift(embedder, texts))
    await embedder.close()
  }
  return drifts
}
