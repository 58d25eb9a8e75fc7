import { describe, it } from 'vitest'
import { createMarkdownChunker } from '../../src/chunk/markdown.js'
import { createRecursiveChunker } from '../../src/chunk/recursive.js'
import { createSemanticChunker } from '../../src/chunk/semantic.js'
import { createSentenceChunker } from '../../src/chunk/sentence.js'
import { createSentenceSplitterChunker } from '../../src/chunk/sentence-splitter.js'
import { createTokenChunker } from '../../src/chunk/token.js'
import { chunkerConformance } from '../../src/testing/index.js'
import { staticModelFolder } from '../fixtures/models/static-model-folder.js'

describe('sentence chunker', () => {
  chunkerConformance(it, { create: createSentenceChunker })
})

describe('sentence-splitter chunker', () => {
  chunkerConformance(it, { create: createSentenceSplitterChunker })
})

describe('recursive chunker', () => {
  chunkerConformance(it, { create: createRecursiveChunker })
})

describe('markdown chunker', () => {
  chunkerConformance(it, { create: createMarkdownChunker })
})

describe('semantic chunker', () => {
  chunkerConformance(it, { create: createSemanticChunker })
})

describe('token chunker', () => {
  const tokenizer = staticModelFolder()
  // So many that characters decide where the suite speaks of characters.
  chunkerConformance(it, { create: (options) => createTokenChunker({ ...options, tokenizer, maxTokens: 8_192 }) })
})
