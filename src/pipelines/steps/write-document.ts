import { hash } from 'node:crypto'
import type { DocumentFailure } from '../../core/document.js'
import { RagError } from '../../core/errors.js'
import type { IngestStage } from '../../core/events.js'
import type { Recorder } from '../../performance/types.js'
import type { DocumentRecord, DocumentWriter, FileStamp, NewDocument, StoreNamespace } from '../../store/types.js'
import { type FollowingAbort, followSignal } from '../../util/abort.js'
import { asRagError } from './as-rag-error.js'
import { endsRun, isLeftOut, liesInDocument, sameFile, toDocumentFailure } from './attempts.js'
import { createPassageEmbedding } from './embed-passages.js'
import { type EnrichTools, enrichPieces, Unenriched } from './enrich-pieces.js'
import { pipelineAfter, pipelineEnriched } from './incomplete.js'
import { countUnwritten, type Unwritten, type WriteLimits } from './limits.js'
import type { PassageEmbedder } from './passage-embedder.js'
import type { DocumentPlan } from './plan-document.js'
import {
  nothingPrepared,
  type PreparedDocument,
  type PreparedOpening,
  type PreparedPiece,
  type PreparedSame,
  type PreparedSummary,
  type PrepareRequest,
} from './prepare.js'
import type { PrepareSource } from './read-source.js'
import { type WrittenPieces, type WrittenStep, writePieces } from './write-pieces.js'

/** What became of one input. */
export interface DocumentOutcome {
  readonly stage: Extract<IngestStage, 'committed' | 'unchanged' | 'quarantined' | 'failed'>
  readonly source: string
  readonly chunks?: number
  readonly pages?: number
  readonly bytes?: number
  readonly error?: RagError
  /** Why it was left out. */
  readonly quarantined?: DocumentFailure
  /** Chunks that are stored without a vector, and the first reason. */
  readonly unembedded?: ChunkFailures
  /** Chunks that miss what an enricher failed at, and the first reason. */
  readonly unenriched?: ChunkFailures
}

/** How far a document has come: it was opened, or one more piece of it was written. */
export type DocumentStep =
  | { readonly stage: 'opened'; readonly pages: number }
  | ({ readonly stage: 'written' } & WrittenStep)

/** Chunks that miss something, and the first reason. */
export interface ChunkFailures {
  readonly chunks: number
  readonly error: RagError
}

/** What tells that a file is unchanged: its size, time of change and inode, or its content. */
export type Verify = 'stamp' | 'hash'

export interface WriteDocumentOptions {
  /** What it is called in reports and messages. */
  readonly source: string
  /** Language of documents that do not tell theirs. */
  readonly language: string
  readonly passages: PassageEmbedder | undefined
  readonly signal: AbortSignal
  /** Default `'stamp'`. */
  readonly verify?: Verify | undefined
  /** Whether a file that has failed too often is tried all the same. Default `false`. */
  readonly retry?: boolean | undefined
  /** Told when the document is opened, and of each piece that is written. */
  readonly onStep?: ((step: DocumentStep) => void) | undefined
  /** Ends the whole run, at once; it fires `signal`. */
  readonly endRun: (reason: unknown) => void
}

export interface WriteDocumentTools {
  readonly namespace: StoreNamespace
  readonly prepare: (request: PrepareRequest, signal: AbortSignal | undefined) => PreparedDocument
  /** Asked about every passage before it is embedded. Absent: nobody is. */
  readonly enrichment: EnrichTools | undefined
  /** Fingerprint of the limits under which documents are read: what was too much for one may not be for another. */
  readonly readingLimits: string
  /** Characters of a chunk that are embedded; 0: all. */
  readonly maxTextLength: number
  readonly limits: WriteLimits
  /** Called after each commit. */
  readonly committed: () => void
  readonly recorder: Recorder
  readonly now: () => number
}

/**
 * Prepares, embeds, writes and commits one document, unless it is stored already as it would become, or its file is known to be
 * unreadable. A failure is noted in the store before it is thrown, unless it ends the whole run.
 */
export async function writeDocument(
  plan: DocumentPlan,
  options: WriteDocumentOptions,
  tools: WriteDocumentTools,
): Promise<DocumentOutcome> {
  const { namespace, recorder } = tools
  const { passages, retry = false, signal, source, verify = 'stamp' } = options
  const { bytes, file, request } = plan
  const { documentId } = request
  const pipeline = plan.pipeline(passages?.embedder)
  const known = documentId === undefined ? undefined : namespace.get(documentId)
  const failure = documentId === undefined ? undefined : namespace.failure(documentId)
  if (known?.pipeline === pipeline && verify === 'stamp' && isUntouched(known.file, file)) {
    if (failure !== undefined) await namespace.confirm(known)
    return { stage: 'unchanged', source, bytes }
  }
  const tried = hash('sha256', `${pipeline}\n${tools.readingLimits}`, 'hex')
  if (failure !== undefined && !retry && isLeftOut(failure, { file, tried })) {
    return { stage: 'quarantined', source, bytes, quarantined: toDocumentFailure(failure) }
  }

  const own = followSignal(signal)
  const unwritten = countUnwritten(tools.limits)
  const attempt: Attempt = { documentId, readFailures: new WeakSet() }
  try {
    const storedHash = known?.pipeline === pipeline ? known.contentHash : undefined
    const version = await writeVersion({ ...options, plan, pipeline, storedHash, unwritten, own, attempt }, tools)
    if ('same' in version) {
      const touched = file !== undefined && !isUntouched(version.same.file, file)
      if (touched || failure !== undefined) await namespace.confirm(version.same, file)
      return { stage: 'unchanged', source, bytes }
    }
    const { document, unembedded, unenriched, writer } = version
    const began = tools.now()
    const { record, unchanged } = await commit(writer, document, signal)
    recorder.stage('ingest.commit', tools.now() - began)
    const outcome = {
      source,
      bytes,
      ...(unembedded === undefined ? {} : { unembedded }),
      ...(unenriched === undefined ? {} : { unenriched }),
    }
    if (unchanged) return { stage: 'unchanged', ...outcome }
    tools.committed()
    recorder.count('ingest.chunks', record.chunks)
    return { stage: 'committed', chunks: record.chunks, pages: record.pages, ...outcome }
  } catch (error) {
    // What ends the whole run is no fact about this document.
    if (!signal.aborted && !endsRun(error)) await noteFailure(error, attempt, { source, file, tried }, namespace)
    throw error
  } finally {
    unwritten.end()
    own.dispose()
  }
}

/** A version that is written and not yet visible. */
interface WrittenVersion {
  readonly writer: DocumentWriter
  readonly document: NewDocument
  readonly unembedded: ChunkFailures | undefined
  readonly unenriched: ChunkFailures | undefined
}

/** What is known of a document when it fails. */
interface Attempt {
  /** Known from the beginning, or when it has been opened. */
  documentId: string | undefined
  /** Whatever was thrown by reading, not by the embedder or the store. */
  readonly readFailures: WeakSet<object>
}

/** Notes that a document failed. Documents whose id nobody knows cannot be looked up, so nothing is noted of them. */
async function noteFailure(
  error: unknown,
  { documentId, readFailures }: Attempt,
  facts: { readonly source: string; readonly file: FileStamp | undefined; readonly tried: string },
  namespace: StoreNamespace,
): Promise<void> {
  if (documentId === undefined) return
  const { source, file, tried } = facts
  const { code, message } = asRagError(error, source)
  const isBlamed = typeof error === 'object' && error !== null && readFailures.has(error) && liesInDocument(error)
  await namespace
    .begin(documentId)
    .abort({ code, message, source, tried, ...(file === undefined ? {} : { file }), blameless: !isBlamed })
}

interface VersionOptions extends WriteDocumentOptions {
  readonly plan: DocumentPlan
  readonly attempt: Attempt
  readonly pipeline: string
  /** Of the content of the current version, where the same content would become the same. */
  readonly storedHash: string | undefined
  readonly unwritten: Unwritten
  /** Follows `signal`, and ends all that is under way for this document alone. */
  readonly own: FollowingAbort
}

/** Writes a new version, unless the current one has the same content and pipeline. */
async function writeVersion(
  options: VersionOptions,
  tools: WriteDocumentTools,
): Promise<WrittenVersion | { readonly same: DocumentRecord }> {
  const { attempt, own, passages, pipeline, plan, source, storedHash, unwritten } = options
  const { limits, maxTextLength, namespace, recorder } = tools
  const request = storedHash === undefined ? plan.request : { ...plan.request, storedHash }
  const preparing = prepareInTurn(request, own.signal, { ...tools, readFailures: attempt.readFailures })
  try {
    const opening = await nextOpening(preparing, source)
    const { contentHash, documentId } = opening
    attempt.documentId = documentId
    const current = namespace.get(documentId)
    // A thread that has ended by itself is not interrupted, which would cost more than its work.
    if (opening.type === 'same') await preparing.next()
    if (current?.contentHash === contentHash && current.pipeline === pipeline) return { same: current }
    // Somebody has stored another version meanwhile.
    if (opening.type === 'same') return await writeVersion({ ...options, storedHash: undefined }, tools)
    options.onStep?.({ stage: 'opened', pages: opening.pages ?? 0 })
    const embedding =
      passages &&
      createPassageEmbedding({
        passages,
        namespace,
        current,
        title: opening.title,
        own: plan.vectors,
        maxTextLength,
        recorder,
      })
    const writer = namespace.begin(documentId)
    try {
      const prepared = readPieces(preparing, tools)
      const unenriched = new Unenriched()
      const pieces = enrich(prepared.pieces, opening, { ...options, unenriched }, tools)
      const written = await writePieces(pieces, {
        writer,
        limits,
        unwritten,
        embedding,
        dimensions: passages?.embedder.dimensions ?? 0,
        signal: own.signal,
        onWritten: options.onStep && ((step) => options.onStep?.({ stage: 'written', ...step })),
        // The documents behind this one must not be tried with an embedder that cannot work.
        stop: (error) => (passages?.isUnusable(error) ? options.endRun(error) : own.abort(error)),
      })
      const document = toDocument(opening, prepared.summary(), { ...written, unenriched }, options)
      return { writer, document, unembedded: toUnembedded(written), unenriched: toUnenriched(unenriched) }
    } catch (error) {
      await writer.abort()
      throw error
    }
  } finally {
    await preparing.return(nothingPrepared)
  }
}

/** Prepares a document when its turn comes: not before those ahead of it were given to the embedder, nor while the disk is behind. */
async function* prepareInTurn(
  request: PrepareRequest,
  signal: AbortSignal,
  { limits, prepare, readFailures }: WriteDocumentTools & Pick<Attempt, 'readFailures'>,
): PreparedDocument {
  await limits.preparing.enter(1, signal)
  try {
    await limits.unwritten.enter(0, signal)
    return yield* prepare(request, signal)
  } catch (error) {
    // Whoever stopped the reading has a reason of its own.
    if (!signal.aborted && typeof error === 'object' && error !== null) readFailures.add(error)
    throw error
  } finally {
    limits.preparing.leave(1)
  }
}

async function nextOpening(document: PreparedDocument, source: string): Promise<PreparedSame | PreparedOpening> {
  const { done, value } = await document.next()
  if (done !== true && value.type !== 'piece') return value
  throw new RagError('CORRUPT', `"${source}" could not be opened.`, { data: { source } })
}

/** The pieces that follow the opening; their summary is there when they are through. */
function readPieces(
  document: PreparedDocument,
  { now, recorder }: WriteDocumentTools,
): { readonly pieces: AsyncGenerator<PreparedPiece>; readonly summary: () => PreparedSummary } {
  let summary = nothingPrepared
  let waitedMs = 0
  async function* pieces(): AsyncGenerator<PreparedPiece> {
    for (;;) {
      const began = now()
      const { done, value } = await document.next()
      waitedMs += now() - began
      if (done === true) {
        summary = value
        break
      }
      if (value.type === 'piece') yield value
    }
    recorder.stage('ingest.prepare', waitedMs)
  }
  return { pieces: pieces(), summary: () => summary }
}

/** The pieces with what enrichers add to them, where there are any. */
function enrich(
  pieces: AsyncGenerator<PreparedPiece>,
  { language, title }: PreparedOpening,
  { own, unenriched, ...options }: VersionOptions & { readonly unenriched: Unenriched },
  { enrichment, now, recorder }: WriteDocumentTools,
): AsyncGenerator<PreparedPiece> {
  if (enrichment === undefined) return pieces
  const document = { title, language: language ?? options.language }
  return enrichPieces(pieces, document, { ...enrichment, unenriched, signal: own.signal, recorder, now })
}

function toDocument(
  { contentHash, language, mediaType, title }: PreparedOpening,
  summary: PreparedSummary,
  written: WrittenPieces & { readonly unenriched: Unenriched },
  { language: defaultLanguage, passages, pipeline, plan, source }: VersionOptions,
): NewDocument {
  const { characters, pages } = summary
  return {
    characters,
    pages,
    title,
    source,
    mediaType,
    language: language ?? defaultLanguage,
    contentHash,
    pipeline: pipelineAfter(
      written,
      summary.chunks,
      pipelineEnriched(written.unenriched.chunks, summary.chunks, pipeline),
    ),
    metadata: plan.fields.metadata,
    ...(plan.file === undefined ? {} : { file: plan.file }),
    ...(hasChunkMetadata(plan.request.source) ? { chunkMetadata: true as const } : {}),
    ...(passages === undefined ? {} : { embedder: passages.embedder.fingerprint }),
  }
}

/** The flush is awaited outside of any turn, so that many small documents can share one. */
async function commit(writer: DocumentWriter, document: NewDocument, signal: AbortSignal) {
  try {
    signal.throwIfAborted()
    return await writer.commit(document)
  } catch (error) {
    await writer.abort()
    throw error
  }
}

function toUnembedded({ failure, unembedded }: WrittenPieces): ChunkFailures | undefined {
  if (unembedded === 0) return undefined
  if (RagError.isInstance(failure)) return { chunks: unembedded, error: failure }
  return { chunks: unembedded, error: new RagError('PROVIDER', 'The text was not embedded.', { cause: failure }) }
}

function toUnenriched({ chunks, failure }: Unenriched): ChunkFailures | undefined {
  if (chunks === 0) return undefined
  if (RagError.isInstance(failure)) return { chunks, error: failure }
  // No cause: what others throw may hold what they were sent.
  return { chunks, error: new RagError('PROVIDER', 'An enricher failed.', { retryable: true }) }
}

/** Times of files tell no less apart, on the coarsest file system in use (FAT). */
const stampGranularityMs = 2_000

/**
 * Whether a file has the stamp it had. One that was looked at right after it had been written may have been written again under the same
 * time: its stamp proves nothing (git calls such entries racy).
 */
function isUntouched(known: FileStamp | undefined, now: FileStamp | undefined): boolean {
  if (known === undefined || !sameFile(known, now)) return false
  return known.seenAt === undefined || Math.abs(known.seenAt - known.mtimeMs) > stampGranularityMs
}

function hasChunkMetadata(source: PrepareSource): boolean {
  return source.kind === 'chunks' && source.chunks.some(({ metadata }) => metadata !== undefined)
}
