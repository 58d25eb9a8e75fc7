import { describe, it } from 'vitest'
import { createHashingEmbedder } from '../../src/embed/hashing.js'
import { createFakeEmbedder, embedderConformance } from '../../src/testing/index.js'

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
