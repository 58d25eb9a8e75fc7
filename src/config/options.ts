import type { Cache } from '../cache/types.js'
import type { Chunker } from '../chunk/types.js'
import type { Catalogue } from '../compose/catalogue.js'
import type { Logger } from '../core/lifecycle.js'
import type { UnderstandOptions } from '../core/understanding.js'
import type { Embedder, Reduction } from '../embed/types.js'
import type { Enricher, EnrichFunction } from '../enrich/types.js'
import type { UrlOptions } from '../extract/types.js'
import type { GenerateOptions, Llm, Prompt, PromptFunction } from '../llm/types.js'
import type { Reranker } from '../rerank/types.js'
import type { Store } from '../store/types.js'
import type { PresetName, Quantization } from './presets.js'
import type { ProfileName } from './profiles.js'

/** Names of the adapters of a port. */
export type AdapterName<Port extends keyof Catalogue> = Extract<keyof Catalogue[Port], string>

/** Embedders that can be chosen by their name alone. */
export type EmbedderName = 'hashing' | 'onnx' | 'static' | 'latent-semantic'

/**
 * Options of `new UltraFastRAG()`. Everything is optional. What is not given comes from the profile, then from the preset, then from
 * a fixed default. Unknown keys, values out of range and options that contradict each other throw `RagError` `BAD_OPTION`.
 */
export interface UltraFastRAGOptions {
  /** A set of choices to start from. Default `'default'`: offline, no model. See `presets`. */
  readonly preset?: PresetName
  /** How much of the machine to use: sets `batchSize`, `maxWorkers`, `maxConcurrentQueries` and `limits.maxOpenNamespaces`. Default: the preset's values. */
  readonly profile?: ProfileName

  /**
   * Where documents live. Default: in memory, gone with the process. A string is a folder (made when missing, relative to the working
   * directory) that several processes may share. A ready-made store stays the caller's to close.
   */
  readonly storage?: string | LmdbStorage | MemoryStorage | Store
  /** Never writes to `storage`, which must exist. Default `false`. Only for a folder. */
  readonly readOnly?: boolean
  /** Folder that relative inputs and document ids are relative to; links out of it are not followed. Default: the working directory. */
  readonly root?: string
  /**
   * Whether inputs may be URLs. Default `false`. `true`: http and https on their usual ports, of public addresses. Needs the optional package
   * `undici`. What is refused and how to widen or narrow it: docs/urls.md.
   */
  readonly allowUrls?: boolean | UrlOptions
  /** Language of documents that do not tell theirs, as English name or BCP 47 code: decides stemming. Default `'english'`. */
  readonly language?: string

  /** How documents are read. */
  readonly extractor?: ExtractorOptions
  /** How text is cut. Default `'sentence'`. */
  readonly chunker?: AdapterName<'chunkers'> | ChunkerOptions | Chunker
  /** Characters (UTF-16 code units) of a chunk at most, 20 to 60,000. Default 400. Larger chunks: fewer vectors, coarser citations. */
  readonly chunkSize?: number
  /** Characters of whole sentences repeated from the chunk before, less than half of `chunkSize`. Default 0. Costs index size in proportion. */
  readonly chunkOverlap?: number
  /** Shorter chunks are joined with a neighbour, which may then exceed `chunkSize` by as much; at most `chunkSize`. Default 0: kept as they are. */
  readonly minChunkSize?: number
  /** Chunks kept of one page; the rest cannot be found. Default 0: all. */
  readonly maxChunksPerPage?: number

  /**
   * What is added to passages before they are embedded and indexed, and never shown: one enricher or a list, by name, with options, as a
   * function of yours, or ready-made (it stays yours to close). Default: the preset's (`'headings'`). `false`: nothing, not even title and headings. See docs/enrichment.md for what each costs and gains.
   */
  readonly enrich?: false | EnricherChoice | readonly EnricherChoice[]
  /**
   * The model that enrichers ask. Default: the option `llm`, if it is one. With the presets `production` and `research` it is enough to
   * have passages enriched with `'context'`: one call for each, when the document is first ingested.
   */
  readonly enrichLlm?: LlmChoice
  /** `true`: enrichers that ask a model or a function are left out; title, headings and keywords stay as chosen. Default: the preset's. */
  readonly skipEnrichment?: boolean
  /** `true`: short form of `enrich: ['headings', 'keywords']`, whatever else says. Default `false`. */
  readonly keywordsOnly?: boolean
  /**
   * Calls of all enrichers at once, 1 to 1,000. Default: the preset's (5). Halved when a service says 429 or becomes slow, raised again one
   * by one.
   */
  readonly maxConcurrentApiCalls?: number
  /** Least milliseconds between the starts of two of these calls, 0 to 600,000. Default: the preset's (0). */
  readonly apiRateLimitDelayMs?: number
  /** Calls that start per minute, at least 1. Default: any number. */
  readonly apiRequestsPerMinute?: number
  /** Tokens sent and written per minute, at least 1: estimated as a third of the bytes, and 150 for an answer. Default: any number. */
  readonly apiTokensPerMinute?: number
  /** Milliseconds one of these calls may take, 1 to 3,600,000. Default 60,000. It is then tried again, as is what fails for a time. */
  readonly apiTimeoutMs?: number

  /** What finds passages by meaning. `false`: words alone. Default: the preset's. A ready-made embedder stays the caller's to close. */
  readonly embedder?: false | EmbedderName | EmbedderOptions | Embedder
  /**
   * What is done to the vectors of the embedder so that they take less room. Default `false`. Own vectors of chunks and questions are of
   * the reduced width; another reduction is another embedder, see `reindex()`. What each costs and gains: `docs/smaller-vectors.md`.
   */
  readonly reduction?: false | Reduction
  /** What searches the vectors. Default `'auto'`: exactly while they are few, by graphs beyond. See docs/retrieval.md. */
  readonly vectorIndex?: AdapterName<'vectorIndexes'> | OneVectorIndex | ShardedChoice
  /** What searches the words. Default `'bm25'`. */
  readonly lexicalIndex?: AdapterName<'lexicalIndexes'> | LexicalIndexOptions
  /**
   * How words and meaning are joined. Default: `'adaptive'` with the embedder `'latent-semantic'`, `'rrf'` with any other. Matters
   * only with an embedder.
   */
  readonly fusion?: AdapterName<'fusions'> | FusionOptions
  /**
   * What puts the best hits into a better order. Default: the preset's, `false` where it has none. One that fails leaves the order
   * as it was, with a warning. A ready-made reranker stays the caller's to close.
   */
  readonly rerank?: false | AdapterName<'rerankers'> | RerankOptions | Reranker
  /**
   * What writes the answer. Default `'extractive'`: quotes sentences, needs no model. A function gets the prompt and yields text; a
   * ready-made model stays the caller's to close; of a list, the next is asked where one fails. See docs/answering.md.
   */
  readonly llm?: LlmChoice

  /** What is done to a question before it is searched for, where the call does not say. Default: nothing. See docs/answering.md. */
  readonly understand?: UnderstandOptions
  /** The model that is asked about questions. Default: the option `llm`, if it is one. A ready-made one stays the caller's to close. */
  readonly understandLlm?: LlmChoice

  /** Hits of a search that asks for no number, 1 to 10,000. Default 5. */
  readonly topK?: number
  /** Chunks of one document among the sources of an answer, at least 1. Default 3. */
  readonly perDocument?: number
  /**
   * Makes the prompt of an answer in the place of the library's own; see docs/answering.md. What it makes is not checked: documents are to be
   * fenced, as `buildPrompt()` does. Answers are then kept for this instance alone.
   */
  readonly prompt?: PromptFunction
  /** UTF-16 code units of sources shown to the model, at least 100. Default 4,000, or any number where `maxContextTokens` is given. */
  readonly maxContextChars?: number
  /** Tokens of sources shown to the model, at least 25: a third of their bytes, rather too many. Default: any number. */
  readonly maxContextTokens?: number

  /**
   * Milliseconds from a question to its hits, or to the first words of its answer, that calls keep by leaving out what they can do without, 1 to
   * 600,000; a call may say otherwise. Default: nothing is left out. See docs/answering.md.
   */
  readonly budgetMs?: number
  /**
   * Questions answered at a time, at least 1: by `query()`, `stream()`, `queryBatch()` and chats of all namespaces together. A stream holds its
   * place until it ends or is left. Default: the profile's, else the preset's (256).
   */
  readonly maxConcurrentQueries?: number
  /** Questions that may wait for that. Beyond them a call rejects with `OVERLOADED`, retryable. Default: four times `maxConcurrentQueries`. 0: none waits. */
  readonly maxQueuedQueries?: number

  /**
   * Texts in one pass of a neural model, or in one call of a service, at most, 1 to 4,096. Default: what the preset says of its own
   * embedder (`kaggle` 32, `production` 64 …), else the embedder's own. Costs memory in proportion; on a CPU `maxBatchTokens` is met first.
   */
  readonly batchSize?: number
  /**
   * Milliseconds that a question waits for others to be embedded with, while others are being embedded already, 0 to 60,000. Default 0:
   * those that come in the same turn of the event loop go together, and so do those that come while all calls are at work. For
   * embedders that are services or your own; `onnx` batches whatever waits.
   */
  readonly batchTimeoutMs?: number
  /** Worker threads at most, at least 1; never more than there are cores. Default: the preset's (all cores). About 40 MB each. */
  readonly maxWorkers?: number
  /**
   * Whether vectors are kept by content and found again, where making them costs more than that: with the embedders `onnx`, `ai-sdk`,
   * `openai-compatible` and one of your own. Default: the preset's (`true`).
   */
  readonly cacheEmbeddings?: boolean
  /**
   * Where what was computed is kept, beside the memory of this process. Default: `'disk'` with a storage folder that may be written, in
   * its folder `cache`; else `'memory'`, nothing more. What fails there costs time, never a result. A ready-made cache stays the
   * caller's to close. `false` caches nothing.
   */
  readonly cache?: false | AdapterName<'caches'> | CacheOptions | Cache
  /**
   * Whether what was found for a question is kept and found again, until the documents change. Default: the preset's (`true`; `research`:
   * `false`).
   */
  readonly cacheQueries?: boolean
  /**
   * Whether an answer is kept and found again, as long as the passages it was written from are the same. Answers of a function are kept
   * in this process; those of a ready-made model by its `fingerprint`, else its `id`. Default: the preset's (`true`; `research`: `false`).
   */
  readonly cacheAnswers?: boolean
  /** Milliseconds for which the two keep what they have. Default 3,600,000, an hour; 0: until there is no room. */
  readonly cacheTtlMs?: number
  /**
   * Whether a question gets the answer of an earlier one that means the same: nearly the same vector, and the same numbers, dates, units,
   * negations, quotations, comparatives and names. Default `false`. Needs an embedder and `cacheAnswers`; see docs/caching.md for when
   * not to. `true`: with the defaults of {@link SemanticCacheOptions}.
   */
  readonly semanticCache?: boolean | SemanticCacheOptions
  /**
   * Characters of title, headings and text of a chunk that are embedded, 0: all. Default: the preset's (`production` 500, the others 0); 0
   * where your chunks may be larger than the preset's: with a larger `chunkSize`, the chunker `'token'`, or one of your own.
   */
  readonly maxTextLength?: number
  /** Precision of a neural embedder; `'none'` is another word for `'fp32'`. Default: the preset's. */
  readonly quantization?: Quantization | 'none'
  /** Short form: `true` for a quantized neural embedder, `false` for `quantization: 'fp32'`. Without `preset` and `embedder` it means `preset: 'production'`. */
  readonly useQuantization?: boolean
  /** Short form of `preset: 'extreme'`; `false` means nothing. */
  readonly extremeMode?: boolean
  /** Folder with model files, looked into before anything is downloaded. Default: none. */
  readonly modelsDir?: string

  /**
   * Share of questions, 0 to 1, whose search of an approximate vector index is repeated exactly afterwards, to tell its recall@10:
   * `tracker.summary().gauges.recall`. Default 0: none. Each costs a look at every vector, some 50 ms for 100,000 of 384 values, off the
   * question's path and one at a time. Indexes that are exact need none.
   */
  readonly recallSampleRate?: number

  /**
   * Mebibytes of anonymous memory that this process should stay below while it ingests, 128 to 16,777,216: all of its heaps, native memory and
   * threads, whoever holds them. Default: half of what the machine, or the container, has. When it comes near, batches and queues are
   * halved until it is far again; work goes on, one document at a time if need be. What it does: `tracker.summary().gauges.memory`.
   */
  readonly maxMemoryMb?: number

  /** What is refused instead of being tried. Each limit has a default of its own. */
  readonly limits?: LimitOptions
  /** Told what an operator should know. Default: nobody. */
  readonly logger?: Logger
}

/** A folder on this machine. */
export interface LmdbStorage {
  readonly kind: 'lmdb'
  readonly directory: string
  /** The same as the option `readOnly`. */
  readonly readOnly?: boolean
}

/** The memory of this process. */
export interface MemoryStorage {
  readonly kind: 'memory'
}

export interface ExtractorOptions {
  /** What reads PDF. Default `'pdfium'`; `'pdf-parse'` is an optional peer, slower, plain JavaScript. */
  readonly pdf?: AdapterName<'extractors'>
  /**
   * How PDF pages are laid out. `'clean'` (default with `'pdfium'`): as they are meant to be read; columns follow each other, wrapped lines
   * and broken words are joined, running headers and footers left out, headings guessed. `'raw'` (all that `'pdf-parse'` has): the order
   * in which the page was written, line by line, with everything on it.
   */
  readonly layout?: 'clean' | 'raw'
  /** How CSV and TSV are read. */
  readonly csv?: Parameters<Catalogue['formats']['csv']>[0]['csv']
  /** How JSON and JSON Lines are read. */
  readonly json?: Parameters<Catalogue['formats']['json']>[0]['json']
}

/** A chunker by name with what may be set of it. Which to choose: docs/chunking.md. */
export type ChunkerOptions = SizedChunkerOptions | TokenChunkerOptions

/** Sizes of chunks; see the options of the same names. */
interface ChunkSizes {
  readonly chunkSize?: number
  readonly chunkOverlap?: number
  readonly minChunkSize?: number
  readonly maxChunksPerPage?: number
}

/** Cuts by characters. */
export interface SizedChunkerOptions extends ChunkSizes {
  readonly kind: Exclude<AdapterName<'chunkers'>, 'token'>
}

/** Cuts by the tokens of the embedding model. */
export interface TokenChunkerOptions extends ChunkSizes {
  readonly kind: 'token'
  /**
   * Tokens of what is embedded for a chunk (special tokens, title, headings, text) at most, 16 to 8,192, and no more than the model
   * sees. Default 128, or what the model sees if that is less. `chunkSize` is then 16 characters for each token, unless it is given.
   */
  readonly maxTokens?: number
  /** Folder with the `tokenizer.json` to count with. Default: that of the embedder, which must be `onnx` or `static` then. */
  readonly tokenizer?: string
}

/** Enrichers that can be chosen by their name alone. */
export type EnricherName = 'headings' | Exclude<AdapterName<'enrichers'>, 'function'>

/** One enricher. */
export type EnricherChoice = EnricherName | EnricherOptions | EnrichFunction | ReadyMadeEnricher

/** Told apart from the options by what it has not: else TypeScript takes their `enrich` for either of the two, and knows no parameters. */
type ReadyMadeEnricher = Enricher & { readonly kind?: never }

export type EnricherOptions =
  | HeadingsEnricherOptions
  | KeywordsEnricherOptions
  | LlmEnricherOptions
  | QuestionsEnricherOptions
  | FunctionEnricherOptions

/** The title and the headings above a passage. Free. */
export interface HeadingsEnricherOptions {
  readonly kind: 'headings'
}

/** Keywords of the part of the document around a passage that it does not have itself, found by counting. No model. */
export interface KeywordsEnricherOptions {
  readonly kind: 'keywords'
  /** Keywords of a passage at most, 1 to 20. Default 5. */
  readonly maxKeywords?: number
}

/** Of an enricher that asks a model. */
interface AskedOfModel {
  /** Default: the option `enrichLlm`, else `llm`. */
  readonly llm?: LlmChoice
  /**
   * Names the model and its parameters: another one enriches all documents anew. Default: that of a ready-made model, else its `id`; of a
   * function, a hash of its source text.
   */
  readonly fingerprint?: string
}

/** `'summary'`: what a part of a document (some 32,000 characters) is about, with one call for each part. `'context'`: where a passage stands in its document, with one call for each passage. */
export interface LlmEnricherOptions extends AskedOfModel {
  readonly kind: 'summary' | 'context'
}

/** Questions that a passage answers, with one call for each passage. */
export interface QuestionsEnricherOptions extends AskedOfModel {
  readonly kind: 'questions'
  /** Questions for each passage, 1 to 10. Default 3. */
  readonly maxQuestions?: number
}

/** A function of yours that is asked about each passage. */
export interface FunctionEnricherOptions {
  readonly kind: 'function'
  readonly enrich: EnrichFunction
  /** Names what the function does: another one enriches all documents anew. Default: a hash of its source text. */
  readonly fingerprint?: string
  /** `true` where it computes by itself: then no limit of calls holds for it, and nothing is cached. Default `false`. */
  readonly local?: boolean
}

export type EmbedderOptions =
  | HashingEmbedderOptions
  | OnnxEmbedderOptions
  | StaticEmbedderOptions
  | AiSdkEmbedderOptions
  | OpenAiCompatibleEmbedderOptions
  | LatentSemanticEmbedderOptions

/** Words and letter groups hashed into a vector: no model, no meaning; for tests and as the smallest example of an adapter. */
export interface HashingEmbedderOptions {
  readonly kind: 'hashing'
  /** 1 to 65,536. Default 256. */
  readonly dimensions?: number
}

type OptionsOf<Kind extends AdapterName<'embedders'>> = Parameters<Catalogue['embedders'][Kind]>[0]
/** What the options of the top level say. */
type SaidAbove = 'modelsDir' | 'logger' | 'signal' | 'maxWorkers'

/** A transformer model in the ONNX format, in worker threads of this process. Needs the optional package `onnxruntime-node`. */
export interface OnnxEmbedderOptions extends Omit<OptionsOf<'onnx'>, 'model' | 'quantization' | SaidAbove> {
  readonly kind: 'onnx'
  /** Folder of the model, or a hub id. Default: the preset's, else `'sentence-transformers/all-MiniLM-L6-v2'`. */
  readonly model?: string
  /** Precision of the weights. Default: the option of the top level. */
  readonly quantization?: Quantization | 'none'
}

/** A vector per token and their mean for a text, in worker threads of this process: a hundred times faster than a transformer, and coarser. */
export interface StaticEmbedderOptions extends Omit<OptionsOf<'static'>, 'model' | 'quantization' | SaidAbove> {
  readonly kind: 'static'
  /** Folder of the model, or a hub id. Default: the preset's, else `'minishlab/potion-retrieval-32M'`. */
  readonly model?: string
  /** Precision of the matrix. Default: the option of the top level. */
  readonly quantization?: Quantization | 'none'
}

/** Any embedding model of the AI SDK. */
export interface AiSdkEmbedderOptions extends OptionsOf<'ai-sdk'> {
  readonly kind: 'ai-sdk'
}

/** Any service with OpenAI's embeddings API: OpenAI, Azure, Gemini, Ollama, vLLM. Needs the optional package `openai`. */
export interface OpenAiCompatibleEmbedderOptions extends OptionsOf<'openai-compatible'> {
  readonly kind: 'openai-compatible'
}

/** Learns from the documents which words go together. No model, no download; see `docs/retrieval.md`. */
export interface LatentSemanticEmbedderOptions
  extends NonNullable<Parameters<Catalogue['embedderFitters']['latent-semantic']>[0]> {
  readonly kind: 'latent-semantic'
}

/** What searches the vectors, complete. */
export type VectorIndexChoice =
  | OneVectorIndex
  | { readonly kind: 'sharded'; readonly shards: number; readonly index: OneVectorIndex }

/** Spreads the vectors over several indexes that are updated and searched side by side. */
export interface ShardedChoice {
  readonly kind: 'sharded'
  /** 1 to 64. Default 2. Another number builds the index again from the store. */
  readonly shards?: number
  /** What each of them is. Default `'auto'`. */
  readonly index?: OneVectorIndex['kind'] | OneVectorIndex
}

/** An index of vectors by name, with what may be set of it. */
export type OneVectorIndex =
  | ({ readonly kind: 'auto' | 'usearch'; readonly quantization?: 'f32' | 'f16' | 'i8' } & GraphChoice)
  | ({ readonly kind: 'hnswlib' } & GraphChoice)
  | ({ readonly kind: 'lancedb' } & LancedbChoice)
  | { readonly kind: 'flat' }

/** How graphs are built and searched (HNSW). */
export interface GraphChoice {
  /** Neighbours of a vector, 4 to 64. Default 16; more costs memory and time and finds more. */
  readonly M?: number
  /** Candidates looked at when a vector is added, 8 to 1,024. Default 96; more builds slower and finds more. */
  readonly efConstruction?: number
  /** Candidates looked at by a search, 8 to 4,096. Default: a 400th of the vectors of a graph, 64 to 512; more finds more, in proportion slower. */
  readonly efSearch?: number
}

/** Tables of LanceDB (`npm i @lancedb/lancedb@0.37`), on disk or on object storage: for more vectors than fit into memory. */
export interface LancedbChoice
  extends Pick<
    Parameters<Catalogue['vectorIndexes']['lancedb']>[0],
    'index' | 'partitions' | 'nprobes' | 'subVectors' | 'refineFactor' | 'M' | 'efConstruction' | 'efSearch'
  > {
  /**
   * Where the tables lie: `s3://bucket/path`, `gs://…`, `az://…` or a folder; below it each store and namespace has a place of its own. Default: beside
   * the store. Needs a storage folder.
   */
  readonly uri?: string
  /** Credentials and the like for `uri`, as LanceDB takes them. */
  readonly storageOptions?: Readonly<Record<string, string>>
}

export interface LexicalIndexOptions {
  readonly kind: AdapterName<'lexicalIndexes'>
  /** How soon repeated words stop counting, 0 to 10. Default: the index's own. */
  readonly k1?: number
  /** How much long passages are held back, 0 (not) to 1. Default: the index's own. */
  readonly b?: number
  /** Weight of the whole document's score beside the chunk's, 0 (chunks alone) to 10. Default: what an adaptive fusion finds, else 0.5. */
  readonly documentWeight?: number
}

export type FusionOptions =
  | {
      /** By score, with weights that were found on the documents themselves: with the embedder `'latent-semantic'` only. */
      readonly kind: 'adaptive'
    }
  | {
      /** By rank alone. */
      readonly kind: 'rrf'
      /** Dampens the lead of the first ranks, 1 to 10,000. Default 60. */
      readonly k?: number
    }
  | {
      /** By score. */
      readonly kind: 'weighted'
      /** 0 to 1,000 each, relative to each other, not both 0. Default 0.7 and 0.3. A weight of 0 silences its leg. */
      readonly weights?: { readonly lexical: number; readonly vector: number }
    }

export type RerankOptions = CrossEncoderRerankOptions | LlmRerankOptions | MmrRerankOptions

/** Of every reranker. */
interface RerankDepth {
  /** Hits it is given, 1 to 1,000; `topK` where that is more. Default 20. Its time grows with them. */
  readonly candidates?: number
}

/** A model that reads question and passage together, in worker threads of this process. Needs the optional package `onnxruntime-node`. */
export interface CrossEncoderRerankOptions
  extends RerankDepth,
    Omit<Parameters<Catalogue['rerankers']['cross-encoder']>[0], 'model' | 'quantization' | 'onProgress' | SaidAbove> {
  readonly kind: 'cross-encoder'
  /** Folder of the model, or a hub id. Default `'cross-encoder/ms-marco-MiniLM-L6-v2'`. */
  readonly model?: string
  /** Precision of the weights. Default: the option of the top level. */
  readonly quantization?: Quantization | 'none'
}

/** A language model that puts passages in order, or grades them. */
export interface LlmRerankOptions
  extends RerankDepth,
    Omit<Parameters<Catalogue['rerankers']['llm']>[0], 'llm' | 'buildPrompt'> {
  readonly kind: 'llm'
  /** Default: the option `llm` of the top level, which must be a model then. A ready-made one stays the caller's to close. */
  readonly llm?: LlmChoice
}

/** Passages that repeat what a better one says come later. No model. */
export interface MmrRerankOptions extends RerankDepth {
  readonly kind: 'mmr'
  /** From 1, the order of the search, to 0, where only what is new counts. Default 0.8. */
  readonly lambda?: number
}

export type CacheOptions = MemoryCacheOptions | DiskCacheOptions | RedisCacheOptions | KeyvCacheOptions

type CacheOptionsOf<Kind extends AdapterName<'caches'>> = Parameters<Catalogue['caches'][Kind]>[0]

/** The memory of this process alone. */
export interface MemoryCacheOptions extends CacheOptionsOf<'memory'> {
  readonly kind: 'memory'
}

/** A folder on this machine, shared by its processes. */
export interface DiskCacheOptions extends Omit<CacheOptionsOf<'disk'>, 'directory' | 'logger'> {
  readonly kind: 'disk'
  /** Default: the folder `cache` of the storage folder. */
  readonly directory?: string
}

/** A Redis server. Needs the optional packages `keyv` and `@keyv/redis`. */
export interface RedisCacheOptions extends CacheOptionsOf<'redis'> {
  readonly kind: 'redis'
}

/** Whatever a Keyv 5 speaks to; it stays the caller's to disconnect. */
export interface KeyvCacheOptions extends Pick<CacheOptionsOf<'keyv'>, 'keyv'> {
  readonly kind: 'keyv'
}

/** When two questions mean the same. */
export interface SemanticCacheOptions {
  /** Similarity of their vectors, -1 to 1. Default 0.96. Vectors of quantized models are noisy by some 0.01. */
  readonly threshold?: number
  /** `true`: the answer is made anew, and the result tells what would have been served. Default `false`. */
  readonly shadow?: boolean
  /** Questions remembered in this process, 1 to 20,000; the oldest goes first. Default 2,000. Each costs its vector, and a look-up compares all. */
  readonly maxQuestions?: number
  /**
   * Has the reranker `'cross-encoder'` compare questions that are not similar enough. Default `false`. `true`: from a similarity of 0.9,
   * with a score of 0.9 at least.
   */
  readonly check?: boolean | SemanticCheckOptions
}

/** The second opinion on questions that are not similar enough. */
export interface SemanticCheckOptions {
  /** Similarity from which on it is asked for, -1 to 1. Default 0.9. */
  readonly from?: number
  /** What the cross-encoder must give, in its own scale. Default 0.9. */
  readonly least?: number
}

/** What may write answers: a model by name, with options, as a function, ready-made, or a list of these, each for when the one before it fails. */
export type LlmChoice = 'extractive' | LlmOptions | LlmFunction | Llm | AiSdkLanguageModel | readonly LlmChoice[]

export type LlmOptions =
  | ExtractiveLlmOptions
  | OpenAiCompatibleLlmOptions
  | AiSdkLlmOptions
  | TransformersLlmOptions
  | FallbackLlmOptions
  | BalanceLlmOptions
  | RouteLlmOptions

type LlmOptionsOf<Kind extends AdapterName<'llms'>> = Parameters<Catalogue['llms'][Kind]>[0]

/** A language model of the AI SDK, as its providers make them. */
type AiSdkLanguageModel = Exclude<LlmOptionsOf<'ai-sdk'>['model'], string>

/** Quotes sentences of the sources. No model, no key. */
export interface ExtractiveLlmOptions {
  readonly kind: 'extractive'
  /** Sentences of an answer at most, 1 to 20. Default 3. */
  readonly maxSentences?: number
}

/** A model at any service with OpenAI's chat completions API: OpenAI, Azure, Gemini, Mistral, Ollama, vLLM. Needs the optional package `openai`. */
export interface OpenAiCompatibleLlmOptions extends LlmOptionsOf<'openai-compatible'> {
  readonly kind: 'openai-compatible'
}

/** Any language model of the AI SDK. */
export interface AiSdkLlmOptions extends LlmOptionsOf<'ai-sdk'> {
  readonly kind: 'ai-sdk'
}

/** A language model in the ONNX format, in a worker thread of this process. Needs the optional package `@huggingface/transformers`. */
export interface TransformersLlmOptions
  extends Omit<LlmOptionsOf<'transformers'>, 'model' | 'quantization' | 'onProgress' | SaidAbove> {
  readonly kind: 'transformers'
  /** Folder of the model, or a hub id: `'onnx-community/Qwen2.5-0.5B-Instruct'`. */
  readonly model: string
  /** Precision of the weights. Default: the option of the top level. */
  readonly quantization?: Quantization | 'none'
}

/** Models of which the next is asked where one fails before its first word. A list in the place of the model is the same. */
export interface FallbackLlmOptions extends Omit<LlmOptionsOf<'fallback'>, 'models' | 'logger'> {
  readonly kind: 'fallback'
  /** The preferred one first. Services among them, but for the last, are asked once where they do not say otherwise (`maxAttempts`). */
  readonly models: readonly LlmChoice[]
}

/** Models that are as good as each other and share the work: several keys, several places. */
export interface BalanceLlmOptions extends Omit<LlmOptionsOf<'balance'>, 'models'> {
  readonly kind: 'balance'
  /** Services among them are asked once where they do not say otherwise (`maxAttempts`). */
  readonly models: readonly LlmChoice[]
}

/** A cheap model for simple questions, a strong one for the others. */
export interface RouteLlmOptions extends Omit<LlmOptionsOf<'route'>, 'simple' | 'strong'> {
  readonly kind: 'route'
  readonly simple: LlmChoice
  readonly strong: LlmChoice
}

/** A language model as a function: yields the answer with `[n]` markers, nothing when the sources do not answer. */
export type LlmFunction = (prompt: Prompt, options: GenerateOptions) => AsyncIterable<string>

/** What is refused with `LIMIT` or `TIMEOUT` instead of being tried. */
export interface LimitOptions {
  /** Bytes of a file that must be held whole (PDF). Default 256 MiB. */
  readonly maxFileBytes?: number
  /** Milliseconds a reader may spend on one page without a result; then its thread is ended. Default 30,000. */
  readonly pageTimeoutMs?: number
  /** Entries of an archive: a file of Word, Excel or PowerPoint, or an EPUB. Default 20,000. */
  readonly maxArchiveEntries?: number
  /** Bytes that all that is read of an archive may unpack to, at least 1. Default 1 GiB. Costs time rather than memory: parts are unpacked as they are read. */
  readonly maxArchiveBytes?: number
  /** Bytes that a byte of an entry of an archive may unpack to, once it has unpacked to more than 1 MiB. Default 100; office programs stay below 30. */
  readonly maxArchiveRatio?: number
  /** Characters of a question. Default 100,000. */
  readonly maxQueryChars?: number
  /** Namespaces whose indexes are kept in memory; the least recently used idle one is closed. Default 64. */
  readonly maxOpenNamespaces?: number
}
