import type { RetrieveOptions } from '../core/search.js'
import type { RagNamespace } from '../ultra-fast-rag.js'

/** What the tools need: an `UltraFastRAG`, or a namespace of one. */
export type McpRag = Pick<RagNamespace, 'retrieve' | 'stream' | 'documents'>

/** What a tool is called with. */
export interface ToolCall {
  readonly rag: McpRag
  /** Checked by the tool's own schema. */
  readonly arguments: Readonly<Record<string, unknown>>
  /** The server's, the filter of the call among them. */
  readonly options: Omit<RetrieveOptions, 'signal' | 'topK'>
  /** Fires when the client cancels, or is gone. */
  readonly signal: AbortSignal
  /** Tells the client how far the call is, when it wants to know. */
  report(progress: { readonly progress: number; readonly total: number; readonly message: string }): void
}
