import type { ServerResponse } from 'node:http'
import { type ApiServer, startApiServer } from './api-server.js'

/** What the API was asked. */
export interface ChatBody {
  readonly model: string
  readonly stream: true
  readonly messages: readonly { readonly role: string; readonly content: string }[]
  readonly [field: string]: unknown
}

/** How a request is answered: the parts of an answer, a status and a body, or by hand. */
export type ChatReply =
  | readonly string[]
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body: unknown }
  | ((response: ServerResponse) => void | Promise<void>)

/** A real HTTP server on this machine that plays OpenAI's chat completions API, streaming. */
export interface ChatCompletions extends Omit<ApiServer<ChatBody>, 'handle'> {
  /** Decides how a request is answered; the number counts them from 0. */
  reply: (body: ChatBody, place: number) => ChatReply | Promise<ChatReply>
}

export async function startChatCompletions(reply: ChatCompletions['reply'] = () => ['Yes.']): Promise<ChatCompletions> {
  const server = await startApiServer<ChatBody>(async ({ body }, place, response) => {
    const said = await api.reply(body, place)
    if (response.destroyed) return
    if (typeof said === 'function') await said(response)
    else if ('status' in said) {
      response.writeHead(said.status, { 'content-type': 'application/json', ...said.headers })
      response.end(typeof said.body === 'string' ? said.body : JSON.stringify(said.body))
    } else {
      beginStream(response)
      for (const part of said) {
        response.write(sse(delta(part)))
        // As a service does, which has not all of it at once.
        await new Promise(setImmediate)
      }
      endStream(response, {
        usage: body.stream_options === undefined ? undefined : { prompt_tokens: 7, completion_tokens: said.length },
      })
    }
  })
  const api = Object.assign(server, { reply })
  return api
}

/** The head of a stream. */
export function beginStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(
    sse({ ...chunk, choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] }),
  )
}

/** What a sound service sends last. */
export function endStream(
  response: ServerResponse,
  { finish = 'stop', usage }: { finish?: string; usage?: unknown } = {},
): void {
  response.write(sse({ ...chunk, choices: [{ index: 0, delta: {}, finish_reason: finish }] }))
  if (usage !== undefined) response.write(sse({ ...chunk, choices: [], usage }))
  response.end('data: [DONE]\n\n')
}

const chunk = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'test-model-2026' }

/** One event of a stream. */
export function sse(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`
}

/** The event that brings a part of an answer. */
export function delta(content: unknown, fields: object = {}): object {
  return { ...chunk, choices: [{ index: 0, delta: { content, ...fields }, finish_reason: null }] }
}
