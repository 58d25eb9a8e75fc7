export { type CacheHarness, cacheConformance } from './cache-suite.js'
export { type ChunkerHarness, chunkerConformance } from './chunker-suite.js'
export { type EmbedderHarness, embedderConformance } from './embedder-suite.js'
export { type EnricherHarness, enricherConformance, enrichPassage } from './enricher-suite.js'
export { type ExtractorHarness, extractorConformance } from './extractor-suite.js'
export {
  createFakeEmbedder,
  createFakeReranker,
  createScriptedLlm,
  type FakeEmbedderOptions,
  type FakeReranker,
  type FakeSource,
  type FakeSourceOptions,
  fakePrompt,
  fakeSource,
  type LlmScript,
  type ScriptedLlm,
} from './fakes.js'
export { type LexicalIndexHarness, lexicalIndexConformance } from './lexical-index-suite.js'
export { type LlmHarness, llmConformance, llmPrompts } from './llm-suite.js'
export { type JobQueueHarness, type JobQueueSettings, jobQueueConformance } from './queue-suite.js'
export { type RerankerHarness, rerankerConformance } from './reranker-suite.js'
export { type StoreHarness, storeConformance } from './store-suite.js'
export type { NotApplicable, RegisterTest } from './support.js'
export { type VectorIndexHarness, vectorIndexConformance } from './vector-index-suite.js'
