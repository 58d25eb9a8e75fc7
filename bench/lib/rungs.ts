import type { UltraFastRAGOptions } from 'ultrafast-rag'
import type { BasicOptions } from './basic-pipeline.js'

/** One step of the ladder: everything of the step before, and one thing more. */
export interface Rung {
  readonly name: string
  /** What was added, for a reader of the table. */
  readonly adds: string
  /** A pipeline written by hand, or this library with options. */
  readonly pipeline:
    | { readonly kind: 'basic'; readonly options: Omit<BasicOptions, 'model'> }
    | { readonly kind: 'ours'; readonly options: UltraFastRAGOptions }
  /** Questions that come at once are asked at once. */
  readonly together?: boolean
}

const first = { batches: 'one', precision: 'fp32', workers: false } as const
const uncached = { cache: false, cacheEmbeddings: false, cacheQueries: false, cacheAnswers: false } as const
const vectorsAlone = { kind: 'weighted', weights: { lexical: 0, vector: 1 } } as const
const streaming = {
  ...uncached,
  chunker: 'recursive',
  enrich: false,
  fusion: vectorsAlone,
  vectorIndex: 'flat',
} as const
const sentences = { ...streaming, chunker: 'sentence', enrich: 'headings' } as const
const graphs = { ...sentences, vectorIndex: 'usearch' } as const
const hybrid = { ...graphs, fusion: 'rrf', vectorIndex: 'auto' } as const
const cached = {
  chunker: 'sentence',
  enrich: 'headings',
  fusion: 'rrf',
  vectorIndex: 'auto',
  // Random weights know which questions share words, and nothing of what they mean: the guards of the cache alone decide.
  semanticCache: { threshold: -1 },
} as const

/** From the pipeline that is written first to a preset. */
export const rungs: readonly Rung[] = [
  {
    name: 'basic',
    adds: 'one text at a time, fp32, main thread, every vector compared',
    pipeline: { kind: 'basic', options: first },
  },
  { name: 'batches', adds: '32 texts at a time', pipeline: { kind: 'basic', options: { ...first, batches: 'fixed' } } },
  {
    name: 'budget',
    adds: 'texts of like length, 1,024 tokens at a time',
    pipeline: { kind: 'basic', options: { ...first, batches: 'budget' } },
  },
  {
    name: 'int8',
    adds: 'weights in 8 bits',
    pipeline: { kind: 'basic', options: { ...first, batches: 'budget', precision: 'int8' } },
  },
  {
    name: 'workers',
    adds: 'the model in threads of its own',
    pipeline: { kind: 'basic', options: { batches: 'budget', precision: 'int8', workers: true } },
  },
  {
    name: 'streaming',
    adds: 'reading beside embedding, into a store on disk',
    pipeline: { kind: 'ours', options: streaming },
  },
  {
    name: 'sentences',
    adds: 'chunks of whole sentences, with title and headings',
    pipeline: { kind: 'ours', options: sentences },
  },
  { name: 'graphs', adds: 'vectors are searched by a graph', pipeline: { kind: 'ours', options: graphs } },
  { name: 'hybrid', adds: 'words beside vectors', pipeline: { kind: 'ours', options: hybrid } },
  { name: 'caches', adds: 'rankings, answers and meanings are kept', pipeline: { kind: 'ours', options: cached } },
  {
    name: 'together',
    adds: 'questions that come at once share passes',
    pipeline: { kind: 'ours', options: cached },
    together: true,
  },
  {
    name: 'preset',
    adds: 'preset "production", with the looser semantic cache of the rungs before',
    pipeline: { kind: 'ours', options: { preset: 'production', semanticCache: { threshold: -1 } } },
    together: true,
  },
]
