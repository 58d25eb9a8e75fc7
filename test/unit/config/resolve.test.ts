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
  embedders: names('hashing'),
  vectorIndexes: names('flat'),
  lexicalIndexes: names('bm25'),
  fusions: names('rrf', 'weighted'),
  llms: names('extractive'),
  stores: names('memory', 'lmdb'),
}

const resolve = (options: unknown = {}) => resolveConfig(options as UltraFastRAGOptions, catalogue)

function failure(options: unknown): RagError {
  try {
    resolve(options)
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
      storage: { kind: 'memory' },
      root: process.cwd(),
      allowUrls: false,
      language: 'english',
      extractor: { pdf: 'pdfium', layout: 'raw' },
      chunker: { kind: 'sentence', chunkSize: 400, chunkOverlap: 0, minChunkSize: 0 },
      maxChunksPerPage: 0,
      embedder: false,
      vectorIndex: { kind: 'flat' },
      lexicalIndex: { kind: 'bm25', documentWeight: 0.5 },
      fusion: { kind: 'rrf', k: 60 },
      rerank: false,
      llm: { kind: 'extractive', maxSentences: 3 },
      topK: 5,
      perDocument: 3,
      maxContextChars: 4000,
      batchSize: 32,
      maxWorkers: availableParallelism(),
      cacheEmbeddings: true,
      cacheMaxEntries: 10_000,
      maxTextLength: 0,
      quantization: 'fp32',
      modelsDir: undefined,
      limits: { maxFileBytes: 268_435_456, pageTimeoutMs: 30_000, maxQueryChars: 100_000, maxOpenNamespaces: 64 },
      logger: expect.anything(),
    })
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
  it('take production or extreme as the base, whose embedder is not there yet', () => {
    expect(failure({ useQuantization: true })).toMatchObject({ code: 'UNSUPPORTED', data: { adapter: 'onnx' } })
    expect(failure({ useQuantization: false })).toMatchObject({ code: 'UNSUPPORTED', data: { adapter: 'onnx' } })
    expect(failure({ extremeMode: true })).toMatchObject({ code: 'UNSUPPORTED', data: { adapter: 'static' } })
    expect(resolve({ extremeMode: false }).preset).toBe('default')
  })

  it('mean fp32, int8, or int4 for a static model, once the embedders are there', () => {
    const later = { ...catalogue, embedders: names('hashing', 'onnx', 'static', 'latent-semantic') }
    const quantization = (options: UltraFastRAGOptions) =>
      resolveConfig({ rerank: false, ...options }, later).quantization
    expect(quantization({ useQuantization: false })).toBe('fp32')
    expect(quantization({ useQuantization: true })).toBe('int8')
    expect(quantization({ extremeMode: true, useQuantization: true })).toBe('int4')
    expect(quantization({ preset: 'research', quantization: 'fp16' })).toBe('fp16')
    expect(resolveConfig({}, later).embedder).toMatchObject({ kind: 'latent-semantic' })
    expect(resolveConfig({ preset: 'kaggle' }, later).embedder).toMatchObject({ kind: 'onnx' })
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

  it.each(['kaggle', 'production', 'research', 'extreme'])(
    '"%s" says what it needs and what to pass instead',
    (preset) => {
      const error = failure({ preset })
      expect(error).toMatchObject({ code: 'UNSUPPORTED', data: { option: 'embedder', available: ['hashing'] } })
      expect(error.hint).toContain('embedder: false')
    },
  )

  it('name a reranker that is not there yet', () => {
    expect(failure({ preset: 'production', embedder: false })).toMatchObject({
      code: 'UNSUPPORTED',
      data: { option: 'rerank', adapter: 'mmr' },
    })
    expect(failure({ rerank: 'cross-encoder' }).code).toBe('UNSUPPORTED')
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
      'Option "embedder.kind" must be one of "hashing", "latent-semantic", "onnx", "static", but is "hasing".',
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

  it('lists what is valid when nothing is near', () => {
    expect(failure({ limits: { zzz: 1 } }).hint).toBe(
      'Valid are: maxFileBytes, pageTimeoutMs, maxQueryChars, maxOpenNamespaces.',
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
