import type { DiskCacheOptions } from '../cache/disk.js'
import type { KeyvCacheOptions } from '../cache/keyv.js'
import type { MemoryCacheOptions } from '../cache/memory.js'
import type { RedisCacheOptions } from '../cache/redis.js'
import type { Cache } from '../cache/types.js'
import type { TokenChunkerOptions } from '../chunk/token.js'
import type { Chunker, ChunkOptions } from '../chunk/types.js'
import type { AiSdkEmbedderOptions } from '../embed/ai-sdk.js'
import type { HashingEmbedderOptions } from '../embed/hashing.js'
import type { LatentSemanticOptions } from '../embed/latent-semantic.js'
import type { OnnxEmbedderOptions } from '../embed/onnx/onnx.js'
import type { OpenAiCompatibleEmbedderOptions } from '../embed/openai-compatible.js'
import type { StaticEmbedderOptions } from '../embed/static.js'
import type { Embedder, EmbedderFitter } from '../embed/types.js'
import type { FunctionEnricherOptions } from '../enrich/function.js'
import type { KeywordOptions } from '../enrich/keywords.js'
import type { LlmEnricherOptions } from '../enrich/llm.js'
import type { QuestionsOptions } from '../enrich/questions.js'
import type { Enricher } from '../enrich/types.js'
import type { CsvExtractorOptions } from '../extract/csv.js'
import type { JsonExtractorOptions } from '../extract/json.js'
import type { PdfExtractorOptions } from '../extract/pdf.js'
import type { Extractor } from '../extract/types.js'
import type { ZipLimits } from '../extract/zip.js'
import type { FusionLeg } from '../fusion/types.js'
import type { Bm25Options } from '../lexical-index/bm25.js'
import type { LexicalIndex } from '../lexical-index/types.js'
import type { AiSdkLlmOptions } from '../llm/ai-sdk.js'
import type { BalancedLlmOptions } from '../llm/balance.js'
import type { ExtractiveOptions } from '../llm/extractive.js'
import type { FallbackLlmOptions } from '../llm/fallback.js'
import type { OpenAiCompatibleLlmOptions } from '../llm/openai-compatible.js'
import type { RoutedLlmOptions } from '../llm/route.js'
import type { TransformersLlmOptions } from '../llm/transformers/transformers.js'
import type { Llm } from '../llm/types.js'
import type { FuseContext, RankedList } from '../pipelines/retrieve.js'
import type { CrossEncoderOptions } from '../rerank/cross-encoder/cross-encoder.js'
import type { LlmRerankerOptions } from '../rerank/llm.js'
import type { MmrOptions } from '../rerank/mmr.js'
import type { Reranker } from '../rerank/types.js'
import type { LmdbStoreOptions } from '../store/lmdb.js'
import type { Store } from '../store/types.js'
import type { FlatIndexOptions } from '../vector-index/flat.js'
import type { HnswlibIndexOptions } from '../vector-index/hnswlib.js'
import type { LancedbIndexOptions } from '../vector-index/lancedb.js'
import type { ShardedIndexOptions } from '../vector-index/sharded.js'
import type { VectorIndex } from '../vector-index/types.js'
import type { UsearchIndexOptions } from '../vector-index/usearch.js'

/**
 * Every adapter of the library, by port and name: the only list there is. An entry loads its file when it is first used, so an
 * adapter nobody chose costs nothing; the names that options accept are derived from it. A new adapter is one file in its port's
 * folder and one line here; its options, if it has any the caller may set, are one more in `config/adapter-options.ts`.
 */
export const catalogue = {
  /** What reads PDF, by the name of the `extractor.pdf` option. */
  extractors: {
    pdfium: async (options: Pick<PdfExtractorOptions, 'layout'>): Promise<Extractor> =>
      (await import('../extract/pdf.js')).createPdfExtractor(options),
    'pdf-parse': async (): Promise<Extractor> => (await import('../extract/pdf-parse.js')).createPdfParseExtractor(),
  },
  /** What reads everything else, by format; the media types of each are in `extract/media-types.ts`. */
  formats: {
    text: async (): Promise<Extractor> => (await import('../extract/text.js')).createTextExtractor(),
    markdown: async (): Promise<Extractor> => (await import('../extract/markdown.js')).createMarkdownExtractor(),
    html: async (): Promise<Extractor> => (await import('../extract/html.js')).createHtmlExtractor(),
    code: async (): Promise<Extractor> => (await import('../extract/code.js')).createCodeExtractor(),
    csv: async ({ csv }: FormatOptions): Promise<Extractor> =>
      (await import('../extract/csv.js')).createCsvExtractor(csv),
    docx: async ({ archives }: FormatOptions): Promise<Extractor> =>
      (await import('../extract/docx.js')).createDocxExtractor(archives),
    xlsx: async ({ archives }: FormatOptions): Promise<Extractor> =>
      (await import('../extract/xlsx.js')).createXlsxExtractor(archives),
    pptx: async ({ archives }: FormatOptions): Promise<Extractor> =>
      (await import('../extract/pptx.js')).createPptxExtractor(archives),
    epub: async ({ archives }: FormatOptions): Promise<Extractor> =>
      (await import('../extract/epub.js')).createEpubExtractor(archives),
    email: async (): Promise<Extractor> => (await import('../extract/email.js')).createEmailExtractor(),
    json: async ({ json }: FormatOptions): Promise<Extractor> =>
      (await import('../extract/json.js')).createJsonExtractor(json),
  },
  chunkers: {
    sentence: async (options: ChunkOptions): Promise<Chunker> =>
      (await import('../chunk/sentence.js')).createSentenceChunker(options),
    'sentence-splitter': async (options: ChunkOptions): Promise<Chunker> =>
      (await import('../chunk/sentence-splitter.js')).createSentenceSplitterChunker(options),
    recursive: async (options: ChunkOptions): Promise<Chunker> =>
      (await import('../chunk/recursive.js')).createRecursiveChunker(options),
    markdown: async (options: ChunkOptions): Promise<Chunker> =>
      (await import('../chunk/markdown.js')).createMarkdownChunker(options),
    semantic: async (options: ChunkOptions): Promise<Chunker> =>
      (await import('../chunk/semantic.js')).createSemanticChunker(options),
    token: async (options: TokenChunkerOptions): Promise<Chunker> =>
      (await import('../chunk/token.js')).createTokenChunker(options),
  },
  embedders: {
    hashing: async (options: HashingEmbedderOptions): Promise<Embedder> =>
      (await import('../embed/hashing.js')).createHashingEmbedder(options),
    onnx: async (options: OnnxEmbedderOptions): Promise<Embedder> =>
      (await import('../embed/onnx/onnx.js')).createOnnxEmbedder(options),
    static: async (options: StaticEmbedderOptions): Promise<Embedder> =>
      (await import('../embed/static.js')).createStaticEmbedder(options),
    'ai-sdk': async (options: AiSdkEmbedderOptions): Promise<Embedder> =>
      (await import('../embed/ai-sdk.js')).createAiSdkEmbedder(options),
    'openai-compatible': async (options: OpenAiCompatibleEmbedderOptions): Promise<Embedder> =>
      (await import('../embed/openai-compatible.js')).createOpenAiCompatibleEmbedder(options),
  },
  /** Embedders that learn from the documents: they are chosen like the others. */
  embedderFitters: {
    'latent-semantic': async (options: LatentSemanticOptions): Promise<EmbedderFitter> =>
      (await import('../embed/latent-semantic.js')).createLatentSemanticFitter(options),
  },
  vectorIndexes: {
    auto: async (options: UsearchIndexOptions): Promise<VectorIndex> =>
      (await import('../vector-index/auto.js')).createAutoIndex(options),
    usearch: async (options: UsearchIndexOptions): Promise<VectorIndex> =>
      (await import('../vector-index/usearch.js')).createUsearchIndex(options),
    hnswlib: async (options: HnswlibIndexOptions): Promise<VectorIndex> =>
      (await import('../vector-index/hnswlib.js')).createHnswlibIndex(options),
    lancedb: async (options: LancedbIndexOptions): Promise<VectorIndex> =>
      (await import('../vector-index/lancedb.js')).createLancedbIndex(options),
    sharded: async (options: ShardedIndexOptions): Promise<VectorIndex> =>
      (await import('../vector-index/sharded.js')).createShardedIndex(options),
    flat: async (options: FlatIndexOptions): Promise<VectorIndex> =>
      (await import('../vector-index/flat.js')).openFlatIndex(options),
  },
  lexicalIndexes: {
    bm25: async (options: Bm25Options): Promise<LexicalIndex> =>
      (await import('../lexical-index/bm25.js')).createBm25Index(options),
  },
  fusions: {
    adaptive: async () => {
      const { fuseAdaptively } = await import('../fusion/adaptive.js')
      return (lists: readonly RankedList[], { weights }: FuseContext) => {
        const matchesOf = (leg: RankedList['leg']) => lists.find((list) => list.leg === leg)?.matches ?? []
        return fuseAdaptively(matchesOf('lexical'), matchesOf('vector'), weights.vector)
      }
    },
    rrf: async (options: { readonly k: number }) => {
      const { fuseByRank } = await import('../fusion/rrf.js')
      return (lists: readonly RankedList[]) => fuseByRank(lists.map(equalWeight), options)
    },
    weighted: async ({ weights }: { readonly weights: Readonly<Record<RankedList['leg'], number>> }) => {
      const { fuseByScore } = await import('../fusion/weighted.js')
      return (lists: readonly RankedList[]) =>
        fuseByScore(lists.map(({ leg, matches }) => ({ matches, weight: weights[leg], lowest: lowestScore[leg] })))
    },
  },
  rerankers: {
    'cross-encoder': async (options: CrossEncoderOptions): Promise<Reranker> =>
      (await import('../rerank/cross-encoder/cross-encoder.js')).createCrossEncoder(options),
    llm: async (options: LlmRerankerOptions): Promise<Reranker> =>
      (await import('../rerank/llm.js')).createLlmReranker(options),
    mmr: async (options: MmrOptions): Promise<Reranker> =>
      (await import('../rerank/mmr.js')).createMmrReranker(options),
  },
  llms: {
    extractive: async (options: ExtractiveOptions): Promise<Llm> =>
      (await import('../llm/extractive.js')).createExtractiveLlm(options),
    'ai-sdk': async (options: AiSdkLlmOptions): Promise<Llm> =>
      (await import('../llm/ai-sdk.js')).createAiSdkLlm(options),
    'openai-compatible': async (options: OpenAiCompatibleLlmOptions): Promise<Llm> =>
      (await import('../llm/openai-compatible.js')).createOpenAiCompatibleLlm(options),
    transformers: async (options: TransformersLlmOptions): Promise<Llm> =>
      (await import('../llm/transformers/transformers.js')).createTransformersLlm(options),
    fallback: async (options: FallbackLlmOptions): Promise<Llm> =>
      (await import('../llm/fallback.js')).createFallbackLlm(options),
    balance: async (options: BalancedLlmOptions): Promise<Llm> =>
      (await import('../llm/balance.js')).createBalancedLlm(options),
    route: async (options: RoutedLlmOptions): Promise<Llm> =>
      (await import('../llm/route.js')).createRoutedLlm(options),
  },
  /** What adds to passages. Title and headings, `headings`, need no code of their own. */
  enrichers: {
    keywords: async (options: KeywordOptions): Promise<Enricher> =>
      (await import('../enrich/keywords.js')).createKeywordEnricher(options),
    summary: async (options: LlmEnricherOptions): Promise<Enricher> =>
      (await import('../enrich/summary.js')).createSummaryEnricher(options),
    questions: async (options: QuestionsOptions): Promise<Enricher> =>
      (await import('../enrich/questions.js')).createQuestionsEnricher(options),
    context: async (options: LlmEnricherOptions): Promise<Enricher> =>
      (await import('../enrich/context.js')).createContextEnricher(options),
    function: async (options: FunctionEnricherOptions): Promise<Enricher> =>
      (await import('../enrich/function.js')).createFunctionEnricher(options),
  },
  caches: {
    memory: async (options: MemoryCacheOptions): Promise<Cache> =>
      (await import('../cache/memory.js')).createMemoryCache(options),
    disk: async (options: DiskCacheOptions): Promise<Cache> =>
      (await import('../cache/disk.js')).createDiskCache(options),
    redis: async (options: RedisCacheOptions): Promise<Cache> =>
      (await import('../cache/redis.js')).createRedisCache(options),
    keyv: async (options: KeyvCacheOptions): Promise<Cache> =>
      (await import('../cache/keyv.js')).createKeyvCache(options),
  },
  stores: {
    memory: async (): Promise<Store> => (await import('../store/memory.js')).createMemoryStore(),
    lmdb: async (options: LmdbStoreOptions): Promise<Store> =>
      (await import('../store/lmdb.js')).openLmdbStore(options),
  },
} as const

export type Catalogue = typeof catalogue

/** What may be set of formats. */
interface FormatOptions {
  readonly csv?: CsvExtractorOptions | undefined
  readonly json?: JsonExtractorOptions | undefined
  readonly archives?: ZipLimits | undefined
}

/** The least a leg can say of a match. */
const lowestScore: Readonly<Record<RankedList['leg'], number>> = { lexical: 0, vector: -1 }

function equalWeight({ matches }: RankedList): FusionLeg {
  return { matches, weight: 1 }
}
