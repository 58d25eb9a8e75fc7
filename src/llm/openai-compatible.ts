import { RagError } from '../core/errors.js'
import {
  type OpenAiConnection,
  openAiAddress,
  openAiHeaders,
  openAiSecrets,
  openOpenAiClient,
} from '../util/openai-client.js'
import { boundedFetch } from './remote/bounded-fetch.js'
import { OpenAiChat, type OpenAiChatClient } from './remote/openai-chat.js'
import { createRemoteLlm, type RemoteLlmTools } from './remote/remote-llm.js'
import { type RemoteLlmOptions, resolveLimits } from './remote/settings.js'
import type { Llm } from './types.js'

/** Options of {@link createOpenAiCompatibleLlm}. */
export interface OpenAiCompatibleLlmOptions extends RemoteLlmOptions, OpenAiConnection<OpenAiChatClient> {
  /** Name of the model at the service: `'gpt-4.1-mini'`, `'llama3.2'`. */
  readonly model: string
  /** Further fields of the request (`{ reasoning_effort: 'low' }`). Change the fingerprint. */
  readonly parameters?: Readonly<Record<string, unknown>>
}

/**
 * Opens a model at any service with OpenAI's chat completions API: OpenAI, Azure (by `client`), Gemini, Mistral, Ollama, LM Studio, vLLM,
 * llama.cpp. Nothing is asked before the first answer. Throws `BAD_OPTION`, and `MISSING_PEER` when the package `openai` is not installed.
 *
 * Answers fail with `PROVIDER` or `TIMEOUT`; the message of the error has what the service says about key, account and name of the
 * model, without the key, and never what was asked or shown.
 */
export async function createOpenAiCompatibleLlm(
  options: OpenAiCompatibleLlmOptions,
  tools: RemoteLlmTools = {},
): Promise<Llm> {
  const { model, maxTokens, parameters = {}, seed, stop, temperature, topP } = options
  if (typeof model !== 'string' || model === '') {
    throw new RagError('BAD_OPTION', 'model is the name of a language model.', {
      hint: "Name one that the service has, such as 'gpt-4.1-mini'.",
    })
  }
  const url = openAiAddress(options, '/chat/completions')
  const limits = resolveLimits(options)
  const client = await openOpenAiClient(options, url, { fetch: boundedFetch })
  const own = {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(stop === undefined ? {} : { stop: [...stop] }),
    ...(seed === undefined ? {} : { seed }),
    ...parameters,
  }
  return createRemoteLlm({
    kind: 'openai-compatible',
    endpoint: new OpenAiChat({
      name: url.host,
      model,
      client,
      headers: openAiHeaders(options),
      secrets: openAiSecrets(options, client),
      maxTokens,
      parameters: own,
    }),
    limits,
    identity: options.identity ?? `${model}@${url.host}${url.pathname.replace(/\/+$/, '')}`,
    shaping: [maxTokens, own],
    tools,
  })
}
