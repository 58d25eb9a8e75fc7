import { describe, it } from 'vitest'
import { buildPrompt } from '../../src/llm/prompt.js'
import type { Prompt } from '../../src/llm/types.js'
import { createCrossEncoder } from '../../src/rerank/cross-encoder/cross-encoder.js'
import { createLlmReranker } from '../../src/rerank/llm.js'
import { createMmrReranker } from '../../src/rerank/mmr.js'
import { createFakeReranker, createScriptedLlm, rerankerConformance } from '../../src/testing/index.js'
import { modelFolder } from '../fixtures/models/model-folder.js'

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

describe('cross-encoder', () => {
  const relevance = { skip: 'the weights are drawn at random' }
  const model = modelFolder({ output: 'logit' })
  rerankerConformance(it, { create: () => createCrossEncoder({ model, device: 'cpu', workers: 1 }), relevance })
})

describe('cross-encoder with a cascade, patience and two workers', () => {
  const relevance = { skip: 'the weights are drawn at random' }
  const model = modelFolder({ output: 'logit' })
  const first = modelFolder({ output: 'logit', layers: 1, weights: ['fp32'] })
  const options = { model, device: 'cpu', workers: 2, patience: 3, cascade: { model: first, keep: 4 } }
  rerankerConformance(it, { create: () => createCrossEncoder(options), relevance })
})

describe('llm reranker', () => {
  /** Names the sources that speak of towers first, then the others. */
  const order = ({ sources }: Prompt) => {
    const isAbout = (text: string) => (text.includes('tower') || text.includes('Tower') ? 1 : 0)
    const ranked = [...sources].sort((a, b) => isAbout(b.text) - isAbout(a.text))
    return [ranked.map(({ marker }) => marker).join(', ')]
  }
  const create = async () => createLlmReranker({ llm: async () => createScriptedLlm(order), buildPrompt })
  rerankerConformance(it, { create })
})

describe('llm reranker that grades', () => {
  const grade = ({ sources }: Prompt) => [sources[0]?.text.includes('Tower') ? '9' : '2']
  const create = async () =>
    createLlmReranker({ llm: async () => createScriptedLlm(grade), buildPrompt, mode: 'point' })
  rerankerConformance(it, { create })
})
