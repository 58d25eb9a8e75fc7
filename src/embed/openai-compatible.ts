import { RagError } from '../core/errors.js'
import { importOptional } from '../util/import-optional.js'
import { openRemoteEmbedder, type RemoteTools } from './remote/embedder.js'
import type { EmbeddingEndpoint, EndpointAnswer, EndpointCallOptions } from './remote/endpoint.js'
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

/** What is used of a client of the `openai` package. */
export interface OpenAiEmbeddingsClient {
  readonly baseURL?: string
  readonly embeddings: {
    create(body: OpenAiEmbeddingsRequest, options?: OpenAiRequestOptions): PromiseLike<unknown>
  }
}

/** Fields of the request that are always set. */
export interface OpenAiEmbeddingsRequest {
  model: string
  input: string[]
  encoding_format?: 'base64' | 'float'
  dimensions?: number
}

/** How a request is made. */
export interface OpenAiRequestOptions {
  signal?: AbortSignal
  maxRetries?: number
  timeout?: number
  headers?: Record<string, string | null>
}

const openAiBaseURL = 'https://api.openai.com/v1'

/** What services take per call, by host. Sources: docs/remote-embeddings.md. */
const services: readonly (ServiceDefaults & { readonly host: RegExp })[] = [
  { host: /(?:^|\.)openai\.(?:azure\.)?com$/, maxItemsPerCall: 128, maxTokensPerCall: 100_000 },
  { host: /^generativelanguage\.googleapis\.com$/, maxItemsPerCall: 100, maxTokensPerCall: 32_768 },
  { host: /^dashscope[\w-]*\.aliyuncs\.com$/, maxItemsPerCall: 10, maxTokensPerCall: 32_768 },
]
const otherService: ServiceDefaults = { maxItemsPerCall: 32, maxTokensPerCall: 32_768 }

/** Values that the main thread reads in about 5 ms (measured: 0.08 µs each as a JSON number, 0.012 µs as base64). */
const valuesPerCall = { float: 49_152, base64: 393_216 }

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
  const endpoint = new OpenAiEndpoint(options, url, await openClient(options, url))
  return openRemoteEmbedder({
    id: 'openai-compatible',
    endpoint,
    settings,
    identity: options.identity ?? `${options.model}@${url.host}${url.pathname.replace(/\/+$/, '')}`,
    shaping: [options.queryParameters ?? {}, options.passageParameters ?? {}],
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

/** A header of null is not sent. */
function headersOf(options: OpenAiCompatibleEmbedderOptions): Record<string, string | null> {
  const { headers = {}, client, baseURL } = options
  const hasOwn = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')
  const isOpen = client === undefined && keyOf(options) === undefined && !hasOwn
  const foreign = baseURL === undefined ? [] : environmentHeaders()
  return Object.fromEntries([
    ...(isOpen ? [...foreign, 'authorization'] : foreign).map((name) => [name, null]),
    ...Object.entries(headers),
  ])
}

/** The package sends the headers of this variable (lines of `name: value`) to any address; they were meant for OpenAI's. */
function environmentHeaders(): string[] {
  const lines = process.env.OPENAI_CUSTOM_HEADERS?.split('\n') ?? []
  return lines
    .map((line) =>
      line
        .slice(0, Math.max(0, line.indexOf(':')))
        .trim()
        .toLowerCase(),
    )
    .filter((name) => name !== '')
}

/** How a service is asked. */
interface Form {
  readonly encoding: 'base64' | 'float'
  readonly dimensions: number | undefined
}

class OpenAiEndpoint implements EmbeddingEndpoint {
  readonly name: string
  readonly model: string
  readonly secrets: readonly string[]
  readonly #client: OpenAiEmbeddingsClient
  readonly #options: OpenAiCompatibleEmbedderOptions
  readonly #headers: Record<string, string | null>
  /** The forms that may be accepted, the best first; one when it is known. */
  #forms: readonly Form[]

  constructor(options: OpenAiCompatibleEmbedderOptions, url: URL, client: OpenAiEmbeddingsClient) {
    this.name = url.host
    this.model = options.model
    const clientKey = 'apiKey' in client && typeof client.apiKey === 'string' ? client.apiKey : undefined
    this.secrets = [keyOf(options), clientKey, ...Object.values(options.headers ?? {})].filter(
      (one) => one !== undefined,
    )
    this.#client = client
    this.#options = options
    this.#headers = headersOf(options)
    this.#forms = formsOf(options)
  }

  get valuesPerCall(): number {
    const [form, ...others] = this.#forms
    return valuesPerCall[form?.encoding === 'base64' && others.length === 0 ? 'base64' : 'float']
  }

  async embed(texts: readonly string[], options: EndpointCallOptions): Promise<EndpointAnswer> {
    const forms = this.#forms
    for (const [place, form] of forms.entries()) {
      try {
        const answer = await this.#ask(texts, form, options)
        const rows = rowsOf(answer)
        // A service that does not know base64 mostly sends numbers without a word.
        if (forms.length > 1)
          this.#forms = [{ ...form, encoding: rows[0] instanceof Float32Array ? 'base64' : 'float' }]
        return { rows, tokens: (answer as Answer | null | undefined)?.usage?.total_tokens }
      } catch (error) {
        const isLast = place === forms.length - 1
        if (isLast || options.signal.aborted || !isRefusal(error)) throw error
      }
    }
    throw new Error('There is no form to ask in.')
  }

  async #ask(texts: readonly string[], form: Form, { kind, signal }: EndpointCallOptions): Promise<unknown> {
    const { model, queryParameters, passageParameters } = this.#options
    const body: OpenAiEmbeddingsRequest = {
      ...(kind === 'query' ? queryParameters : passageParameters),
      model,
      input: [...texts],
      // Always said: left out, the package asks for base64 and decodes whatever comes, also plain numbers, into zeros.
      encoding_format: form.encoding,
      ...(form.dimensions === undefined ? {} : { dimensions: form.dimensions }),
    }
    // Time is kept by the caller, to the end of the answer; the package's own limit ends with its head.
    return this.#client.embeddings.create(body, {
      signal,
      maxRetries: 0,
      timeout: packageTimeoutMs,
      headers: this.#headers,
    })
  }
}

const packageTimeoutMs = 4_000_000

function formsOf({ encodingFormat, dimensions, requestDimensions }: OpenAiCompatibleEmbedderOptions): Form[] {
  const encodings = encodingFormat === undefined ? (['base64', 'float'] as const) : [encodingFormat]
  const asked = requestDimensions === undefined ? [dimensions, undefined] : [requestDimensions ? dimensions : undefined]
  const widths = dimensions === undefined ? [undefined] : asked
  return widths.flatMap((width) => encodings.map((encoding) => ({ encoding, dimensions: width })))
}

/** The service does not take what it was asked in this form, or not these texts. */
function isRefusal(error: unknown): boolean {
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined
  return status === 400 || status === 422
}

/** Vectors in the order of the texts: by `index` where there is one, otherwise as they come. Nothing is believed of them yet. */
function rowsOf(answer: unknown): unknown[] {
  const data = typeof answer === 'object' && answer !== null && 'data' in answer ? answer.data : undefined
  if (!Array.isArray(data)) return []
  const entries = data.map((entry: unknown) => (typeof entry === 'object' && entry !== null ? entry : {}) as Entry)
  // Gemini leaves an index of 0 out, as protocol buffers do; some proxies number every vector 0.
  const isNumbered = entries.some(({ index }) => index !== undefined && index !== 0)
  const rows = new Array<unknown>(entries.length).fill(undefined)
  for (const [place, { index = place, embedding }] of entries.entries()) {
    const row = isNumbered ? index : place
    // A place that is named twice leaves another empty, and that is no vector.
    if (Number.isInteger(row) && row >= 0 && row < rows.length) rows[row] = vectorOf(embedding)
  }
  return rows
}

interface Answer {
  readonly usage?: { readonly total_tokens?: unknown }
}

interface Entry {
  readonly index?: number
  readonly embedding?: unknown
}

function vectorOf(embedding: unknown): unknown {
  if (typeof embedding !== 'string') return embedding
  const bytes = Buffer.byteLength(embedding, 'base64')
  if (bytes % Float32Array.BYTES_PER_ELEMENT !== 0) return undefined
  const row = new Float32Array(bytes / Float32Array.BYTES_PER_ELEMENT)
  // Little-endian, as is every machine that Node runs on but one.
  return Buffer.from(row.buffer).write(embedding, 'base64') === bytes ? row : undefined
}
