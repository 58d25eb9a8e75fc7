import { RagError } from '../core/errors.js'
import {
  type OpenAiConnection,
  openAiAddress,
  openAiHeaders,
  openAiSecrets,
  openOpenAiClient,
} from '../util/openai-client.js'
import type { RemoteTools } from './remote/connection.js'
import { openRemoteEmbedder } from './remote/embedder.js'
import { type Form, type OpenAiEmbeddingsClient, OpenAiEndpoint } from './remote/openai-endpoint.js'
import { type RemoteEmbedderOptions, resolveSettings, type ServiceDefaults } from './remote/settings.js'
import type { Embedder } from './types.js'

/** Options of {@link createOpenAiCompatibleEmbedder}. */
export interface OpenAiCompatibleEmbedderOptions
  extends RemoteEmbedderOptions,
    OpenAiConnection<OpenAiEmbeddingsClient> {
  /** Name of the model at the service: `'text-embedding-3-small'`, `'nomic-embed-text'`. */
  readonly model: string
  /**
   * How vectors travel. Default: as base64 where the service honours it (a quarter of the bytes and a sixth of the work of plain numbers),
   * otherwise as numbers; found out with the first call.
   */
  readonly encodingFormat?: 'base64' | 'float'
  /** Whether the service is asked for vectors of `dimensions` values. Default: when it accepts to be asked. */
  readonly requestDimensions?: boolean
  /** Further fields of the request for questions and for passages (`{ input_type: 'query' }`). Change the fingerprint. */
  readonly queryParameters?: Readonly<Record<string, unknown>>
  readonly passageParameters?: Readonly<Record<string, unknown>>
}

/** What services take per call, by host. Sources: docs/remote-embeddings.md. */
const services: readonly (ServiceDefaults & { readonly host: RegExp })[] = [
  { host: /(?:^|\.)openai\.(?:azure\.)?com$/, maxItemsPerCall: 128, maxTokensPerCall: 100_000 },
  { host: /^generativelanguage\.googleapis\.com$/, maxItemsPerCall: 100, maxTokensPerCall: 32_768 },
  { host: /^dashscope[\w-]*\.aliyuncs\.com$/, maxItemsPerCall: 10, maxTokensPerCall: 32_768 },
]
const otherService: ServiceDefaults = { maxItemsPerCall: 32, maxTokensPerCall: 32_768 }

/**
 * Opens an embedder over any service with OpenAI's embeddings API: OpenAI, Azure (by `client`), Gemini, Mistral, Ollama, LM Studio, vLLM,
 * llama.cpp, text-embeddings-inference. Without `dimensions` it asks for one vector now and rejects with `PROVIDER` or `TIMEOUT` when the
 * service does not give it. Throws `BAD_OPTION`, and `MISSING_PEER` when the package `openai` is not installed.
 */
export async function createOpenAiCompatibleEmbedder(
  options: OpenAiCompatibleEmbedderOptions,
  tools: RemoteTools = {},
): Promise<Embedder> {
  const url = checkOptions(options)
  const service = services.find(({ host }) => host.test(url.hostname)) ?? otherService
  const settings = resolveSettings(options, service)
  const client = await openOpenAiClient(options, url)
  const { model, queryParameters = {}, passageParameters = {} } = options
  const endpoint = new OpenAiEndpoint({
    name: url.host,
    model,
    client,
    headers: openAiHeaders(options),
    secrets: openAiSecrets(options, client),
    forms: formsOf(options),
    parameters: { query: queryParameters, passage: passageParameters },
  })
  return openRemoteEmbedder({
    id: 'openai-compatible',
    endpoint,
    settings,
    identity: options.identity ?? `${model}@${url.host}${url.pathname.replace(/\/+$/, '')}`,
    shaping: [queryParameters, passageParameters],
    tools,
  })
}

function checkOptions(options: OpenAiCompatibleEmbedderOptions): URL {
  if (typeof options.model !== 'string' || options.model === '') {
    throw new RagError('BAD_OPTION', 'model is the name of an embedding model.', {
      hint: "Name one that the service has, such as 'text-embedding-3-small'.",
    })
  }
  return openAiAddress(options, '/embeddings')
}

function formsOf({ encodingFormat, dimensions, requestDimensions }: OpenAiCompatibleEmbedderOptions): Form[] {
  const encodings = encodingFormat === undefined ? (['base64', 'float'] as const) : [encodingFormat]
  const asked = requestDimensions === undefined ? [dimensions, undefined] : [requestDimensions ? dimensions : undefined]
  const widths = dimensions === undefined ? [undefined] : asked
  return widths.flatMap((width) => encodings.map((encoding) => ({ encoding, dimensions: width })))
}
