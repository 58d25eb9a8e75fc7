import { BatchProcessor } from '../util/batch-processor.js'
import type { Embedder, Embeddings } from './types.js'

/** Options of {@link createMicroBatchedEmbedder}. */
export interface MicroBatchedEmbedderOptions {
  /** Milliseconds that a question waits for others while a call is at work, 0 or more. Default 0. */
  readonly timeoutMs?: number
}

/** Calls at once of an embedder that does not say how many keep it busy: one at work, one on its way. */
const usualConcurrency = 2

/**
 * Has questions that are asked one by one, but at about the same time, embedded in one call: of `capabilities.batchSize` at most, and
 * `capabilities.concurrency` calls at once. A lone question is not held up. One that cannot be embedded fails alone; the tokens of a
 * call are shared out evenly. For embedders that do not do so themselves. Passages, and calls of many texts, are handed on.
 */
export function createMicroBatchedEmbedder(embedder: Embedder, options: MicroBatchedEmbedderOptions = {}): Embedder {
  const { batchSize, concurrency = usualConcurrency } = embedder.capabilities
  const { dimensions } = embedder
  const questions = new BatchProcessor<string, Embeddings>({
    ...options,
    maxItems: batchSize,
    concurrency,
    process: async (texts, signal) => {
      const { failed, tokens, vectors } = await embedder.embed(texts, { kind: 'query', signal })
      const errors = new Map(failed.map(({ index, error }) => [index, error]))
      return texts.map((_, row) => ({
        // A part that is kept must not keep the whole.
        vectors: vectors.slice(row * dimensions, (row + 1) * dimensions),
        failed: errors.has(row) ? [{ index: 0, error: errors.get(row) }] : [],
        tokens: Math.floor(((row + 1) * tokens) / texts.length) - Math.floor((row * tokens) / texts.length),
      }))
    },
  })
  return {
    ...embedder,
    async embed(texts, how) {
      const [text] = texts
      if (how.kind !== 'query' || texts.length !== 1 || text === undefined) return embedder.embed(texts, how)
      return questions.run(text, how.signal)
    },
  }
}
