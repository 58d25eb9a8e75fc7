import { measureLoopDelay } from '../lib/loop-delay.js'
import { peakResidentBytes } from '../lib/memory.js'
import type { EmbedRun } from './embed-ours.js'

export interface TransformersTask {
  /** Folder of the model; `onnx/model.onnx` and its quantized sibling lie below it. */
  readonly directory: string
  readonly dtype: 'fp32' | 'q8'
  readonly texts: readonly string[]
  readonly batchSize: number
}

/** Embeds with `@huggingface/transformers`, batch after batch as its users do, and tells what that does to the event loop. */
export default async function embedWithTransformers(task: TransformersTask): Promise<EmbedRun> {
  const { env, pipeline } = await import('@huggingface/transformers')
  env.allowRemoteModels = false
  const extract = await pipeline('feature-extraction', task.directory, { dtype: task.dtype, device: 'cpu' })
  const options = { pooling: 'mean', normalize: true } as const
  await extract(['A text, so that everything is loaded.', 'And another.'], options)
  const { result, wallMs, ...delay } = await measureLoopDelay(async () => {
    const began = performance.now()
    for (let start = 0; start < task.texts.length; start += task.batchSize) {
      await extract(task.texts.slice(start, start + task.batchSize) as string[], options)
    }
    return performance.now() - began
  })
  await extract.dispose()
  return { durationMs: result, tokens: 0, paddingWaste: Number.NaN, peakBytes: peakResidentBytes(), delay }
}
