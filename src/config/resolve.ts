import { availableParallelism } from 'node:os'
import { join, resolve as resolvePath } from 'node:path'
import type { Cache } from '../cache/types.js'
import type { Chunker, ChunkOptions } from '../chunk/types.js'
import { RagError } from '../core/errors.js'
import type { Logger } from '../core/lifecycle.js'
import type { Embedder, Reduction } from '../embed/types.js'
import type { UrlOptions } from '../extract/types.js'
import type { PromptFunction } from '../llm/types.js'
import type { Reranker } from '../rerank/types.js'
import type { Store } from '../store/types.js'
import { defaultMaxMemoryBytes } from '../util/memory-budget.js'
import { contradiction } from './contradiction.js'
import { defaults, silentLogger } from './defaults.js'
import type {
  AdapterName,
  CacheOptions,
  DiskCacheOptions,
  ExtractorOptions,
  LexicalIndexOptions,
  LimitOptions,
  MemoryCacheOptions,
  SemanticCheckOptions,
  UltraFastRAGOptions,
  VectorIndexChoice,
} from './options.js'
import { type Preset, type PresetName, presets, type Quantization } from './presets.js'
import { type ProfileName, profiles } from './profiles.js'
import { type ResolvedEmbedder, refuseEmbedderContradictions, resolveEmbedder } from './resolve-embedder.js'
import { type ResolvedEnrichment, resolveEnrichment } from './resolve-enrichment.js'
import { type ResolvedLlm, resolveLlm } from './resolve-llm.js'
import { type ResolvedReranker, resolveReranker } from './resolve-reranker.js'
import { type ResolvedUnderstanding, resolveUnderstanding } from './resolve-understanding.js'
import { type AdapterNames, type GivenOptions, type Instance, parseOptions, type ResolvedFusion } from './schema.js'

/** Every choice made, nothing left to default. This is what the inside of the library sees. */
export interface ResolvedConfig {
  readonly preset: PresetName
  readonly profile: ProfileName | undefined
  readonly storage: ResolvedStorage
  /** Absolute. */
  readonly root: string
  readonly allowUrls: false | UrlOptions
  readonly language: string
  readonly extractor: ExtractorOptions & { readonly pdf: AdapterName<'extractors'>; readonly layout: 'clean' | 'raw' }
  readonly chunker: ResolvedChunker | Instance<Chunker>
  /** Chunks kept of one page, 0 = all; also of a chunker the caller made. */
  readonly maxChunksPerPage: number
  readonly enrichment: ResolvedEnrichment
  readonly embedder: false | ResolvedEmbedder | Instance<Embedder>
  readonly reduction: false | Reduction
  readonly vectorIndex: VectorIndexChoice
  readonly lexicalIndex: LexicalIndexOptions
  readonly fusion: ResolvedFusion
  readonly rerank: false | ResolvedReranker | Instance<Reranker>
  readonly llm: ResolvedLlm
  readonly understanding: ResolvedUnderstanding
  readonly topK: number
  /** 0: recall is not measured. */
  readonly recallSampleRate: number
  readonly maxMemoryMb: number
  readonly perDocument: number
  /** Absent: the library's own. */
  readonly prompt: PromptFunction | undefined
  /** `Infinity` where tokens alone are counted. */
  readonly maxContextChars: number
  readonly maxContextTokens: number | undefined
  /** Absent: none. */
  readonly budgetMs: number | undefined
  readonly maxConcurrentQueries: number
  readonly maxQueuedQueries: number
  readonly batchSize: number
  /** 1 to the number of cores. */
  readonly maxWorkers: number
  readonly batchTimeoutMs: number
  readonly cacheEmbeddings: boolean
  readonly cacheQueries: boolean
  readonly cacheAnswers: boolean
  /** 0: until there is no room. */
  readonly cacheTtlMs: number
  readonly semanticCache: false | ResolvedSemanticCache
  /** Of the cache in memory; 0 is its own default. */
  readonly cacheMaxEntries: number
  /** Beside the memory of this process; `memory` is nothing beside it. */
  readonly cache: false | ResolvedCache | Instance<Cache>
  /** 0 = all. */
  readonly maxTextLength: number
  readonly quantization: Quantization
  /** Absolute. */
  readonly modelsDir: string | undefined
  readonly limits: Required<LimitOptions>
  readonly logger: Logger
}

/** A chunker with its sizes. */
export type ResolvedChunker =
  | ({ readonly kind: Exclude<AdapterName<'chunkers'>, 'token'> } & ChunkOptions)
  | ({
      readonly kind: 'token'
      /** Absent: 128, or what the model sees. */
      readonly maxTokens?: number
      /** Absolute. Absent: that of the embedder. */
      readonly tokenizer?: string
    } & ChunkOptions)

/** When two questions mean the same, complete. */
export interface ResolvedSemanticCache {
  readonly threshold: number
  readonly shadow: boolean
  readonly maxQuestions: number
  readonly check: false | Required<SemanticCheckOptions>
}

/** A cache with its limits and its place. */
export type ResolvedCache =
  | MemoryCacheOptions
  | Exclude<CacheOptions, MemoryCacheOptions | DiskCacheOptions>
  | (DiskCacheOptions & { readonly directory: string })

export type ResolvedStorage =
  | { readonly kind: 'memory' }
  | { readonly kind: 'lmdb'; readonly directory: string; readonly readOnly: boolean }
  | Instance<Store>

/**
 * Checks options and fills in everything that was not given: the caller's options over the profile over the preset over the defaults.
 * Throws `RagError` `BAD_OPTION` for what is wrong or contradictory, `UNSUPPORTED` for an adapter that `catalogue` does not have.
 * Does no I/O.
 */
export function resolveConfig(options: UltraFastRAGOptions, catalogue: AdapterNames): ResolvedConfig {
  const given = parseOptions(options, catalogue)
  refuseContradictions(given)
  const name = choosePreset(given)
  const preset = presets[name]
  const profile = given.profile === undefined ? undefined : profiles[given.profile]
  const use = profile ?? preset
  const quantization = resolveQuantization(given, preset)
  const reduction = given.reduction ?? false
  const maxWorkers = countWorkers(given.maxWorkers ?? use.maxWorkers)
  const maxConcurrentQueries = given.maxConcurrentQueries ?? use.maxConcurrentQueries
  const modelsDir = given.modelsDir === undefined ? undefined : resolvePath(given.modelsDir)
  const batchSize = given.batchSize ?? profile?.batchSize
  const llm = resolveLlm(given.llm, { quantization, modelsDir })
  const embedder = resolveEmbedder(given, { preset: name, quantization, maxWorkers, modelsDir, batchSize }, catalogue)
  refuseReduction(reduction, embedder)
  return freeze({
    preset: name,
    profile: given.profile,
    storage: resolveStorage(given),
    root: resolvePath(given.root ?? '.'),
    allowUrls: resolveUrls(given),
    language: given.language ?? defaults.language,
    extractor: resolveExtractor(given),
    chunker: resolveChunker(given, preset, embedder),
    maxChunksPerPage: chunkSize('maxChunksPerPage', given) ?? preset.maxChunksPerPage,
    enrichment: resolveEnrichment({ ...given, llm }, preset, { quantization, modelsDir }),
    embedder,
    reduction,
    vectorIndex: given.vectorIndex,
    lexicalIndex: given.lexicalIndex,
    fusion: resolveFusion(given, embedder),
    rerank: resolveReranker(given, { preset: name, quantization, maxWorkers, modelsDir, llm }, catalogue),
    llm,
    understanding: resolveUnderstanding({ ...given, llm }, { quantization, modelsDir }),
    topK: given.topK ?? preset.topK,
    recallSampleRate: given.recallSampleRate ?? 0,
    maxMemoryMb: given.maxMemoryMb ?? Math.max(128, Math.floor(defaultMaxMemoryBytes() / 2 ** 20)),
    perDocument: given.perDocument ?? defaults.perDocument,
    maxContextChars:
      given.maxContextChars ??
      (given.maxContextTokens === undefined ? defaults.maxContextChars : Number.POSITIVE_INFINITY),
    maxContextTokens: given.maxContextTokens,
    prompt: given.prompt,
    budgetMs: given.budgetMs,
    maxConcurrentQueries,
    maxQueuedQueries: given.maxQueuedQueries ?? maxConcurrentQueries * defaults.queuedPerQuery,
    batchSize: batchSize ?? preset.batchSize,
    batchTimeoutMs: given.batchTimeoutMs ?? 0,
    maxWorkers,
    cacheEmbeddings: given.cacheEmbeddings ?? preset.cacheEmbeddings,
    cacheQueries: given.cacheQueries ?? preset.cacheQueries,
    cacheAnswers: given.cacheAnswers ?? preset.cacheAnswers,
    cacheTtlMs: given.cacheTtlMs ?? defaults.cacheTtlMs,
    semanticCache: resolveSemanticCache(given, embedder, preset),
    cacheMaxEntries: preset.cacheMaxEntries,
    cache: resolveCache(given),
    maxTextLength: given.maxTextLength ?? (hasLargerChunks(given, preset) ? 0 : preset.maxTextLength),
    quantization,
    modelsDir,
    limits: {
      ...defaults.limits,
      ...(profile === undefined ? {} : { maxOpenNamespaces: profile.maxOpenNamespaces }),
      ...given.limits,
    },
    logger: given.logger === undefined ? silentLogger : unfailing(given.logger),
  })
}

/** Options that say two things at once. */
function refuseContradictions(given: GivenOptions): void {
  const { extremeMode, preset, chunker, storage, readOnly, vectorIndex } = given
  if (extremeMode === true && preset !== undefined && preset !== 'extreme') contradiction('extremeMode', 'preset')
  refuseEmbedderContradictions(given, choosePreset(given))
  for (const size of ['chunkSize', 'chunkOverlap', 'minChunkSize'] as const) {
    if (given[size] === undefined) continue
    if (chunker.kind === 'instance') contradiction(size, 'chunker', 'A chunker of your own has its own sizes.')
    if (chunker[size] !== undefined && chunker[size] !== given[size]) contradiction(size, `chunker.${size}`)
  }
  if (chunker.kind !== 'instance' && chunker.maxChunksPerPage !== undefined && given.maxChunksPerPage !== undefined) {
    if (chunker.maxChunksPerPage !== given.maxChunksPerPage)
      contradiction('maxChunksPerPage', 'chunker.maxChunksPerPage')
  }
  if (readOnly === true && storage?.kind !== 'lmdb') {
    contradiction('readOnly', 'storage', 'Only a folder can be opened read-only: storage: "./folder".')
  }
  if (storage === undefined || storage.kind === 'memory') refusePlace(vectorIndex)
  if (
    storage?.kind === 'lmdb' &&
    storage.readOnly !== undefined &&
    readOnly !== undefined &&
    storage.readOnly !== readOnly
  ) {
    contradiction('readOnly', 'storage.readOnly')
  }
}

/** An index that outlives its store would answer for another one. */
function refusePlace(choice: VectorIndexChoice): void {
  const index = choice.kind === 'sharded' ? choice.index : choice
  if (index.kind === 'lancedb' && index.uri !== undefined) {
    contradiction(
      'vectorIndex.uri',
      'storage',
      'Documents in memory go with the process: give a folder, storage: "./folder".',
    )
  }
}

/** Only vectors that are stored with the documents can be reduced. */
function refuseReduction(reduction: false | Reduction, embedder: ResolvedConfig['embedder']): void {
  if (reduction === false) return
  if (embedder === false) contradiction('reduction', 'embedder', 'Without an embedder there are no vectors.')
  if (embedder.kind === 'latent-semantic') {
    contradiction(
      'reduction',
      'embedder',
      'Set the "dimensions" of the embedder, whose values are in the order of their weight.',
    )
  }
}

/** The preset, or the one that a short form stands for. */
function choosePreset(given: GivenOptions): PresetName {
  if (given.preset !== undefined) return given.preset
  if (given.embedder !== undefined) return 'default'
  if (given.extremeMode === true) return 'extreme'
  return given.useQuantization === undefined ? 'default' : 'production'
}

function resolveStorage(given: GivenOptions): ResolvedStorage {
  const { storage, readOnly } = given
  if (storage === undefined || storage.kind === 'memory') return { kind: 'memory' }
  if (storage.kind === 'instance') return storage
  return { kind: 'lmdb', directory: resolvePath(storage.directory), readOnly: readOnly ?? storage.readOnly ?? false }
}

function resolveUrls({ allowUrls = false }: GivenOptions): ResolvedConfig['allowUrls'] {
  if (typeof allowUrls === 'boolean') return allowUrls && {}
  if (allowUrls.allowPrivateAddresses === true && allowUrls.hosts === undefined) {
    contradiction(
      'allowUrls.allowPrivateAddresses',
      'allowUrls.hosts',
      'Name the hosts: whoever chooses a URL would choose which of your servers is read.',
    )
  }
  return allowUrls
}

function resolveExtractor({ extractor }: GivenOptions): ResolvedConfig['extractor'] {
  const { pdf } = { ...defaults.extractor, ...extractor }
  if (pdf === 'pdf-parse' && extractor?.layout === 'clean') {
    contradiction('extractor.layout', 'extractor.pdf', 'Only "pdfium" tells where text stands.')
  }
  return { ...extractor, pdf, layout: extractor?.layout ?? (pdf === 'pdfium' ? 'clean' : 'raw') }
}

function resolveChunker(
  given: GivenOptions,
  preset: Preset,
  embedder: ResolvedConfig['embedder'],
): ResolvedConfig['chunker'] {
  const { chunker } = given
  if (chunker.kind === 'instance') return chunker
  if (chunker.kind !== 'token') return { kind: chunker.kind, ...resolveSizes(given, preset) }
  const { maxTokens, tokenizer } = chunker
  const hasTokenizer = embedder !== false && (embedder.kind === 'onnx' || embedder.kind === 'static')
  if (tokenizer === undefined && !hasTokenizer) {
    contradiction(
      'chunker.tokenizer',
      'embedder',
      'Only "onnx" and "static" have a tokenizer here: give the folder of one, chunker: { kind: "token", tokenizer: "./model" }.',
    )
  }
  return {
    kind: 'token',
    // Tokens decide; characters only bound what a text of long tokens may come to.
    ...resolveSizes(given, { ...preset, chunkSize: charactersPerToken * (maxTokens ?? defaults.chunkTokens) }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(tokenizer === undefined ? {} : { tokenizer: resolvePath(tokenizer) }),
  }
}

/** Whether chunks may be larger than those that the preset's `maxTextLength` was made for, and would lose their ends to it. */
function hasLargerChunks(given: GivenOptions, preset: Preset): boolean {
  const { kind } = given.chunker
  return kind === 'instance' || kind === 'token' || (chunkSize('chunkSize', given) ?? 0) > preset.chunkSize
}

/** Far above what any language takes. */
const charactersPerToken = 16

function resolveSizes(given: GivenOptions, preset: Preset): ChunkOptions {
  const size = chunkSize('chunkSize', given) ?? Math.min(preset.chunkSize, 60_000)
  const overlap = chunkSize('chunkOverlap', given)
  const least = chunkSize('minChunkSize', given)
  if (overlap !== undefined && overlap * 2 >= size) {
    throw new RagError(
      'BAD_OPTION',
      `Option "chunkOverlap" must be less than half of "chunkSize" (${size}), but is ${overlap}.`,
      {
        data: { option: 'chunkOverlap' },
      },
    )
  }
  if (least !== undefined && least > size) {
    throw new RagError('BAD_OPTION', `Option "minChunkSize" must be at most "chunkSize" (${size}), but is ${least}.`, {
      data: { option: 'minChunkSize' },
    })
  }
  return {
    chunkSize: size,
    // What the preset says fits its own chunk size; beside a smaller one of the caller it gives way.
    chunkOverlap: overlap ?? Math.min(preset.chunkOverlap, Math.ceil(size / 2) - 1),
    minChunkSize: least ?? Math.min(preset.minChunkSize, size),
  }
}

type ChunkSize = 'chunkSize' | 'chunkOverlap' | 'minChunkSize' | 'maxChunksPerPage'

function chunkSize(name: ChunkSize, given: GivenOptions): number | undefined {
  const { chunker } = given
  return given[name] ?? (chunker.kind === 'instance' ? undefined : chunker[name])
}

/** Scores of legs are added where it is known what they are worth; otherwise places are. */
function resolveFusion({ fusion }: GivenOptions, embedder: ResolvedConfig['embedder']): ResolvedFusion {
  const isFitted = embedder !== false && embedder.kind === 'latent-semantic'
  if (fusion?.kind === 'adaptive' && !isFitted) {
    contradiction('fusion', 'embedder', 'Weights adapt to the documents with the embedder "latent-semantic" only.')
  }
  return fusion ?? (isFitted ? defaults.fusion.fitted : defaults.fusion.other)
}

/** A folder that may be written has a cache beside it. */
function resolveCache(given: GivenOptions): ResolvedConfig['cache'] {
  const { cache } = given
  const storage = resolveStorage(given)
  const folder = storage.kind === 'lmdb' && !storage.readOnly ? join(storage.directory, 'cache') : undefined
  if (cache === false) return false
  if (cache === undefined) return folder === undefined ? { kind: 'memory' } : { kind: 'disk', directory: folder }
  if (cache.kind !== 'disk') return cache
  const directory = cache.directory === undefined ? folder : resolvePath(cache.directory)
  if (directory !== undefined) return { ...cache, directory }
  throw new RagError('BAD_OPTION', 'A cache on disk wants a folder.', {
    data: { option: 'cache.directory' },
    hint: 'Pass cache: { kind: "disk", directory: "./cache" }, or a storage folder that may be written.',
  })
}

function resolveSemanticCache(
  { cache, cacheAnswers, cacheQueries, semanticCache = false }: GivenOptions,
  embedder: ResolvedConfig['embedder'],
  preset: Preset,
): ResolvedConfig['semanticCache'] {
  if (semanticCache === false) return false
  if (embedder === false) contradiction('semanticCache', 'embedder', 'Without an embedder nothing tells what is near.')
  if (cache === false) contradiction('semanticCache', 'cache', 'Answers are taken from the cache.')
  if (!(cacheAnswers ?? preset.cacheAnswers)) {
    contradiction('semanticCache', 'cacheAnswers', 'Answers are taken from the cache.')
  }
  if (!(cacheQueries ?? preset.cacheQueries))
    contradiction('semanticCache', 'cacheQueries', 'What was found is taken from the cache.')
  const { check = false, ...given } = semanticCache === true ? {} : semanticCache
  return {
    ...defaults.semanticCache,
    ...given,
    check: check === false ? false : { ...defaults.semanticCheck, ...(check === true ? {} : check) },
  }
}

function countWorkers(wanted: number | 'cores'): number {
  const cores = availableParallelism()
  return wanted === 'cores' ? cores : Math.min(wanted, cores)
}

function resolveQuantization(given: GivenOptions, preset: Preset): Quantization {
  if (given.quantization !== undefined) return given.quantization
  if (given.useQuantization === undefined) return preset.quantization
  return given.useQuantization ? 'int8' : 'fp32'
}

/** What reports a failure must not become one: whatever a logger throws, or rejects with, is dropped, for there is nobody to tell. */
function unfailing(logger: Logger): Logger {
  const guard =
    (level: keyof Logger): Logger['warn'] =>
    (message, data) => {
      // An async method is a rejection waiting to be unhandled.
      void (async () => logger[level](message, data))().catch(() => {})
    }
  return { debug: guard('debug'), info: guard('info'), warn: guard('warn'), error: guard('error') }
}

/** What the caller brought along to be called. */
const notOurs: ReadonlySet<string> = new Set(['logger', 'model', 'client'])

/** Freezes plain data all the way down; loggers, models, clients and ready-made adapters stay as they are. */
function freeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  const own = 'kind' in value && value.kind === 'instance'
  for (const [key, inner] of Object.entries(value)) if (!own && !notOurs.has(key)) freeze(inner)
  return Object.freeze(value)
}
