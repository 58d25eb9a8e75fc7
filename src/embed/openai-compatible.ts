import { RagError } from '../core/errors.js'
import { importOptional } from '../util/import-optional.js'
import type { RemoteTools } from './remote/connection.js'
import { openRemoteEmbedder } from './remote/embedder.js'
import { type Form, type OpenAiEmbeddingsClient, OpenAiEndpoint } from './remote/openai-endpoint.js'
import { type RemoteEmbedderOptions, resolveSettings, type ServiceDefaults } from './remote/settings.js'
import type { Embedder } from './types.js'

/** Options of {@link createOpenAiCompatibleEmbedder}. */
export interface OpenAiCompatibleEmbedderOptions extends RemoteEmbedderOptions {
  /** Name of the model at the service: `'text-embedding-3-small'`, `'nomic-embed-text'`. */
  readonly model: string
  /**
   * Address of the API, before `/embeddings`: `'http://localhost:11434/v1'`. Default OpenAI's. No user, password, query or fragment.
   */
  readonly baseURL?: string
  /**
   * Sent as `Authorization: Bearer`. Default: `OPENAI_API_KEY` of the environment when `baseURL` is absent, otherwise none: a key is never
   * sent to a host it was not given for.
   */
  readonly apiKey?: string
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>>
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
  /**
   * A client of the `openai` package, made by you (`AzureOpenAI`, a proxy, keys that change). It decides the address and the key. Its own
   * repetitions are switched off.
   */
  readonly client?: OpenAiEmbeddingsClient
}

const openAiBaseURL = 'https://api.openai.com/v1'

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
  const client = await openClient(options, url)
  const { model, headers = {}, queryParameters = {}, passageParameters = {} } = options
  const endpoint = new OpenAiEndpoint({
    name: url.host,
    model,
    client,
    headers: headersOf(options),
    secrets: [keyOf(options), keyOfClient(client), ...Object.values(headers)].filter((one) => one !== undefined),
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

function checkOptions({ model, baseURL, apiKey, client }: OpenAiCompatibleEmbedderOptions): URL {
  if (typeof model !== 'string' || model === '') {
    throw new RagError('BAD_OPTION', 'model is the name of an embedding model.', {
      hint: "Name one that the service has, such as 'text-embedding-3-small'.",
    })
  }
  if (client !== undefined && (baseURL !== undefined || apiKey !== undefined)) {
    throw new RagError('BAD_OPTION', 'A client has its own address and key.', {
      hint: 'Leave baseURL and apiKey out, or client.',
    })
  }
  const address = client === undefined ? (baseURL ?? openAiBaseURL) : (client.baseURL ?? 'http://client')
  const url = URL.canParse(address) ? new URL(address) : undefined
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
  if (!isPlain || (client === undefined && (url.search !== '' || url.hash !== ''))) {
    // The address itself is not shown: it may hold a password.
    throw new RagError(
      'BAD_OPTION',
      'baseURL is not an http or https address without user, password, query and fragment.',
      {
        hint: "Give the address before '/embeddings', such as 'http://localhost:11434/v1'; keys go into apiKey or headers.",
      },
    )
  }
  return url
}

async function openClient(options: OpenAiCompatibleEmbedderOptions, url: URL): Promise<OpenAiEmbeddingsClient> {
  if (options.client !== undefined) return options.client
  const isOpenAi = options.baseURL === undefined
  const apiKey = keyOf(options)
  if (isOpenAi && apiKey === undefined) {
    throw new RagError('BAD_OPTION', 'OpenAI needs a key.', {
      hint: 'Set apiKey or the environment variable OPENAI_API_KEY, or baseURL for another service.',
    })
  }
  const { OpenAI } = await importOptional('openai', () => import('openai'), 'npm i openai@6')
  return new OpenAI({
    baseURL: url.href.replace(/\/+$/, ''),
    // Without a key the client takes OPENAI_API_KEY; a header of null (see `headersOf`) keeps this one from being sent.
    apiKey: apiKey ?? 'none',
    ...(isOpenAi ? {} : { organization: null, project: null, adminAPIKey: null }),
    maxRetries: 0,
    // OPENAI_LOG=debug would write texts to the console.
    logLevel: 'off',
  })
}

function keyOf({ apiKey, baseURL, client }: OpenAiCompatibleEmbedderOptions): string | undefined {
  if (client !== undefined) return undefined
  const key = apiKey ?? (baseURL === undefined ? process.env.OPENAI_API_KEY : undefined)
  return key === '' ? undefined : key
}

function keyOfClient(client: OpenAiEmbeddingsClient): string | undefined {
  return 'apiKey' in client && typeof client.apiKey === 'string' ? client.apiKey : undefined
}

/** What is sent beside what the client sends by itself; null is not sent. */
function headersOf(options: OpenAiCompatibleEmbedderOptions): Record<string, string | null> {
  const { headers = {}, baseURL } = options
  // The client, or the environment, was meant for this address.
  if (baseURL === undefined) return { ...headers }
  const key = keyOf(options)
  const hasOwnKey = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')
  return {
    ...Object.fromEntries(environmentHeaders().map((name) => [name, null])),
    ...(hasOwnKey ? {} : { authorization: key === undefined ? null : `Bearer ${key}` }),
    ...headers,
  }
}

/** Names in `OPENAI_CUSTOM_HEADERS`, lines of `name: value`: the package sends them to any address, but they were meant for OpenAI's. */
function environmentHeaders(): string[] {
  const lines = process.env.OPENAI_CUSTOM_HEADERS?.split('\n') ?? []
  const names = lines.map((line) => /^\s*([^:\s]+)\s*:/.exec(line)?.[1]?.toLowerCase())
  return names.filter((name) => name !== undefined)
}

function formsOf({ encodingFormat, dimensions, requestDimensions }: OpenAiCompatibleEmbedderOptions): Form[] {
  const encodings = encodingFormat === undefined ? (['base64', 'float'] as const) : [encodingFormat]
  const asked = requestDimensions === undefined ? [dimensions, undefined] : [requestDimensions ? dimensions : undefined]
  const widths = dimensions === undefined ? [undefined] : asked
  return widths.flatMap((width) => encodings.map((encoding) => ({ encoding, dimensions: width })))
}
