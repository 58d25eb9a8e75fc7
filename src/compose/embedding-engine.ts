import type { ResolvedConfig } from '../config/resolve.js'
import { RagError } from '../core/errors.js'
import type { WaitOptions } from '../core/lifecycle.js'
import type { AutoTuneOptions, AutoTuneResult, Embedder, Embeddings, EmbedOptions } from '../embed/types.js'
import { abortableValues, followSignal } from '../util/abort.js'
import { Distribution } from '../util/distribution.js'
import { Gate } from '../util/gate.js'
import { readAhead } from '../util/read-ahead.js'
import { checkWaitOptions } from './call-options.js'
import { Calls } from './calls.js'
import { composeParts, type Parts } from './compose.js'
import { type EmbedderReport, reportEmbedder } from './embedder-report.js'

/** Options of every call of `AsyncEmbedding`. */
export interface EmbeddingCallOptions extends WaitOptions {
  /** Some models treat questions and passages differently. Default `'passage'`. */
  readonly kind?: EmbedOptions['kind']
}

/** Options of `autoTune()`. */
export interface EmbeddingTuneOptions extends WaitOptions, Pick<AutoTuneOptions, 'sample'> {}

/** What `embedBatch()` resolves with. */
export interface EmbeddingBatch extends Embeddings {
  /** Values per vector: row `i` is `vectors.subarray(i * dimensions, (i + 1) * dimensions)`. */
  readonly dimensions: number
}

/** What `embedStream()` yields: `first` is the place of its first text among all. */
export interface EmbeddingStreamBatch extends EmbeddingBatch {
  readonly first: number
  /** Texts in it. */
  readonly count: number
}

/** What an `AsyncEmbedding` did since it was made; all zero before the first call. */
export interface AsyncEmbeddingStats extends Omit<EmbedderReport, 'id' | 'fingerprint' | 'dimensions'> {
  /** Calls of `embedSingle()` and `embedBatch()`, and batches of `embedStream()`, that were answered, with the milliseconds each took. */
  readonly calls: { readonly count: number; readonly p50Ms: number; readonly p95Ms: number }
}

const callKeys: Record<keyof EmbeddingCallOptions, true> = { signal: true, deadlineMs: true, kind: true }

/** Carries out what `AsyncEmbedding` offers. */
export class EmbeddingEngine {
  readonly #parts: Parts
  readonly #open: () => Promise<Embedder>
  readonly #calls = new Calls(closedError)
  readonly #durations = new Distribution()
  #embedder: Embedder | undefined
  #closed: Promise<void> | undefined

  constructor(config: ResolvedConfig) {
    this.#parts = composeParts({ ...config, cacheEmbeddings: false })
    const { embedder } = this.#parts
    if (embedder === undefined) {
      throw new RagError('BAD_OPTION', 'There is nothing to embed with: no embedder was chosen.', {
        data: { option: 'embedder' },
        hint: 'Pass "embedder", or a preset that has one.',
      })
    }
    this.#open = async () => {
      this.#embedder = await embedder()
      return this.#embedder
    }
  }

  async embed(texts: readonly string[], options: EmbeddingCallOptions): Promise<EmbeddingBatch> {
    const kind = checkOptions(options)
    checkTexts(texts)
    return this.#calls.run(options, async (signal) => {
      const embedder = await this.#open()
      signal.throwIfAborted()
      return this.#embed(embedder, texts, { kind, signal })
    })
  }

  async *stream(
    texts: Iterable<string> | AsyncIterable<string>,
    options: EmbeddingCallOptions,
  ): AsyncGenerator<EmbeddingStreamBatch, void, undefined> {
    const kind = checkOptions(options)
    const call = this.#calls.begin(options)
    const own = followSignal(call.signal)
    const { signal } = own
    try {
      const embedder = await this.#open()
      const { batchSize, concurrency = 1 } = embedder.capabilities
      const atOnce = new Gate(concurrency)
      const embed = async (group: readonly string[]) => {
        await atOnce.enter(1, signal)
        const result = this.#embed(embedder, group, { kind, signal }).finally(() => atOnce.leave(1))
        result.catch(() => {}) // Thrown where its turn comes; until then nobody waits for it.
        return { count: group.length, result }
      }
      async function* begin() {
        for await (const group of groups(abortableValues(texts, signal), batchSize)) yield await embed(group)
      }
      let first = 0
      // Ahead of the reader by as much as keeps the embedder busy.
      for await (const { count, result } of readAhead(begin(), { capacity: concurrency, weigh: () => 1 })) {
        let wantsMore = false
        try {
          yield { first, count, ...(await result) }
          wantsMore = true
        } finally {
          // Before the iteration ends, which waits for what is under way.
          if (!wantsMore) own.abort(new RagError('CLOSED', 'The reader stopped before the last text.'))
        }
        first += count
      }
    } finally {
      own.dispose()
      call.dispose()
    }
  }

  stats(): AsyncEmbeddingStats {
    const { count, p50, p95 } = this.#durations.summary()
    const { id: _id, fingerprint: _fingerprint, dimensions: _dimensions, ...report } = reportEmbedder(this.#embedder)
    return { ...report, calls: { count, p50Ms: p50, p95Ms: p95 } }
  }

  warmUp(options: WaitOptions): Promise<void> {
    checkWaitOptions(options)
    return this.#calls.run(options, async (signal) => (await this.#open()).warmUp?.({ signal }))
  }

  autoTune({ sample, ...options }: EmbeddingTuneOptions): Promise<AutoTuneResult> {
    checkWaitOptions(options)
    if (sample !== undefined) checkTexts(sample)
    return this.#calls.run(options, async (signal) => {
      const embedder = await this.#open()
      if (embedder.autoTune !== undefined) return embedder.autoTune({ signal, sample })
      throw new RagError('UNSUPPORTED', `The embedder "${embedder.id}" has nothing to tune.`, {
        data: { embedder: embedder.id },
        hint: 'Only the embedder "onnx" has.',
      })
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#calls.end().then(() => this.#parts.close())
    return this.#closed
  }

  async #embed(embedder: Embedder, texts: readonly string[], options: EmbedOptions): Promise<EmbeddingBatch> {
    const began = performance.now()
    const result = await embedder.embed(texts, options)
    this.#durations.add(performance.now() - began)
    return { ...result, dimensions: embedder.dimensions }
  }
}

function checkOptions(options: EmbeddingCallOptions): EmbedOptions['kind'] {
  checkWaitOptions(options, callKeys)
  const { kind = 'passage' } = options
  if (kind === 'query' || kind === 'passage') return kind
  throw new RagError('BAD_OPTION', 'kind is "query" or "passage".', { data: { option: 'kind' } })
}

function checkTexts(texts: readonly unknown[]): void {
  if (!Array.isArray(texts)) {
    throw new RagError('BAD_INPUT', 'embedBatch() takes a list of texts.', {
      hint: 'Use embedSingle() for one text, embedStream() for an iterable.',
    })
  }
  const index = texts.findIndex((text) => typeof text !== 'string')
  if (index >= 0) throw notText(index, texts[index])
}

/** Texts in groups of a size, the last one smaller. */
async function* groups(texts: AsyncIterable<unknown>, size: number): AsyncGenerator<string[]> {
  let group: string[] = []
  let place = 0
  for await (const text of texts) {
    if (typeof text !== 'string') throw notText(place, text)
    group.push(text)
    place++
    if (group.length < size) continue
    yield group
    group = []
  }
  if (group.length > 0) yield group
}

function notText(index: number, value: unknown): RagError {
  return new RagError('BAD_INPUT', `The text at place ${index} is not a string.`, {
    data: { index, type: typeof value },
  })
}

function closedError(): RagError {
  return new RagError('CLOSED', 'This AsyncEmbedding was closed.', { hint: 'Make a new one.' })
}
