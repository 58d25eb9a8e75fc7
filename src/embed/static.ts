import { availableParallelism } from 'node:os'
import { RagError } from '../core/errors.js'
import type { Logger } from '../core/lifecycle.js'
import { openStaticModel, type StaticModel } from '../models/static-model.js'
import type { Quantization } from '../models/types.js'
import { abortable } from '../util/abort.js'
import { inLanes } from '../util/in-lanes.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { WorkerPool } from '../util/worker-pool.js'
import { createTurns } from '../util/yield.js'
import { type MatrixFacts, openMeans } from './static/matrix.js'
import type { EmbedTexts, Means } from './static/mean.js'
import { createSharedRows, type RowPrecision, type SharedRows } from './static/shared-rows.js'
import type { Embedder, EmbedderStats, Embeddings, EmbedOptions, WarmUpOptions } from './types.js'

/** Options of {@link createStaticEmbedder}. */
export interface StaticEmbedderOptions {
  /** Folder of the model, or a hub id (`minishlab/potion-base-8M`). */
  readonly model: string
  /** Folder of models by their names, looked into first. Default: none; then `UFRAG_MODELS` and the hub cache are. */
  readonly modelsDir?: string
  /** Values per vector: the first of each row. Default and most: all of the model's. Made for models trained for it (Matryoshka), or distilled. */
  readonly dimensions?: number
  /** Threads that embed passages. Default: as many as there are cores. Each holds a tokenizer; they share the matrix. */
  readonly workers?: number
  /**
   * `'int8'` keeps a fourth of the matrix in memory, at a cosine of 0.9999 and nine tenths of the speed. Default `'fp32'`. Others are
   * replaced by the next finer one of these, and the logger is warned.
   */
  readonly quantization?: Quantization
  /** Tokens of a text that count; the rest is cut off. Default: 512 in the format of model2vec, else all. */
  readonly maxTokens?: number
  /** Told when something else than what was asked for is used. Default: nobody. */
  readonly logger?: Logger
}

const precisions: Readonly<Record<Quantization, RowPrecision>> = {
  fp32: 'fp32',
  fp16: 'fp32',
  int8: 'int8',
  int4: 'int8',
}

const maxWorkers = 256
/** Calls of so many texts and characters at most are embedded at once, in the calling thread: 0.05 ms for a question, less than a hop. */
const inlineTexts = 8
const inlineCharacters = 1_000
/** What a thread gets at once: some five milliseconds of work, so that an abort, or the last slice of a call, is not waited for. */
const sliceTexts = 512
const sliceCharacters = 1 << 16
/** Slices of one call that are on their way: each thread has its next one when it has done one. */
const slicesPerWorker = 2

/**
 * Opens a static model: a row of a matrix for every token, and the mean of its tokens' rows for a text. No network is run, so it is
 * a hundred times faster than a small transformer, and its vectors are coarser. Formats: see {@link openStaticModel}. The matrix is
 * read with the first call, or by `warmUp()`, in a thread; it lies in memory once, however many threads there are. Questions and
 * single passages are embedded without a thread, bounded so that they hold up the event loop for less than two milliseconds; only
 * the first has to open the tokenizer in this thread, which takes longer (see `warmUp()`). A text without a known token is reported
 * in `failed` with `EMPTY`.
 *
 * Rejects with `BAD_OPTION`, `NOT_FOUND`, `INTEGRITY` or `UNSUPPORTED`; calls reject with `CLOSED` after `close()`.
 */
export async function createStaticEmbedder(options: StaticEmbedderOptions): Promise<Embedder> {
  const { model: name, workers = availableParallelism(), quantization = 'fp32', logger } = options
  requireWhole('workers', workers, maxWorkers)
  if (options.maxTokens !== undefined) requireWhole('maxTokens', options.maxTokens, Number.MAX_SAFE_INTEGER)
  const precision = precisions[quantization]
  if (precision !== quantization) {
    logger?.warn(`A static model is kept as fp32 or int8, not as ${quantization}; ${precision} is used.`, {
      model: name,
    })
  }
  const found = await openStaticModel(options)
  const { dimensions = found.dimensions } = options
  requireWhole('dimensions', dimensions, found.dimensions)
  const model = { ...found, maxTokens: options.maxTokens ?? found.maxTokens }
  return new StaticEmbedder({ model, dimensions, workers, precision })
}

function requireWhole(option: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return
  throw new RagError('BAD_OPTION', `${option} is a whole number from 1 to ${most}.`, { data: { [option]: value } })
}

interface StaticEmbedderParts {
  readonly model: StaticModel
  readonly dimensions: number
  readonly workers: number
  readonly precision: RowPrecision
}

/** What is there once the matrix has been read. */
interface Loaded extends MatrixFacts {
  readonly pool: WorkerPool
  /** Embeds in this thread. */
  readonly means: () => Promise<EmbedTexts>
}

class StaticEmbedder implements Embedder {
  readonly id = 'static'
  readonly fingerprint: string
  readonly dimensions: number
  readonly capabilities: Embedder['capabilities']
  readonly #parts: StaticEmbedderParts
  readonly #load = memoizeAsync(() => this.#open())
  readonly #turns = createTurns({ budgetMs: 2 })
  readonly #counters = { texts: 0, tokens: 0, failed: 0, batches: 0, queued: 0, retries: 0 }
  readonly #busy = createBusyClock()
  #pool: WorkerPool | undefined
  #closed = false

  constructor(parts: StaticEmbedderParts) {
    const { model, dimensions, workers, precision } = parts
    this.fingerprint = `static/1/${model.contentHash}/${dimensions}/${precision}/${model.maxTokens}`
    this.dimensions = dimensions
    this.capabilities = { fitted: false, batchSize: sliceTexts, concurrency: workers + 1 }
    this.#parts = parts
  }

  async embed(texts: readonly string[], { signal }: EmbedOptions): Promise<Embeddings> {
    signal?.throwIfAborted()
    this.#requireOpen()
    if (texts.length === 0) return { vectors: new Float32Array(0), failed: [], tokens: 0 }
    const loaded = await abortable(this.#load(), signal)
    this.#counters.queued += texts.length
    this.#busy.enter()
    try {
      const result = isSmall(texts)
        ? await this.#embedHere(texts, loaded, signal)
        : await this.#embedInThreads(texts, loaded, signal)
      this.#counters.texts += texts.length - result.failed.length
      this.#counters.failed += result.failed.length
      this.#counters.tokens += result.tokens
      return result
    } finally {
      this.#busy.leave()
      this.#counters.queued -= texts.length
    }
  }

  /** Opens the tokenizer of this thread, too, unless only passages are to come: BERT's holds up the event loop for some 60 ms. */
  async warmUp({ kind, signal }: WarmUpOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    this.#requireOpen()
    const { means } = await abortable(this.#load(), signal)
    if (kind !== 'passage') await abortable(means(), signal)
  }

  stats(): EmbedderStats {
    const busyMs = this.#busy.elapsedMs()
    return { ...this.#counters, busyMs, paddingWaste: 0, devices: { 'cpu:0': 1 }, fallbacks: 0 }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#pool?.close()
  }

  async #open(): Promise<Loaded> {
    const { model, dimensions, workers, precision } = this.#parts
    const matrix = { model, table: allocate({ count: model.tokens, dimensions, precision }) }
    const pool = new WorkerPool({ worker: 'static', size: workers, workerData: matrix })
    this.#pool = pool
    try {
      const facts = await pool.run<MatrixFacts>({ type: 'load', payload: undefined })
      return { ...facts, pool, means: memoizeAsync(() => openMeans(matrix)) }
    } catch (error) {
      await pool.close()
      throw error
    }
  }

  /** In turns with all other small calls: ten thousand questions at once must not be one long stretch. */
  async #embedHere(
    texts: readonly string[],
    { means, maxCharacters }: Loaded,
    signal?: AbortSignal,
  ): Promise<Embeddings> {
    const embed = await abortable(means(), signal)
    await abortable(this.#turns.next(), signal)
    this.#requireOpen()
    this.#counters.batches++
    const { vectors, empty, tokens } = embed(texts.map((text) => cut(text, maxCharacters)))
    return { vectors, tokens, failed: empty.map((index) => ({ index, error: nothingKnown() })) }
  }

  async #embedInThreads(texts: readonly string[], loaded: Loaded, signal?: AbortSignal): Promise<Embeddings> {
    const { dimensions } = this
    const vectors = new Float32Array(texts.length * dimensions)
    const failed: { readonly index: number; readonly error: unknown }[] = []
    let tokens = 0
    const lanes = this.#parts.workers * slicesPerWorker
    await inLanes(slicesOf(texts, loaded.maxCharacters), { lanes, signal }, async ({ first, part }, sharedSignal) => {
      const outcome = await this.#embedSlice(part, loaded.pool, sharedSignal)
      if ('error' in outcome) {
        failed.push(...part.map((_, place) => ({ index: first + place, error: outcome.error })))
        return
      }
      vectors.set(outcome.vectors, first * dimensions)
      failed.push(...outcome.empty.map((place) => ({ index: first + place, error: nothingKnown() })))
      tokens += outcome.tokens
    })
    failed.sort((a, b) => a.index - b.index)
    return { vectors, failed, tokens }
  }

  /** A thread that dies takes its slice with it; that one alone fails, and only when it happens twice. */
  async #embedSlice(
    texts: readonly string[],
    pool: WorkerPool,
    signal: AbortSignal,
  ): Promise<Means | { readonly error: unknown }> {
    this.#counters.batches++
    const embed = () => pool.run<Means>({ type: 'embed', payload: texts }, { signal })
    try {
      return await embed()
    } catch (error) {
      if (!isLostThread(error)) throw error
    }
    this.#counters.retries++
    return embed().catch((error: unknown) => {
      if (isLostThread(error)) return { error }
      throw error
    })
  }

  #requireOpen(): void {
    if (!this.#closed) return
    throw new RagError('CLOSED', 'The static embedder was closed.', { hint: 'Make a new one.' })
  }
}

function isSmall(texts: readonly string[]): boolean {
  if (texts.length > inlineTexts) return false
  return texts.reduce((sum, text) => sum + text.length, 0) <= inlineCharacters
}

interface Slice {
  /** Place of its first text. */
  readonly first: number
  readonly part: readonly string[]
}

function* slicesOf(texts: readonly string[], maxCharacters: number): Generator<Slice> {
  for (let first = 0; first < texts.length; ) {
    const part: string[] = []
    for (let characters = 0; part.length < sliceTexts && characters < sliceCharacters; ) {
      const text = texts[first + part.length]
      if (text === undefined) break
      const read = cut(text, maxCharacters)
      part.push(read)
      characters += read.length
    }
    yield { first, part }
    first += part.length
  }
}

/** The first `count` code points. */
function cut(text: string, count: number): string {
  if (text.length <= count) return text
  let end = 0
  for (let i = 0; i < count && end < text.length; i++) end += (text.codePointAt(end) as number) > 0xffff ? 2 : 1
  return text.slice(0, end)
}

function allocate(shape: Pick<SharedRows, 'count' | 'dimensions' | 'precision'>): SharedRows {
  try {
    return createSharedRows(shape)
  } catch (cause) {
    throw new RagError('LIMIT', 'There is not enough memory for the matrix of the model.', {
      cause,
      data: shape,
      hint: "Take fewer dimensions, quantization: 'int8', or a smaller model.",
    })
  }
}

function isLostThread(error: unknown): boolean {
  return RagError.isInstance(error, 'WORKER') || RagError.isInstance(error, 'LIMIT')
}

function nothingKnown(): RagError {
  return new RagError('EMPTY', 'The text has no token that the model knows.')
}

/** Time in which at least one call runs. */
function createBusyClock() {
  let running = 0
  let since = 0
  let sum = 0
  return {
    enter(): void {
      if (running++ === 0) since = performance.now()
    },
    leave(): void {
      if (--running === 0) sum += performance.now() - since
    },
    elapsedMs: (): number => sum + (running > 0 ? performance.now() - since : 0),
  }
}
