import type { StoredDocument } from '../core/document.js'
import { RagError } from '../core/errors.js'
import { abortableValues } from '../util/abort.js'
import type { ToolCall } from './call.js'
import { limits } from './tools.js'

/** The tool `list_documents`. Where documents are stored on this machine is nobody's concern: `source` is left out. */
export async function listDocuments({ arguments: given, options, rag, signal }: ToolCall) {
  const { cursor, limit = limits.page.usual } = given as { readonly cursor?: string; readonly limit?: number }
  const { filter } = options
  const range = {
    ...(filter === undefined ? {} : { filter }),
    ...(cursor === undefined ? {} : { after: readCursor(cursor) }),
  }
  const page: StoredDocument[] = []
  let hasMore = false
  for await (const document of abortableValues(rag.documents(range), signal)) {
    hasMore = page.length === limit
    if (hasMore) break
    page.push(document)
  }
  const last = page.at(-1)
  return {
    documents: page.map(toEntry),
    ...(hasMore && last !== undefined ? { nextCursor: writeCursor(last.id) } : {}),
  }
}

function toEntry({ characters, chunks, committedAt, id, language, mediaType, metadata, pages, title }: StoredDocument) {
  return {
    id,
    title,
    mediaType,
    language,
    chunks,
    characters,
    pages,
    committedAt: new Date(committedAt).toISOString(),
    metadata,
  }
}

/** The id with which a page ended, so that documents that come and go in between shift nothing. Opaque to clients, as MCP wants it. */
function writeCursor(id: string): string {
  return Buffer.from(JSON.stringify([id])).toString('base64url')
}

function readCursor(cursor: string): string {
  try {
    const [id] = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (typeof id === 'string') return id
  } catch {
    // Refused below, whatever it is.
  }
  throw new RagError('BAD_INPUT', 'The argument "cursor" is none that this server gave.', {
    data: { argument: 'cursor' },
    hint: 'Leave it out to begin with the first page.',
  })
}
