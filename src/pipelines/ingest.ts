import type { DocumentFailure, DocumentInput } from '../core/document.js'
import { RagError } from '../core/errors.js'
import type { IngestProgress } from '../core/events.js'
import type { Logger } from '../core/lifecycle.js'
import type { UrlReader } from '../extract/types.js'
import { followSignal } from '../util/abort.js'
import { Channel } from '../util/channel.js'
import { Gate } from '../util/gate.js'
import { readAhead } from '../util/read-ahead.js'
import { runMany } from '../util/run-many.js'
import { createPause, createTurns } from '../util/yield.js'
import { asRagError } from './steps/as-rag-error.js'
import { endsRun } from './steps/attempts.js'
import { type Discovered, discover } from './steps/discover.js'
import { fetchUrl } from './steps/fetch-url.js'
import { inOrder, type LastWrites } from './steps/in-order.js'
import { documentGate } from './steps/limits.js'
import type { PassageEmbedder } from './steps/passage-embedder.js'
import { planDocument } from './steps/plan-document.js'
import { removeVanished } from './steps/remove-vanished.js'
import { Tally } from './steps/tally.js'
import {
  type DocumentOutcome,
  type DocumentStep,
  type Verify,
  type WriteDocumentOptions,
  type WriteDocumentTools,
  writeDocument,
} from './steps/write-document.js'

/** What one `ingest()` did. */
export interface IngestReport {
  /** New and changed documents that were committed. */
  readonly documents: number
  /** Documents whose content and pipeline were the same as before: nothing was done. */
  readonly unchanged: number
  /** Documents removed because their files are gone: 0 without `sync`. */
  readonly removed: number
  /** Whether `sync` looked for files that are gone: not when something could not be listed. Absent without `sync`. */
  readonly synced?: boolean
  /** Chunks of the committed documents. */
  readonly chunks: number
  readonly failed: readonly IngestFailure[]
  /** Files that were left out, as they have failed three times and are still the same. `retry` tries them again. */
  readonly quarantined: readonly DocumentFailure[]
  /**
   * Chunks that are stored without a vector because they could not be embedded: they are found by their words alone. Those whose
   * reason may pass are tried again when their document is ingested again. Chunks without any words are not among them.
   */
  readonly unembedded: number
  /** The documents these chunks are of, at most 100. */
  readonly embeddingFailures: readonly EmbeddingFailure[]
  /**
   * Chunks that are stored without something that an enricher was to add, because it failed. It is asked again, about these alone, when
   * their document is ingested again.
   */
  readonly unenriched: number
  /** The documents these chunks are of, at most 100. */
  readonly enrichmentFailures: readonly EnrichmentFailure[]
  readonly durationMs: number
}

/** A document that was not ingested, and why. The others were. */
export interface IngestFailure {
  /** Path, id, or a name for bytes without either. */
  readonly source: string
  readonly error: RagError
}

/** A document that was stored with chunks that could not be embedded. */
export interface EmbeddingFailure {
  readonly source: string
  /** How many of its chunks. */
  readonly chunks: number
  /** Why the first of them could not. */
  readonly error: RagError
}

/** A document that was stored with chunks that an enricher failed at. */
export interface EnrichmentFailure {
  readonly source: string
  /** How many of its chunks. */
  readonly chunks: number
  /** Why the first of them misses something. */
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
  /** Default `'stamp'`. */
  readonly verify?: Verify
  /** Whether files that have failed too often are tried again. Default `false`. */
  readonly retry?: boolean
  /** Whether documents of files that are gone from the folders among the inputs are removed at the end. Default `false`. */
  readonly sync?: boolean
  /** Absolute paths, of files or folders, whose documents are removed at the end where they are gone. */
  readonly gone?: GonePaths
}

/** Paths that somebody has seen vanish, and the folder that must be there all the same. */
export interface GonePaths {
  readonly paths: readonly string[]
  readonly folder: string
}

/** What the pipeline works with; `compose` provides it. Concurrent ingests share its limits. */
export interface IngestTools extends WriteDocumentTools {
  /** Fingerprint of all that decides what the same bytes become: extractors, chunker, enrichers. */
  readonly preparation: string
  /** Absent: passages are found by their words alone. */
  readonly passages: PassageEmbedder | undefined
  /** Absent: URLs are refused. */
  readonly urls: UrlReader | undefined
  readonly lastWrites: LastWrites
  readonly logger: Logger
}

/** Bytes of in-memory inputs that are being worked on, at most (one larger input is let in alone). */
const maxHeldBytes = 64 << 20
/** Bytes of inputs that discovery may be ahead. */
const discoverAheadBytes = 4 << 20
/**
 * Ingests documents: discover, prepare (extract and chunk), embed, commit, several at once. Yields progress; returns the report.
 * A document that fails becomes an entry of `failed`. An abort, or a failure of the store or the embedder itself, throws; what was
 * committed stays. With `sync`, what vanished is removed at the end.
 */
export async function* ingestDocuments(
  inputs: Iterable<DocumentInput> | AsyncIterable<DocumentInput>,
  options: IngestOptions,
  tools: IngestTools,
): AsyncGenerator<IngestProgress, IngestReport, undefined> {
  const run = followSignal(options.signal)
  const { signal } = run
  const tally = new Tally(tools.now)
  const progress = new Channel<IngestProgress>()
  const folders: string[] = []
  const onFolder = (folder: string) => void folders.push(folder)
  const found = readAhead(
    countDiscovered(discover(inputs, { root: options.root, exclude: options.exclude, signal, onFolder }), tally),
    { capacity: discoverAheadBytes, weigh },
  )
  const finished = runMany(
    found,
    async (item) => {
      const under = tally.begin(item.source)
      const onStep = (step: DocumentStep) => {
        const told = under.step(step)
        if (told !== undefined) progress.push(told)
      }
      progress.push(under.end(await ingestOne(item, { ...options, signal, endRun: run.abort, onStep }, tools)))
    },
    { admit: admission(tools.passages, signal), onFailure: run.abort },
  ).then(
    () => progress.end(signal.reason),
    (error) => progress.end(error ?? new RagError('CLOSED', 'The ingest was aborted.')),
  )
  try {
    yield* progress
    yield* removeGone({ ...options, folders, signal }, tally, tools)
  } finally {
    run.abort(new RagError('CLOSED', 'The ingest was abandoned.'))
    await finished
    run.dispose()
  }
  const report = tally.report()
  warn(report, tools.logger)
  return report
}

/** Removes the documents whose files are gone, once, when everything else is done: a file that was renamed is never missing. */
async function* removeGone(
  options: Pick<IngestOptions, 'gone' | 'root' | 'sync'> & {
    readonly folders: readonly string[]
    readonly signal: AbortSignal
  },
  tally: Tally,
  { committed, logger, namespace }: IngestTools,
): AsyncGenerator<IngestProgress> {
  const { folders, gone, root, signal, sync = false } = options
  const scope = { namespace, root, signal }
  const removals = []
  if (gone !== undefined) removals.push(removeVanished(gone.paths, { ...scope, folder: gone.folder }))
  if (sync) {
    tally.synced = tally.complete
    if (tally.complete) removals.push(...folders.map((folder) => removeVanished([folder], { ...scope, folder })))
    else logger.warn('Nothing was removed: a file that could not be listed looks like one that is gone.')
  }
  for (const removal of removals) {
    for await (const ids of removal) {
      committed()
      for (const id of ids) yield tally.remove(id)
    }
  }
}

/** Lets inputs in, neither too many at once nor too many bytes of them, nor so fast that the event loop feels it. */
function admission(passages: PassageEmbedder | undefined, signal: AbortSignal) {
  const documents = documentGate(passages)
  const bytes = new Gate(maxHeldBytes)
  const pause = createPause(createTurns(), () => signal.throwIfAborted())
  return async (item: Discovered) => {
    // The first hundreds are found, and there is room for them, at once.
    await pause()
    const weight = weigh(item)
    await documents.enter(1, signal)
    await bytes.enter(weight, signal)
    return () => {
      documents.leave(1)
      bytes.leave(weight)
    }
  }
}

/** One document from end to end. Rejects only for what ends the whole run. */
async function ingestOne(
  item: Discovered,
  options: Pick<WriteDocumentOptions, 'language' | 'signal' | 'endRun' | 'verify' | 'retry' | 'onStep'>,
  tools: IngestTools,
): Promise<DocumentOutcome> {
  const { source } = item
  const { language, signal } = options
  const { lastWrites, passages, preparation, recorder } = tools
  try {
    if (item.kind === 'failed') throw item.error
    const found = item.kind === 'url' ? await fetchUrl(item.url, { ...tools, ...options }) : item
    if (found === 'unchanged') return { stage: 'unchanged', source, bytes: 0 }
    const plan = planDocument(found, { preparation, language })
    return await inOrder(lastWrites, plan.request.documentId, () =>
      writeDocument(plan, { ...options, source, passages }, tools),
    )
  } catch (error) {
    signal.throwIfAborted()
    if (endsRun(error)) throw error
    recorder.count('ingest.failed')
    return { stage: 'failed', source, error: asRagError(error, source) }
  }
}

/** Nobody knows how large a document of the web is: so that a few are read at once, and not many. */
const urlBytes = 8 << 20

/** Rough bytes that an input keeps in memory while it waits. */
function weigh(item: Discovered): number {
  if (item.kind === 'url') return urlBytes
  if (item.kind !== 'object') return 512
  const { input } = item
  if (input instanceof Uint8Array) return 512 + input.length
  if ('data' in input) return 512 + input.data.length
  if ('text' in input) return 512 + 2 * input.text.length
  return 'chunks' in input ? 512 + 2_000 * input.chunks.length : 512
}

/** What a number in a report does not tell an operator who reads no reports. */
function warn({ embeddingFailures, enrichmentFailures, unembedded, unenriched }: IngestReport, logger: Logger): void {
  const tell = (message: string, chunks: number, first: EmbeddingFailure | undefined): void => {
    if (first !== undefined) logger.warn(message, { chunks, code: first.error.code, reason: first.error.message })
  }
  tell(`${unembedded} chunks were not embedded: they are found by their words alone.`, unembedded, embeddingFailures[0])
  tell(`${unenriched} chunks were not enriched: they are found by their text alone.`, unenriched, enrichmentFailures[0])
}

async function* countDiscovered(items: AsyncIterable<Discovered>, tally: Tally): AsyncGenerator<Discovered> {
  for await (const item of items) {
    tally.total++
    if (item.kind === 'failed') tally.complete = false
    yield item
  }
  tally.discovering = false
}
