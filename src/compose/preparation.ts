import type { TokenChunkerOptions } from '../chunk/token.js'
import type { Chunker, ChunkOptions } from '../chunk/types.js'
import { RagError } from '../core/errors.js'
import type { KeywordOptions } from '../enrich/keywords.js'
import { type FormatName, mediaTypesOf } from '../extract/media-types.js'
import { sniffMediaType } from '../extract/sniff.js'
import type { Extractor } from '../extract/types.js'
import type { Recorder } from '../performance/types.js'
import { enrichPrepared, type LocalEnrichment } from '../pipelines/steps/enrich-pieces.js'
import {
  type PreparedDocument,
  type PrepareRequest,
  type PrepareTools,
  prepareDocument,
} from '../pipelines/steps/prepare.js'
import { sha256Hex } from '../util/hash.js'
import { memoizeAsync } from '../util/memoize-async.js'
import type { MemoryBudget } from '../util/memory-budget.js'
import { WorkerPool } from '../util/worker-pool.js'
import { type Catalogue, catalogue } from './catalogue.js'
import { prepareTogether } from './prepare-together.js'

/** How documents are read, and what is added to them there, as plain data that can cross a thread. */
export interface ReadingConfig {
  /** Title and headings are kept out of what is embedded and indexed. */
  readonly bare: boolean
  readonly keywords: false | KeywordOptions
  /** Of documents that do not tell theirs. */
  readonly language: string
  readonly pdf: keyof Catalogue['extractors']
  readonly layout: 'clean' | 'raw'
  readonly formats: Parameters<Catalogue['formats']['csv']>[0]
  readonly maxChunksPerPage: number
  readonly maxFileBytes: number
}

/** How documents are read and cut, as plain data that can cross a thread. */
export interface PreparationConfig extends ReadingConfig {
  readonly chunker: PreparedChunker
}

/** A chunker by name, with all that it needs. */
export type PreparedChunker =
  | ({ readonly kind: Exclude<keyof Catalogue['chunkers'], 'token'> } & ChunkOptions)
  | ({ readonly kind: 'token' } & TokenChunkerOptions)

/** Reads and cuts documents, wherever that runs. */
export interface Preparation {
  /** Changes whenever the same bytes would be cut otherwise. */
  readonly fingerprint: string
  prepare(request: PrepareRequest, signal: AbortSignal | undefined): PreparedDocument
  /** Starts what is there for the first document otherwise: threads, which end again when nothing comes, and the chunker. */
  warmUp(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** WASM memory above which a thread is replaced, at most: it never shrinks by itself. */
const mostHeldBytes = 256 << 20

/**
 * A thread that has read for seconds holds 50 to 100 MB which nothing but its end gives back, and after a large ingest the indexes want
 * them. Another begins in a tenth of a second.
 */
const usual = { idleMs: 30_000, tiredMs: 2_000, tiredIdleMs: 500 }

/** Prepares documents in worker threads. */
export async function pooledPreparation(
  config: PreparationConfig,
  options: {
    readonly threads: number
    readonly timeoutMs: number
    readonly memory: MemoryBudget
    readonly recorder: Recorder
  },
): Promise<Preparation> {
  const { memory, recorder, timeoutMs } = options
  const maxHeldBytes = Math.min(mostHeldBytes, memory.maxBytes / 8)
  const pool = new WorkerPool({
    worker: 'prepare',
    size: options.threads,
    maxHeldBytes,
    idleMs: (workedMs) => (workedMs < usual.tiredMs ? usual.idleMs : usual.tiredIdleMs),
    workerData: config,
  })
  return {
    fingerprint: await fingerprintOf(config, await makeChunker(config)),
    prepare: (request, signal) => prepareTogether(request, { pool, signal, timeoutMs, memory, recorder }),
    async warmUp(signal) {
      // Tasks that begin at once are given to a thread each.
      const tasks = Array.from({ length: options.threads }, () => ({ type: 'warmUp', payload: undefined }))
      await Promise.all(tasks.map((task) => pool.run(task, { signal })))
    },
    close: () => pool.close(),
  }
}

/** Prepares documents on this thread, with a chunker that the caller made and that cannot cross to another. */
export async function inlinePreparation(config: ReadingConfig, chunker: Chunker): Promise<Preparation> {
  const tools = prepareTools(config, chunker)
  const enrichment = await localEnrichment(config)
  return {
    fingerprint: await fingerprintOf(config, chunker),
    prepare: (request, signal) => {
      const document = prepareDocument(request, tools, signal)
      return enrichment === undefined ? document : enrichPrepared(document, enrichment, signal)
    },
    warmUp: async () => {},
    close: async () => {},
  }
}

/** What the steps of preparation work with; a thread makes its own. */
export function prepareTools(config: ReadingConfig, chunker: Chunker): PrepareTools {
  return {
    sniff: (input) => sniffMediaType(input).mediaType,
    extractorFor: extractorTable(config),
    chunker,
    maxFileBytes: config.maxFileBytes,
    maxChunksPerPage: config.maxChunksPerPage,
  }
}

/** What is added to documents where they are prepared; `undefined` when that is nothing. */
export async function localEnrichment({
  bare,
  keywords,
  language,
}: ReadingConfig): Promise<LocalEnrichment | undefined> {
  if (!bare && keywords === false) return undefined
  return { bare, language, enrichers: keywords === false ? [] : [await catalogue.enrichers.keywords(keywords)] }
}

/** The chunker that a configuration names. */
export function makeChunker({ chunker }: PreparationConfig): Promise<Chunker> {
  if (chunker.kind === 'token') return catalogue.chunkers.token(chunker)
  const { kind, ...sizes } = chunker
  return catalogue.chunkers[kind](sizes)
}

type ExtractorLoader = () => Promise<Extractor>

/** Finds the extractor of a media type, loading it when it is first needed. */
function extractorTable(config: ReadingConfig): PrepareTools['extractorFor'] {
  const loaders = extractorLoaders(config)
  return async (mediaType) => {
    const load = loaders.get(mediaType)
    if (load !== undefined) return load()
    throw new RagError('UNSUPPORTED', `There is no extractor for "${mediaType}".`, {
      data: { mediaType, supported: [...loaders.keys()] },
      hint: 'Turn it into text yourself and pass { id, text }.',
    })
  }
}

/** The loader of each media type; types of one format share theirs. */
function extractorLoaders({ formats, layout, pdf }: ReadingConfig): ReadonlyMap<string, ExtractorLoader> {
  const loadPdf = memoizeAsync(() => catalogue.extractors[pdf]({ layout }))
  const loaders = new Map<string, ExtractorLoader>([['application/pdf', loadPdf]])
  for (const [format, load] of Object.entries(catalogue.formats)) {
    const shared = memoizeAsync(() => load(formats))
    for (const mediaType of mediaTypesOf(format as FormatName)) loaders.set(mediaType, shared)
  }
  return loaders
}

/** Everything that decides what the same bytes become. */
async function fingerprintOf(config: ReadingConfig, chunker: Chunker): Promise<string> {
  const loaders = new Set(extractorLoaders(config).values())
  const extractors = await Promise.all([...loaders].map((load) => load()))
  const fingerprints = extractors.map(({ fingerprint }) => fingerprint)
  const enrichment = await localEnrichment(config)
  const added =
    enrichment === undefined
      ? []
      : [String(enrichment.bare), ...enrichment.enrichers.map(({ fingerprint }) => fingerprint)]
  return sha256Hex(String(config.maxChunksPerPage), chunker.fingerprint, ...fingerprints, ...added)
}
