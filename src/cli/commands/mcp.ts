import { Console } from 'node:console'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { RagError } from '../../core/errors.js'
import type { McpServerOptions } from '../../mcp/index.js'
import { type Command, type CommandContext, exitCodes, requireStorage } from '../context.js'

interface McpFlags {
  readonly http?: string
  readonly readOnly?: true
  readonly about?: string
}

/** Nobody but this machine: there is no authentication. */
const loopback = '127.0.0.1'

/** `ufrag mcp`: lets models search the documents, until the client is gone. Ctrl-C is a way to end it, so that is no interruption. */
export const mcp: Command<McpFlags> = async (context, _, { about, http, readOnly }) => {
  requireStorage(context)
  const port = http === undefined ? undefined : readPort(http)
  const options: McpServerOptions = {
    logger: { warn: (message, data = {}) => context.note(`${message} ${JSON.stringify(data)}`) },
    ...(about === undefined ? {} : { instructions: about }),
  }
  const { createMcpListener, serveMcpStdio } = await import('../../mcp/index.js')
  const { signal, stdio } = context.environment
  return context.withRag(
    async (rag) => {
      if (port === undefined) {
        // What a package may print would break the protocol.
        if (stdio === undefined) globalThis.console = new Console(process.stderr, process.stderr)
        await serveMcpStdio(rag, { ...options, ...stdio, signal })
      } else await serveHttp(context, createMcpListener(rag, options), port)
      return exitCodes.ok
    },
    readOnly === true ? { readOnly } : {},
  )
}

async function serveHttp(
  { environment: { signal }, note }: CommandContext,
  listener: Parameters<typeof createServer>[1],
  port: number,
): Promise<void> {
  const server = createServer((request, response) => {
    if (request.url === '/mcp') listener?.(request, response as never)
    else response.writeHead(404).end()
  })
  try {
    server.listen(port, loopback)
    await once(server, 'listening')
    note(`Serving MCP at http://${loopback}:${(server.address() as AddressInfo).port}/mcp until ended.`)
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

function readPort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text)
  throw new RagError('BAD_OPTION', '--http takes a port, 0 to 65535.', { data: { option: '--http' } })
}
