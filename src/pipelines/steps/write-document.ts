import { RagError } from '../../core/errors.js'
import type { IngestStage } from '../../core/events.js'
import type { Recorder } from '../../performance/types.js'
import type { DocumentWriter, FileStamp, NewDocument, StoreNamespace } from '../../store/types.js'
import { type FollowingAbort, followSignal } from '../../util/abort.js'
import { asRagError } from './as-rag-error.js'
import { createPassageEmbedding } from './embed-passages.js'
import { pipelineAfter } from './incomplete.js'
import { countUnwritten, type Unwritten, type WriteLimits } from './limits.js'
import type { PassageEmbedder } from './passage-embedder.js'
import type { DocumentPlan } from './plan-document.js'
import type {
  PreparedDocument,
  PreparedOpening,
  PreparedPiece,
  PreparedSummary,
  PrepareRequest,
  PrepareSource,
} from './prepare.js'
import { type WrittenPieces, writePieces } from './write-pieces.js'

/** What became of one input. */
export interface DocumentOutcome {
  readonly stage: Extract<IngestStage, 'committed' | 'unchanged' | 'failed'>
  readonly source: string
  readonly chunks?: number
  readonly pages?: number
  readonly bytes?: number
  readonly error?: RagError
  /** Chunks that are stored without a vector, and the first reason. */
  readonly unembedded?: { readonly chunks: number; readonly error: RagError }
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
  /** Ends the whole run, at once; it fires `signal`. */
  readonly endRun: (reason: unknown) => void
}

export interface WriteDocumentTools {
  readonly namespace: StoreNamespace
  readonly prepare: (request: PrepareRequest, signal: AbortSignal | undefined) => PreparedDocument
  /** Characters of a chunk that are embedded; 0: all. */
  readonly maxTextLength: number
  readonly limits: WriteLimits
  /** Called after each commit. */
  readonly committed: () => void
  readonly recorder: Recorder
  readonly now: () => number
}

/** Prepares, embeds, writes and commits one document, unless it is stored already as it would become. */
export async function writeDocument(
  plan: DocumentPlan,
  options: WriteDocumentOptions,
  tools: WriteDocumentTools,
): Promise<DocumentOutcome> {
  const { namespace, recorder } = tools
  const { passages, signal, source, verify = 'stamp' } = options
  const { bytes, file, request } = plan
  const pipeline = plan.pipeline(passages?.embedder)
  const known = request.documentId === undefined ? undefined : namespace.get(request.documentId)
  if (known?.pipeline === pipeline && verify === 'stamp' && sameFile(known.file, file)) {
    return { stage: 'unchanged', source, bytes }
  }

  const own = followSignal(signal)
  const unwritten = countUnwritten(tools.limits)
  try {
    const version = await writeVersion({ ...options, plan, pipeline, unwritten, own }, tools)
    if (version === undefined) return { stage: 'unchanged', source, bytes }
    const { document, unembedded, writer } = version
    const began = tools.now()
    const { record, unchanged } = await commit(writer, document, signal)
    recorder.stage('ingest.commit', tools.now() - began)
    const outcome = { source, bytes, ...(unembedded === undefined ? {} : { unembedded }) }
    if (unchanged) return { stage: 'unchanged', ...outcome }
    tools.committed()
    recorder.count('ingest.chunks', record.chunks)
    return { stage: 'committed', chunks: record.chunks, pages: record.pages, ...outcome }
  } finally {
    unwritten.end()
    own.dispose()
  }
}

/** A version that is written and not yet visible. */
interface WrittenVersion {
  readonly writer: DocumentWriter
  readonly document: NewDocument
  readonly unembedded: DocumentOutcome['unembedded']
}

interface VersionOptions extends WriteDocumentOptions {
  readonly plan: DocumentPlan
  readonly pipeline: string
  readonly unwritten: Unwritten
  /** Follows `signal`, and ends all that is under way for this document alone. */
  readonly own: FollowingAbort
}

/** Writes a new version; `undefined` when the current one has the same content and pipeline. */
async function writeVersion(options: VersionOptions, tools: WriteDocumentTools): Promise<WrittenVersion | undefined> {
  const { own, passages, pipeline, plan, signal, source, unwritten } = options
  const { limits, maxTextLength, namespace, recorder } = tools
  const preparing = prepareInTurn(plan.request, own.signal, tools)
  try {
    const opening = await nextOpening(preparing, source)
    const { contentHash, documentId, title } = opening
    const current = namespace.get(documentId)
    if (current !== undefined && current.contentHash === contentHash && current.pipeline === pipeline) return undefined
    const embedding =
      passages &&
      createPassageEmbedding({ passages, namespace, current, title, own: plan.vectors, maxTextLength, recorder })
    const writer = namespace.begin(documentId)
    try {
      const prepared = readPieces(preparing, tools)
      const written = await writePieces(prepared.pieces, {
        writer,
        limits,
        unwritten,
        embedding,
        dimensions: passages?.embedder.dimensions ?? 0,
        signal: own.signal,
        // The documents behind this one must not be tried with an embedder that cannot work.
        stop: (error) => (passages?.isUnusable(error) ? options.endRun(error) : own.abort(error)),
      })
      const document = toDocument(opening, prepared.summary(), written, options)
      return { writer, document, unembedded: toUnembedded(written) }
    } catch (error) {
      // What ends the whole run is no fact about this document.
      await writer.abort(signal.aborted ? undefined : asRagError(error, source))
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
  { limits, prepare }: WriteDocumentTools,
): PreparedDocument {
  await limits.preparing.enter(1, signal)
  try {
    await limits.unwritten.enter(0, signal)
    return yield* prepare(request, signal)
  } finally {
    limits.preparing.leave(1)
  }
}

async function nextOpening(document: PreparedDocument, source: string): Promise<PreparedOpening> {
  const { done, value } = await document.next()
  if (done !== true && value.type === 'opened') return value
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

const nothingPrepared: PreparedSummary = { characters: 0, pages: 0, chunks: 0 }

function toDocument(
  { contentHash, language, mediaType, title }: PreparedOpening,
  summary: PreparedSummary,
  written: WrittenPieces,
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
    pipeline: pipelineAfter(written, summary.chunks, pipeline),
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

function toUnembedded({ failure, unembedded }: WrittenPieces): DocumentOutcome['unembedded'] {
  if (unembedded === 0) return undefined
  if (RagError.isInstance(failure)) return { chunks: unembedded, error: failure }
  return { chunks: unembedded, error: new RagError('PROVIDER', 'The text was not embedded.', { cause: failure }) }
}

function sameFile(a: FileStamp | undefined, b: FileStamp | undefined): boolean {
  if (a?.validators !== undefined || b?.validators !== undefined) return false
  return a !== undefined && b !== undefined && a.size === b.size && a.mtimeMs === b.mtimeMs && a.inode === b.inode
}

function hasChunkMetadata(source: PrepareSource): boolean {
  return source.kind === 'chunks' && source.chunks.some(({ metadata }) => metadata !== undefined)
}
