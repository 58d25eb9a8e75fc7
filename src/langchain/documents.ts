import { Document } from '@langchain/core/documents'
import type { MetadataValue } from '../core/document.js'
import type { Hit, LegScores } from '../core/search.js'

/**
 * What a LangChain document tells of the passage it was made from. `source`, `title`, `language` and `page` give way to metadata of the
 * same name that the document was ingested with; the others do not. `span` always has the page.
 */
export interface HitMetadata {
  /** The document's id: for files, the path relative to `root`. */
  source: MetadataValue
  title: MetadataValue
  language: MetadataValue
  /** 1-based; absent for media without pages. */
  page?: MetadataValue
  documentId: string
  chunkId: string
  /** 0-based place of the passage within its document. */
  ordinal: number
  /** Headings above the passage, outermost first. */
  headings: readonly string[]
  /** Where `pageContent` stands in the document's extracted text: UTF-16 code units, the end exclusive. */
  span: { readonly start: number; readonly end: number; readonly page?: number }
  /** Higher is better; comparable within one result only. */
  score: number
  /** What each leg of the search said. */
  scores: LegScores
  // biome-ignore lint/suspicious/noExplicitAny: metadata of users, as LangChain types it.
  [key: string]: any
}

/**
 * Hits as LangChain documents, best first, with the chunk's id as `id`. Hits with text around them (`expand`) have that as
 * `pageContent`; several that share one text become one document, that of the best of them.
 */
export function toDocuments(hits: readonly Hit[]): Document<HitMetadata>[] {
  const seen = new Set<string>()
  return hits.flatMap((hit) => {
    const { span } = hit.context ?? hit.chunk
    const stretch = JSON.stringify([hit.chunk.documentId, span.start, span.end])
    if (hit.context !== undefined && seen.has(stretch)) return []
    seen.add(stretch)
    return [toDocument(hit)]
  })
}

function toDocument({ chunk, context, score, scores }: Hit): Document<HitMetadata> {
  const { documentId, headings, id, language, metadata, ordinal, title } = chunk
  const { span, text } = context ?? chunk
  const { page } = chunk.span
  return new Document({
    id,
    pageContent: text,
    metadata: {
      source: documentId,
      title,
      language,
      ...(page === undefined ? {} : { page }),
      ...metadata,
      documentId,
      chunkId: id,
      ordinal,
      headings,
      span,
      score,
      scores,
    },
  })
}
