import { aiSdkProvider, checkAiSdkModel } from '../util/ai-sdk-model.js'
import type { RemoteTools } from './remote/connection.js'
import { openRemoteEmbedder } from './remote/embedder.js'
import type { EmbeddingEndpoint, EndpointAnswer, EndpointCallOptions } from './remote/endpoint.js'
import { type RemoteEmbedderOptions, type RemoteSettings, resolveSettings } from './remote/settings.js'
import type { Embedder } from './types.js'

/** Options of {@link createAiSdkEmbedder}. */
export interface AiSdkEmbedderOptions extends RemoteEmbedderOptions {
  /**
   * A model of an AI SDK provider (`openai.embeddingModel('text-embedding-3-small')`, `google.embeddingModel(…)`), or the name of one for
   * the AI Gateway (`'openai/text-embedding-3-small'`), which needs the package `ai`.
   */
  readonly model: string | AiSdkEmbeddingModel
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>>
  /** Provider options for questions and for passages (`{ google: { taskType: 'RETRIEVAL_QUERY' } }`). Change the fingerprint. */
  readonly queryProviderOptions?: AiSdkProviderOptions
  readonly passageProviderOptions?: AiSdkProviderOptions
}

/** Options by name of the provider. */
export type AiSdkProviderOptions = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** What is used of an embedding model of the AI SDK, version 2 or later of its specification. */
export interface AiSdkEmbeddingModel {
  readonly specificationVersion: string
  readonly provider: string
  readonly modelId: string
  readonly maxEmbeddingsPerCall: PromiseLike<number | undefined> | number | undefined
  readonly supportsParallelCalls: PromiseLike<boolean> | boolean
  // biome-ignore lint/suspicious/noExplicitAny: versions of the specification differ in types that are passed through.
  doEmbed(options: any): PromiseLike<any>
}

/** Where `embedMany` of the AI SDK looks for it, too. */
const maxBytesPerCallKey = Symbol.for('vercel.ai.embeddingModel.maxInputBytesPerCall')
/** Values that the main thread reads in about 10 ms: 0.2 µs each, because the SDK checks every number against a schema. */
const valuesPerCall = 49_152
const usualItemsPerCall = 128

/**
 * Opens an embedder over an embedding model of the AI SDK. It calls the model itself: `embedMany` of the AI SDK runs its calls in waves and
 * repeats them by rules of its own, and a model repeats nothing. Without `dimensions` it asks for one vector now and rejects with
 * `PROVIDER` or `TIMEOUT` when the service does not give it. Throws `BAD_OPTION`, `UNSUPPORTED` for a model of another specification, and
 * `MISSING_PEER` when the model is a name and the package `ai` is not installed.
 */
export async function createAiSdkEmbedder(options: AiSdkEmbedderOptions, tools: RemoteTools = {}): Promise<Embedder> {
  const model = checkAiSdkModel<AiSdkEmbeddingModel>(
    typeof options.model === 'string' ? (await aiSdkProvider()).embeddingModel(options.model) : options.model,
    { method: 'doEmbed', example: "openai.embeddingModel('text-embedding-3-small')" },
  )
  const settings = resolveSettings(options, { maxItemsPerCall: usualItemsPerCall, maxTokensPerCall: 100_000 })
  return openRemoteEmbedder({
    id: 'ai-sdk',
    endpoint: new AiSdkEndpoint(options, model),
    settings: await withinLimits(settings, model),
    identity: options.identity ?? `${model.provider}:${model.modelId}`,
    shaping: [options.queryProviderOptions ?? {}, options.passageProviderOptions ?? {}],
    tools,
  })
}

/** What a model says of itself holds, whatever the options are. */
async function withinLimits(settings: RemoteSettings, model: AiSdkEmbeddingModel): Promise<RemoteSettings> {
  const [maxItems, maxBytes, isParallel] = await Promise.all([
    model.maxEmbeddingsPerCall,
    maxBytesPerCallKey in model ? (model[maxBytesPerCallKey] as PromiseLike<number> | number | undefined) : undefined,
    model.supportsParallelCalls,
  ])
  const atMost = (value: number, limit: number | undefined) =>
    Math.max(1, Math.min(value, limit === undefined || Number.isNaN(limit) ? value : limit))
  return {
    ...settings,
    maxItemsPerCall: atMost(settings.maxItemsPerCall, maxItems),
    maxBytesPerCall: atMost(settings.maxBytesPerCall, maxBytes),
    maxConcurrency: isParallel ? settings.maxConcurrency : 1,
  }
}

class AiSdkEndpoint implements EmbeddingEndpoint {
  readonly name: string
  readonly model: string
  readonly valuesPerCall = valuesPerCall
  readonly secrets: readonly string[]
  readonly #options: AiSdkEmbedderOptions
  readonly #model: AiSdkEmbeddingModel

  constructor(options: AiSdkEmbedderOptions, model: AiSdkEmbeddingModel) {
    this.name = model.provider
    this.model = model.modelId
    this.secrets = Object.values(options.headers ?? {})
    this.#options = options
    this.#model = model
  }

  async embed(texts: readonly string[], { kind, signal }: EndpointCallOptions): Promise<EndpointAnswer> {
    const { headers, queryProviderOptions, passageProviderOptions } = this.#options
    const providerOptions = kind === 'query' ? queryProviderOptions : passageProviderOptions
    const answer: Answer | undefined = await this.#model.doEmbed({
      values: [...texts],
      abortSignal: signal,
      ...(headers === undefined ? {} : { headers: { ...headers } }),
      ...(providerOptions === undefined ? {} : { providerOptions }),
    })
    return { rows: answer?.embeddings ?? [], tokens: answer?.usage?.tokens }
  }
}

interface Answer {
  readonly embeddings?: readonly unknown[]
  readonly usage?: { readonly tokens?: unknown }
}
