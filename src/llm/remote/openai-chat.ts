import { CallFailure, modelFailed } from '../../util/fault.js'
import { type OpenAiRequestOptions, openAiTimeoutMs } from '../../util/openai-client.js'
import type { GenerateEnd, PromptMessage } from '../types.js'
import { countOf } from './counts.js'
import type { ChatEndpoint, ChatPart } from './endpoint.js'

/** What is used of a client of the `openai` package. */
export interface OpenAiChatClient {
  readonly baseURL?: string
  readonly chat: {
    readonly completions: {
      create(body: OpenAiChatRequest, options?: OpenAiRequestOptions): PromiseLike<unknown>
    }
  }
}

/** Fields of the request that are always set. */
export interface OpenAiChatRequest {
  model: string
  messages: { role: 'system' | 'user' | 'assistant'; content: string }[]
  stream: true
}

export interface OpenAiChatOptions {
  readonly name: string
  readonly model: string
  readonly client: OpenAiChatClient
  /** Sent with every call; null keeps one of the client's from being sent. */
  readonly headers: Readonly<Record<string, string | null>>
  readonly secrets: readonly string[]
  readonly maxTokens: number | undefined
  /** Further fields of the request. */
  readonly parameters: Readonly<Record<string, unknown>>
}

/** How the same thing is said to services of different age. */
interface Dialect {
  readonly limit: 'max_tokens' | 'max_completion_tokens'
  /** Whether the tokens of a streamed answer are asked for. */
  readonly asksUsage: boolean
}

/** The chat completions API of OpenAI, spoken by many. */
export class OpenAiChat implements ChatEndpoint {
  readonly name: string
  readonly model: string
  readonly secrets: readonly string[]
  readonly #options: OpenAiChatOptions
  #dialect: Dialect

  constructor(options: OpenAiChatOptions) {
    this.name = options.name
    this.model = options.model
    this.secrets = options.secrets
    this.#options = options
    // OpenAI's newer models refuse `max_tokens`, most others know nothing else.
    const isOpenAi = /(?:^|\.)openai\.(?:azure\.)?com$/.test(options.name.replace(/:\d+$/, ''))
    this.#dialect = { limit: isOpenAi ? 'max_completion_tokens' : 'max_tokens', asksUsage: true }
  }

  async *stream(
    messages: readonly PromptMessage[],
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<ChatPart, void, undefined> {
    const chunks = await this.#open(messages, signal)
    let finish: unknown
    let isRefused = false
    const known: { model?: string; inputTokens?: number; outputTokens?: number } = {}
    for await (const chunk of chunks) {
      const { choices, model, usage } = (chunk ?? {}) as Chunk
      if (isFilled(model)) known.model = model.slice(0, longestName)
      if (isObject(usage)) Object.assign(known, usageOf(usage))
      const choice = Array.isArray(choices) ? (choices[0] as Choice | undefined) : undefined
      finish = choice?.finish_reason ?? finish
      if (finish === 'error') throw new CallFailure(modelFailed)
      isRefused ||= isFilled(choice?.delta?.refusal)
      yield partOf(choice?.delta ?? {})
    }
    // The client ends the iteration, and does not fail, when it was aborted.
    signal.throwIfAborted()
    if (typeof finish === 'string')
      yield { type: 'end', end: { finishReason: isRefused ? 'content-filter' : reasonOf(finish), ...known } }
  }

  /** Opens the stream, in the words that the service knows. */
  async #open(messages: readonly PromptMessage[], signal: AbortSignal): Promise<AsyncIterable<unknown>> {
    for (let dialect = this.#dialect; ; ) {
      try {
        const chunks = iterable(await this.#ask(messages, dialect, signal))
        this.#dialect = dialect
        return chunks
      } catch (error) {
        const other = otherDialect(dialect, error)
        if (other === undefined || signal.aborted) throw error
        dialect = other
      }
    }
  }

  #ask(messages: readonly PromptMessage[], dialect: Dialect, signal: AbortSignal): PromiseLike<unknown> {
    const { client, headers, maxTokens, model, parameters } = this.#options
    const body: OpenAiChatRequest = {
      ...(maxTokens === undefined ? {} : { [dialect.limit]: maxTokens }),
      ...(dialect.asksUsage ? { stream_options: { include_usage: true } } : {}),
      ...parameters,
      model,
      messages: messages.map(({ role, content }) => ({ role, content })),
      stream: true,
    }
    return client.chat.completions.create(body, {
      signal,
      maxRetries: 0,
      timeout: openAiTimeoutMs,
      headers: { ...headers },
    })
  }
}

/** Characters of the name of a model. */
const longestName = 200

/** What is left to try when a service refuses a field by its name, or does not say what. Each step is taken once, so it ends. */
function otherDialect({ asksUsage, limit }: Dialect, error: unknown): Dialect | undefined {
  const { error: said, message, status } = (isObject(error) ? error : {}) as Record<string, unknown>
  if (status !== 400 && status !== 422) return undefined
  // Of an error in another form than OpenAI's the package tells nothing.
  const text = said === undefined ? 'stream_options' : `${String(message)} ${JSON.stringify(said)}`
  if (asksUsage && /stream_options|include_usage/.test(text)) return { limit, asksUsage: false }
  if (limit === 'max_tokens' && /max_completion_tokens/.test(text)) return { limit: 'max_completion_tokens', asksUsage }
  if (limit === 'max_completion_tokens' && /max_completion_tokens/.test(text) && !/['"`]max_tokens/.test(text)) {
    return { limit: 'max_tokens', asksUsage }
  }
  return undefined
}

interface Chunk {
  readonly choices?: unknown
  readonly model?: unknown
  readonly usage?: unknown
}

interface Choice {
  readonly delta?: Delta
  readonly finish_reason?: unknown
}

interface Delta {
  readonly content?: unknown
  /** Why it does not answer, in the place of an answer. */
  readonly refusal?: unknown
  /** Names of several services for what a model thinks. */
  readonly reasoning_content?: unknown
  readonly reasoning?: unknown
}

function partOf({ content, reasoning, reasoning_content }: Delta): ChatPart {
  const text = textOf(content)
  if (text !== undefined && text !== '') return { type: 'text', text }
  const thought = reasoning_content ?? reasoning
  return { type: 'other', characters: typeof thought === 'string' ? thought.length : 0 }
}

/** A text, or a list of parts of which those of text count (Mistral); anything else is for others to refuse. */
function textOf(content: unknown): unknown {
  if (content === undefined || content === null) return undefined
  if (!Array.isArray(content)) return content
  if (!content.every((part) => isObject(part) && typeof part.type === 'string')) return content
  return (content as { type: string; text?: unknown }[])
    .map(({ text, type }) => (type === 'text' && typeof text === 'string' ? text : ''))
    .join('')
}

function reasonOf(finish: string): FinishReason {
  return reasons[finish] ?? 'other'
}

type FinishReason = NonNullable<GenerateEnd['finishReason']>

const reasons: Readonly<Record<string, FinishReason>> = {
  stop: 'stop',
  eos: 'stop',
  length: 'length',
  model_length: 'length',
  content_filter: 'content-filter',
}

function usageOf({ completion_tokens, prompt_tokens }: Readonly<Record<string, unknown>>) {
  return { ...countOf('inputTokens', prompt_tokens), ...countOf('outputTokens', completion_tokens) }
}

/** A service may answer with anything: what cannot be read part by part is an answer without parts. */
function iterable(answer: unknown): AsyncIterable<unknown> {
  return isObject(answer) && Symbol.asyncIterator in answer ? (answer as unknown as AsyncIterable<unknown>) : nothing()
}

async function* nothing(): AsyncGenerator<unknown> {}

function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
