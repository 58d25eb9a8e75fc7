import { availableParallelism } from 'node:os'
import { resolve as resolvePath } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { UltraFastRAGOptions } from '../../../src/config/options.js'
import { type PresetName, presets } from '../../../src/config/presets.js'
import { profiles } from '../../../src/config/profiles.js'
import { resolveConfig } from '../../../src/config/resolve.js'
import { RagError } from '../../../src/core/errors.js'

const names = (...kinds: string[]) => Object.fromEntries(kinds.map((kind) => [kind, () => {}]))
const catalogue = {
  extractors: names('pdfium', 'pdf-parse'),
  chunkers: names('sentence', 'sentence-splitter'),
  embedders: names('hashing', 'onnx', 'static', 'ai-sdk', 'openai-compatible'),
  embedderFitters: names('latent-semantic'),
  vectorIndexes: names('auto', 'flat'),
  lexicalIndexes: names('bm25'),
  fusions: names('adaptive', 'rrf', 'weighted'),
  rerankers: names('mmr', 'cross-encoder', 'llm'),
  llms: names('extractive'),
  enrichers: names('keywords', 'summary', 'questions', 'context', 'function'),
  caches: names('memory', 'disk', 'redis', 'keyv'),
  stores: names('memory', 'lmdb'),
}

const resolve = (options: unknown = {}) => resolveConfig(options as UltraFastRAGOptions, catalogue)

function failure(options: unknown, of = catalogue): RagError {
  try {
    resolveConfig(options as UltraFastRAGOptions, of)
  } catch (error) {
    if (error instanceof RagError) return error
    throw error
  }
  throw new Error('resolved')
}

describe('resolveConfig', () => {
  it('fills in every value when no option is given', () => {
    expect(resolve()).toEqual({
      preset: 'default',
      profile: undefined,
      enrichment: {
        headings: true,
        keywords: false,
        asked: [],
        limits: { maxConcurrency: 5, delayMs: 0, timeoutMs: 60_000 },
      },
      storage: { kind: 'memory' },
      root: process.cwd(),
      allowUrls: false,
      language: 'english',
      extractor: { pdf: 'pdfium', layout: 'clean' },
      chunker: { kind: 'sentence', chunkSize: 400, chunkOverlap: 0, minChunkSize: 0 },
      maxChunksPerPage: 0,
      embedder: { kind: 'latent-semantic', workers: Math.min(2, availableParallelism()) },
      vectorIndex: { kind: 'auto' },
      lexicalIndex: { kind: 'bm25' },
      fusion: { kind: 'adaptive' },
      reduction: false,
      rerank: false,
      llm: { kind: 'extractive', maxSentences: 3 },
      understanding: {
        multiQuery: 0,
        hyde: false,
        decompose: false,
        condense: 'terms',
        language: false,
        timeoutMs: 5_000,
        model: undefined,
      },
      topK: 5,
      recallSampleRate: 0,
      maxMemoryMb: expect.any(Number),
      perDocument: 3,
      maxContextChars: 4000,
      maxConcurrentQueries: 256,
      maxQueuedQueries: 1_024,
      batchSize: 32,
      maxWorkers: availableParallelism(),
      batchTimeoutMs: 0,
      cacheEmbeddings: true,
      cacheQueries: true,
      cacheAnswers: true,
      cacheTtlMs: 3_600_000,
      semanticCache: false,
      cacheMaxEntries: 10_000,
      cache: { kind: 'memory' },
      maxTextLength: 0,
      quantization: 'fp32',
      modelsDir: undefined,
      limits: {
        maxFileBytes: 268_435_456,
        pageTimeoutMs: 30_000,
        maxArchiveEntries: 20_000,
        maxArchiveBytes: 1_073_741_824,
        maxArchiveRatio: 100,
        maxQueryChars: 100_000,
        maxOpenNamespaces: 64,
      },
      logger: expect.anything(),
    })
  })

  it('embeds all of chunks that are larger than those of the preset, unless it is told how much', () => {
    const withTokens = { ...catalogue, chunkers: names('sentence', 'token') }
    const length = (options: object) => resolveConfig({ preset: 'production', ...options }, withTokens).maxTextLength
    expect(length({})).toBe(500)
    expect(length({ chunkSize: 300 })).toBe(500)
    expect(length({ chunkSize: 1_000 })).toBe(0)
    expect(length({ chunker: { kind: 'sentence', chunkSize: 1_000 } })).toBe(0)
    expect(length({ chunker: { kind: 'token', maxTokens: 200 } })).toBe(0)
    expect(length({ chunker: { id: 'own', fingerprint: 'own/1', chunk: () => [] } })).toBe(0)
    expect(length({ chunkSize: 1_000, maxTextLength: 500 })).toBe(500)
  })

  it('treats options that are undefined as not given', () => {
    expect(resolve({ preset: undefined, chunker: undefined, topK: undefined })).toEqual(resolve())
  })

  it('lays options over the profile over the preset', () => {
    const base = { preset: 'extreme', embedder: false }
    expect(resolve(base)).toMatchObject({
      batchSize: 128,
      maxChunksPerPage: 3,
      chunker: { chunkSize: 800, minChunkSize: 200 },
    })
    expect(resolve({ ...base, profile: 'laptop' })).toMatchObject({ batchSize: 16, limits: { maxOpenNamespaces: 16 } })
    expect(
      resolve({ ...base, profile: 'laptop', batchSize: 7, limits: { maxOpenNamespaces: 1 }, maxChunksPerPage: 0 }),
    ).toMatchObject({ batchSize: 7, maxChunksPerPage: 0, limits: { maxOpenNamespaces: 1, maxFileBytes: 268_435_456 } })
  })

  it('never plans more workers than there are cores', () => {
    expect(resolve({ maxWorkers: 4096 }).maxWorkers).toBe(availableParallelism())
    expect(resolve({ maxWorkers: 1 }).maxWorkers).toBe(1)
  })

  it('is frozen all the way down, but leaves ready-made parts alone', () => {
    const llm = { id: 'mine', generate: async function* () {}, close: async () => {} }
    const config = resolve({ llm, limits: { maxQueryChars: 5 } })
    expect(Object.isFrozen(config) && Object.isFrozen(config.limits) && Object.isFrozen(config.chunker)).toBe(true)
    expect(Object.isFrozen(llm)).toBe(false)
    expect(config.llm).toEqual({ kind: 'instance', instance: llm })
  })

  it('caches in a folder of the storage where it may write there, else in memory', () => {
    expect(resolve({ storage: '/data/x' }).cache).toEqual({ kind: 'disk', directory: '/data/x/cache' })
    expect(resolve({ storage: '/data/x', cache: { kind: 'disk', maxBytes: 70_000 } }).cache).toEqual({
      kind: 'disk',
      maxBytes: 70_000,
      directory: '/data/x/cache',
    })
    expect(resolve({ storage: '/data/x', readOnly: true }).cache).toEqual({ kind: 'memory' })
    expect(resolve({ storage: '/data/x', cache: 'memory' }).cache).toEqual({ kind: 'memory' })
    expect(resolve({ cache: { kind: 'disk', directory: '/c' } }).cache).toEqual({ kind: 'disk', directory: '/c' })
    expect(resolve({ storage: '/data/x', cache: false }).cache).toBe(false)
    const url = 'redis://localhost:6379'
    expect(resolve({ cache: { kind: 'redis', url } }).cache).toEqual({ kind: 'redis', url })
    for (const [cache, option] of [
      ['disk', 'cache.directory'],
      [{ kind: 'redis', url: 'http://localhost' }, 'cache.url'],
      [{ kind: 'keyv', keyv: {} }, 'cache.keyv'],
      [{ kind: 'memory', maxBytes: 1 }, 'cache.maxBytes'],
    ] as const) {
      expect(failure({ cache })).toMatchObject({ code: 'BAD_OPTION', data: { option } })
    }
  })

  it('takes enrichers by name, with options, as functions, ready-made, and in lists', () => {
    const generate = async function* () {}
    const enrich = () => 'x'
    const enricher = { id: 'x', fingerprint: 'x/1', enrich, close: async () => {} }
    const of = (options: object) => resolve(options).enrichment
    expect(of({ enrich: false })).toMatchObject({ headings: false, keywords: false, asked: [] })
    expect(of({ enrich: 'keywords' })).toMatchObject({ headings: false, keywords: {}, asked: [] })
    expect(of({ enrich: ['headings', { kind: 'keywords', maxKeywords: 3 }, enrich, enricher] })).toMatchObject({
      headings: true,
      keywords: { maxKeywords: 3 },
      asked: [
        { kind: 'function', enrich },
        { kind: 'instance', instance: enricher },
      ],
    })
    const given = { kind: 'function', generate }
    expect(of({ llm: generate, enrich: 'summary' }).asked).toEqual([{ kind: 'summary', llm: given }])
    expect(of({ enrichLlm: generate, enrich: 'context' }).asked).toEqual([{ kind: 'context', llm: given }])
    expect(of({ enrich: { kind: 'questions', llm: generate, maxQuestions: 2 } }).asked).toEqual([
      { kind: 'questions', llm: given, maxQuestions: 2 },
    ])
    const all = ['headings', 'keywords', 'context', enrich]
    expect(of({ llm: generate, enrich: all, skipEnrichment: true })).toMatchObject({ keywords: {}, asked: [] })
    expect(of({ enrich: false, keywordsOnly: true })).toMatchObject({ headings: true, keywords: {}, asked: [] })
    const limits = { maxConcurrentApiCalls: 7, apiRateLimitDelayMs: 5, apiRequestsPerMinute: 60, apiTokensPerMinute: 9 }
    expect(of({ ...limits, apiTimeoutMs: 10 }).limits).toEqual({
      maxConcurrency: 7,
      delayMs: 5,
      requestsPerMinute: 60,
      tokensPerMinute: 9,
      timeoutMs: 10,
    })
  })

  it.each<[string, unknown, RegExp]>([
    ['enrich.0.kind', 'keyword', /Did you mean "keywords"/],
    ['enrich.1.kind', ['headings', 'summery'], /Did you mean "summary"/],
    ['enrich.0.maxKeyword', { kind: 'keywords', maxKeyword: 3 }, /Did you mean "maxKeywords"/],
    ['enrich.0.maxKeywords', { kind: 'keywords', maxKeywords: 21 }, /at most 20/],
    ['enrich.0.instance', { enrich: () => 'x' }, /a fingerprint/],
    ['enrich.0', 3, /name or an object/],
    ['enrich', ['keywords', 'keywords'], /in the list twice/],
    ['enrich', 'summary', /needs a language model/],
    ['enrich.0.llm', { kind: 'summary', llm: 3 }, /must be a function/],
  ])('refuses %s of %j', (option, enrich, words) => {
    const { code, data, hint, message } = failure({ enrich })
    expect(code).toBe('BAD_OPTION')
    expect(`${message} ${hint}`).toMatch(words)
    expect(data.option ?? (data.options as string[])[0]).toBe(option)
  })

  it('takes a vector index by name, with its options, or spread over shards', () => {
    const known = { ...catalogue, vectorIndexes: names('auto', 'usearch', 'hnswlib', 'lancedb', 'sharded', 'flat') }
    const choice = (vectorIndex: unknown) => resolveConfig({ vectorIndex } as never, known).vectorIndex
    expect(choice('usearch')).toEqual({ kind: 'usearch' })
    expect(choice({ kind: 'auto', quantization: 'i8', M: 24, efSearch: 128 })).toEqual({
      kind: 'auto',
      quantization: 'i8',
      M: 24,
      efSearch: 128,
    })
    expect(choice({ kind: 'lancedb', index: 'ivf-pq', nprobes: 40 })).toEqual({
      kind: 'lancedb',
      index: 'ivf-pq',
      nprobes: 40,
    })
    expect(() => choice({ kind: 'lancedb', uri: 's3://bucket/path' })).toThrow(/storage/)
    expect(() => choice({ kind: 'lancedb', index: 'flat' })).toThrow(/vectorIndex/)
    expect(choice('sharded')).toEqual({ kind: 'sharded', shards: 2, index: { kind: 'auto' } })
    expect(choice({ kind: 'sharded', shards: 4, index: 'flat' })).toMatchObject({ shards: 4, index: { kind: 'flat' } })
    for (const wrong of [
      { kind: 'flat', M: 16 },
      { kind: 'hnswlib', quantization: 'i8' },
      { kind: 'usearch', M: 3 },
      { kind: 'auto', quantization: 'int8' },
      { kind: 'sharded', shards: 0 },
      { kind: 'sharded', index: 'sharded' },
      'lance',
    ]) {
      expect(() => choice(wrong)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    }
  })

  it('does not change what the caller passed', () => {
    const options = Object.freeze({ chunker: Object.freeze({ kind: 'sentence' }), storage: './x', embedder: 'hashing' })
    expect(resolve(options).embedder).toEqual({ kind: 'hashing', dimensions: 256 })
  })

  it('takes adapters as names, as objects and as instances', () => {
    const embedder = {
      id: 'mine',
      fingerprint: 'f',
      dimensions: 2,
      capabilities: {},
      embed: async () => {},
      close() {},
    }
    const chunker = new (class {
      id = 'mine'
      fingerprint = 'f'
      chunk() {
        return []
      }
    })()
    const generate = async function* () {}
    const config = resolve({
      embedder,
      chunker,
      llm: generate,
      fusion: { kind: 'weighted', weights: { lexical: 1, vector: 0 } },
    })
    expect(config.embedder).toEqual({ kind: 'instance', instance: embedder })
    expect(config.chunker).toEqual({ kind: 'instance', instance: chunker })
    expect(config.llm).toEqual({ kind: 'function', generate })
    expect(config.fusion).toEqual({ kind: 'weighted', weights: { lexical: 1, vector: 0 } })
    expect(resolve({ fusion: 'rrf' }).fusion).toEqual({ kind: 'rrf', k: 60 })
    expect(resolve({ embedder: 'hashing' }).fusion).toEqual({ kind: 'rrf', k: 60 })
    expect(resolve({ embedder: false }).fusion).toEqual({ kind: 'rrf', k: 60 })
    expect(failure({ embedder: 'hashing', fusion: 'adaptive' }).code).toBe('BAD_OPTION')
    expect(resolve({ fusion: 'weighted' }).fusion).toEqual({ kind: 'weighted', weights: { lexical: 0.7, vector: 0.3 } })
    expect(resolve({ embedder: { kind: 'hashing', dimensions: 64 } }).embedder).toEqual({
      kind: 'hashing',
      dimensions: 64,
    })
  })

  it('keeps a weight of zero and other false-like values', () => {
    const config = resolve({ lexicalIndex: { kind: 'bm25', documentWeight: 0, b: 0, k1: 0 }, minChunkSize: 0 })
    expect(config.lexicalIndex).toEqual({ kind: 'bm25', documentWeight: 0, b: 0, k1: 0 })
  })

  it('makes paths absolute', () => {
    const config = resolve({ storage: 'knowledge', root: 'docs', modelsDir: 'models', readOnly: true })
    expect(config.storage).toEqual({ kind: 'lmdb', directory: resolvePath('knowledge'), readOnly: true })
    expect([config.root, config.modelsDir]).toEqual([resolvePath('docs'), resolvePath('models')])
    expect(resolve({ storage: { kind: 'memory' } }).storage).toEqual({ kind: 'memory' })
  })

  it('lets the minimum of a preset give way to a smaller chunk size of the caller', () => {
    expect(resolve({ preset: 'extreme', embedder: false, chunkSize: 100 }).chunker).toMatchObject({ minChunkSize: 100 })
  })
})

describe('short forms', () => {
  it('take production or extreme as the base', () => {
    expect(resolve({ useQuantization: true, rerank: false }).preset).toBe('production')
    expect(resolve({ useQuantization: false, rerank: false }).preset).toBe('production')
    expect(resolve({ extremeMode: true }).preset).toBe('extreme')
    expect(resolve({ extremeMode: false }).preset).toBe('default')
  })

  it('mean fp32 or int8', () => {
    const quantization = (options: UltraFastRAGOptions) => {
      const config = resolve({ rerank: false, ...options })
      expect(config.embedder).toMatchObject({ quantization: config.quantization })
      return config.quantization
    }
    expect(quantization({ useQuantization: false })).toBe('fp32')
    expect(quantization({ useQuantization: true })).toBe('int8')
    expect(quantization({ extremeMode: true, useQuantization: true })).toBe('int8')
    expect(quantization({ preset: 'research', quantization: 'fp16' })).toBe('fp16')
    expect(quantization({ preset: 'kaggle', quantization: 'none' })).toBe('fp32')
    expect(quantization({ embedder: 'onnx', useQuantization: true })).toBe('int8')
  })
})

describe('an embedder', () => {
  const embedder = (options: object) => resolve(options).embedder

  it('of ONNX takes what the top level says, unless it says so itself', () => {
    const maxWorkers = availableParallelism()
    expect(embedder({ embedder: 'onnx' })).toEqual({
      kind: 'onnx',
      model: 'sentence-transformers/all-MiniLM-L6-v2',
      quantization: 'fp32',
      maxWorkers,
    })
    const top = { quantization: 'int8', batchSize: 8, maxWorkers: 1, modelsDir: 'models' }
    expect(embedder({ embedder: { kind: 'onnx', model: './mine' }, ...top })).toEqual({
      kind: 'onnx',
      model: './mine',
      quantization: 'int8',
      batchSize: 8,
      maxWorkers: 1,
      modelsDir: resolvePath('models'),
    })
    const own = {
      kind: 'onnx',
      model: './mine',
      revision: 'main',
      quantization: 'int4',
      device: ['cuda:0', 'cuda:1'],
      workers: 2,
      threads: 1,
      maxBatchTokens: 2_048,
      batchSize: 512,
      deterministic: true,
      dimensions: 256,
      pooling: 'cls',
      queryPrefix: 'query: ',
      passagePrefix: '',
      maxTokens: 128,
    }
    expect(embedder({ embedder: own })).toEqual({ ...own, maxWorkers })
    expect(embedder({ embedder: { kind: 'onnx', quantization: 'none' } })).toMatchObject({ quantization: 'fp32' })
    // The preset's model goes with the preset's kind, its batch size with its own embedder.
    expect(embedder({ preset: 'kaggle', embedder: { kind: 'onnx', model: 'm' } })).toEqual({
      kind: 'onnx',
      model: 'm',
      quantization: 'int8',
      maxWorkers: Math.min(4, maxWorkers),
    })
    expect(embedder({ preset: 'extreme', embedder: 'onnx' })).toMatchObject({
      model: 'sentence-transformers/all-MiniLM-L6-v2',
    })
  })

  it('of a static model takes what the top level says', () => {
    expect(embedder({ embedder: 'static', maxWorkers: 1 })).toEqual({
      kind: 'static',
      model: 'minishlab/potion-retrieval-32M',
      quantization: 'fp32',
      workers: 1,
    })
    expect(
      embedder({ embedder: { kind: 'static', model: 'm', dimensions: 64, maxTokens: 9 }, quantization: 'int8' }),
    ).toEqual({
      kind: 'static',
      model: 'm',
      dimensions: 64,
      maxTokens: 9,
      quantization: 'int8',
      workers: availableParallelism(),
    })
  })

  it('of a service asks for as many texts per call as the batch size says', () => {
    const service = { kind: 'openai-compatible', model: 'm', baseURL: 'http://localhost/v1', dimensions: 8 }
    expect(embedder({ embedder: service })).toEqual(service)
    expect(embedder({ embedder: service, batchSize: 16 })).toEqual({ ...service, maxItemsPerCall: 16 })
    expect(embedder({ embedder: service, batchSize: 4_096 })).toEqual({ ...service, maxItemsPerCall: 2_048 })
    expect(embedder({ embedder: { ...service, maxItemsPerCall: 4 } })).toMatchObject({ maxItemsPerCall: 4 })
  })

  it('keeps models and clients of the caller as they are', () => {
    const model = { specificationVersion: 'v3', doEmbed: async () => ({}), state: {} }
    const sdk = embedder({ embedder: { kind: 'ai-sdk', model } })
    expect(sdk).toMatchObject({ kind: 'ai-sdk' })
    expect((sdk as unknown as { model: unknown }).model).toBe(model)
    expect(Object.isFrozen(model) || Object.isFrozen(model.state)).toBe(false)
    const client = { embeddings: { create: async () => ({}) } }
    const openai = embedder({ embedder: { kind: 'openai-compatible', model: 'm', client } })
    expect((openai as unknown as { client: unknown }).client).toBe(client)
    expect(Object.isFrozen(client)).toBe(false)
  })

  it.each([
    [{ embedder: { kind: 'onnx', model: '' } }, 'embedder.model'],
    [{ embedder: { kind: 'onnx', workers: 0 } }, 'embedder.workers'],
    [{ embedder: { kind: 'onnx', device: [] } }, 'embedder.device'],
    [{ embedder: { kind: 'onnx', device: 'CUDA 0' } }, 'embedder.device'],
    [{ embedder: { kind: 'onnx', device: ['cpu', 7] } }, 'embedder.device'],
    [{ embedder: { kind: 'onnx', pooling: 'max' } }, 'embedder.pooling'],
    [{ embedder: { kind: 'onnx', quantization: 'q8' } }, 'embedder.quantization'],
    [{ quantization: 'int16', embedder: 'onnx' }, 'quantization'],
    [{ embedder: { kind: 'onnx', dimension: 4 } }, 'embedder.dimension'],
    [{ embedder: { kind: 'static', deterministic: true } }, 'embedder.deterministic'],
    [{ embedder: 'ai-sdk' }, 'embedder.model'],
    [{ embedder: { kind: 'ai-sdk', model: {} } }, 'embedder.model'],
    [{ embedder: 'openai-compatible' }, 'embedder.model'],
    [{ embedder: { kind: 'openai-compatible', model: 'm', client: { chat: {} } } }, 'embedder.client'],
    [{ embedder: { kind: 'openai-compatible', model: 'm', maxConcurrency: 0 } }, 'embedder.maxConcurrency'],
    [{ embedder: { kind: 'openai-compatible', model: 'm', headers: { a: 1 } } }, 'embedder.headers.a'],
  ])('is refused by name: %o', (options, option) => {
    expect(failure(options)).toMatchObject({ code: 'BAD_OPTION', data: { option } })
  })

  it('never shows a key', () => {
    for (const apiKey of [['sk-secret'], { key: 'sk-secret' }, '']) {
      const error = failure({ embedder: { kind: 'openai-compatible', model: 'm', apiKey } })
      expect(error.data).toEqual({ option: 'embedder.apiKey' })
      expect(JSON.stringify(error)).not.toContain('sk-secret')
    }
  })

  it.each([
    [
      { quantization: 'int8', embedder: { kind: 'onnx', quantization: 'fp32' } },
      ['quantization', 'embedder.quantization'],
    ],
    [
      { useQuantization: true, embedder: { kind: 'onnx', quantization: 'none' } },
      ['useQuantization', 'embedder.quantization'],
    ],
    [
      { useQuantization: false, embedder: { kind: 'static', quantization: 'int8' } },
      ['useQuantization', 'embedder.quantization'],
    ],
    [{ useQuantization: true, quantization: 'none', embedder: 'onnx' }, ['useQuantization', 'quantization']],
    [{ quantization: 'int8', embedder: { kind: 'openai-compatible', model: 'm' } }, ['quantization', 'embedder']],
    [{ useQuantization: true, embedder: { kind: 'ai-sdk', model: 'm' } }, ['useQuantization', 'embedder']],
    [{ batchSize: 8, embedder: { kind: 'onnx', batchSize: 9 } }, ['batchSize', 'embedder.batchSize']],
    [
      { batchSize: 8, embedder: { kind: 'openai-compatible', model: 'm', maxItemsPerCall: 9 } },
      ['batchSize', 'embedder.maxItemsPerCall'],
    ],
    [{ maxWorkers: 1, embedder: { kind: 'onnx', workers: 2 } }, ['maxWorkers', 'embedder.workers']],
    [{ maxWorkers: 1, embedder: { kind: 'static', workers: 2 } }, ['maxWorkers', 'embedder.workers']],
  ])('that contradicts the top level is refused: %o', (options, both) => {
    expect(failure(options)).toMatchObject({ code: 'BAD_OPTION', data: { options: both } })
  })

  it('that says the same as the top level is not', () => {
    const same = { quantization: 'none', batchSize: 8, maxWorkers: 2 }
    expect(
      embedder({ ...same, embedder: { kind: 'onnx', quantization: 'fp32', batchSize: 8, workers: 1 } }),
    ).toMatchObject({
      quantization: 'fp32',
    })
  })
})

describe('presets', () => {
  it.each(Object.keys(presets) as PresetName[])(
    '"%s" resolves without its models, and prints as JSON unchanged',
    (preset) => {
      expect(resolve({ preset, embedder: false, rerank: false }).preset).toBe(preset)
      expect(JSON.parse(JSON.stringify(presets[preset]))).toEqual(presets[preset])
    },
  )

  it('have the embedders they name, with what else they say of them', () => {
    const maxWorkers = (most: number) => Math.min(most, availableParallelism())
    const model = 'sentence-transformers/all-MiniLM-L6-v2'
    const onnx = { kind: 'onnx', model }
    const embedder = (preset: string, more = {}) => resolve({ preset, rerank: false, ...more }).embedder
    expect(embedder('kaggle')).toEqual({ ...onnx, quantization: 'int8', batchSize: 32, maxWorkers: maxWorkers(4) })
    expect(embedder('production')).toEqual({ ...onnx, quantization: 'int8', batchSize: 64, maxWorkers: maxWorkers(8) })
    expect(embedder('research')).toEqual({ ...onnx, quantization: 'fp32', batchSize: 16, maxWorkers: maxWorkers(2) })
    expect(embedder('extreme')).toEqual({
      kind: 'static',
      model: 'minishlab/potion-retrieval-32M',
      quantization: 'fp32',
      workers: availableParallelism(),
    })
    expect(embedder('kaggle', { maxWorkers: 1, batchSize: 8, modelsDir: 'models' })).toMatchObject({
      batchSize: 8,
      maxWorkers: 1,
      modelsDir: resolvePath('models'),
    })
    expect(embedder('kaggle', { profile: 'laptop' })).toMatchObject({ batchSize: 16, maxWorkers: maxWorkers(2) })
    expect(resolve({ maxWorkers: 1 }).embedder).toEqual({ kind: 'latent-semantic', workers: 1 })
  })

  it.each(['kaggle', 'production', 'research', 'extreme'])(
    '"%s" says what it needs and what to pass instead where the embedder is missing',
    (preset) => {
      const error = failure({ preset }, { ...catalogue, embedders: names('hashing') })
      expect(error).toMatchObject({
        code: 'UNSUPPORTED',
        data: { option: 'embedder', available: ['hashing', 'latent-semantic'] },
      })
      expect(error.hint).toContain('embedder: false')
    },
  )

  it('have the reranker they name, with the options of the top level', () => {
    const rerank = (options: object) => resolve({ embedder: false, ...options }).rerank
    expect(rerank({ preset: 'default' })).toBe(false)
    expect(rerank({ preset: 'production' })).toEqual({ kind: 'mmr', candidates: 20, lambda: 0.8 })
    expect(rerank({ preset: 'research', modelsDir: '/models', maxWorkers: 1 })).toEqual({
      kind: 'cross-encoder',
      model: 'cross-encoder/ms-marco-MiniLM-L6-v2',
      candidates: 20,
      quantization: 'fp32',
      modelsDir: '/models',
      maxWorkers: 1,
    })
    expect(rerank({ preset: 'research', rerank: false })).toBe(false)
    expect(rerank({ rerank: { kind: 'mmr', lambda: 1 } })).toEqual({ kind: 'mmr', candidates: 20, lambda: 1 })
    const chosen = { kind: 'cross-encoder', quantization: 'none', candidates: 50, cascade: { keep: 8 } }
    expect(rerank({ rerank: chosen })).toMatchObject({ ...chosen, quantization: 'fp32' })
    expect(rerank({ rerank: 'cross-encoder', quantization: 'int8' })).toMatchObject({ quantization: 'int8' })
  })

  it('refuse options of rerankers that there are not, or that are out of range', () => {
    for (const rerank of [
      'mrr',
      { kind: 'mmr', lambda: 2 },
      { kind: 'mmr', candidates: 0 },
      { kind: 'mmr', model: 'x' },
      { kind: 'cross-encoder', cascade: { keep: 0 } },
      { kind: 'cross-encoder', device: ['cpu'] },
      { rerank: async () => [] },
      true,
    ]) {
      expect(failure({ rerank }).code).toBe('BAD_OPTION')
    }
  })

  it('say what to pass instead where their reranker is missing', () => {
    const without = { ...catalogue, rerankers: names('llm') }
    const error = failure({ preset: 'production', embedder: false }, without)
    expect(error).toMatchObject({ code: 'UNSUPPORTED', data: { option: 'rerank', adapter: 'mmr', available: ['llm'] } })
    expect(error.hint).toContain('rerank: false')
  })

  it('and profiles hold whole numbers in range', () => {
    for (const profile of Object.values(profiles)) {
      const { for: _, maxWorkers, maxOpenNamespaces, ...rest } = profile
      expect(() =>
        resolve({ ...rest, ...(maxWorkers === 'cores' ? {} : { maxWorkers }), limits: { maxOpenNamespaces } }),
      ).not.toThrow()
    }
  })
})

describe('BAD_OPTION', () => {
  it.each([
    [{ chunkSiz: 3 }, 'Unknown option "chunkSiz".', 'Did you mean "chunkSize"?'],
    [{ topk: 3 }, 'Unknown option "topk".', 'Did you mean "topK"?'],
    [{ limits: { maxFileByte: 3 } }, 'Unknown option "limits.maxFileByte".', 'Did you mean "maxFileBytes"?'],
    [{ lexicalIndex: { kind: 'bm25', K1: 1 } }, 'Unknown option "lexicalIndex.K1".', 'Did you mean "k1"?'],
    [
      { embedder: { kind: 'hashing', dimension: 1 } },
      'Unknown option "embedder.dimension".',
      'Did you mean "dimensions"?',
    ],
    [
      { storage: { kind: 'lmdb', directory: 'x', readonly: true } },
      'Unknown option "storage.readonly".',
      'Did you mean "readOnly"?',
    ],
    [
      { fusion: { kind: 'weighted', weights: { lexical: 1, vectors: 1, vector: 1 } } },
      'Unknown option "fusion.weights.vectors".',
      'Did you mean "vector"?',
    ],
    [
      { preset: 'productoin' },
      'Option "preset" must be one of "default", "kaggle", "production", "research", "extreme", but is "productoin".',
      'Did you mean "production"?',
    ],
    [
      { chunker: 'sentense' },
      'Option "chunker.kind" must be one of "sentence", "sentence-splitter", but is "sentense".',
      'Did you mean "sentence"?',
    ],
    [
      { embedder: 'hasing' },
      'Option "embedder.kind" must be one of "hashing", "onnx", "static", "ai-sdk", "openai-compatible", "latent-semantic", but is "hasing".',
      'Did you mean "hashing"?',
    ],
    [
      { extractor: { pdf: 'pdfum' } },
      'Option "extractor.pdf" must be one of "pdfium", "pdf-parse", but is "pdfum".',
      'Did you mean "pdfium"?',
    ],
    [{ chunkSize: 19 }, 'Option "chunkSize" must be at least 20, but is 19.', undefined],
    [{ chunkSize: 1e6 }, 'Option "chunkSize" must be at most 60000, but is 1000000.', undefined],
    [{ chunkSize: 400.5 }, 'Option "chunkSize" must be a whole number, but is 400.5.', undefined],
    [{ chunkSize: '400' }, 'Option "chunkSize" must be a number, but is "400".', undefined],
    [{ topK: Number.NaN }, 'Option "topK" must be a number, but is NaN.', undefined],
    [{ topK: null }, 'Option "topK" must be a number, but is null.', undefined],
    [{ maxWorkers: 0 }, 'Option "maxWorkers" must be at least 1, but is 0.', undefined],
    [{ lexicalIndex: { kind: 'bm25', b: 2 } }, 'Option "lexicalIndex.b" must be at most 1, but is 2.', undefined],
    [{ readOnly: 'yes' }, 'Option "readOnly" must be true or false, but is "yes".', undefined],
    [{ storage: '' }, 'Option "storage.directory" must not be empty, but is "".', undefined],
    [{ logger: {} }, 'Option "logger.debug" must be a function (message, data), but is undefined.', undefined],
    [{ embedder: true }, 'Option "embedder" must be a name or an object, but is true.', undefined],
    [
      { chunkOverlap: 200 },
      'Option "chunkOverlap" must be less than half of "chunkSize" (400), but is 200.',
      undefined,
    ],
    [
      { chunkSize: 50, minChunkSize: 60 },
      'Option "minChunkSize" must be at most "chunkSize" (50), but is 60.',
      undefined,
    ],
    [
      { chunker: { id: 'mine', chunk: () => [] } },
      'Option "chunker.fingerprint" must be there, but is undefined.',
      undefined,
    ],
    [{ embedder: new Map() }, 'Option "embedder" must have the methods embed(), but is an object.', undefined],
    [
      { fusion: { kind: 'weighted', weights: { lexical: 0, vector: 0 } } },
      'Option "fusion.weights" must have a weight above 0, but is an object.',
      undefined,
    ],
    ['./storage', 'UltraFastRAG must be an object of options, but is "./storage".', undefined],
    [null, 'UltraFastRAG must be an object of options, but is null.', undefined],
  ])('%j', (options, message, hint) => {
    const error = failure(options)
    expect(error.code).toBe('BAD_OPTION')
    expect(error.message).toBe(message)
    expect(error.hint).toBe(hint)
  })

  it('bounds questions by the profile over the preset, and those that wait by them', () => {
    const bounds = (options: object) => {
      const { maxConcurrentQueries, maxQueuedQueries } = resolve(options)
      return [maxConcurrentQueries, maxQueuedQueries]
    }
    expect(bounds({})).toEqual([256, 1_024])
    expect(bounds({ profile: 'laptop' })).toEqual([64, 256])
    expect(bounds({ preset: 'extreme', rerank: false })).toEqual([1_024, 4_096])
    expect(bounds({ maxConcurrentQueries: 3 })).toEqual([3, 12])
    expect(bounds({ profile: 'laptop', maxConcurrentQueries: 3, maxQueuedQueries: 0 })).toEqual([3, 0])
    expect(failure({ maxConcurrentQueries: 0 }).message).toBe(
      'Option "maxConcurrentQueries" must be at least 1, but is 0.',
    )
    expect(failure({ maxQueuedQueries: -1 }).code).toBe('BAD_OPTION')
  })

  it('has questions understood by a model where there is one, and by rules where there is none', () => {
    const llm = async function* () {}
    const ways = (options: object) => {
      const { condense, decompose, model, multiQuery } = resolve(options).understanding
      return { condense, decompose, multiQuery, kind: model?.kind }
    }
    const understand = { decompose: true }
    expect(ways({ understand })).toEqual({
      condense: 'terms',
      decompose: 'conjunctions',
      multiQuery: 0,
      kind: undefined,
    })
    const byModel = { condense: 'model', decompose: 'model', multiQuery: 3, kind: 'function' }
    expect(ways({ llm, understand: { ...understand, multiQuery: true } })).toEqual(byModel)
    expect(ways({ understandLlm: llm, understand: { ...understand, multiQuery: true } })).toEqual(byModel)
    expect(ways({ llm, understand: { condense: false, multiQuery: false, decompose: 'conjunctions' } })).toEqual({
      condense: false,
      decompose: 'conjunctions',
      multiQuery: 0,
      kind: 'function',
    })
    expect(failure({ understand: { multiQuery: 2 } })).toMatchObject({
      code: 'BAD_OPTION',
      data: { option: 'understand.multiQuery' },
    })
    expect(failure({ understandLlm: 'gpt' }).code).toBe('BAD_OPTION')
    expect(failure({ understandLlm: 'extractive' }).code).toBe('BAD_OPTION')
    expect(ways({ understandLlm: { kind: 'openai-compatible', model: 'small' } }).kind).toBe('openai-compatible')
  })

  it('lists what is valid when nothing is near', () => {
    expect(failure({ limits: { zzz: 1 } }).hint).toBe(
      'Valid are: maxFileBytes, pageTimeoutMs, maxArchiveEntries, maxArchiveBytes, maxArchiveRatio, maxQueryChars, maxOpenNamespaces.',
    )
  })

  it('does not print what an object or a long string holds', () => {
    const secret = 'secret '.repeat(50)
    expect(failure({ topK: { secret } }).message).toBe('Option "topK" must be a number, but is an object.')
    expect(failure({ topK: secret }).message.length).toBeLessThan(120)
  })

  it.each([
    [{ extremeMode: true, preset: 'research' }],
    [{ useQuantization: true, quantization: 'fp32' }],
    [{ useQuantization: false, quantization: 'int8' }],
    [{ useQuantization: true, embedder: false }],
    [{ quantization: 'int8', embedder: 'hashing' }],
    [{ quantization: 'int8' }],
    [{ useQuantization: true, preset: 'default' }],
    [{ chunkSize: 300, chunker: { kind: 'sentence', chunkSize: 200 } }],
    [{ chunkSize: 300, chunker: { id: 'mine', fingerprint: 'f', chunk: () => [] } }],
    [{ readOnly: true }],
    [{ readOnly: true, storage: { kind: 'memory' } }],
    [{ readOnly: true, storage: { kind: 'lmdb', directory: 'x', readOnly: false } }],
  ])('refuses the contradiction %j', (options) => {
    expect(failure(options)).toMatchObject({ code: 'BAD_OPTION', data: { options: expect.any(Array) } })
  })
})
