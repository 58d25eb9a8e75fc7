import { describe, it } from 'vitest'
import { createHashingEmbedder } from '../../src/embed/hashing.js'
import { createStaticEmbedder } from '../../src/embed/static.js'
import { createFakeEmbedder, embedderConformance } from '../../src/testing/index.js'
import { staticModelFolder } from '../fixtures/models/static-model-folder.js'

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
