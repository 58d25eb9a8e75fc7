import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { LlmFunction } from '../../src/config/options.js'

/** How a request is answered by hand. */
export type ChatReply = (response: ServerResponse) => void

/** A real HTTP server on this machine that plays a language model: it says a text about each prompt. */
export interface ChatApi {
  /** A model that asks it, as an application would write it: with `fetch`, and an error that has the status and the headers. */
  readonly llm: LlmFunction
  readonly url: string
  /** Prompts in the order in which they came. */
  readonly prompts: readonly string[]
  /** Requests in work, now and at most so far. */
  readonly running: number
  readonly mostRunning: number
  /** Connections whose client went away before the answer was complete. */
  readonly abandoned: number
  /** What it says to a prompt; the number counts prompts from 0. A function answers by hand. */
  reply: (prompt: string, place: number) => string | ChatReply | Promise<string | ChatReply>
  close(): Promise<void>
}

export async function startChatApi(reply: ChatApi['reply']): Promise<ChatApi> {
  const prompts: string[] = []
  const seen = { running: 0, most: 0, abandoned: 0 }
  const server = createServer(async (request, response) => {
    seen.most = Math.max(seen.most, ++seen.running)
    response.once('close', () => {
      seen.running--
      if (!response.writableFinished) seen.abandoned++
    })
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    const place = prompts.push(Buffer.concat(parts).toString()) - 1
    const said = await api.reply(prompts[place] as string, place)
    if (response.destroyed) return
    if (typeof said === 'function') said(response)
    else response.end(said)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const api: ChatApi = {
    url,
    prompts,
    get running() {
      return seen.running
    },
    get mostRunning() {
      return seen.most
    },
    get abandoned() {
      return seen.abandoned
    },
    reply,
    async *llm({ text }, { signal }) {
      const response = await fetch(url, { method: 'POST', body: text, ...(signal === undefined ? {} : { signal }) })
      if (!response.ok) {
        await response.body?.cancel()
        const { headers, status } = response
        throw Object.assign(new Error(`HTTP ${status}`), { status, headers })
      }
      const decoder = new TextDecoder()
      for await (const part of response.body ?? []) yield decoder.decode(part, { stream: true })
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return api
}
