import { MockEmbeddingModelV3 } from 'ai/test'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { createAiSdkEmbedder } from '../../src/embed/ai-sdk.js'
import { createHashingEmbedder } from '../../src/embed/hashing.js'
import { createOpenAiCompatibleEmbedder } from '../../src/embed/openai-compatible.js'
import { createStaticEmbedder } from '../../src/embed/static.js'
import { createFakeEmbedder, embedderConformance } from '../../src/testing/index.js'
import { staticModelFolder } from '../fixtures/models/static-model-folder.js'
import { type EmbeddingsApi, startEmbeddingsApi } from '../lib/embeddings-api.js'

describe('hashing embedder', () => {
  embedderConformance(it, {
    create: async () => createHashingEmbedder(),
    createOther: async () => createHashingEmbedder({ dimensions: 64 }),
    unembeddable: ['', ' … \n', '\u{1F600}'],
    minCosine: 1,
  })
})

describe('fake embedder', () => {
  embedderConformance(it, {
    create: async () => createFakeEmbedder(),
    createOther: async () => createFakeEmbedder({ dimensions: 32 }),
    unembeddable: ['', ' \n'],
    minCosine: 1,
  })
})

describe('openai-compatible embedder', () => {
  let api: EmbeddingsApi
  beforeAll(async () => {
    api = await startEmbeddingsApi({ dimensions: 64 })
  })
  afterAll(() => api.close())

  const create = (dimensions?: number) =>
    createOpenAiCompatibleEmbedder({
      model: 'words',
      baseURL: api.baseURL,
      ...(dimensions === undefined ? {} : { dimensions }),
    })
  embedderConformance(it, {
    create: () => create(),
    createOther: () => create(32),
    unembeddable: ['', ' \n', '\t\u3000'],
    minCosine: 1,
  })
})

describe('ai-sdk embedder', () => {
  const create = (dimensions: number) => {
    const words = createFakeEmbedder({ dimensions })
    const model = new MockEmbeddingModelV3({
      maxEmbeddingsPerCall: 10,
      supportsParallelCalls: true,
      doEmbed: async ({ values }) => {
        const { vectors } = await words.embed(values, { kind: 'passage' })
        const embeddings = values.map((_, row) => [...vectors.slice(row * dimensions, (row + 1) * dimensions)])
        return { embeddings, warnings: [] }
      },
    })
    return createAiSdkEmbedder({ model })
  }
  embedderConformance(it, {
    create: () => create(64),
    createOther: () => create(32),
    unembeddable: ['', ' \n', '\t\u3000'],
    minCosine: 1,
  })
})

describe('static embedder', () => {
  const model = staticModelFolder()
  embedderConformance(it, {
    create: () => createStaticEmbedder({ model, workers: 2 }),
    createOther: () => createStaticEmbedder({ model, dimensions: 32 }),
    unembeddable: ['', ' \n', '\u{1F600}'],
    minCosine: 1,
  })
})

describe('static embedder in 8 bits', () => {
  const model = staticModelFolder({ layout: 'sentence-transformers' })
  embedderConformance(it, {
    create: () => createStaticEmbedder({ model, workers: 1, quantization: 'int8' }),
    createOther: () => createStaticEmbedder({ model }),
    unembeddable: ['', ' \n', '\u{1F600}'],
    minCosine: 1,
  })
})
