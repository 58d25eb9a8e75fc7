import type { Hit } from '../core/search.js'
import type { ToolCall } from './call.js'
import { limits } from './tools.js'

/** The tool `search`. */
export async function search({ arguments: given, options, rag, signal }: ToolCall) {
  const { query, topK = limits.topK.usual } = given as { readonly query: string; readonly topK?: number }
  const hits = await rag.retrieve(query, { ...options, topK, signal })
  return { passages: hits.map(toPassage) }
}

function toPassage({ chunk, context, score }: Hit, place: number) {
  const { documentId, headings, id, metadata, title } = chunk
  const { span, text } = context ?? chunk
  const { page } = chunk.span
  return {
    number: place + 1,
    text,
    documentId,
    title,
    ...(page === undefined ? {} : { page }),
    chunkId: id,
    headings,
    start: span.start,
    end: span.end,
    score,
    metadata,
  }
}
