import pLimit from 'p-limit'
import type { ResolvedConfig } from '../config/resolve.js'
import { RagError } from '../core/errors.js'
import type { Closable } from '../core/lifecycle.js'
import { createCheckedEmbedder } from '../embed/checked.js'
import { createCountedEmbedder } from '../embed/counted.js'
import { createMicroBatchedEmbedder } from '../embed/micro-batched.js'
import { createReducedEmbedder } from '../embed/reduced.js'
import type { Embedder, EmbedderFitter } from '../embed/types.js'
import type { UrlReader } from '../extract/types.js'
import type { Llm } from '../llm/types.js'
import { createPerformanceTracker, type PerformanceTracker } from '../performance/tracker.js'
import type { Recorder } from '../performance/types.js'
import type { Fuse } from '../pipelines/retrieve.js'
import { createWriteLimits, type WriteLimits } from '../pipelines/steps/limits.js'
import { createPassageEmbedder, type PassageEmbedder } from '../pipelines/steps/passage-embedder.js'
import type { Store } from '../store/types.js'
import { systemClock } from '../util/clock.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { createMemoryBudget, type MemoryBudget } from '../util/memory-budget.js'
import { createTurns, type Turns } from '../util/yield.js'
import { type Caches, cachesEmbeddings, createCaches, withCache } from './caching.js'
import { catalogue } from './catalogue.js'
import { reportEmbedder, toGauges } from './embedder-report.js'
import { type Enrichment, openEnrichment } from './enrichment.js'
import { createLlms } from './llms.js'
import { createOwnedParts } from './owned-parts.js'
import { inlinePreparation, type Preparation, type PreparationConfig, pooledPreparation } from './preparation.js'
import { type ChooseReranking, createReranking } from './reranking.js'
import { createResultCaching, type ResultCaching } from './result-caching.js'
import { type ChooseUnderstanding, createUnderstanding } from './understanding.js'

const { now } = systemClock

/** Every part of one `UltraFastRAG`, each opened by the first call that needs it. */
export interface Parts {
  readonly tracker: PerformanceTracker
  readonly turns: Turns
  /** Bounds what is prepared, embedded and written at once, over all namespaces. */
  readonly limits: WriteLimits
  /** Runs maintenance of the store one at a time: its lock is between processes, and would turn our own namespaces away. */
  readonly maintain: <Result>(task: () => Promise<Result>) => Promise<Result>
  readonly store: () => Promise<Store>
  readonly preparation: () => Promise<Preparation>
  /** Absent: URLs are refused. */
  readonly urls: (() => Promise<UrlReader>) | undefined
  /** Absent: passages are found by their words alone. */
  readonly embedder: (() => Promise<Embedder>) | undefined
  /** Makes the embedder of each namespace from its documents; absent unless that kind was chosen. */
  readonly fitter: (() => Promise<EmbedderFitter>) | undefined
  /** The embedder as everything that writes documents shares it; `undefined` without one. */
  readonly passages: () => Promise<PassageEmbedder | undefined>
  /** Asked about passages before they are embedded; `undefined` when nobody is. */
  readonly enrichment: () => Promise<Enrichment | undefined>
  readonly fuse: () => Promise<Fuse>
  readonly reranking: ChooseReranking
  readonly llm: () => Promise<Llm>
  readonly caches: Caches
  readonly results: ResultCaching
  readonly understanding: ChooseUnderstanding
  /** Closes what was opened, last opened first; what the caller brought along stays open. */
  close(): Promise<void>
}

/** The one place that knows which adapter stands behind which port. */
export function composeParts(config: ResolvedConfig): Parts {
  const owned = createOwnedParts(() => new RagError('CLOSED', 'It was closed while one of its parts was opened.'))
  const { part } = owned
  const { batchTimeoutMs: timeoutMs, embedder: chosen } = config
  const embedder =
    chosen === false || chosen.kind === 'latent-semantic'
      ? undefined
      : (brought(chosen) ?? part(() => openEmbedder(chosen, config)))
  const fitter =
    chosen !== false && chosen.kind === 'latent-semantic'
      ? part(() => catalogue.embedderFitters[chosen.kind](chosen))
      : undefined

  const tracker = createPerformanceTracker()
  const caches = createCaches(config, tracker, part)
  const openChecked =
    embedder &&
    memoizeAsync(async () => {
      const opened = createCountedEmbedder(createCheckedEmbedder(await embedder()))
      tracker.watch('embedder', () => toGauges(reportEmbedder(opened)))
      const batched = batchesQuestions(config) ? createMicroBatchedEmbedder(opened, { timeoutMs }) : opened
      const cached = cachesEmbeddings(config)
        ? withCache(batched, await caches.open('embeddings', { far: true }), tracker)
        : batched
      return config.reduction === false ? cached : createReducedEmbedder(cached, config.reduction)
    })
  const store = brought(config.storage) ?? part(() => openStore(config))
  const openLlm = createLlms(config, part)
  const reranking = createReranking(config, { part, openLlm })
  // One more than there are threads, so that none waits for the next document.
  const atOnce = config.maxWorkers + 1
  const memory = createMemoryBudget({ maxBytes: config.maxMemoryMb * 2 ** 20 })
  tracker.watch('memory', () => ({ ...memory.report() }))
  const limits = createWriteLimits({ preparing: atOnce, memory })

  return {
    tracker,
    turns: createTurns(),
    limits,
    maintain: pLimit(1),
    store,
    preparation: part(() => openPreparation(config, { memory, recorder: tracker })),
    urls: config.allowUrls === false ? undefined : openUrls(config.allowUrls, config, part),
    embedder: openChecked,
    fitter,
    passages: memoizeAsync(async () => {
      const opened = await openChecked?.()
      return opened && createPassageEmbedder(opened, { defaultCalls: atOnce, recorder: tracker, now, memory })
    }),
    enrichment: memoizeAsync(() => openEnrichment(config, { caches, tracker, openLlm })),
    fuse: memoizeAsync(() => openFusion(config)),
    reranking,
    llm: () => openLlm(config.llm),
    caches,
    results: createResultCaching(config, { caches, store, recorder: tracker, reranking }),
    understanding: createUnderstanding(config, { caches, openLlm, recorder: tracker }),
    close: owned.close,
  }
}

/** The others batch what waits by themselves, or take microseconds for a question. */
function batchesQuestions({ embedder }: ResolvedConfig): boolean {
  return embedder !== false && ['ai-sdk', 'openai-compatible', 'instance'].includes(embedder.kind)
}

/** A part that the caller made is the caller's to close. */
function brought<Part>(choice: { readonly kind: string; readonly instance?: Part }): (() => Promise<Part>) | undefined {
  const { instance } = choice
  return instance === undefined ? undefined : async () => instance
}

async function openStore({ storage, logger }: ResolvedConfig): Promise<Store> {
  switch (storage.kind) {
    case 'instance':
      return storage.instance
    case 'memory':
      return catalogue.stores.memory()
    case 'lmdb':
      return catalogue.stores.lmdb({ directory: storage.directory, readOnly: storage.readOnly, logger })
    default:
      return storage satisfies never
  }
}

async function openPreparation(
  config: ResolvedConfig,
  shared: { readonly memory: MemoryBudget; readonly recorder: Recorder },
): Promise<Preparation> {
  const { chunker, enrichment, extractor, language, limits, maxChunksPerPage, maxWorkers } = config
  const { headings, keywords } = enrichment
  const { csv, json, layout, pdf } = extractor
  const common = {
    pdf,
    layout,
    formats: { csv, json, archives: archiveLimits(limits) },
    maxChunksPerPage,
    maxFileBytes: limits.maxFileBytes,
    bare: !headings,
    keywords,
    language,
  }
  if (chunker.kind === 'instance') return inlinePreparation(common, chunker.instance)
  const plain: PreparationConfig = { ...common, chunker: await openChunker(chunker, config) }
  return pooledPreparation(plain, { threads: maxWorkers, timeoutMs: limits.pageTimeoutMs, ...shared })
}

function archiveLimits({ maxArchiveBytes, maxArchiveEntries, maxArchiveRatio }: ResolvedConfig['limits']) {
  return { maxUnpackedBytes: maxArchiveBytes, maxEntries: maxArchiveEntries, maxRatio: maxArchiveRatio }
}

/** Bytes of a document of the web, unless the option says otherwise. */
const defaultUrlBytes = 32 << 20

function openUrls(
  options: Exclude<ResolvedConfig['allowUrls'], false>,
  { limits }: ResolvedConfig,
  part: <Part extends Closable>(open: () => Promise<Part>) => () => Promise<Part>,
): () => Promise<UrlReader> {
  return part(async () => {
    const { createUrlReader } = await import('../extract/url-reader.js')
    return createUrlReader({
      ...options,
      maxBytes: Math.min(options.maxBytes ?? defaultUrlBytes, limits.maxFileBytes),
    })
  })
}

/** What a chunker needs to be made in another thread. */
async function openChunker(
  chunker: Exclude<ResolvedConfig['chunker'], { kind: 'instance' }>,
  config: ResolvedConfig,
): Promise<PreparationConfig['chunker']> {
  if (chunker.kind !== 'token') return chunker
  const { findTokenizer } = await import('./chunk-tokenizer.js')
  return { ...chunker, ...(await findTokenizer(chunker, config)) }
}

type StoredEmbedder = Exclude<ResolvedConfig['embedder'], false | { readonly kind: 'latent-semantic' }>

async function openEmbedder(embedder: StoredEmbedder, { logger }: ResolvedConfig): Promise<Embedder> {
  switch (embedder.kind) {
    case 'instance':
      return embedder.instance
    case 'hashing':
      return catalogue.embedders.hashing({ dimensions: embedder.dimensions })
    case 'onnx': {
      const { kind, ...options } = embedder
      return catalogue.embedders[kind]({ ...options, logger })
    }
    case 'static': {
      const { kind, ...options } = embedder
      return catalogue.embedders[kind]({ ...options, logger })
    }
    case 'ai-sdk': {
      const { kind, ...options } = embedder
      return catalogue.embedders[kind](options)
    }
    case 'openai-compatible': {
      const { kind, ...options } = embedder
      return catalogue.embedders[kind](options)
    }
    default:
      return embedder satisfies never
  }
}

async function openFusion({ fusion }: ResolvedConfig): Promise<Fuse> {
  switch (fusion.kind) {
    case 'adaptive':
      return catalogue.fusions.adaptive()
    case 'rrf':
      return catalogue.fusions.rrf(fusion)
    case 'weighted':
      return catalogue.fusions.weighted(fusion)
    default:
      return fusion satisfies never
  }
}
