import type { ServerResponse } from 'node:http'
import { createFakeEmbedder } from '../../src/testing/index.js'
import { type ApiCall, type ApiServer, answeredByHand, startApiServer } from './api-server.js'

/** What the API was asked. */
export type ApiRequest = ApiCall<Readonly<Record<string, unknown>> & { readonly input: readonly string[] }>

/** How it answers: with a status and a body, or by hand. `undefined`: as it should. */
export type ApiReply =
  | { readonly status?: number; readonly headers?: Record<string, string>; readonly body: unknown }
  | ((response: ServerResponse, honest: ApiAnswer) => void)

/** A sound answer. */
export interface ApiAnswer {
  readonly object: 'list'
  readonly model: string
  readonly data: readonly {
    readonly object: 'embedding'
    readonly index: number
    readonly embedding: number[] | string
  }[]
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number }
}

export interface EmbeddingsApi extends ApiServer<ApiRequest['body']> {
  /** Decides how a request is answered; the number counts them from 0. */
  reply: (request: ApiRequest, place: number) => ApiReply | undefined | Promise<ApiReply | undefined>
}

/** A real HTTP server on this machine that plays OpenAI's embeddings API: the vector of a text counts its words. */
export async function startEmbeddingsApi({ dimensions = 16 } = {}): Promise<EmbeddingsApi> {
  const server = await startApiServer<ApiRequest['body']>(async (asked, place, response) => {
    const reply = await api.reply(asked, place)
    if (response.destroyed) return
    const honest = await answer(asked, dimensions)
    if (typeof reply === 'function') {
      answeredByHand(response)
      reply(response, honest)
    } else sendJson(response, reply ?? { body: honest })
  })
  const api: EmbeddingsApi = Object.assign(server, { reply: () => undefined })
  return api
}

async function answer({ body }: ApiRequest, natural: number): Promise<ApiAnswer> {
  const dimensions = typeof body.dimensions === 'number' ? body.dimensions : natural
  // Whatever it is, a sound service gives it a vector.
  const texts = body.input.map((text) => (/\S/.test(text) ? text : 'nothing'))
  const { vectors } = await createFakeEmbedder({ dimensions }).embed(texts, { kind: 'passage' })
  const tokens = texts.join(' ').split(/\s+/).length
  return {
    object: 'list',
    model: String(body.model),
    data: texts.map((_, index) => {
      const row = vectors.slice(index * dimensions, (index + 1) * dimensions)
      const embedding = body.encoding_format === 'base64' ? Buffer.from(row.buffer).toString('base64') : [...row]
      return { object: 'embedding' as const, index, embedding }
    }),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  }
}

function sendJson(response: ServerResponse, reply: Exclude<ApiReply, (...args: never) => unknown>): void {
  const { status = 200, headers = {}, body } = reply
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

/** The form in which OpenAI tells of an error. */
export function apiError(status: number, message: string, code: string | null = null): ApiReply {
  return { status, body: { error: { message, type: 'invalid_request_error', param: null, code } } }
}
