import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { checkKeys } from '../util/check-keys.js'
import { importOptional } from '../util/import-optional.js'
import { type McpRag, type McpServerOptions, openServer, optionKeys } from './server.js'

/** Options of {@link createMcpListener}. */
export interface McpListenerOptions extends McpServerOptions {
  /**
   * Names under which the server may be asked, and from whose pages, without port. Default: those of this machine. Whoever serves others names
   * what they ask for, and checks who they are: there is no authentication here.
   */
  readonly allowedHosts?: readonly string[]
}

const ownNames = ['localhost', '127.0.0.1', '[::1]']

/**
 * A listener for `node:http`, Express and the like that speaks MCP over Streamable HTTP, without sessions: each POST stands for itself, so any
 * number of processes can answer. A client that is gone, or ends its request, ends its call. Requests to another host, or from a page of another
 * (DNS rebinding), get 403. Needs the SDK from version 1.10 on.
 *
 * @example
 * createServer(createMcpListener(rag)).listen(8765, '127.0.0.1')
 */
export function createMcpListener(
  rag: McpRag,
  options: McpListenerOptions = {},
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  checkKeys(options, { ...optionKeys, allowedHosts: true })
  const { allowedHosts = ownNames, ...server } = options
  const allowed = new Set(allowedHosts.map((name) => name.toLowerCase()))
  return async (request, response) => {
    const { host, origin } = request.headers
    if (!allowed.has(hostOf(`http://${host}`)) || (origin !== undefined && !allowed.has(hostOf(origin)))) {
      return refuse(response, 403, 'This host, or the page that asks, is not allowed.')
    }
    if (request.method !== 'POST') {
      response.setHeader('Allow', 'POST')
      return refuse(response, 405, 'There are no sessions here: only POST is answered.')
    }
    try {
      await answer(request, response, { rag, server })
    } catch (error) {
      server.logger?.warn('An MCP request failed.', { error: error instanceof Error ? error.name : typeof error })
      if (response.headersSent) response.destroy()
      else refuse(response, 500, 'The server failed.')
    }
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { rag, server: options }: { readonly rag: McpRag; readonly server: McpServerOptions },
): Promise<void> {
  const { StreamableHTTPServerTransport } = await importOptional(
    '@modelcontextprotocol/sdk',
    () => import('@modelcontextprotocol/sdk/server/streamableHttp.js'),
    'npm i @modelcontextprotocol/sdk@1',
  )
  const { server } = await openServer(rag, options)
  // Done or broken off: aborts what still runs for it.
  response.once('close', () => void server.close())
  // Without a generator there are no sessions. Older versions of the SDK want to be told so.
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined } as object)
  await server.connect(transport as Transport)
  // Express and others have read the body by now, and keep it there.
  await transport.handleRequest(request, response, (request as { readonly body?: unknown }).body)
}

/** `''` for what is no URL. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : ''
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32000, message }, id: null }))
}
