import { modelFolder } from '../test/fixtures/models/model-folder.js'
import { staticModelFolder } from '../test/fixtures/models/static-model-folder.js'
import type { Bench, Metrics } from './lib/bench.js'
import { climbAll } from './lib/climb.js'
import { peerModel } from './lib/peer-runs.js'
import { prepackModel } from './lib/prepack.js'
import type { Rung } from './lib/rungs.js'

/** As many values as the static model of the preset `extreme`. */
const staticDimensions = 512

/**
 * The presets side by side: speed, memory, and how well they find. Each with weights of the shape of its own models; they are drawn at random, so what
 * is found tells that everything is connected, and nothing of how good the published models are.
 */
const bench: Bench = async (context) => {
  if (context.data === undefined) {
    context.log('! skipped: everything (no measuring data)')
    return {}
  }
  const model = peerModel(context.data)
  const reranker = modelFolder({ size: 'minilm', weights: ['fp32'], output: 'logit' })
  await prepackModel(reranker)
  const staticModel = staticModelFolder({ dimensions: staticDimensions, vocabulary: 30_522 })
  const neural = { kind: 'onnx', model } as const
  const rung = (name: string, options: Extract<Rung['pipeline'], { kind: 'ours' }>['options']): Rung => ({
    name,
    adds: '',
    pipeline: { kind: 'ours', options },
    together: true,
  })
  const climbed = await climbAll(
    {
      name: 'presets',
      title: 'The presets side by side',
      rungs: [
        rung('default', { preset: 'default', embedder: 'latent-semantic' }),
        rung('kaggle', { preset: 'kaggle', embedder: neural }),
        rung('production', { preset: 'production', embedder: neural }),
        rung('research', {
          preset: 'research',
          embedder: neural,
          rerank: { kind: 'cross-encoder', model: reranker, candidates: 20 },
        }),
        rung('extreme', { preset: 'extreme', embedder: { kind: 'static', model: staticModel } }),
      ],
    },
    context,
  )
  const metrics: Metrics = {}
  for (const { charactersPerSecond, quality, result, rung: preset } of climbed) {
    // Of the whole text: `extreme` embeds three chunks of a page, the others all.
    metrics[`${preset.name}.charactersPerSecond`] = charactersPerSecond
    metrics[`${preset.name}.chunks`] = result.chunks
    metrics[`${preset.name}.firstQueryMs`] = result.firstMs
    metrics[`${preset.name}.peakMb`] = result.peakBytes / 2 ** 20
    metrics[`${preset.name}.ndcg10`] = quality
  }
  return metrics
}

export default bench
