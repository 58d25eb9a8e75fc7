import { abortableValues } from '../util/abort.js'
import { aiSdkProvider, checkAiSdkModel } from '../util/ai-sdk-model.js'
import { CallFailure, modelFailed } from '../util/fault.js'
import { countOf } from './remote/counts.js'
import type { ChatEndpoint, ChatPart } from './remote/endpoint.js'
import { createRemoteLlm, type RemoteLlmTools } from './remote/remote-llm.js'
import { type RemoteLlmOptions, resolveLimits } from './remote/settings.js'
import type { GenerateEnd, Llm, PromptMessage } from './types.js'

/** Options of {@link createAiSdkLlm}. */
export interface AiSdkLlmOptions extends RemoteLlmOptions {
  /**
   * A model of an AI SDK provider (`openai('gpt-4.1-mini')`, `google('gemini-2.5-flash')`), or the name of one for the AI Gateway
   * (`'anthropic/claude-sonnet-4'`), which needs the package `ai`.
   */
  readonly model: string | AiSdkLanguageModel
  /** Options by name of the provider (`{ openai: { reasoningEffort: 'low' } }`). Change the fingerprint. */
  readonly providerOptions?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** What is used of a language model of the AI SDK, version 2 (`ai` 5) or later of its specification. */
export interface AiSdkLanguageModel {
  readonly specificationVersion: string
  readonly provider: string
  readonly modelId: string
  // biome-ignore lint/suspicious/noExplicitAny: versions of the specification differ in types that are passed through.
  doStream(options: any): PromiseLike<any>
}

/**
 * Opens any language model of the AI SDK. It calls the model itself: `streamText` repeats calls by rules of its own, and turns failures
 * into parts of the stream. Throws `BAD_OPTION`, `UNSUPPORTED` for a model of another specification, and `MISSING_PEER` when the model is
 * a name and the package `ai` is not installed. Answers fail as those of `createOpenAiCompatibleLlm` do.
 */
export async function createAiSdkLlm(options: AiSdkLlmOptions, tools: RemoteLlmTools = {}): Promise<Llm> {
  const { maxTokens, providerOptions, seed, stop, temperature, topP } = options
  const limits = resolveLimits(options)
  const model = checkAiSdkModel<AiSdkLanguageModel>(
    typeof options.model === 'string' ? (await aiSdkProvider()).languageModel(options.model) : options.model,
    { method: 'doStream', example: "openai('gpt-4.1-mini')" },
  )
  const settings = {
    ...(maxTokens === undefined ? {} : { maxOutputTokens: maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
    ...(stop === undefined ? {} : { stopSequences: [...stop] }),
    ...(seed === undefined ? {} : { seed }),
    ...(providerOptions === undefined ? {} : { providerOptions }),
  }
  return createRemoteLlm({
    kind: 'ai-sdk',
    endpoint: new AiSdkChat(model, settings, options.headers),
    limits,
    identity: options.identity ?? `${model.provider}:${model.modelId}`,
    shaping: settings,
    tools,
  })
}

class AiSdkChat implements ChatEndpoint {
  readonly name: string
  readonly model: string
  readonly secrets: readonly string[]
  readonly #model: AiSdkLanguageModel
  readonly #settings: Readonly<Record<string, unknown>>
  readonly #headers: Readonly<Record<string, string>> | undefined

  constructor(
    model: AiSdkLanguageModel,
    settings: Readonly<Record<string, unknown>>,
    headers: AiSdkLlmOptions['headers'],
  ) {
    this.name = model.provider
    this.model = model.modelId
    this.secrets = Object.values(headers ?? {})
    this.#model = model
    this.#settings = settings
    this.#headers = headers
  }

  async *stream(
    messages: readonly PromptMessage[],
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<ChatPart, void, undefined> {
    const answer: { readonly stream?: unknown } | undefined = await this.#model.doStream({
      ...this.#settings,
      prompt: messages.map(toModelMessage),
      abortSignal: signal,
      ...(this.#headers === undefined ? {} : { headers: { ...this.#headers } }),
    })
    const known: { model?: string } = {}
    // A stream that goes on after an abort is ended all the same.
    for await (const part of abortableValues(partsIn(answer?.stream), signal)) {
      switch (part.type) {
        case 'text-delta':
          yield { type: 'text', text: part.delta }
          break
        case 'response-metadata':
          if (typeof part.modelId === 'string') known.model = part.modelId
          yield { type: 'other', characters: 0 }
          break
        case 'error':
          // Providers that speak of a failure in an event of their own tell it in an object, or a word.
          throw part.error instanceof Error ? part.error : new CallFailure(modelFailed)
        case 'finish':
          // What failed is told in a part before, by most providers.
          if (reasonIn(part.finishReason) === 'error') throw new CallFailure(modelFailed)
          // Providers end their stream in this way too when that of the service broke off.
          if (isUntold(part)) return
          yield { type: 'end', end: { finishReason: reasonOf(part.finishReason), ...known, ...usageOf(part.usage) } }
          return
        default:
          yield { type: 'other', characters: typeof part.delta === 'string' ? part.delta.length : 0 }
      }
    }
  }
}

/** A part of a stream, of whichever version. */
interface StreamPart {
  readonly type?: unknown
  readonly delta?: unknown
  readonly error?: unknown
  readonly modelId?: unknown
  readonly finishReason?: unknown
  readonly usage?: unknown
}

function partsIn(stream: unknown): AsyncIterable<StreamPart> | readonly StreamPart[] {
  const isStream = typeof stream === 'object' && stream !== null && Symbol.asyncIterator in stream
  return isStream ? (stream as unknown as AsyncIterable<StreamPart>) : []
}

function toModelMessage({ role, content }: PromptMessage) {
  return role === 'system' ? { role, content } : { role, content: [{ type: 'text', text: content }] }
}

/** Version 2 says it in a word, version 3 beside the provider's own. */
function reasonIn(reason: unknown): unknown {
  return typeof reason === 'object' && reason !== null && 'unified' in reason ? reason.unified : reason
}

function reasonOf(reason: unknown): NonNullable<GenerateEnd['finishReason']> {
  const word = reasonIn(reason)
  return word === 'stop' || word === 'length' || word === 'content-filter' ? word : 'other'
}

/** Whether the service never said why it stopped, nor what it used: its answer was cut off. */
function isUntold({ finishReason, usage }: StreamPart): boolean {
  const reason = finishReason as { readonly unified?: unknown; readonly raw?: unknown } | string | undefined
  const isUnknown =
    typeof reason === 'object' ? reason.unified === 'other' && reason.raw === undefined : reason === 'unknown'
  return isUnknown && Object.keys(usageOf(usage)).length === 0
}

/** Version 2 counts in a number, version 3 in parts and a total. */
function usageOf(usage: unknown) {
  const { inputTokens, outputTokens } = (usage ?? {}) as {
    readonly inputTokens?: unknown
    readonly outputTokens?: unknown
  }
  return { ...countOf('inputTokens', totalOf(inputTokens)), ...countOf('outputTokens', totalOf(outputTokens)) }
}

function totalOf(count: unknown): unknown {
  return typeof count === 'object' && count !== null && 'total' in count ? count.total : count
}
