export { AsyncEmbedding, type AsyncEmbeddingOptions } from './async-embedding.js'
export type { Cache, CacheCapabilities, CacheEntry, CacheHit, CacheStats } from './cache/types.js'
export type { Chunker, ChunkOptions, Section, SectionSpan } from './chunk/types.js'
export type { CacheTierReport } from './compose/cache-monitor.js'
export type { StoredCacheStats } from './compose/caching.js'
export type { Chat, ChatOptions, ChatQuestionOptions } from './compose/chat.js'
export { distillStatic } from './compose/distill-static.js'
export type { EmbedderReport } from './compose/embedder-report.js'
export type {
  AsyncEmbeddingStats,
  EmbeddingBatch,
  EmbeddingCallOptions,
  EmbeddingStreamBatch,
  EmbeddingTuneOptions,
} from './compose/embedding-engine.js'
export type { PrecomputeOptions } from './compose/engine.js'
export type { ParallelResult, Retrievable, SourceFailure } from './compose/parallel-search.js'
export type { RagStats } from './compose/rag-stats.js'
export { configFromEnv } from './config/env.js'
export type {
  AiSdkEmbedderOptions,
  AiSdkLlmOptions,
  BalanceLlmOptions,
  CacheOptions,
  ChunkerOptions,
  CrossEncoderRerankOptions,
  DiskCacheOptions,
  EmbedderName,
  EmbedderOptions,
  EnricherChoice,
  EnricherName,
  EnricherOptions,
  ExtractiveLlmOptions,
  ExtractorOptions,
  FallbackLlmOptions,
  FunctionEnricherOptions,
  FusionOptions,
  GraphChoice,
  HashingEmbedderOptions,
  HeadingsEnricherOptions,
  KeyvCacheOptions,
  KeywordsEnricherOptions,
  LancedbChoice,
  LatentSemanticEmbedderOptions,
  LexicalIndexOptions,
  LimitOptions,
  LlmChoice,
  LlmEnricherOptions,
  LlmFunction,
  LlmOptions,
  LlmRerankOptions,
  LmdbStorage,
  MemoryCacheOptions,
  MemoryStorage,
  MmrRerankOptions,
  OneVectorIndex,
  OnnxEmbedderOptions,
  OpenAiCompatibleEmbedderOptions,
  OpenAiCompatibleLlmOptions,
  QuestionsEnricherOptions,
  RedisCacheOptions,
  RerankOptions,
  RouteLlmOptions,
  SemanticCacheOptions,
  SemanticCheckOptions,
  ShardedChoice,
  SizedChunkerOptions,
  StaticEmbedderOptions,
  TokenChunkerOptions,
  TransformersLlmOptions,
  UltraFastRAGOptions,
} from './config/options.js'
export { type Preset, type PresetName, presets, type Quantization } from './config/presets.js'
export { type Profile, type ProfileName, profiles } from './config/profiles.js'
export type {
  AnswerMetadata,
  CacheReport,
  Citation,
  DroppedStage,
  FinishReason,
  Groundedness,
  GroundedSentence,
  Outcome,
  QueryOptions,
  QueryResult,
  SemanticReport,
  Source,
  Timings,
  TokenCounts,
} from './core/answer.js'
export type { BatchOptions, BatchResult, FailedQuery } from './core/batch.js'
export type { Chunk, Span } from './core/chunk.js'
export type {
  BinaryDocument,
  ChunkedDocument,
  DocumentFailure,
  DocumentFields,
  DocumentInput,
  FileDocument,
  Metadata,
  MetadataValue,
  OwnChunk,
  StoredDocument,
  TextDocument,
} from './core/document.js'
export {
  RagError,
  type RagErrorCode,
  type RagErrorOptions,
  ragErrorCodes,
  type SerializedRagError,
} from './core/errors.js'
export type { AnswerEvent, IngestProgress, IngestStage, QueryStage } from './core/events.js'
export type { FieldCondition, Filter, FilterValue } from './core/filter.js'
export type { Closable, Logger, WaitOptions } from './core/lifecycle.js'
export type {
  ExpandOptions,
  Hit,
  HitContext,
  LegScores,
  Question,
  RerankCall,
  RerankerName,
  RetrieveOptions,
} from './core/search.js'
export type {
  SkippedStep,
  Turn,
  UnderstandOptions,
  UnderstandStep,
  Understood,
  UnderstoodQuery,
} from './core/understanding.js'
export type { DistillOptions, DistillProgress, DistillReport } from './embed/distill/distill.js'
export { type FittedPca, fitPca, type PcaOptions } from './embed/pca.js'
export type {
  AutoTuneOptions,
  AutoTuneResult,
  AutoTuneRow,
  Embedder,
  EmbedderCapabilities,
  EmbedderStats,
  Embeddings,
  EmbedOptions,
  PcaBasis,
  Reduction,
  WarmUpOptions,
} from './embed/types.js'
export type {
  EnrichContext,
  EnrichedLines,
  Enricher,
  EnricherCapabilities,
  EnrichFunction,
  Enrichments,
  EnrichOptions,
  EnrichPassage,
} from './enrich/types.js'
export type { CsvExtractorOptions } from './extract/csv.js'
export type { JsonExtractorOptions } from './extract/json.js'
export type { UrlOptions } from './extract/types.js'
export { buildPrompt } from './llm/prompt.js'
export type { RouteRule } from './llm/question-rule.js'
export type {
  GenerateEnd,
  GenerateOptions,
  Llm,
  Prompt,
  PromptFunction,
  PromptMessage,
  PromptParts,
  PromptSource,
  PromptTerm,
} from './llm/types.js'
export type { PullProgress } from './models/hub.js'
export { type PulledModel, type PullOptions, pullModel } from './models/pull.js'
export { ParallelRetriever, type ParallelRetrieverOptions } from './parallel-retriever.js'
export { type BenchmarkOptions, type BenchmarkResult, benchmark } from './performance/benchmark.js'
export {
  type CacheSummary,
  createPerformanceTracker,
  type DurationSummary,
  type Gauges,
  type PerformanceSummary,
  type PerformanceTracker,
  type PerformanceTrackerOptions,
  type RunSummary,
} from './performance/tracker.js'
export type { EmbeddingFailure, EnrichmentFailure, IngestFailure, IngestReport } from './pipelines/ingest.js'
export type { Duplicate, SourceHit, SourceRanking } from './pipelines/merge-sources.js'
export type { PrecomputeProgress, PrecomputeReport } from './pipelines/precompute.js'
export type { LabelledQuestion, Tuned, TuneOptions } from './pipelines/tune.js'
export type { FolderWatch, WatchEvent, WatchOptions } from './pipelines/watch.js'
export type {
  RerankCandidate,
  RerankedMatch,
  Reranker,
  RerankerCapabilities,
  RerankRequest,
} from './rerank/types.js'
export type { Store } from './store/types.js'
export type { SseOptions } from './stream/byte-stream.js'
export type { PublicError } from './stream/public-error.js'
export { type StreamProtocol, type ToResponseOptions, toResponse } from './stream/response.js'
export { type SseErrorEvent, toSse } from './stream/sse.js'
export { type IngestOptions, RagNamespace, type RemoveTarget, UltraFastRAG } from './ultra-fast-rag.js'
