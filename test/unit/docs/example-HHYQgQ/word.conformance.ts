import { describe, it } from 'vitest'
import { embedderConformance } from 'file:///work/main/src/testing/index.ts'
import { createWordEmbedder } from './word.ts'

describe('word embedder', () => {
  embedderConformance(it, {
    create: async () => createWordEmbedder(),
    createOther: async () => createWordEmbedder({ dimensions: 64 }),
    unembeddable: ['', ' … '],
  })
})
