import type { EmbeddingModel } from 'ai'
import { RagError } from '../core/errors.js'
import type { EmbedOptions } from '../embed/types.js'
import { embedRows, type TextEmbedder } from '../interop/embed-rows.js'

/** An embedding model of the AI SDK, version 3 of its specification. */
export type EmbeddingModelV3 = Extract<Exclude<EmbeddingModel, string>, { readonly specificationVersion: 'v3' }>

/** Options of {@link toAiSdkEmbeddingModel}. */
export interface AiSdkEmbeddingModelOptions {
  /**
   * What texts are, for models that treat questions and passages differently. Default `'passage'`. One call says otherwise with
   * `providerOptions: { ultrafastRag: { kind: 'query' } }`.
   */
  readonly kind?: EmbedOptions['kind']
  /** Shown in logs and telemetry. Default: the `id` of the embedder, else `'async-embedding'`. */
  readonly modelId?: string
}

/**
 * An embedding model for `embed()` and `embedMany()` of the AI SDK over an embedder or an `AsyncEmbedding`. It takes any number of texts in
 * one call and batches them itself; a text that cannot be embedded rejects the call (`data.index` tells which). Closing stays the caller's.
 *
 * @example
 * const model = toAiSdkEmbeddingModel(new AsyncEmbedding({ preset: 'production' }))
 * const { embeddings } = await embedMany({ model, values: texts })
 */
export function toAiSdkEmbeddingModel(
  embedder: TextEmbedder,
  options: AiSdkEmbeddingModelOptions = {},
): EmbeddingModelV3 {
  const { modelId = 'id' in embedder ? String(embedder.id) : 'async-embedding' } = options
  const usualKind = checkKind(options.kind ?? 'passage')
  return {
    specificationVersion: 'v3',
    provider: 'ultrafast-rag',
    modelId,
    maxEmbeddingsPerCall: Number.POSITIVE_INFINITY,
    supportsParallelCalls: true,
    async doEmbed({ abortSignal, providerOptions, values }) {
      const kind = checkKind(providerOptions?.ultrafastRag?.kind ?? usualKind)
      const signal = abortSignal === undefined ? {} : { signal: abortSignal }
      const { rows, tokens } = await embedRows(embedder, values, { kind, ...signal })
      return { embeddings: rows, usage: { tokens }, warnings: [] }
    },
  }
}

function checkKind(kind: unknown): EmbedOptions['kind'] {
  if (kind === 'query' || kind === 'passage') return kind
  throw new RagError('BAD_OPTION', 'kind is "query" or "passage".', { data: { option: 'kind' } })
}
