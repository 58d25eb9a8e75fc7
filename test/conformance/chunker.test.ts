import { describe, it } from 'vitest'
import { createSentenceChunker } from '../../src/chunk/sentence.js'
import { createSentenceSplitterChunker } from '../../src/chunk/sentence-splitter.js'
import { chunkerConformance } from '../../src/testing/index.js'

describe('sentence chunker', () => {
  chunkerConformance(it, { create: createSentenceChunker })
})

describe('sentence-splitter chunker', () => {
  chunkerConformance(it, { create: createSentenceSplitterChunker })
})
