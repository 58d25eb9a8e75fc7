import type { Chunker } from '../chunk/types.js'
import { RagError } from '../core/errors.js'
import { sniffMediaType } from '../extract/sniff.js'
import type { Extractor } from '../extract/types.js'
import { type PreparedDocument, type PrepareRequest, type PrepareTools, prepareDocument } from '../pipelines/steps/prepare.js'
import { sha256Hex } from '../util/hash.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { WorkerPool } from '../util/worker-pool.js'
import { type Catalogue, catalogue } from './catalogue.js'

/** How documents are read and cut, as plain data that can cross a thread. */
export interface PreparationConfig {
  readonly pdf: keyof Catalogue['pdfExtractors']
  readonly chunker: {
    readonly kind: keyof Catalogue['chunkers']
    readonly chunkSize: number
    readonly chunkOverlap: number
    readonly minChunkSize: number
  }
  readonly maxChunksPerPage: number
  readonly maxFileBytes: number
}

/** Reads and cuts documents, wherever that runs. */
export interface Preparation {
  /** Changes whenever the same bytes would be cut otherwise. */
  readonly fingerprint: string
  prepare(request: PrepareRequest, signal: AbortSignal | undefined): PreparedDocument
  close(): Promise<void>
}

/** WASM memory above which a thread is replaced: it never shrinks by itself. */
const maxHeldBytes = 256 << 20
/** Pieces that wait between a thread and the pipeline. */
const creditBytes = 1 << 20

/** Prepares documents in worker threads. */
export async function pooledPreparation(
  config: PreparationConfig,
  options: { readonly threads: number; readonly timeoutMs: number },
): Promise<Preparation> {
  const pool = new WorkerPool({ worker: 'prepare', size: options.threads, maxHeldBytes, workerData: config })
  return {
    fingerprint: await fingerprintOf(config),
    prepare: (request, signal) =>
      pool.stream({ type: 'prepare', payload: request }, { signal, timeoutMs: options.timeoutMs, creditBytes }),
    close: () => pool.close(),
  }
}

/** Prepares documents on this thread, with a chunker that the caller brought along and that cannot cross to another. */
export async function inlinePreparation(config: PreparationConfig, chunker: Chunker): Promise<Preparation> {
  const tools = await prepareTools(config, chunker)
  return {
    fingerprint: sha256Hex(await fingerprintOf(config), chunker.fingerprint),
    prepare: (request, signal) => prepareDocument(request, tools, signal),
    close: async () => {},
  }
}

/** What the steps of preparation work with; a thread makes its own. */
export async function prepareTools(config: PreparationConfig, chunker?: Chunker): Promise<PrepareTools> {
  const { kind, ...sizes } = config.chunker
  return {
    sniff: (input) => sniffMediaType(input).mediaType,
    extractorFor: extractorTable(config),
    chunker: chunker ?? (await catalogue.chunkers[kind](sizes)),
    maxFileBytes: config.maxFileBytes,
    maxChunksPerPage: config.maxChunksPerPage,
  }
}

type ExtractorLoader = () => Promise<Extractor>

/** Finds the extractor of a media type, loading it when it is first needed. */
function extractorTable(config: PreparationConfig): PrepareTools['extractorFor'] {
  const loaders = new Map(Object.entries(extractorLoaders(config)).map(([type, load]) => [type, memoizeAsync(load)]))
  return async (mediaType) => {
    const load = loaders.get(mediaType)
    if (load !== undefined) return load()
    throw new RagError('UNSUPPORTED', `There is no extractor for "${mediaType}".`, {
      data: { mediaType, supported: [...loaders.keys()] },
      hint: 'Turn it into text yourself and pass { id, text }.',
    })
  }
}

function extractorLoaders({ pdf }: PreparationConfig): Readonly<Record<string, ExtractorLoader>> {
  return { ...catalogue.extractors, 'application/pdf': catalogue.pdfExtractors[pdf] }
}

/** Everything that decides what the same bytes become. */
async function fingerprintOf(config: PreparationConfig): Promise<string> {
  const { kind, ...sizes } = config.chunker
  const parts = [
    catalogue.chunkers[kind](sizes),
    ...Object.values(extractorLoaders(config)).map((load) => load()),
  ] satisfies Promise<Chunker | Extractor>[]
  const fingerprints = (await Promise.all(parts)).map(({ fingerprint }) => fingerprint)
  return sha256Hex(String(config.maxChunksPerPage), ...fingerprints)
}
