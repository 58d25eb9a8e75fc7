import { catalogue } from './compose/catalogue.js'
import {
  type AsyncEmbeddingStats,
  type EmbeddingBatch,
  type EmbeddingCallOptions,
  EmbeddingEngine,
  type EmbeddingStreamBatch,
  type EmbeddingTuneOptions,
} from './compose/embedding-engine.js'
import type { UltraFastRAGOptions } from './config/options.js'
import { resolveConfig } from './config/resolve.js'
import { RagError } from './core/errors.js'
import type { WaitOptions } from './core/lifecycle.js'
import type { AutoTuneResult } from './embed/types.js'

/**
 * Options of `new AsyncEmbedding()`: those of `UltraFastRAG` that an embedder knows, with the same meaning and defaults. An embedder, or a
 * preset with a model, must be named: the default embedder learns from documents, of which there are none here.
 */
export type AsyncEmbeddingOptions = Pick<
  UltraFastRAGOptions,
  | 'preset'
  | 'profile'
  | 'embedder'
  | 'quantization'
  | 'useQuantization'
  | 'batchSize'
  | 'maxWorkers'
  | 'modelsDir'
  | 'logger'
>

const optionNames: Record<keyof AsyncEmbeddingOptions, true> = {
  preset: true,
  profile: true,
  embedder: true,
  quantization: true,
  useQuantization: true,
  batchSize: true,
  maxWorkers: true,
  modelsDir: true,
  logger: true,
}

/**
 * Texts in, vectors out, without the rest of the library. The constructor checks its options (`BAD_OPTION`, `UNSUPPORTED`) and loads
 * nothing: the first call, or `warmUp()`, does, once for whoever waits. A failed load rejects the calls that waited and is tried again
 * by the next.
 *
 * @example
 * const embedding = new AsyncEmbedding({ embedder: { kind: 'onnx', model: './all-MiniLM-L6-v2' }, quantization: 'int8' })
 * const { vectors, dimensions, failed } = await embedding.embedBatch(texts)
 * const question = await embedding.embedSingle('Which moons does Mars have?', { kind: 'query' })
 * await embedding.close()
 */
export class AsyncEmbedding {
  readonly #engine: EmbeddingEngine

  constructor(options: AsyncEmbeddingOptions = {}) {
    const foreign = Object.keys(Object(options)).find((name) => !Object.hasOwn(optionNames, name))
    if (foreign !== undefined) {
      throw new RagError('BAD_OPTION', `AsyncEmbedding has no option "${foreign.slice(0, 64)}".`, {
        data: { option: foreign.slice(0, 64), valid: Object.keys(optionNames) },
        hint: `Valid are: ${Object.keys(optionNames).join(', ')}.`,
      })
    }
    // A preset may name a reranker, which nothing here would use.
    this.#engine = new EmbeddingEngine(resolveConfig({ ...options, rerank: false }, catalogue))
  }

  /** The unit-length vector of one text. Rejects with the reason when the text cannot be embedded (`EMPTY`, …). */
  async embedSingle(text: string, options: EmbeddingCallOptions = {}): Promise<Float32Array> {
    const { failed, vectors } = await this.#engine.embed([text], options)
    const [failure] = failed
    if (failure === undefined) return vectors
    if (RagError.isInstance(failure.error)) throw failure.error
    throw new RagError('PROVIDER', 'The text was not embedded.', { cause: failure.error })
  }

  /**
   * The vectors of many texts, row by row in their order. A text that cannot be embedded is listed in `failed` and its row is zero; the
   * others are not affected. Everything is held in memory: `texts.length x dimensions x 4` bytes.
   */
  async embedBatch(texts: readonly string[], options: EmbeddingCallOptions = {}): Promise<EmbeddingBatch> {
    return this.#engine.embed(texts, options)
  }

  /**
   * The vectors of any number of texts, in their order, a batch at a time, in bounded memory: texts are taken as the embedder wants
   * them, and no further ahead of the reader than keeps it busy. Failures throw from the iterator; ending it early ends the work.
   */
  embedStream(
    texts: Iterable<string> | AsyncIterable<string>,
    options: EmbeddingCallOptions = {},
  ): AsyncGenerator<EmbeddingStreamBatch, void, undefined> {
    return this.#engine.stream(texts, options)
  }

  /** How much, how fast, on what. Loads nothing. */
  stats(): AsyncEmbeddingStats {
    return this.#engine.stats()
  }

  /** Loads the model ahead of the first call. */
  async warmUp(options: WaitOptions = {}): Promise<void> {
    return this.#engine.warmUp(options)
  }

  /**
   * Measures the speed of the embedder `onnx` with passes of 256 to 16,384 tokens on each kind of device, and uses the best from then on: give it
   * as `maxBatchTokens` to embed as fast elsewhere. Takes some ten seconds on a CPU; call it when nothing else runs. Rejects with
   * `UNSUPPORTED` for other embedders.
   */
  async autoTune(options: EmbeddingTuneOptions = {}): Promise<AutoTuneResult> {
    return this.#engine.autoTune(options)
  }

  /** Ends calls that wait with `CLOSED`, joins workers, frees the model; an embedder of your own stays yours to close. Safe twice. */
  async close(): Promise<void> {
    return this.#engine.close()
  }

  /** `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
