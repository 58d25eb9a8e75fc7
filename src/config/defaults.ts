import type { Logger } from '../core/lifecycle.js'

/** What holds when neither the caller, nor the profile, nor the preset says otherwise. */
export const defaults = {
  language: 'english',
  perDocument: 3,
  maxContextChars: 4_000,
  apiTimeoutMs: 60_000,
  cacheTtlMs: 3_600_000,
  /** Questions that may wait, for each that is answered at a time. */
  queuedPerQuery: 4,
  multiQuery: 3,
  understandTimeoutMs: 5_000,
  semanticCache: { threshold: 0.96, shadow: false, maxQuestions: 2_000 },
  semanticCheck: { from: 0.9, least: 0.9 },
  /** Tokens of a chunk that is cut by tokens. */
  chunkTokens: 128,
  /** Their own options have their defaults in `adapter-options.ts`. */
  adapters: { chunker: 'sentence', vectorIndex: 'auto', lexicalIndex: 'bm25', llm: 'extractive' },
  /** Of an embedder that learns from the documents, and of all others. */
  fusion: { fitted: { kind: 'adaptive' }, other: { kind: 'rrf', k: 60 } },
  /** Of embedders and rerankers that were chosen without one. */
  models: {
    'cross-encoder': 'cross-encoder/ms-marco-MiniLM-L6-v2',
    onnx: 'sentence-transformers/all-MiniLM-L6-v2',
    static: 'minishlab/potion-retrieval-32M',
  },
  extractor: { pdf: 'pdfium' },
  limits: {
    maxFileBytes: 256 * 2 ** 20,
    pageTimeoutMs: 30_000,
    maxArchiveEntries: 20_000,
    maxArchiveBytes: 2 ** 30,
    maxArchiveRatio: 100,
    maxQueryChars: 100_000,
    maxOpenNamespaces: 64,
  },
} as const

const ignore = () => {}

/** Says nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }
