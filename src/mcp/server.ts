import { createRequire } from 'node:module'
import type { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { RagError } from '../core/errors.js'
import type { Filter } from '../core/filter.js'
import type { Logger } from '../core/lifecycle.js'
import type { RetrieveOptions } from '../core/search.js'
import { checkKeys } from '../util/check-keys.js'
import { importOptional } from '../util/import-optional.js'
import { answer } from './answer.js'
import type { McpRag, ToolCall } from './call.js'
import { checkArguments } from './check-arguments.js'
import { listDocuments } from './list-documents.js'
import { search } from './search.js'
import { type ToolName, tools } from './tools.js'

export type { McpRag } from './call.js'

/** Options of {@link createMcpServer}. */
export interface McpServerOptions
  extends Pick<RetrieveOptions, 'deadlineMs' | 'expand' | 'filter' | 'groupBy' | 'perDocument' | 'rerank'> {
  /** What clients call the server. Default `'ultrafast-rag'`. */
  readonly name?: string
  /** What clients tell their model about the server: say what the documents are about. Default: what the tools are for. */
  readonly instructions?: string
  /** Where failures that are nobody's argument are told. Silent by default. */
  readonly logger?: Pick<Logger, 'warn'>
}

/** The names of the options: whoever adds some passes the rest on. */
export const optionKeys: Record<keyof McpServerOptions, true> = {
  name: true,
  instructions: true,
  logger: true,
  deadlineMs: true,
  expand: true,
  filter: true,
  groupBy: true,
  perDocument: true,
  rerank: true,
}

const usualInstructions =
  'Searches and quotes a collection of documents. Use "search" for passages, "answer" for a cited answer, "list_documents" to see what there is.'

const handlers: Readonly<Record<ToolName, (call: ToolCall) => Promise<object>>> = {
  search,
  answer,
  list_documents: listDocuments,
}

/**
 * A server of the Model Context Protocol with the tools `search`, `answer` and `list_documents`, to be connected to any transport of the
 * official SDK. The options of `retrieve()` hold for every call; a `filter` of the server is never loosened by that of a call. A call that
 * fails is a tool error with code, message and hint, without any text of documents. Rejects with `MISSING_PEER` without the SDK.
 *
 * @example
 * const server = await createMcpServer(rag, { instructions: 'The handbook of the pump.' })
 * await server.connect(new StdioServerTransport())
 */
export async function createMcpServer(rag: McpRag, options: McpServerOptions = {}): Promise<Server> {
  checkKeys(options, optionKeys)
  return (await openServer(rag, options)).server
}

/** A server, and how to wait for the calls that it is at. */
export interface OpenServer {
  readonly server: Server
  /** Resolves when no call runs and the results are sent. */
  idle(): Promise<void>
}

export async function openServer(rag: McpRag, options: McpServerOptions): Promise<OpenServer> {
  const { Server, CallToolRequestSchema, ListToolsRequestSchema, McpError, ErrorCode } = await loadSdk()
  const { instructions = usualInstructions, logger, name = 'ultrafast-rag', ...retrieve } = options
  const server = new Server(
    { name, title: 'UltraFastRAG', version: readVersion() },
    { capabilities: { tools: {} }, instructions },
  )
  // The message may quote what a client sent.
  server.onerror = (error) => logger?.warn('The MCP connection reports an error.', { error: error.name })
  const running = new Set<Promise<unknown>>()

  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: structuredClone(tools) as never }))
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { _meta, sendNotification, signal }) => {
    const tool = tools.find((one) => one.name === params.name)
    if (tool === undefined) throw new McpError(ErrorCode.InvalidParams, `There is no tool of this name.`)
    const progressToken = _meta?.progressToken
    const report: ToolCall['report'] = (progress) => {
      if (progressToken === undefined) return
      // Not waited for: a client that does not read must not hold up its answer, and one that is gone needs no progress.
      sendNotification({ method: 'notifications/progress', params: { progressToken, ...progress } }).catch(() => {})
    }
    const work = (async () => {
      const { filter, ...given } = checkArguments(params.arguments, tool.inputSchema)
      const narrowed = narrow(retrieve.filter, filter as Filter | undefined)
      const call = { rag, arguments: given, options: { ...retrieve, ...narrowed }, signal, report }
      return toResult(await handlers[tool.name](call))
    })().catch((error: unknown) => {
      // A call that was cancelled gets no answer.
      if (!signal.aborted && !RagError.isInstance(error)) {
        logger?.warn('A tool failed unexpectedly.', { tool: tool.name, error: nameOf(error) })
      }
      return toToolError(error)
    })
    running.add(work)
    return work.finally(() => running.delete(work))
  })
  return {
    server,
    async idle() {
      do {
        await Promise.allSettled(running)
        // The SDK sends what a handler gave a few microtasks later, and nothing once it is closed.
        await new Promise(setImmediate)
      } while (running.size > 0)
    },
  }
}

function readVersion(): string {
  try {
    return (createRequire(import.meta.url)('ultrafast-rag/package.json') as { readonly version: string }).version
  } catch {
    // In a bundle there is no such file; the protocol wants a version, and nobody depends on it.
    return '0.0.0'
  }
}

async function loadSdk() {
  const install = 'npm i @modelcontextprotocol/sdk@1'
  const [server, types] = await importOptional(
    '@modelcontextprotocol/sdk',
    () =>
      Promise.all([import('@modelcontextprotocol/sdk/server/index.js'), import('@modelcontextprotocol/sdk/types.js')]),
    install,
  )
  return { ...server, ...types }
}

function narrow(own: Filter | undefined, given: Filter | undefined): { readonly filter?: Filter } {
  const filters = [own, given].filter((filter) => filter !== undefined)
  return filters.length === 0 ? {} : { filter: filters.length === 1 ? (filters[0] as Filter) : { $and: filters } }
}

/** As structured content, and as JSON for clients that know text only. */
function toResult(structuredContent: object) {
  const text = JSON.stringify(structuredContent)
  return { structuredContent: structuredContent as Record<string, unknown>, content: [{ type: 'text' as const, text }] }
}

/** An error as a model can use it. What is no `RagError` may quote anything, so that its message stays here. */
function toToolError(error: unknown) {
  const { code, hint, message } = RagError.isInstance(error)
    ? error
    : { code: 'UNEXPECTED', message: 'The tool failed unexpectedly.', hint: undefined }
  const text = `${code}: ${message}${hint === undefined ? '' : `\n${hint}`}`
  return { isError: true, content: [{ type: 'text' as const, text }] }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}
