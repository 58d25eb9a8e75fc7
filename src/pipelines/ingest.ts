import { hash } from 'node:crypto'
import type { DocumentFields, DocumentInput, Metadata, OwnChunk } from '../core/document.js'
import { RagError, type RagErrorCode } from '../core/errors.js'
import type { IngestProgress, IngestStage } from '../core/events.js'
import type { Logger } from '../core/lifecycle.js'
import type { Embedder } from '../embed/types.js'
import type { Recorder } from '../performance/types.js'
import type { FileStamp, StoreNamespace } from '../store/types.js'
import { Channel } from '../util/channel.js'
import { readAhead } from '../util/read-ahead.js'
import { stableJson } from '../util/stable-json.js'
import { type Discovered, discover } from './steps/discover.js'
import { createPassageEmbedding } from './steps/embed-passages.js'
import type { PreparedDocument, PrepareRequest, PrepareSource } from './steps/prepare.js'

/** What one `ingest()` did. */
export interface IngestReport {
  /** New and changed documents that were committed. */
  readonly documents: number
  /** Documents whose content and pipeline were the same as before: nothing was done. */
  readonly unchanged: number
  /** Always 0: `ingest()` itself removes nothing, not even a document whose file is gone. See `remove()`. */
  readonly removed: number
  /** Chunks of the committed documents. */
  readonly chunks: number
  readonly failed: readonly IngestFailure[]
  readonly durationMs: number
}

/** A document that was not ingested, and why. The others were. */
export interface IngestFailure {
  /** Path, id, or a name for bytes without either. */
  readonly source: string
  readonly error: RagError
}

export interface IngestOptions {
  readonly signal?: AbortSignal
  /** Language of documents that do not tell theirs. */
  readonly language: string
  /** Absolute folder that relative paths and ids are relative to. */
  readonly root: string
  /** Absolute folder that is never walked into: that of the store. */
  readonly exclude: string | undefined
}

/** What the pipeline works with; `compose` provides it. One per namespace: concurrent ingests share its limits. */
export interface IngestTools {
  readonly namespace: StoreNamespace
  readonly prepare: (request: PrepareRequest, signal: AbortSignal | undefined) => PreparedDocument
  /** Fingerprint of extractors and chunker. */
  readonly preparation: string
  readonly embedder: (() => Promise<Embedder>) | undefined
  /** Characters of a chunk that are embedded; 0: all. */
  readonly maxTextLength: number
  /** Runs a task when a place is free: bounds the documents in preparation. */
  readonly limit: <Result>(task: () => Promise<Result>) => Promise<Result>
  /** Last writer of each document id in this process: a later call waits for an earlier one, and wins. */
  readonly lastWrites: Map<string, Promise<unknown>>
  /** Called after each commit. */
  readonly committed: () => void
  readonly recorder: Recorder
  readonly logger: Logger
  readonly now: () => number
}

/** Documents handed to the store whose commit is not yet on disk, at most. */
const maxPendingCommits = 512
/** Bytes of in-memory inputs that are being worked on, at most (one larger input is let in alone). */
const maxHeldBytes = 64 << 20
/** Bytes of inputs that discovery may be ahead. */
const discoverAheadBytes = 4 << 20
/** Failures that are not about one document: they end the whole run. */
const fatal: ReadonlySet<RagErrorCode> = new Set(['CLOSED', 'READ_ONLY', 'STORAGE_FULL', 'FINGERPRINT', 'DEADLINE'])

/**
 * Ingests documents: discover, prepare (extract and chunk), embed, commit, several at once. Yields progress; returns the report.
 * A document that fails becomes an entry of `failed`. An abort, or a failure of the store itself, throws; what was committed stays.
 */
export async function* ingestDocuments(
  inputs: Iterable<DocumentInput> | AsyncIterable<DocumentInput>,
  options: IngestOptions,
  tools: IngestTools,
): AsyncGenerator<IngestProgress, IngestReport, undefined> {
  const abort = new AbortController()
  const signal = options.signal === undefined ? abort.signal : AbortSignal.any([options.signal, abort.signal])
  const tally = new Tally(tools.now)
  const progress = new Channel<IngestProgress>()

  const run = async () => {
    const running = new Set<Promise<void>>()
    let heldBytes = 0
    const found = readAhead(
      countDiscovered(discover(inputs, { root: options.root, exclude: options.exclude, signal }), tally),
      {
        capacity: discoverAheadBytes,
        weigh,
      },
    )
    try {
      for await (const item of found) {
        signal.throwIfAborted()
        const weight = weigh(item)
        heldBytes += weight
        const task = ingestOne(item, { ...options, signal }, tools)
          .then((outcome) => progress.push(tally.add(outcome)))
          .catch((error) => abort.abort(error))
          .finally(() => {
            heldBytes -= weight
            running.delete(task)
          })
        running.add(task)
        while (running.size >= maxPendingCommits || (heldBytes >= maxHeldBytes && running.size > 0)) {
          await Promise.race(running)
        }
      }
    } finally {
      await Promise.all(running)
    }
    signal.throwIfAborted()
  }

  const finished = run().then(
    () => progress.end(),
    (error) => progress.end(error ?? new RagError('CLOSED', 'The ingest was aborted.')),
  )
  try {
    yield* progress
  } finally {
    abort.abort(new RagError('CLOSED', 'The ingest was abandoned.'))
    await finished
  }
  return tally.report()
}

/** What became of one input. */
interface DocumentOutcome {
  readonly stage: Extract<IngestStage, 'committed' | 'unchanged' | 'failed'>
  readonly source: string
  readonly chunks?: number
  readonly pages?: number
  readonly bytes?: number
  readonly error?: RagError
}

/** One document from end to end. Rejects only for what ends the whole run. */
async function ingestOne(
  item: Discovered,
  options: IngestOptions & { readonly signal: AbortSignal },
  tools: IngestTools,
): Promise<DocumentOutcome> {
  const { source } = item
  try {
    if (item.kind === 'failed') throw item.error
    const plan = planDocument(item, options, tools)
    return await inOrder(tools.lastWrites, plan.request.documentId, () => writeDocument(plan, source, options, tools))
  } catch (error) {
    options.signal.throwIfAborted()
    if (RagError.isInstance(error) && fatal.has(error.code)) throw error
    tools.recorder.count('ingest.failed')
    return { stage: 'failed', source, error: asRagError(error, source) }
  }
}

/** What is to be done for one document, decided before anything is read. */
interface DocumentPlan {
  readonly request: PrepareRequest
  readonly fields: { readonly title?: string; readonly language?: string; readonly metadata: Metadata }
  readonly file: FileStamp | undefined
  readonly vectors: OwnVectors | undefined
  /** Fingerprint of all that shapes the stored document, beside its content. */
  readonly pipeline: (embedder: Embedder | undefined) => string
}

/** Vectors that the caller brought along, by ordinal. */
type OwnVectors = readonly (Float32Array | readonly number[] | undefined)[]

function planDocument(
  item: Exclude<Discovered, { kind: 'failed' }>,
  options: IngestOptions,
  tools: IngestTools,
): DocumentPlan {
  const input: DocumentFields = item.kind === 'file' ? {} : fieldsOf(item.input)
  const { title, language, metadata = {} } = input
  const documentId = input.id ?? (item.kind === 'file' ? item.id : 'path' in item.input ? item.source : undefined)
  if (documentId !== undefined) checkId(documentId)
  const fields = {
    metadata,
    ...(title === undefined ? {} : { title }),
    ...(language === undefined ? {} : { language }),
  }
  const vectors = item.kind === 'object' && 'chunks' in item.input ? ownVectors(item.input.chunks) : undefined
  return {
    request: {
      source: toPrepareSource(item),
      ...(documentId === undefined ? {} : { documentId }),
      ...(title === undefined ? {} : { title }),
      ...(language === undefined ? {} : { language }),
    },
    fields,
    file: item.kind === 'file' ? item.file : undefined,
    vectors,
    pipeline: (embedder) =>
      hash(
        'sha256',
        stableJson([tools.preparation, embedder?.fingerprint ?? '', options.language, fields, vectors === undefined]),
        'hex',
      ),
  }
}

async function writeDocument(
  plan: DocumentPlan,
  source: string,
  options: IngestOptions & { readonly signal: AbortSignal },
  tools: IngestTools,
): Promise<DocumentOutcome> {
  const { namespace, recorder } = tools
  const embedder = await tools.embedder?.()
  const pipeline = plan.pipeline(embedder)
  const bytes = plan.file?.size ?? sizeOf(plan.request.source)
  const known = plan.request.documentId === undefined ? undefined : namespace.get(plan.request.documentId)
  if (known !== undefined && known.pipeline === pipeline && sameFile(known.file, plan.file)) {
    return { stage: 'unchanged', source, bytes }
  }

  const written = await tools.limit(async () => {
    options.signal.throwIfAborted()
    const began = tools.now()
    const document = tools.prepare(plan.request, options.signal)
    const opening = await document.next()
    if (opening.done === true || opening.value.type !== 'opened') {
      throw new RagError('CORRUPT', `"${source}" could not be opened.`, { data: { source } })
    }
    const { documentId, contentHash, mediaType, title } = opening.value
    const current = namespace.get(documentId)
    if (current !== undefined && current.contentHash === contentHash && current.pipeline === pipeline) {
      await document.return({ characters: 0, pages: 0, chunks: 0 })
      return undefined
    }
    const embedding =
      embedder && createPassageEmbedding({ embedder, namespace, current, title, own: plan.vectors, tools })
    const writer = namespace.begin(documentId)
    try {
      for (;;) {
        const next = await document.next()
        if (next.done === true) {
          recorder.stage('ingest.prepare', tools.now() - began)
          const language = opening.value.language ?? options.language
          const record = {
            ...next.value,
            title,
            source,
            mediaType,
            language,
            contentHash,
            pipeline,
            metadata: plan.fields.metadata,
            ...(plan.file === undefined ? {} : { file: plan.file }),
            ...(hasChunkMetadata(plan.request.source) ? { chunkMetadata: true as const } : {}),
            ...(embedder === undefined ? {} : { embedder: embedder.fingerprint }),
          }
          // The flush is awaited outside of the limit, so that many small documents can share one.
          return { writer, commit: () => writer.commit(record) }
        }
        if (next.value.type !== 'piece') continue
        const vectors = await embedding?.(next.value, options.signal)
        await writer.write(next.value.bytes, next.value.chunks, vectors)
      }
    } catch (error) {
      await writer.abort(options.signal.aborted ? undefined : failureOf(error))
      throw error
    } finally {
      await document.return({ characters: 0, pages: 0, chunks: 0 })
    }
  })
  if (written === undefined) return { stage: 'unchanged', source, bytes }

  const began = tools.now()
  try {
    options.signal.throwIfAborted()
    const { record, unchanged } = await written.commit()
    recorder.stage('ingest.commit', tools.now() - began)
    if (unchanged) return { stage: 'unchanged', source, bytes }
    tools.committed()
    recorder.count('ingest.chunks', record.chunks)
    return { stage: 'committed', source, chunks: record.chunks, pages: record.pages, bytes }
  } catch (error) {
    await written.writer.abort()
    throw error
  }
}

/** Runs a task after the last one of the same id. */
async function inOrder<Result>(
  lastWrites: Map<string, Promise<unknown>>,
  id: string | undefined,
  task: () => Promise<Result>,
): Promise<Result> {
  if (id === undefined) return task()
  const before = lastWrites.get(id)
  const mine = before === undefined ? task() : before.then(task, task)
  lastWrites.set(id, mine)
  try {
    return await mine
  } finally {
    if (lastWrites.get(id) === mine) lastWrites.delete(id)
  }
}

function fieldsOf(input: Exclude<DocumentInput, string>): DocumentFields {
  return input instanceof Uint8Array ? {} : input
}

function toPrepareSource(item: Exclude<Discovered, { kind: 'failed' }>): PrepareSource {
  const name = item.source
  if (item.kind === 'file') return { kind: 'file', path: item.path, name }
  const { input } = item
  if (input instanceof Uint8Array) return { kind: 'bytes', bytes: input, name }
  if ('chunks' in input) {
    const chunks = input.chunks.map(({ text, metadata, span }) => ({
      text,
      ...(metadata === undefined ? {} : { metadata }),
      ...(span === undefined ? {} : { span }),
    }))
    return { kind: 'chunks', chunks, name }
  }
  const mediaType = input.mediaType === undefined ? {} : { mediaType: input.mediaType }
  if ('text' in input) return { kind: 'text', text: input.text, name, ...mediaType }
  const password = input.password === undefined ? {} : { password: input.password }
  if ('data' in input) return { kind: 'bytes', bytes: input.data, name, ...mediaType, ...password }
  return { kind: 'file', path: input.path, name, ...mediaType, ...password }
}

function ownVectors(chunks: readonly OwnChunk[]): OwnVectors | undefined {
  return chunks.some(({ vector }) => vector !== undefined) ? chunks.map(({ vector }) => vector) : undefined
}

function checkId(id: string): void {
  const bytes = Buffer.byteLength(id)
  if (bytes >= 1 && bytes <= 1024) return
  throw new RagError('BAD_INPUT', `A document id has 1 to 1,024 bytes in UTF-8; this one has ${bytes}.`, {
    data: { bytes },
  })
}

function sameFile(a: FileStamp | undefined, b: FileStamp | undefined): boolean {
  return a !== undefined && b !== undefined && a.size === b.size && a.mtimeMs === b.mtimeMs && a.inode === b.inode
}

function hasChunkMetadata(source: PrepareSource): boolean {
  return source.kind === 'chunks' && source.chunks.some(({ metadata }) => metadata !== undefined)
}

function sizeOf(source: PrepareSource): number {
  if (source.kind === 'bytes') return source.bytes.length
  return source.kind === 'text' ? source.text.length : 0
}

/** Rough bytes that an input keeps in memory while it waits. */
function weigh(item: Discovered): number {
  if (item.kind !== 'object') return 512
  const { input } = item
  if (input instanceof Uint8Array) return 512 + input.length
  if ('data' in input) return 512 + input.data.length
  if ('text' in input) return 512 + 2 * input.text.length
  return 'chunks' in input ? 512 + 2_000 * input.chunks.length : 512
}

function failureOf(error: unknown): { code: string; message: string } {
  const { code, message } = asRagError(error, '')
  return { code, message }
}

function asRagError(error: unknown, source: string): RagError {
  if (RagError.isInstance(error)) return error
  return new RagError('CORRUPT', `"${source}" could not be read.`, { data: { source }, cause: error })
}

async function* countDiscovered(items: AsyncIterable<Discovered>, tally: Tally): AsyncGenerator<Discovered> {
  for await (const item of items) {
    tally.total++
    yield item
  }
  tally.discovering = false
}

/** The running totals that progress and report are made of. */
class Tally {
  readonly #now: () => number
  readonly #began: number
  readonly #failed: IngestFailure[] = []
  total = 0
  discovering = true
  #committed = 0
  #unchanged = 0
  #chunks = 0
  #pages = 0
  #bytes = 0

  constructor(now: () => number) {
    this.#now = now
    this.#began = now()
  }

  add(outcome: DocumentOutcome): IngestProgress {
    const { stage, source, chunks = 0, pages = 0, bytes = 0, error } = outcome
    if (stage === 'committed') this.#committed++
    else if (stage === 'unchanged') this.#unchanged++
    else if (error !== undefined) this.#failed.push({ source, error })
    this.#chunks += chunks
    this.#pages += pages
    this.#bytes += bytes
    const documentsDone = this.#committed + this.#unchanged + this.#failed.length
    const elapsedMs = this.#now() - this.#began
    const left = this.total - documentsDone
    return {
      stage,
      source,
      documentsDone,
      documentsTotal: this.total,
      discovering: this.discovering,
      failed: this.#failed.length,
      unchanged: this.#unchanged,
      chunks: this.#chunks,
      pages: this.#pages,
      bytes: this.#bytes,
      elapsedMs,
      chunksPerSecond: elapsedMs > 0 ? (this.#chunks * 1000) / elapsedMs : 0,
      ...(this.discovering ? {} : { remainingMs: (elapsedMs / documentsDone) * left }),
    }
  }

  report(): IngestReport {
    return {
      documents: this.#committed,
      unchanged: this.#unchanged,
      removed: 0,
      chunks: this.#chunks,
      failed: this.#failed,
      durationMs: this.#now() - this.#began,
    }
  }
}
