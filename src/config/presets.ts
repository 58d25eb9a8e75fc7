import type { Quantization } from '../models/types.js'
import { defaults } from './defaults.js'

export type { Quantization }

/** Names of the presets. */
export type PresetName = 'default' | 'kaggle' | 'production' | 'research' | 'extreme'

/** Everything a preset decides, as plain data. `ufrag config --preset NAME` prints it. */
export interface Preset {
  /** Whom it is for. */
  readonly for: string
  readonly embedder: { readonly kind: string; readonly model?: string }
  readonly quantization: Quantization
  readonly batchSize: number
  /** Threads; `'cores'` is as many as the machine has, which is also the limit. */
  readonly maxWorkers: number | 'cores'
  readonly cacheEmbeddings: boolean
  /** Whether what was found, and what was answered, is kept. */
  readonly cacheQueries: boolean
  readonly cacheAnswers: boolean
  /** What is added to passages before they are embedded and indexed. */
  readonly enrichment: {
    /** Title and heading path. */
    readonly headings: boolean
    readonly keywords: boolean
    /** Asks a model for the context of each passage, where one is given for it: the option `enrichLlm`. */
    readonly llm: boolean
    /** Asks nobody. */
    readonly skip: boolean
  }
  readonly maxConcurrentApiCalls: number
  readonly apiRateLimitDelayMs: number
  /** Entries of each in-memory cache; 0 when caching is off. */
  readonly cacheMaxEntries: number
  /** Characters of a chunk sent to a model, 0 = all. */
  readonly maxTextLength: number
  /** Characters. */
  readonly chunkSize: number
  readonly chunkOverlap: number
  readonly minChunkSize: number
  /** 0 = all. */
  readonly maxChunksPerPage: number
  readonly topK: number
  /** Questions answered at a time. */
  readonly maxConcurrentQueries: number
  readonly rerank: false | { readonly kind: string; readonly model?: string; readonly candidates?: number }
}

const miniLm = { kind: 'onnx', model: defaults.models.onnx }
const sentences = { chunkSize: 400, chunkOverlap: 0, minChunkSize: 0, maxChunksPerPage: 0 }

/**
 * The presets. They are complete even where a part they name (an embedder, a reranker) comes with a later version: choosing one whose
 * embedder or reranker is missing throws `UNSUPPORTED` unless that part is overridden.
 */
export const presets: Readonly<Record<PresetName, Preset>> = {
  default: {
    for: 'offline, instant',
    embedder: { kind: 'latent-semantic' },
    quantization: 'fp32',
    batchSize: 32,
    maxWorkers: 'cores',
    cacheEmbeddings: true,
    cacheQueries: true,
    cacheAnswers: true,
    enrichment: { headings: true, keywords: false, llm: false, skip: false },
    maxConcurrentApiCalls: 5,
    apiRateLimitDelayMs: 0,
    cacheMaxEntries: 10_000,
    maxTextLength: 0,
    ...sentences,
    topK: 5,
    maxConcurrentQueries: 256,
    rerank: false,
  },
  kaggle: {
    for: 'notebooks, small RAM',
    embedder: miniLm,
    quantization: 'int8',
    batchSize: 32,
    maxWorkers: 4,
    cacheEmbeddings: true,
    cacheQueries: true,
    cacheAnswers: true,
    enrichment: { headings: true, keywords: false, llm: false, skip: false },
    maxConcurrentApiCalls: 3,
    apiRateLimitDelayMs: 200,
    cacheMaxEntries: 10_000,
    maxTextLength: 0,
    ...sentences,
    topK: 5,
    maxConcurrentQueries: 64,
    rerank: false,
  },
  production: {
    for: 'servers',
    embedder: miniLm,
    quantization: 'int8',
    batchSize: 64,
    maxWorkers: 8,
    cacheEmbeddings: true,
    cacheQueries: true,
    cacheAnswers: true,
    enrichment: { headings: true, keywords: false, llm: true, skip: false },
    maxConcurrentApiCalls: 10,
    apiRateLimitDelayMs: 100,
    cacheMaxEntries: 10_000,
    maxTextLength: 500,
    ...sentences,
    topK: 5,
    maxConcurrentQueries: 256,
    rerank: { kind: 'mmr' },
  },
  research: {
    for: 'accuracy, reproducibility',
    embedder: miniLm,
    quantization: 'fp32',
    batchSize: 16,
    maxWorkers: 2,
    cacheEmbeddings: false,
    cacheQueries: false,
    cacheAnswers: false,
    enrichment: { headings: true, keywords: false, llm: true, skip: false },
    maxConcurrentApiCalls: 2,
    apiRateLimitDelayMs: 0,
    cacheMaxEntries: 0,
    maxTextLength: 0,
    ...sentences,
    topK: 10,
    maxConcurrentQueries: 64,
    rerank: { kind: 'cross-encoder', model: defaults.models['cross-encoder'], candidates: 20 },
  },
  extreme: {
    for: 'maximum speed',
    embedder: { kind: 'static', model: defaults.models.static },
    quantization: 'fp32',
    batchSize: 128,
    maxWorkers: 'cores',
    cacheEmbeddings: true,
    cacheQueries: true,
    cacheAnswers: true,
    enrichment: { headings: true, keywords: false, llm: false, skip: true },
    maxConcurrentApiCalls: 1,
    apiRateLimitDelayMs: 0,
    cacheMaxEntries: 10_000,
    maxTextLength: 0,
    chunkSize: 800,
    chunkOverlap: 0,
    minChunkSize: 200,
    maxChunksPerPage: 3,
    topK: 5,
    maxConcurrentQueries: 1_024,
    rerank: false,
  },
}
