import { EmbeddingCounters } from './onnx/counters.js'
import type { Embedder } from './types.js'

/** Gives statistics to an embedder that has none: each call of it counts as one of the model. Others are returned as they are. */
export function createCountedEmbedder(embedder: Embedder): Embedder {
  if (embedder.stats !== undefined) return embedder
  const counters = new EmbeddingCounters()
  let queued = 0
  return {
    ...embedder,
    async embed(texts, options) {
      const began = performance.now()
      queued += texts.length
      counters.begin()
      try {
        const result = await embedder.embed(texts, options)
        const { failed, tokens } = result
        counters.count({
          device: embedder.id,
          texts: texts.length - failed.length,
          tokens,
          paddedTokens: tokens,
          durationMs: performance.now() - began,
        })
        counters.add('failed', failed.length)
        return result
      } finally {
        counters.end()
        queued -= texts.length
      }
    },
    stats: () => counters.stats(queued),
  }
}
