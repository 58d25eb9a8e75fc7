import * as z from 'zod/mini'
import { hasFunction, isFilled, isFunction, record, filledText as text, wholeNumber as whole } from './checks.js'
import { givenLlm, llmOptions } from './llm-options.js'
import { precision } from './precision.js'

const between = (least: number, most: number) => z.number().check(z.minimum(least), z.maximum(most))
const weight = between(0, 1_000)
const prepackedDir = () => z.optional(z.union([text, z.literal(false)]))

/**
 * What the caller may set of each adapter, with defaults where they are the library's and not the adapter's. An adapter of the
 * catalogue that is missing here has no options.
 */
export const adapterOptions = {
  /** Of formats of documents, beside those of PDF. */
  formats: {
    csv: z.optional(
      z.strictObject({
        header: z.optional(z.union([z.boolean(), z.literal('auto')])),
        delimiter: z.optional(z.string().check(z.minLength(1), z.maxLength(8))),
      }),
    ),
    json: z.optional(
      z.strictObject({
        text: z.optional(
          z.string().check(z.regex(/^[^.]+(\.[^.]+)*$/, 'must be names joined by dots, such as "articles.*.body"')),
        ),
      }),
    ),
  },
  chunkers: {
    sentence: chunkSizes(),
    'sentence-splitter': chunkSizes(),
    recursive: chunkSizes(),
    markdown: chunkSizes(),
    semantic: chunkSizes(),
    token: { ...chunkSizes(), maxTokens: z.optional(whole(16, 8_192)), tokenizer: z.optional(text) },
  },
  embedders: {
    hashing: { dimensions: z._default(whole(1, 65_536), 256) },
    onnx: {
      ...modelOptions(),
      revision: z.optional(text),
      device: z.optional(z.custom(isDevice, 'must be a device such as "auto", "cpu" or "cuda:1", or a list of them')),
      workers: z.optional(whole(1, 64)),
      threads: z.optional(whole(1, 64)),
      maxBatchTokens: z.optional(whole(1, 2 ** 20)),
      batchSize: z.optional(whole(1, 4_096)),
      deterministic: z.optional(z.boolean()),
      prepackedDir: prepackedDir(),
      pooling: z.optional(z.enum(['mean', 'cls', 'last-token', 'none'])),
      queryPrefix: z.optional(z.string()),
      passagePrefix: z.optional(z.string()),
    },
    static: { ...modelOptions(), workers: z.optional(whole(1, 256)) },
    'ai-sdk': {
      ...remoteOptions(),
      model: z.custom(isAiSdkModel, 'must be an embedding model of the AI SDK, or the name of one for the AI Gateway'),
      queryProviderOptions: z.optional(record),
      passageProviderOptions: z.optional(record),
    },
    'openai-compatible': {
      ...remoteOptions(),
      model: text,
      baseURL: z.optional(text),
      apiKey: z.optional(z.custom(isFilled, 'must be a text and not empty')),
      encodingFormat: z.optional(z.enum(['base64', 'float'])),
      requestDimensions: z.optional(z.boolean()),
      queryParameters: z.optional(record),
      passageParameters: z.optional(record),
      client: z.optional(z.custom(isOpenAiClient, 'must be a client of the package "openai"')),
    },
  },
  embedderFitters: {
    'latent-semantic': { dimensions: z.optional(whole(2, 1_024)), workers: z.optional(whole(1, 64)) },
  },
  enrichers: {
    headings: {},
    keywords: { maxKeywords: z.optional(whole(1, 20)) },
    summary: askedOfModel(),
    questions: { ...askedOfModel(), maxQuestions: z.optional(whole(1, 10)) },
    context: askedOfModel(),
    function: {
      enrich: z.custom(isFunction, 'must be a function (passage, options)'),
      fingerprint: z.optional(text),
      local: z.optional(z.boolean()),
    },
    instance: { instance: z.custom(isEnricher, 'must have the method enrich(), an id and a fingerprint') },
  },
  lexicalIndexes: {
    bm25: {
      k1: z.optional(between(0, 10)),
      b: z.optional(between(0, 1)),
      documentWeight: z.optional(between(0, 10)),
    },
  },
  vectorIndexes: {
    ...vectorIndexes(),
    sharded: {
      shards: z._default(whole(1, 64), 2),
      index: z._default(oneVectorIndex(), { kind: 'auto' }),
    },
  },
  fusions: {
    adaptive: {},
    rrf: { k: z._default(between(1, 10_000), 60) },
    weighted: {
      weights: z._default(
        z
          .strictObject({ lexical: weight, vector: weight })
          .check(z.refine(({ lexical, vector }) => lexical + vector > 0, 'must have a weight above 0')),
        { lexical: 0.7, vector: 0.3 },
      ),
    },
  },
  rerankers: {
    'cross-encoder': {
      ...rerankOptions(),
      model: z.optional(text),
      quantization: z.optional(precision),
      revision: z.optional(text),
      device: z.optional(z.custom(isOneDevice, 'must be a device such as "auto", "cpu" or "cuda:1"')),
      workers: z.optional(whole(1, 16)),
      threads: z.optional(whole(1, 64)),
      maxBatchTokens: z.optional(whole(1, 2 ** 20)),
      maxTokens: z.optional(whole(8, Number.MAX_SAFE_INTEGER)),
      activation: z.optional(z.enum(['sigmoid', 'none'])),
      cascade: z.optional(z.strictObject({ model: z.optional(text), keep: z.optional(whole(1, 1_000)) })),
      patience: z.optional(whole(1, 1_000)),
      prepackedDir: prepackedDir(),
    },
    llm: {
      ...rerankOptions(),
      llm: givenLlm(),
      mode: z.optional(z.enum(['list', 'point'])),
      maxPassageChars: z.optional(whole(50, 100_000)),
      maxPromptChars: z.optional(whole(1_000, 10_000_000)),
      concurrency: z.optional(whole(1, 64)),
    },
    mmr: { ...rerankOptions(), lambda: z._default(between(0, 1), 0.8) },
  },
  caches: {
    memory: cacheLimits(1_024),
    disk: { ...cacheLimits(65_536), directory: z.optional(text) },
    redis: {
      url: z.string().check(z.regex(/^rediss?:\/\//, 'must begin with redis:// or rediss://')),
      prefix: z.optional(text),
    },
    keyv: { keyv: z.custom(isKeyv, 'must be a Keyv of version 5') },
  },
  llms: llmOptions,
} satisfies Record<string, Record<string, z.core.$ZodLooseShape>>

/** Sizes of chunks, as top-level options and as options of a chunker. */
export function chunkSizes() {
  return {
    chunkSize: z.optional(whole(20, 60_000)),
    chunkOverlap: z.optional(whole(0, 30_000)),
    minChunkSize: z.optional(whole(0, 60_000)),
    maxChunksPerPage: z.optional(whole(0, 1_000_000)),
  }
}

/** Of indexes that stand alone. */
function vectorIndexes() {
  const quantization = z.optional(z.enum(['f32', 'f16', 'i8']))
  return {
    auto: { ...hnswOptions(), quantization },
    usearch: { ...hnswOptions(), quantization },
    hnswlib: hnswOptions(),
    lancedb: {
      ...hnswOptions(),
      index: z.optional(z.enum(['hnsw-sq', 'ivf-pq'])),
      partitions: z.optional(whole(1, 65_536)),
      nprobes: z.optional(whole(1, 65_536)),
      subVectors: z.optional(whole(1, 65_536)),
      refineFactor: z.optional(whole(1, 100)),
      uri: z.optional(text),
      storageOptions: z.optional(z.record(z.string(), z.string())),
    },
    flat: {},
  }
}

/** One of them, by name or with its options. */
function oneVectorIndex() {
  const forms = Object.entries(vectorIndexes()).map(([kind, shape]) =>
    z.strictObject({ kind: z.literal(kind), ...shape }),
  )
  return z.pipe(
    z.transform((value) => (typeof value === 'string' ? { kind: value } : value)),
    z.discriminatedUnion('kind', forms as [(typeof forms)[number]]),
  )
}

/** Of an index that builds graphs. */
function hnswOptions() {
  return {
    M: z.optional(whole(4, 64)),
    efConstruction: z.optional(whole(8, 1_024)),
    efSearch: z.optional(whole(8, 4_096)),
  }
}

/** Of a cache that drops its oldest entries. */
function cacheLimits(leastBytes: number) {
  return {
    maxEntries: z.optional(whole(1, Number.MAX_SAFE_INTEGER)),
    maxBytes: z.optional(whole(leastBytes, Number.MAX_SAFE_INTEGER)),
  }
}

/** Of an enricher that asks a model. */
function askedOfModel() {
  return { llm: givenLlm(), fingerprint: z.optional(text) }
}

/** Of every reranker. */
function rerankOptions() {
  return { candidates: z._default(whole(1, 1_000), 20) }
}

/** Of an embedder with a model of its own. */
function modelOptions() {
  return {
    model: z.optional(text),
    quantization: z.optional(precision),
    dimensions: z.optional(whole(1, 65_536)),
    maxTokens: z.optional(whole(1, Number.MAX_SAFE_INTEGER)),
  }
}

/** Of an embedder that asks a service. */
function remoteOptions() {
  const count = z.optional(whole(1, Number.MAX_SAFE_INTEGER))
  return {
    dimensions: z.optional(whole(1, 65_536)),
    queryPrefix: z.optional(z.string()),
    passagePrefix: z.optional(z.string()),
    identity: z.optional(text),
    headers: z.optional(z.record(z.string(), z.string())),
    maxConcurrency: z.optional(whole(1, 1_000)),
    requestsPerMinute: count,
    tokensPerMinute: count,
    delayMs: z.optional(whole(0, 600_000)),
    maxItemsPerCall: z.optional(whole(1, 2_048)),
    maxTokensPerCall: count,
    maxBytesPerCall: count,
    timeoutMs: z.optional(whole(1, 300_000)),
    maxAttempts: z.optional(whole(1, 100)),
    maxRetryAfterMs: z.optional(whole(0, 3_600_000)),
  }
}

function isDevice(value: unknown): boolean {
  const names = Array.isArray(value) ? value : [value]
  return (
    names.length > 0 && names.every((name) => typeof name === 'string' && /^(?:auto|[a-z]+(?::\d{1,2})?)$/.test(name))
  )
}

function isEnricher(value: unknown): boolean {
  const { fingerprint, id } = (value ?? {}) as { readonly fingerprint?: unknown; readonly id?: unknown }
  return hasFunction(value, 'enrich') && isFilled(id) && isFilled(fingerprint)
}

function isOneDevice(value: unknown): boolean {
  return typeof value === 'string' && isDevice(value)
}

function isAiSdkModel(value: unknown): boolean {
  return isFilled(value) || hasFunction(value, 'doEmbed')
}

function isOpenAiClient(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'embeddings' in value && hasFunction(value.embeddings, 'create')
}

function isKeyv(value: unknown): boolean {
  return ['getMany', 'setMany', 'deleteMany'].every((method) => hasFunction(value, method))
}
