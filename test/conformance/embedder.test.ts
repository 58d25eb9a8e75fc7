import { MockEmbeddingModelV3 } from 'ai/test'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { createAiSdkEmbedder } from '../../src/embed/ai-sdk.js'
import { createHashingEmbedder } from '../../src/embed/hashing.js'
import { createLatentSemanticFitter } from '../../src/embed/latent-semantic.js'
import { createOpenAiCompatibleEmbedder } from '../../src/embed/openai-compatible.js'
import { createStaticEmbedder } from '../../src/embed/static.js'
import { createFakeEmbedder, embedderConformance } from '../../src/testing/index.js'
import { staticModelFolder } from '../fixtures/models/static-model-folder.js'
import { type EmbeddingsApi, startEmbeddingsApi } from '../lib/embeddings-api.js'
import { samplePart } from '../lib/sample-parts.js'

describe('hashing embedder', () => {
  embedderConformance(it, {
    create: async () => createHashingEmbedder(),
    createOther: async () => createHashingEmbedder({ dimensions: 64 }),
    unembeddable: ['', ' … \n', '\u{1F600}'],
    minCosine: 1,
  })
})

describe('latent semantic embedder', () => {
  const fitters = [createLatentSemanticFitter({ dimensions: 16 }), createLatentSemanticFitter({ dimensions: 8 })]
  afterAll(() => Promise.all(fitters.map((fitter) => fitter.close())))
  /** What the suite embeds, each sentence in two documents: a word that is in one only tells nothing. */
  const corpus = [
    'Bread is baked from flour, water and yeast until the crust is brown.',
    'The telescope photographed a distant galaxy during the night.',
    'Interest rates rose because the central bank feared inflation.',
    'Vaccines train the immune system to recognise a virus.',
    'The goalkeeper saved the penalty and the team won the final match.',
    'Volcanoes erupt when magma rises through cracks of the crust.',
    'Der Zug nach Köln hatte wegen eines Gewitters Verspätung.',
  ]
  const learn = (fitter = fitters[0]) => {
    const sample = [...corpus, ...corpus].map((text) => samplePart([text]))
    return (fitter as (typeof fitters)[number]).fit(sample, { corpusChunks: 14, corpusDocuments: 14 })
  }
  embedderConformance(it, {
    create: () => learn(),
    createOther: () => learn(fitters[1]),
    unembeddable: ['', ' … \n', 'xyzzy plugh'],
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
