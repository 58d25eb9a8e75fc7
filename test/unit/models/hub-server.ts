import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll } from 'vitest'

/** Files of a model by path; those above a kilobyte are kept as the hub keeps large files. */
export type HubFiles = Readonly<Record<string, Buffer>>

export interface SeenRequest {
  readonly host: 'hub' | 'storage'
  readonly path: string
  readonly range: string | undefined
  readonly authorization: string | undefined
}

/** Deals with a request in its own way; `false` leaves it to the hub. */
export type Fault = (seen: SeenRequest, response: ServerResponse) => boolean

/** Plays the hub on this machine: the API, small files, and large ones by a redirect to another host. */
export interface HubServer {
  readonly endpoint: string
  readonly models: Map<string, { commit: string; files: HubFiles }>
  /** Everything that was asked, in order. */
  readonly seen: SeenRequest[]
  /** Asked before each answer. */
  fault: Fault | undefined
  /** Bytes per second of files; unlimited at first. */
  bytesPerSecond: number
  /** Whether it knows ranges. */
  ranges: boolean
  /** Entries per page of the list of files. */
  pageSize: number
  /** Requests for a file. */
  filesSeen(path?: string): SeenRequest[]
  close(): Promise<void>
}

const largeBytes = 1024

export async function startHub(): Promise<HubServer> {
  const storage = createServer((request, response) => answer('storage', request, response))
  const front = createServer((request, response) => answer('hub', request, response))
  const [endpoint, storageEndpoint] = await Promise.all([listen(front), listen(storage)])
  const hub: HubServer = {
    endpoint,
    models: new Map(),
    seen: [],
    fault: undefined,
    bytesPerSecond: Number.POSITIVE_INFINITY,
    ranges: true,
    pageSize: 1000,
    filesSeen: (path) =>
      hub.seen.filter((one) => one.path.includes('/resolve/') && (path === undefined || one.path.endsWith(`/${path}`))),
    close: async () => {
      for (const server of [front, storage]) {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
    },
  }
  afterAll(hub.close)

  function answer(host: SeenRequest['host'], request: IncomingMessage, response: ServerResponse): void {
    const { range, authorization } = request.headers
    const url = new URL(request.url ?? '', endpoint)
    const seen = { host, path: decodeURIComponent(url.pathname), range, authorization }
    hub.seen.push(seen)
    if (hub.fault?.(seen, response) === true) return
    const api = /^\/api\/models\/(.+?)\/(revision|tree)\/(.+)$/.exec(seen.path)
    const file = /^\/(.+)\/resolve\/([0-9a-f]{40})\/(.+)$/.exec(seen.path)
    const model = hub.models.get((api ?? file)?.[1] ?? '')
    const { commit, files } = model ?? {}
    const content = files?.[file?.[3] ?? '']
    if (commit === undefined || files === undefined) sendJson(response, { error: 'Repository not found' }, 404)
    else if (api !== null && api[3] !== 'main' && api[3] !== commit)
      sendJson(response, { error: 'Invalid rev id' }, 404)
    else if (api?.[2] === 'revision') {
      sendJson(response, { _id: '1', id: api[1], sha: commit, private: false, lastModified: '2026-01-01' })
    } else if (api !== null) sendPage(response, url, Object.entries(files).map(listEntry))
    else if (content === undefined || file?.[2] !== commit) sendJson(response, { error: 'Entry not found' }, 404)
    else if (host === 'hub' && content.length > largeBytes) {
      response.writeHead(302, { location: `${storageEndpoint}${request.url}` }).end()
    } else void sendFile(request, response, content)
  }

  function sendPage(response: ServerResponse, url: URL, entries: readonly object[]): void {
    const start = Number(url.searchParams.get('cursor') ?? 0)
    const next = start + hub.pageSize
    url.searchParams.set('cursor', String(next))
    if (next < entries.length) response.setHeader('link', `<${url.href}>; rel="next"`)
    sendJson(response, entries.slice(start, next))
  }

  async function sendFile(request: IncomingMessage, response: ServerResponse, content: Buffer): Promise<void> {
    const start = hub.ranges ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0
    const isPart = hub.ranges && request.headers.range !== undefined
    if (start >= content.length && isPart) {
      response.writeHead(416).end()
      return
    }
    response.writeHead(isPart ? 206 : 200, {
      'content-length': content.length - start,
      ...(isPart && { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
    })
    const step = Math.min(content.length, Math.max(1, Math.floor(hub.bytesPerSecond / 50)))
    for (let at = start; at < content.length && !response.destroyed; at += step) {
      response.write(content.subarray(at, Math.min(at + step, content.length)))
      if (Number.isFinite(hub.bytesPerSecond)) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    response.end()
  }
  return hub
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  const code = status === 404 ? { 'x-error-code': 'RepoNotFound' } : {}
  response.writeHead(status, { 'content-type': 'application/json', ...code }).end(JSON.stringify(value))
}

function listEntry([path, content]: [string, Buffer]): object {
  const oid = gitHash(content)
  if (content.length <= largeBytes) return { type: 'file', oid, size: content.length, path }
  const lfs = { oid: createHash('sha256').update(content).digest('hex'), size: content.length, pointerSize: 130 }
  return { type: 'file', oid: gitHash(Buffer.from(lfs.oid)), size: content.length, path, lfs, xetHash: 'f'.repeat(64) }
}

export function gitHash(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
}
