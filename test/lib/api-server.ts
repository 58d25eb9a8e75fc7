import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a server was asked. */
export interface ApiCall<Body> {
  readonly path: string
  /** That of the client: the same for requests over one connection. */
  readonly port: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: Body
}

/** A real HTTP server on this machine that takes JSON, and sees what its clients do. */
export interface ApiServer<Body> {
  /** Address before the path of a call. */
  readonly baseURL: string
  /** All requests so far. */
  readonly requests: readonly ApiCall<Body>[]
  /** Requests in work, now and at most so far. */
  readonly running: number
  readonly mostRunning: number
  /** Connections whose client went away before the answer was complete. */
  readonly abandoned: number
  /** Resolves when so many clients have gone away before their answer was complete. */
  whenAbandoned(count: number): Promise<void>
  /** Resolves when there were so many requests. */
  whenAsked(count: number): Promise<void>
  /** Resolves when no request is in work any more. */
  whenIdle(): Promise<void>
  close(): Promise<void>
}

/** `handle` answers one request; the number counts them from 0. */
export async function startApiServer<Body>(
  handle: (call: ApiCall<Body>, place: number, response: ServerResponse) => Promise<void>,
): Promise<ApiServer<Body>> {
  const requests: ApiCall<Body>[] = []
  const seen = { running: 0, mostRunning: 0, abandoned: 0 }
  const waiting = new Set<() => void>()
  const look = (): void => {
    for (const one of waiting) one()
  }
  const when = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      const one = (): void => {
        if (!holds()) return
        waiting.delete(one)
        resolve()
      }
      waiting.add(one)
      one()
    })
  const server = createServer(async (request, response) => {
    seen.mostRunning = Math.max(seen.mostRunning, ++seen.running)
    response.once('close', () => {
      seen.running--
      if (!response.writableFinished && !byHand.has(response)) seen.abandoned++
      look()
    })
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    const call = {
      path: request.url ?? '',
      port: request.socket.remotePort,
      headers: request.headers,
      body: JSON.parse(Buffer.concat(parts).toString()),
    }
    const place = requests.push(call) - 1
    look()
    await handle(call, place, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    get running() {
      return seen.running
    },
    get mostRunning() {
      return seen.mostRunning
    },
    get abandoned() {
      return seen.abandoned
    },
    whenAbandoned: (count) => when(() => seen.abandoned >= count),
    whenAsked: (count) => when(() => requests.length >= count),
    whenIdle: () => when(() => seen.running === 0),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const byHand = new WeakSet<ServerResponse>()

/** Whoever answers by hand may break the connection: then nobody has gone away. */
export function answeredByHand(response: ServerResponse): void {
  byHand.add(response)
}

/** Breaks the connection in the middle of an answer, as a service that dies does. */
export function cutConnection(response: ServerResponse): void {
  answeredByHand(response)
  response.socket?.resetAndDestroy()
}
