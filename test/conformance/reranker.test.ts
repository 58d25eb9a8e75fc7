import { describe, it } from 'vitest'
import { createMmrReranker } from '../../src/rerank/mmr.js'
import { createFakeReranker, rerankerConformance } from '../../src/testing/index.js'

describe('mmr reranker', () => {
  rerankerConformance(it, {
    create: async () => createMmrReranker(),
    relevance: { skip: 'it takes the relevance from the search' },
  })
})

describe('mmr reranker that looks for what is new alone', () => {
  rerankerConformance(it, {
    create: async () => createMmrReranker({ lambda: 0 }),
    relevance: { skip: 'it takes no relevance at all' },
  })
})

describe('fake reranker', () => {
  rerankerConformance(it, { create: async () => createFakeReranker() })
})
