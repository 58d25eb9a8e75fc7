import { hash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Chunker, Section, SectionSpan } from '../../chunk/types.js'
import type { Metadata } from '../../core/document.js'
import { RagError } from '../../core/errors.js'
import { encodePiece, indexedText, type PieceChunk } from '../../core/piece.js'
import type { Block, Extractor, ExtractSource, LanePart } from '../../extract/types.js'
import { abortable } from '../../util/abort.js'
import { createContentHash, sha256Hex } from '../../util/hash.js'

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
}

/** What to read. */
export type PrepareSource = (
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'chunks'; readonly chunks: readonly PrepareChunk[] }
) & {
  /** Shown in messages. */
  readonly name: string
  readonly mediaType?: string
  readonly password?: string
}

/** A chunk made by the caller. */
export interface PrepareChunk {
  readonly text: string
  readonly metadata?: Metadata
  readonly span?: { readonly start: number; readonly end: number; readonly page?: number }
}

/** First thing yielded: what is known before any text is cut. The reader may stop here when nothing has changed. */
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

export type PreparedDocument = AsyncGenerator<PreparedOpening | PreparedPiece, PreparedSummary, undefined>

/** What preparing needs; `compose` provides it. */
export interface PrepareTools {
  sniff(input: SniffInput): string
  extractorFor(mediaType: string): Promise<Extractor>
  readonly chunker: Chunker
  /** Largest file that may be held whole, in bytes. */
  readonly maxFileBytes: number
  /** Chunks kept of one page; 0 keeps all. */
  readonly maxChunksPerPage: number
  /** What other threads read of this document. Default: nothing. */
  readonly otherLanes?: readonly AsyncIterable<LanePart>[]
}

/** What tells the media type of a document. */
interface SniffInput {
  readonly name: string
  /** Its beginning. */
  readonly bytes: Uint8Array
  /** Its end, where that may tell more. */
  readonly tail?: Uint8Array
  readonly declared?: string
}

/** Code units of text after which a piece, and a section, is closed. */
const pieceCharacters = 32 * 1024
const sniffBytes = 8 * 1024
/** What a ZIP holds is told at its end. */
const tailBytes = 64 * 1024

export async function* prepareDocument(
  request: PrepareRequest,
  tools: PrepareTools,
  signal?: AbortSignal,
): PreparedDocument {
  const { source } = request
  const contentHash = await hashSource(source, signal)
  const documentId = request.documentId ?? contentHash
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
    const spans = part.section === undefined ? [] : await spansOf(part.section, tools.chunker, signal)
    builder.add(part, limitPerPage(spans, part.page, chunksOfPage, tools.maxChunksPerPage))
    if (builder.isFull) yield builder.take()
  }
  if (builder.chunks === 0) {
    throw new RagError('EMPTY', `"${source.name}" holds no text.`, { data: { source: source.name, mediaType } })
  }
  if (!builder.isEmpty) yield builder.take()
  return { characters: builder.characters, pages, chunks: builder.chunks }
}

/** What reads a source, and the source as that takes it. */
export async function findExtractor(
  source: ReadableSource,
  tools: Pick<PrepareTools, 'sniff' | 'extractorFor'>,
): Promise<{ readonly extractor: Extractor; readonly mediaType: string; readonly opened: ExtractSource }> {
  const mediaType = tools.sniff({
    name: source.name,
    ...(await outerBytes(source)),
    ...(source.mediaType === undefined ? {} : { declared: source.mediaType }),
  })
  return { extractor: await tools.extractorFor(mediaType), mediaType, opened: toExtractSource(source, mediaType) }
}

/** The chunker may be the caller's: whatever it gives is checked before anything is stored. */
async function spansOf(
  section: Section,
  chunker: Chunker,
  signal: AbortSignal | undefined,
): Promise<readonly SectionSpan[]> {
  const work = async () => chunker.chunk(section)
  const spans: unknown = await abortable(work(), signal).catch((error) => {
    if (signal?.aborted || RagError.isInstance(error)) throw error
    throw new RagError('BAD_INPUT', `The chunker "${chunker.id}" failed.`, {
      data: { chunker: chunker.id },
      cause: error,
    })
  })
  if (Array.isArray(spans) && areSpansOf(section.text, spans)) return spans
  throw new RagError('BAD_INPUT', `The chunker "${chunker.id}" gave spans that do not fit the text.`, {
    data: { chunker: chunker.id, characters: section.text.length },
    hint: 'Spans are whole numbers, 0 <= start < end <= text.length, ascending, and never cut a surrogate pair.',
  })
}

function areSpansOf(text: string, spans: readonly unknown[]): boolean {
  let last = { start: 0, end: 0 }
  return spans.every((span) => {
    if (typeof span !== 'object' || span === null) return false
    const { start, end } = span as SectionSpan
    const follows = start > last.start || (start === last.start && end > last.end)
    last = { start, end }
    return (
      Number.isInteger(start) &&
      Number.isInteger(end) &&
      follows &&
      start >= 0 &&
      start < end &&
      end <= text.length &&
      !cutsPair(text, start) &&
      !cutsPair(text, end)
    )
  })
}

function cutsPair(text: string, place: number): boolean {
  return /[\udc00-\udfff]/.test(text.charAt(place)) && /[\ud800-\udbff]/.test(text.charAt(place - 1))
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
  if (builder.chunks === 0) throw new RagError('EMPTY', `"${request.source.name}" holds no chunks.`)
  if (!builder.isEmpty) yield builder.take()
  return { characters: builder.characters, pages, chunks: builder.chunks }
}

/** A run of extracted text; `section`, when there is one, begins where it begins and is to be chunked. */
interface TextPart {
  readonly text: string
  readonly section: Section | undefined
  readonly page?: number
  readonly headings: readonly string[]
}

/**
 * Joins blocks of one page under one heading path into sections of bounded size. A heading belongs to the extracted text but to no
 * chunk, since its words are indexed with every chunk below it; one that has nothing below it becomes a chunk of its own.
 */
async function* sections(blocks: AsyncIterable<Block>, title: string): AsyncGenerator<TextPart> {
  let open: OpenSection | undefined
  let bareHeading: Block | undefined
  for await (const block of blocks) {
    if (block.text === '') continue
    const headings = block.headings ?? []
    if (open !== undefined && !open.accepts(block)) {
      yield open.close()
      open = undefined
    }
    if (block.kind === 'heading') {
      if (open !== undefined) yield open.close()
      open = undefined
      if (bareHeading !== undefined) {
        const hasChild = headings.length > (bareHeading.headings ?? []).length
        yield headingPart(bareHeading, { title, asChunk: !hasChild })
      }
      bareHeading = block
      continue
    }
    if (bareHeading !== undefined) {
      if (block.text.trim() === '') {
        bareHeading = { ...bareHeading, text: bareHeading.text + block.text }
        continue
      }
      yield headingPart(bareHeading, { title, asChunk: false })
      bareHeading = undefined
    }
    open ??= new OpenSection(block, title)
    open.add(block)
  }
  if (open !== undefined) yield open.close()
  if (bareHeading !== undefined) yield headingPart(bareHeading, { title, asChunk: true })
}

function headingPart(
  block: Block,
  { asChunk, title }: { readonly asChunk: boolean; readonly title: string },
): TextPart {
  const path = block.headings ?? []
  // As a chunk it stands below its parents only: its own words are its text.
  const headings = asChunk ? path.slice(0, -1) : path
  return {
    text: block.text,
    section: asChunk ? { text: block.text, whole: [], context: indexedText(title, headings, '').trimEnd() } : undefined,
    headings,
    ...(block.page === undefined ? {} : { page: block.page }),
  }
}

class OpenSection {
  readonly #title: string
  readonly #headings: readonly string[]
  readonly #path: string
  readonly #page: number | undefined
  readonly #texts: string[] = []
  readonly #whole: SectionSpan[] = []
  #length = 0

  constructor(first: Block, title: string) {
    this.#title = title
    this.#headings = first.headings ?? []
    this.#path = this.#headings.join('\u0000')
    this.#page = first.page
  }

  accepts(block: Block): boolean {
    return (
      block.page === this.#page &&
      this.#length + block.text.length <= pieceCharacters &&
      (block.headings ?? []).join('\u0000') === this.#path
    )
  }

  add(block: Block): void {
    if (block.kind === 'code' || block.kind === 'table') {
      this.#whole.push({ start: this.#length, end: this.#length + block.text.length })
    }
    this.#texts.push(block.text)
    this.#length += block.text.length
  }

  close(): TextPart {
    const text = this.#texts.join('')
    const context = indexedText(this.#title, this.#headings, '').trimEnd()
    const section: Section = { text, whole: this.#whole, context }
    const page = this.#page === undefined ? {} : { page: this.#page }
    return { text, section, headings: this.#headings, ...page }
  }
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

/** Collects text and chunks until a piece is full. */
class PieceBuilder {
  readonly #documentId: string
  readonly #title: string
  readonly #occurrences = new Map<string, number>()
  #texts: string[] = []
  #chunks: PieceChunk[] = []
  #start = 0
  #length = 0
  #firstOrdinal = 0
  #page = 0

  constructor(documentId: string, title: string) {
    this.#documentId = documentId
    this.#title = title
  }

  /** Code units seen so far. */
  get characters(): number {
    return this.#start + this.#length
  }

  /** Chunks seen so far. */
  get chunks(): number {
    return this.#firstOrdinal + this.#chunks.length
  }

  get isFull(): boolean {
    return this.#length >= pieceCharacters
  }

  get isEmpty(): boolean {
    return this.#length === 0
  }

  add(part: TextPart, spans: readonly SectionSpan[], metadata?: Metadata): void {
    const origin = this.#start + this.#length
    for (const { start, end } of spans) {
      const text = part.section?.text.slice(start, end) ?? ''
      this.#chunks.push({
        id: this.#chunkId(indexedText(this.#title, part.headings, text)),
        span: { start: origin + start, end: origin + end, ...(part.page === undefined ? {} : { page: part.page }) },
        headings: part.headings,
        ...(metadata === undefined ? {} : { metadata }),
      })
    }
    this.#page = part.page ?? this.#page
    this.#texts.push(part.text)
    this.#length += part.text.length
  }

  take(): PreparedPiece {
    const piece = {
      firstOrdinal: this.#firstOrdinal,
      start: this.#start,
      text: this.#texts.join(''),
      chunks: this.#chunks,
    }
    this.#start += this.#length
    this.#firstOrdinal += piece.chunks.length
    this.#texts = []
    this.#chunks = []
    this.#length = 0
    const { chunks, firstOrdinal } = piece
    return { type: 'piece', bytes: encodePiece(piece), firstOrdinal, chunks: chunks.length, page: this.#page }
  }

  #chunkId(text: string): string {
    const id = (occurrence: number) => sha256Hex(this.#documentId, text, String(occurrence)).slice(0, 32)
    const first = id(0)
    const occurrence = this.#occurrences.get(first) ?? 0
    this.#occurrences.set(first, occurrence + 1)
    return occurrence === 0 ? first : id(occurrence)
  }
}

async function hashSource(source: PrepareSource, signal: AbortSignal | undefined): Promise<string> {
  switch (source.kind) {
    case 'text':
      return hash('sha256', source.text, 'hex')
    case 'bytes':
      return hash('sha256', source.bytes, 'hex')
    case 'chunks':
      return hash('sha256', JSON.stringify(source.chunks), 'hex')
    case 'file': {
      const digest = createContentHash()
      for await (const part of fileStream(source.path, 1 << 20)) {
        signal?.throwIfAborted()
        digest.update(part)
      }
      return digest.digest()
    }
    default:
      return source satisfies never
  }
}

export type ReadableSource = Exclude<PrepareSource, { kind: 'chunks' }>

async function outerBytes(source: ReadableSource): Promise<Pick<SniffInput, 'bytes' | 'tail'>> {
  switch (source.kind) {
    case 'text':
      return { bytes: new TextEncoder().encode(source.text.slice(0, sniffBytes)) }
    case 'bytes':
      return { bytes: source.bytes.subarray(0, sniffBytes), tail: source.bytes.subarray(-tailBytes) }
    case 'file': {
      const file = await openFile(source.path)
      try {
        const bytes = await readAt(file, 0, sniffBytes)
        if (bytes.length < sniffBytes || bytes[0] !== 0x50 || bytes[1] !== 0x4b) return { bytes }
        const { size } = await file.stat()
        return { bytes, tail: await readAt(file, Math.max(0, size - tailBytes), tailBytes) }
      } finally {
        await file.close()
      }
    }
    default:
      return source satisfies never
  }
}

async function readAt(file: FileHandle, place: number, length: number): Promise<Uint8Array> {
  const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, place)
  return buffer.subarray(0, bytesRead)
}

function toExtractSource(source: ReadableSource, mediaType: string): ExtractSource {
  const { name, password } = source
  const tooLarge = (size: number, limit: number) =>
    new RagError('LIMIT', `"${name}" has ${size} bytes; files of this type are held whole and may have ${limit}.`, {
      data: { source: name, size, limit },
      hint: 'Raise limits.maxFileBytes, or split the file.',
    })
  const common = { name, mediaType, ...(password === undefined ? {} : { password }) }
  if (source.kind === 'file') {
    return {
      ...common,
      size: undefined,
      bytes: async (limit) => {
        const file = await openFile(source.path)
        try {
          const { size } = await file.stat()
          if (size > limit) throw tooLarge(size, limit)
          return await file.readFile()
        } catch (error) {
          throw fileError(source.path, error)
        } finally {
          await file.close()
        }
      },
      stream: () => fileStream(source.path, 64 * 1024),
    }
  }
  const bytes = source.kind === 'text' ? new TextEncoder().encode(source.text) : source.bytes
  return {
    ...common,
    size: bytes.length,
    bytes: async (limit) => {
      if (bytes.length > limit) throw tooLarge(bytes.length, limit)
      return bytes
    },
    stream: async function* () {
      for (let start = 0; start < bytes.length; start += 64 * 1024) yield bytes.subarray(start, start + 64 * 1024)
    },
  }
}

async function* fileStream(path: string, highWaterMark: number): AsyncGenerator<Uint8Array> {
  const file = await openFile(path)
  try {
    yield* file.createReadStream({ highWaterMark, autoClose: false }) as AsyncIterable<Uint8Array>
  } catch (error) {
    throw fileError(path, error)
  } finally {
    await file.close()
  }
}

async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle | undefined
  try {
    // To open a pipe waits for its other end, unless told not to; and what was a file when it was found may be one by now.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    if ((await file.stat()).isFile()) return file
  } catch (error) {
    await file?.close()
    throw fileError(path, error)
  }
  await file.close()
  throw new RagError('UNSUPPORTED', `"${path}" is not a regular file.`, { data: { path } })
}

/** A file system error in our words. */
function fileError(path: string, cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === undefined) return cause
  const data = { path, code }
  if (code === 'ENOENT') return new RagError('NOT_FOUND', `"${path}" does not exist.`, { data, cause })
  if (code === 'EACCES' || code === 'EPERM') {
    return new RagError('STORAGE', `"${path}" may not be read.`, { data, cause, hint: 'Check its permissions.' })
  }
  return new RagError('STORAGE', `"${path}" could not be read (${String(code)}).`, { data, cause, retryable: true })
}
