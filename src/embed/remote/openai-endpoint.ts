import { type OpenAiRequestOptions, openAiTimeoutMs } from '../../util/openai-client.js'
import type { EmbedOptions } from '../types.js'
import type { EmbeddingEndpoint, EndpointAnswer, EndpointCallOptions } from './endpoint.js'

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

/** Values that the main thread reads in about 5 ms (measured: 0.08 µs each as a JSON number, 0.012 µs as base64). */
const valuesPerCall = { float: 49_152, base64: 393_216 }

/** How a service is asked. */
export interface Form {
  readonly encoding: 'base64' | 'float'
  readonly dimensions: number | undefined
}

export interface OpenAiEndpointOptions {
  readonly name: string
  readonly model: string
  readonly client: OpenAiEmbeddingsClient
  /** Sent with every call; null keeps one of the client's from being sent. */
  readonly headers: Readonly<Record<string, string | null>>
  readonly secrets: readonly string[]
  /** The forms that may be accepted, the best first. */
  readonly forms: readonly Form[]
  /** Further fields of the request. */
  readonly parameters: Readonly<Record<EmbedOptions['kind'], Readonly<Record<string, unknown>>>>
}

/** The embeddings API of OpenAI, spoken by many. */
export class OpenAiEndpoint implements EmbeddingEndpoint {
  readonly name: string
  readonly model: string
  readonly secrets: readonly string[]
  readonly #options: OpenAiEndpointOptions
  /** One, when it is known. */
  #forms: readonly Form[]

  constructor(options: OpenAiEndpointOptions) {
    this.name = options.name
    this.model = options.model
    this.secrets = options.secrets
    this.#options = options
    this.#forms = options.forms
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
        if (forms.length > 1) this.#learn(form, rows[0])
        return { rows, tokens: (answer as Answer | null | undefined)?.usage?.total_tokens }
      } catch (error) {
        const isLast = place === forms.length - 1
        if (isLast || options.signal.aborted || !isRefusal(error)) throw error
      }
    }
    throw new Error('There is no form to ask in.')
  }

  /** A service that does not know base64 mostly sends numbers without a word. */
  #learn(form: Form, row: unknown): void {
    if (row instanceof Float32Array) this.#forms = [{ ...form, encoding: 'base64' }]
    else if (Array.isArray(row)) this.#forms = [{ ...form, encoding: 'float' }]
  }

  async #ask(texts: readonly string[], form: Form, { kind, signal }: EndpointCallOptions): Promise<unknown> {
    const { client, headers, model, parameters } = this.#options
    const body: OpenAiEmbeddingsRequest = {
      ...parameters[kind],
      model,
      input: [...texts],
      // Always said: left out, the package asks for base64 and decodes whatever comes, also plain numbers, into zeros.
      encoding_format: form.encoding,
      ...(form.dimensions === undefined ? {} : { dimensions: form.dimensions }),
    }
    return client.embeddings.create(body, {
      signal,
      maxRetries: 0,
      timeout: openAiTimeoutMs,
      headers: { ...headers },
    })
  }
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
