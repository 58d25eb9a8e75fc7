import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createFakeEmbedder } from '../../src/testing/index.js'

/** What the API was asked. */
export interface ApiRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Readonly<Record<string, unknown>> & { readonly input: readonly string[] }
}

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

export interface EmbeddingsApi {
  readonly baseURL: string
  /** All requests so far. */
  readonly requests: readonly ApiRequest[]
  /** Requests in work, now and at most so far. */
  readonly running: number
  readonly mostRunning: number
  /** Connections whose client went away before the answer was complete. */
  readonly abandoned: number
  /** Decides how a request is answered; the number counts them from 0. */
  reply: (request: ApiRequest, place: number) => ApiReply | undefined | Promise<ApiReply | undefined>
  close(): Promise<void>
}

/** A real HTTP server on this machine that plays OpenAI's embeddings API: the vector of a text counts its words. */
export async function startEmbeddingsApi({ dimensions = 16 } = {}): Promise<EmbeddingsApi> {
  const requests: ApiRequest[] = []
  let running = 0
  let mostRunning = 0
  let abandoned = 0

  const server = createServer(async (request, response) => {
    running++
    mostRunning = Math.max(mostRunning, running)
    let isOver = false
    response.once('close', () => {
      running--
      if (!response.writableFinished && !isOver) abandoned++
    })
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = JSON.parse(Buffer.concat(chunks).toString())
    const asked: ApiRequest = { path: request.url ?? '', headers: request.headers, body }
    requests.push(asked)
    const reply = await api.reply(asked, requests.length - 1)
    if (response.destroyed) return
    const honest = await answer(asked, dimensions)
    if (typeof reply === 'function') {
      isOver = true
      reply(response, honest)
    } else sendJson(response, reply ?? { body: honest })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const api: EmbeddingsApi = {
    baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    get running() {
      return running
    },
    get mostRunning() {
      return mostRunning
    },
    get abandoned() {
      return abandoned
    },
    reply: () => undefined,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
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
