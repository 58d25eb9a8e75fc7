import { AsyncEmbedding } from 'ultrafast-rag'
import { type LoopDelay, measureLoopDelay } from '../lib/loop-delay.js'
import { peakResidentBytes } from '../lib/memory.js'

export interface OursTask {
  readonly directory: string
  readonly quantization: 'fp32' | 'int8'
  readonly texts: readonly string[]
  readonly maxBatchTokens?: number
  /** Texts, the longest ones, that are embedded before the clock runs, so that nothing is compiled or reserved in it. Default: two short ones. */
  readonly warmUp?: number
}

/** What embedding some texts took, in a process of its own. */
export interface EmbedRun {
  readonly durationMs: number
  /** 0 where the contender does not tell. */
  readonly tokens: number
  readonly paddingWaste: number
  /** Highest resident memory of the whole process. */
  readonly peakBytes: number
  readonly delay: LoopDelay
}

/** Embeds everything in one call, as an application that has all its texts would. */
export default async function embedWithOurs({
  directory,
  quantization,
  texts,
  maxBatchTokens,
  warmUp = 0,
}: OursTask): Promise<EmbedRun> {
  const embedding = new AsyncEmbedding({
    embedder: {
      kind: 'onnx',
      model: directory,
      quantization,
      ...(maxBatchTokens === undefined ? {} : { maxBatchTokens }),
    },
  })
  await embedding.warmUp()
  const longest = texts.toSorted((one, other) => other.length - one.length).slice(0, warmUp)
  await embedding.embedBatch(warmUp === 0 ? ['A first text.', 'And another.'] : longest)
  const { result, wallMs, ...delay } = await measureLoopDelay(async () => {
    const began = performance.now()
    const { tokens } = await embedding.embedBatch(texts)
    return { tokens, durationMs: performance.now() - began }
  })
  const { paddingWaste } = embedding.stats()
  await embedding.close()
  return { ...result, paddingWaste, peakBytes: peakResidentBytes(), delay }
}
