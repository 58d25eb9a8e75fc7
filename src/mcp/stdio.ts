import type { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream'
import { checkKeys } from '../util/check-keys.js'
import { systemClock } from '../util/clock.js'
import { importOptional } from '../util/import-optional.js'
import { waitAtMost } from '../util/wait-at-most.js'
import { type McpRag, type McpServerOptions, openServer, optionKeys } from './server.js'

/** Options of {@link serveMcpStdio}. */
export interface StdioOptions extends McpServerOptions {
  /** Default: standard input and output of this process. Nothing else may write to the output. */
  readonly input?: Readable
  readonly output?: Writable
  /** Ends the server. */
  readonly signal?: AbortSignal
}

/** Milliseconds that calls may go on when the client sends nothing any more: it may still read (`printf … | ufrag mcp`). */
const graceMs = 5_000

/**
 * Serves MCP to the one client that started this process, until it closes its end, the output breaks, or `signal` fires; then running calls
 * are aborted (at the end of the input, they have five seconds). Resolves when the server has ended. Closing `rag` stays the caller's.
 * Rejects with `MISSING_PEER` without the SDK.
 */
export async function serveMcpStdio(rag: McpRag, options: StdioOptions = {}): Promise<void> {
  checkKeys(options, { ...optionKeys, input: true, output: true, signal: true })
  const { input = process.stdin, output = process.stdout, signal, ...server } = options
  const { StdioServerTransport } = await importOptional(
    '@modelcontextprotocol/sdk',
    () => import('@modelcontextprotocol/sdk/server/stdio.js'),
    'npm i @modelcontextprotocol/sdk@1',
  )
  const { idle, server: mcp } = await openServer(rag, server)
  const ended = new Promise<void>((resolve) => {
    mcp.onclose = resolve
  })
  const stop = () => void mcp.close()
  const stopGently = async () => {
    await waitAtMost(idle(), graceMs, systemClock)
    stop()
  }
  // The transport of the SDK does not notice that its client is gone.
  const forgetInput = finished(input, { writable: false }, () => void stopGently())
  // An error event that nobody listens to would end the process.
  output.on('error', stop)
  output.on('close', stop)
  signal?.addEventListener('abort', stop, { once: true })
  await mcp.connect(new StdioServerTransport(input, output))
  if (signal?.aborted) stop()
  await ended
  signal?.removeEventListener('abort', stop)
  forgetInput()
  // What was still being written may break a turn later.
  setImmediate(() => output.off('error', stop).off('close', stop))
}
