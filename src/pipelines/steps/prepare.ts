import type { Chunker, Section, SectionSpan } from '../../chunk/types.js'
import { RagError } from '../../core/errors.js'
import type { LanePart } from '../../extract/types.js'
import { checkedSpans } from './checked-spans.js'
import { PieceBuilder } from './piece-builder.js'
import {
  type FormatTools,
  findExtractor,
  hashSource,
  openSource,
  type PrepareChunk,
  type PrepareSource,
} from './read-source.js'
import { sections } from './sections.js'

/**
 * The first half of an ingest: bytes in, pieces of chunked text out. It runs inside a worker thread for built-in extractors and
 * chunkers, and on the main thread for those a caller brought along; everything it takes and yields can cross a thread.
 */
export interface PrepareRequest {
  /** Absent: the content hash becomes the id. */
  readonly documentId?: string
  readonly source: PrepareSource
  readonly title?: string
  readonly language?: string
  /** Hash of the content that is stored already: a source that still has it is not opened, unless several threads begin with it at once. */
  readonly storedHash?: string
}

/** The only thing yielded of a source that has the content that is stored. */
export interface PreparedSame extends Pick<PreparedOpening, 'documentId' | 'contentHash'> {
  readonly type: 'same'
}

/** First thing yielded of any other: what is known before any text is cut. The reader may stop here when nothing has changed. */
export interface PreparedOpening {
  readonly type: 'opened'
  readonly documentId: string
  readonly contentHash: string
  readonly mediaType: string
  readonly title: string
  /** Told by the caller or the document; absent: the configured default. */
  readonly language?: string
  /** How many it has, where that is known from the beginning. */
  readonly pages?: number
}

/** A piece of the document, encoded (see `core/piece.ts`). */
export interface PreparedPiece {
  readonly type: 'piece'
  readonly bytes: Uint8Array
  readonly firstOrdinal: number
  readonly chunks: number
  /** The last page it is of; 0 for media without. */
  readonly page: number
}

/** Returned at the end. */
export interface PreparedSummary {
  readonly characters: number
  readonly pages: number
  readonly chunks: number
}

export type PreparedPart = PreparedSame | PreparedOpening | PreparedPiece

export type PreparedDocument = AsyncGenerator<PreparedPart, PreparedSummary, undefined>

/** What preparing needs; `compose` provides it. */
export interface PrepareTools extends FormatTools {
  readonly chunker: Chunker
  /** Largest file that may be held whole, in bytes. */
  readonly maxFileBytes: number
  /** Chunks kept of one page; 0 keeps all. */
  readonly maxChunksPerPage: number
  /** What other threads read of this document. Default: nothing. */
  readonly otherLanes?: readonly AsyncIterable<LanePart>[]
}

/** What is returned of a document of which nothing was read. */
export const nothingPrepared: PreparedSummary = { characters: 0, pages: 0, chunks: 0 }

export async function* prepareDocument(
  request: PrepareRequest,
  tools: PrepareTools,
  signal?: AbortSignal,
): PreparedDocument {
  const source = openSource(request.source)
  const contentHash = await hashSource(source, signal)
  const documentId = request.documentId ?? contentHash
  if (contentHash === request.storedHash) {
    yield { type: 'same', documentId, contentHash }
    return nothingPrepared
  }
  if (source.kind === 'chunks') return yield* prepareOwnChunks(request, source.chunks, documentId, contentHash)

  const { extractor, mediaType, opened } = await findExtractor(source, tools)
  const extraction = await extractor.extract(opened, {
    maxFileBytes: tools.maxFileBytes,
    ...(signal === undefined ? {} : { signal }),
    ...(tools.otherLanes === undefined ? {} : { otherLanes: tools.otherLanes }),
  })
  const title = request.title ?? extraction.title ?? ''
  const language = request.language ?? extraction.language
  yield {
    type: 'opened',
    documentId,
    contentHash,
    mediaType,
    title,
    ...(language === undefined ? {} : { language }),
    ...(extraction.pages === undefined ? {} : { pages: extraction.pages }),
  }

  const builder = new PieceBuilder(documentId, title)
  let pages = extraction.pages ?? 0
  const chunksOfPage = { page: 0, count: 0 }
  for await (const part of sections(extraction.blocks, title)) {
    signal?.throwIfAborted()
    if (part.page !== undefined) pages = Math.max(pages, part.page)
    const spans = part.section === undefined ? [] : await checkedSpans(part.section, tools.chunker, signal)
    builder.add(part, limitPerPage(spans, part.page, chunksOfPage, tools.maxChunksPerPage))
    if (builder.isFull) yield builder.take()
  }
  if (builder.chunks === 0) {
    throw new RagError('EMPTY', `"${source.name}" holds no text.`, {
      data: { source: source.name, mediaType },
      hint: 'A scan needs text recognition first. Leave the file out, or pass its text as { id, text }.',
    })
  }
  if (!builder.isEmpty) yield builder.take()
  return { characters: builder.characters, pages, chunks: builder.chunks }
}

/** Caller-made chunks become pieces as they are; their text is joined by blank lines to make the extracted text. */
async function* prepareOwnChunks(
  request: PrepareRequest,
  chunks: readonly PrepareChunk[],
  documentId: string,
  contentHash: string,
): PreparedDocument {
  const title = request.title ?? ''
  const language = request.language === undefined ? {} : { language: request.language }
  yield {
    type: 'opened',
    documentId,
    contentHash,
    mediaType: request.source.mediaType ?? 'text/plain',
    title,
    ...language,
  }
  const builder = new PieceBuilder(documentId, title)
  let pages = 0
  for (const { text, metadata, span } of chunks) {
    const section: Section = { text: text.toWellFormed(), whole: [] }
    const page = span?.page
    if (page !== undefined) pages = Math.max(pages, page)
    const part = { text: `${section.text}\n\n`, section, headings: [], ...(page === undefined ? {} : { page }) }
    builder.add(part, [{ start: 0, end: section.text.length }], metadata)
    if (builder.isFull) yield builder.take()
  }
  if (builder.chunks === 0) {
    throw new RagError('EMPTY', `"${request.source.name}" holds no chunks.`, {
      data: { source: request.source.name },
      hint: 'Its list of chunks is empty, or their texts are blank.',
    })
  }
  if (!builder.isEmpty) yield builder.take()
  return { characters: builder.characters, pages, chunks: builder.chunks }
}

/** Drops what exceeds the limit for the page the spans stand on. */
function limitPerPage(
  spans: readonly SectionSpan[],
  page: number | undefined,
  state: { page: number; count: number },
  limit: number,
): readonly SectionSpan[] {
  if (limit === 0 || page === undefined) return spans
  if (state.page !== page) {
    state.page = page
    state.count = 0
  }
  const kept = spans.slice(0, Math.max(0, limit - state.count))
  state.count += kept.length
  return kept
}
