import { resolve } from 'node:path'
import type { ResolvedConfig } from '../config/resolve.js'
import type { QueryOptions, QueryResult } from '../core/answer.js'
import type { DocumentInput, StoredDocument } from '../core/document.js'
import { RagError } from '../core/errors.js'
import type { AnswerEvent, IngestProgress } from '../core/events.js'
import type { Filter } from '../core/filter.js'
import type { WaitOptions } from '../core/lifecycle.js'
import type { Hit, Question, RetrieveOptions } from '../core/search.js'
import { buildPrompt } from '../llm/prompt.js'
import type { MetadataStats } from '../metadata-index/metadata-index.js'
import { type AnswerTools, answerQuestion, collectAnswer } from '../pipelines/answer.js'
import { type IngestReport, ingestDocuments } from '../pipelines/ingest.js'
import { type PrecomputeProgress, type PrecomputeReport, precompute } from '../pipelines/precompute.js'
import { reembedDocuments } from '../pipelines/reembed.js'
import { removeDocuments } from '../pipelines/remove.js'
import { type RetrieveTools, retrieve } from '../pipelines/retrieve.js'
import { forEachQuestion, retrieveMany } from '../pipelines/retrieve-many.js'
import { RecallMonitor, type VectorSearched } from '../pipelines/steps/recall-monitor.js'
import type { Verify } from '../pipelines/steps/write-document.js'
import { type LabelledQuestion, type Tuned, type TuneOptions, tune } from '../pipelines/tune.js'
import type { DocumentRecord } from '../store/types.js'
import { abortable } from '../util/abort.js'
import { compileFilter, metadataReader } from '../util/filter.js'
import { createPause } from '../util/yield.js'
import type { CacheTierReport } from './cache-monitor.js'
import type { StoredCacheStats } from './caching.js'
import {
  checkIngestOptions,
  checkListOptions,
  checkPrecomputeOptions,
  checkQueryOptions,
  checkQuestion,
  checkTuneOptions,
  checkWaitOptions,
} from './call-options.js'
import { Calls } from './calls.js'
import { catalogue } from './catalogue.js'
import { composeParts, type Parts } from './compose.js'
import { type EmbedderReport, reportEmbedder } from './embedder-report.js'
import type { FitReport } from './fitted-leg.js'
import type { NamespaceRuntime } from './namespace-runtime.js'
import { closedError, Namespaces } from './namespaces.js'
import { readQuestionFile } from './question-file.js'

/** What `stats()` returns. */
export interface RagStats {
  readonly namespace: string
  readonly documents: number
  readonly chunks: number
  /** Number of the last committed change. */
  readonly epoch: number
  readonly storage: { readonly id: string; readonly directory: string | undefined; readonly readOnly: boolean }
  /** What the embedder did in this process, for all namespaces together; absent without one, or where it could not be opened. */
  readonly embedder?: EmbedderReport
  /** Of every cache that was used in this process, tier by tier. */
  readonly caches: readonly CacheTierReport[]
  readonly indexes: {
    /** `bytes` is what the index holds in memory. */
    readonly lexical: {
      readonly chunks: number
      readonly segments: number
      readonly bytes: number
      readonly epoch: number
    }
    readonly vector?: {
      readonly kind: string
      readonly embedder: string
      readonly vectors: number
      readonly segments: number
      readonly bytes: number
      readonly epoch: number
    }
    /** What an embedder that learns from the documents has learnt; absent with any other. */
    readonly fit?: FitReport
    /** What filters are answered from: made by the first filter, a column for each path that filters name. */
    readonly metadata: MetadataStats
  }
}

/** Options of `precompute()`. */
export interface PrecomputeOptions extends QueryOptions {
  /** Called after each question; may be async, it is awaited. What it throws ends the call; what was kept until then stays. */
  readonly onProgress?: (progress: PrecomputeProgress) => void
  /** Questions at a time, 1 to 64. Default 4. */
  readonly concurrency?: number
  /** Milliseconds the answers are kept. Default: the option `cacheTtlMs`; 0: until there is no room. */
  readonly ttlMs?: number
}

/** Carries out what the facade offers, namespace by namespace: opens the parts a call needs and hands them to its pipeline. */
export class Engine {
  readonly #config: ResolvedConfig
  readonly #parts: Parts
  readonly #namespaces: Namespaces
  readonly #calls = new Calls(closedError)
  readonly #recall: RecallMonitor | undefined
  #closed: Promise<void> | undefined

  constructor(config: ResolvedConfig) {
    this.#config = config
    this.#parts = composeParts(config)
    this.#namespaces = new Namespaces(config, this.#parts)
    const rate = config.recallSampleRate
    const recall = rate > 0 ? new RecallMonitor({ rate }) : undefined
    if (recall !== undefined) this.#parts.tracker.watch('recall', () => recall.gauges())
    this.#recall = recall
  }

  get tracker() {
    return this.#parts.tracker
  }

  ingest(
    name: string,
    inputs: Iterable<DocumentInput> | AsyncIterable<DocumentInput>,
    options: WaitOptions & { readonly onProgress?: (progress: IngestProgress) => void; readonly verify?: Verify },
  ): Promise<IngestReport> {
    checkIngestOptions(options)
    return this.#call(name, options, async (runtime, signal) => {
      this.#refuseReadOnly(runtime)
      // Vectors of another embedder in the store are an error now, not after the work.
      if (this.#parts.embedder !== undefined) await runtime.freshen()
      const { limits, passages, preparation, tracker } = this.#parts
      const { fingerprint, prepare } = await preparation()
      const { language, logger, maxTextLength, root } = this.#config
      const { directory: exclude } = await this.#parts.store()
      const urls = await this.#parts.urls?.()
      return runtime.changing(async () => {
        const run = ingestDocuments(
          inputs,
          { language, root, exclude, signal, verify: options.verify ?? 'stamp' },
          {
            namespace: runtime.namespace,
            prepare,
            preparation: fingerprint,
            urls,
            passages: await passages(),
            maxTextLength,
            limits,
            lastWrites: runtime.lastWrites,
            committed: () => runtime.committed(),
            recorder: tracker,
            logger,
            now,
          },
        )
        try {
          for (;;) {
            const next = await run.next()
            if (next.done === true) return next.value
            // Awaited, so that an async function that fails ends the run as well, instead of the process.
            await abortable(Promise.resolve(options.onProgress?.(next.value)), signal)
          }
        } finally {
          await run.return(undefined as never) // Ended already, unless onProgress threw.
        }
      }, signal)
    })
  }

  retrieve(name: string, question: Question, options: RetrieveOptions): Promise<Hit[]> {
    const checked = this.#checkRetrieval(question, options)
    return this.#call(name, options, async (runtime, signal) => {
      return (await retrieve(question, { ...checked, signal }, await this.#retrieveTools(runtime, options))).hits
    })
  }

  query(name: string, question: string, options: QueryOptions): Promise<QueryResult> {
    return collectAnswer(this.stream(name, question, options))
  }

  async retrieveBatch(name: string, questions: readonly Question[], options: RetrieveOptions): Promise<Hit[][]> {
    checkQueryOptions(options)
    checkList(questions, 'retrieveBatch')
    const checked = { ...options, topK: options.topK ?? this.#config.topK }
    for (const question of questions) checkQuestion(question, this.#config.limits.maxQueryChars)
    return this.#call(name, options, async (runtime, signal) =>
      retrieveMany([...questions], { ...checked, signal }, await this.#retrieveTools(runtime, options)),
    )
  }

  async queryBatch(name: string, questions: readonly string[], options: QueryOptions): Promise<QueryResult[]> {
    checkQueryOptions(options)
    checkList(questions, 'queryBatch')
    for (const question of questions) checkQuestion(question, this.#config.limits.maxQueryChars)
    return this.#call(name, options, async (runtime, signal) => {
      const tools = await this.#answerTools(runtime, options)
      const complete = this.#answerOptions(options)
      return forEachQuestion([...questions], signal, tools, (question, signal, embedded) =>
        collectAnswer(answerQuestion(question, { ...complete, signal }, { ...tools, embedded })),
      )
    })
  }

  async *stream(name: string, question: string, options: QueryOptions): AsyncGenerator<AnswerEvent, void, undefined> {
    this.#checkRetrieval(question, options)
    const { signal, abandon, dispose } = this.#calls.begin(options)
    let complete = false
    try {
      const runtime = await this.#namespaces.acquire(name)
      try {
        signal.throwIfAborted()
        const tools = await this.#answerTools(runtime, options)
        for await (const event of answerQuestion(question, { ...this.#answerOptions(options), signal }, tools)) {
          complete = event.type === 'metadata'
          yield event
        }
      } finally {
        this.#namespaces.release(name)
      }
    } finally {
      if (!complete) abandon()
      dispose()
    }
  }

  precompute(
    name: string,
    questions: string | Iterable<string> | AsyncIterable<string>,
    { concurrency = 4, onProgress, ttlMs, ...options }: PrecomputeOptions,
  ): Promise<PrecomputeReport> {
    checkQueryOptions(options)
    checkPrecomputeOptions({ concurrency, onProgress, ttlMs })
    return this.#call(name, options, async (runtime, signal) => {
      const { answers, ...tools } = await this.#answerTools(runtime, options)
      if (answers === undefined) {
        throw new RagError('BAD_OPTION', 'Nothing would be kept: answers are not cached.', {
          data: { option: 'cacheAnswers' },
          hint: 'Set cacheAnswers: true, and a cache.',
        })
      }
      const list = typeof questions === 'string' ? readQuestionFile(resolve(this.#config.root, questions)) : questions
      return precompute(
        list,
        { ...this.#answerOptions(options), signal },
        { ...tools, answers: ttlMs === undefined ? answers : { ...answers, ttlMs }, lanes: concurrency, onProgress },
      )
    })
  }

  /** What lies behind the memory of this process, or that memory where there is nothing behind it. */
  async cacheStats(): Promise<StoredCacheStats> {
    return this.#calls.run({}, () => this.#parts.caches.stats())
  }

  clearCache(): Promise<void> {
    return this.#calls.run({}, () => this.#parts.caches.clear())
  }

  pruneCache(): Promise<number> {
    return this.#calls.run({}, () => this.#parts.caches.prune())
  }

  remove(
    name: string,
    target: { readonly documentId: string | readonly string[] } | { readonly filter: Filter },
    options: WaitOptions,
  ): Promise<number> {
    checkWaitOptions(options)
    return this.#call(name, options, async (runtime, signal) => {
      this.#refuseReadOnly(runtime)
      return runtime.changing(() => removeDocuments(target, runtime.namespace, signal), signal)
    })
  }

  async *documents(
    name: string,
    options: { readonly filter?: Filter },
  ): AsyncGenerator<StoredDocument, void, undefined> {
    checkListOptions(options)
    const matches = compileFilter(options.filter)
    const runtime = await this.#namespaces.acquire(name)
    try {
      const pause = createPause(this.#parts.turns)
      for (const document of runtime.namespace.list()) {
        await pause()
        if (matches(metadataReader(document, document.metadata))) yield toStoredDocument(document)
        if (this.#calls.ended) throw closedError()
      }
    } finally {
      this.#namespaces.release(name)
    }
  }

  tune(name: string, labelled: readonly LabelledQuestion[], options: TuneOptions): Promise<Tuned> {
    checkTuneOptions(options)
    return this.#call(name, options, async (runtime, signal) => {
      const tools = await this.#retrieveTools(runtime, { rerank: false })
      const fuseWith = (weights: Tuned['fusion']['weights']) => catalogue.fusions.weighted({ weights })
      return tune(labelled, { ...options, signal }, { ...tools, fuseWith })
    })
  }

  reindex(name: string, options: WaitOptions): Promise<void> {
    checkWaitOptions(options)
    return this.#call(name, options, async (runtime, signal) => {
      this.#refuseReadOnly(runtime)
      await runtime.reindex(() => this.#parts.maintain(() => this.#reembed(runtime, signal)))
    })
  }

  stats(name: string): Promise<RagStats> {
    return this.#call(name, {}, async (runtime) => {
      const { capabilities, directory, id } = await this.#parts.store()
      // An embedder that cannot be had is no reason to say nothing of the rest.
      await runtime.openVectors().catch((error) => {
        this.#config.logger.warn('The embedder could not be opened.', { error: String(error) })
      })
      await runtime.freshenOpen()
      const { lexical, metadata, vector } = runtime.indexes
      const { bytes, chunks, segments } = lexical.stats()
      return {
        namespace: name,
        ...runtime.namespace.counts(),
        epoch: runtime.namespace.epoch(),
        storage: { id, directory, readOnly: capabilities.readOnly },
        ...(vector === undefined ? {} : { embedder: reportEmbedder(vector.embedder) }),
        caches: await this.#parts.caches.report(),
        indexes: {
          lexical: { chunks, segments, bytes, epoch: lexical.epoch },
          ...(vector === undefined
            ? {}
            : {
                vector: {
                  kind: vector.index.id,
                  embedder: vector.embedder.id,
                  ...vector.index.stats(),
                  epoch: vector.index.epoch,
                },
              }),
          ...(runtime.fitted === undefined ? {} : { fit: runtime.fitted.report() }),
          metadata: metadata.stats(),
        },
      }
    })
  }

  warmUp(options: WaitOptions): Promise<void> {
    checkWaitOptions(options)
    return this.#call('', options, async (runtime, signal) => {
      const { embedder, llm, preparation } = this.#parts
      await runtime.freshen()
      await (await embedder?.())?.warmUp?.({ signal })
      await abortable(runtime.fitted?.follow() ?? Promise.resolve(), signal)
      // Loads what a search needs beside the indexes, the analyzers, and runs the model once.
      const tools = await this.#retrieveTools(runtime, {})
      await retrieve('warm up', { topK: 1, signal }, { ...tools, reranking: undefined, caching: undefined })
      const reranker = await tools.reranking?.open()
      await reranker?.warmUp?.({ signal })
      await Promise.all([llm(), preparation()])
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown()
    return this.#closed
  }

  async #shutDown(): Promise<void> {
    await this.#calls.end()
    await this.#namespaces.close()
    await this.#parts.close()
  }

  /** Runs a task in a namespace under the caller's signal and deadline; `close()` aborts it and waits for it. */
  #call<Result>(
    name: string,
    options: WaitOptions,
    task: (runtime: NamespaceRuntime, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    return this.#calls.run(options, (signal) =>
      this.#namespaces.use(name, async (runtime) => {
        signal.throwIfAborted()
        return task(runtime, signal)
      }),
    )
  }

  async #retrieveTools(runtime: NamespaceRuntime, { rerank }: RetrieveOptions): Promise<RetrieveTools> {
    const { fuse, reranking, results, tracker, turns } = this.#parts
    const retrieval = await results.retrieval()
    const { name } = runtime.namespace
    return {
      namespace: runtime.namespace,
      useIndexes: (task) => runtime.useIndexes(task),
      adaptive: this.#config.fusion.kind === 'adaptive',
      addsScores: this.#config.fusion.kind !== 'rrf',
      freshen: () => runtime.freshen(),
      fuse: await fuse(),
      reranking: reranking(rerank),
      documentWeight: this.#config.lexicalIndex.documentWeight,
      turn: () => turns.next(),
      recorder: tracker,
      logger: this.#config.logger,
      watchRecall: this.#recall && ((searched) => this.#measureRecall(name, searched)),
      caching: retrieval && {
        ...retrieval,
        // A call of its own keeps the namespace open, and `close()` waits for it.
        alone: (task, signal) => this.#call(name, { signal }, (_runtime, own) => task(own)),
      },
      now,
    }
  }

  /** Begins when the question is out of the way, and nobody waits for it but `close()`. */
  #measureRecall(name: string, searched: VectorSearched): void {
    const monitor = this.#recall
    if (monitor?.samples(searched) !== true) return
    const measure = () =>
      this.#call(name, {}, (runtime, signal) =>
        runtime.useIndexes(({ vector }) => monitor.measure(searched, vector?.index, signal)),
      )
    setImmediate(() => {
      measure().catch(() => {
        // Closed meanwhile, or an index that could not be searched: whoever asks it next is told.
        monitor.giveUp()
        this.#parts.tracker.count('recall.failed')
      })
    })
  }

  async #answerTools(runtime: NamespaceRuntime, options: QueryOptions): Promise<AnswerTools> {
    const { llm, results } = this.#parts
    const { recent, semantic } = results
    const answers = await results.answers()
    return { ...(await this.#retrieveTools(runtime, options)), llm, buildPrompt, answers, recent, semantic }
  }

  #answerOptions(options: QueryOptions) {
    const { maxContextChars, perDocument, topK } = this.#config
    return { maxContextChars, perDocument, ...options, topK: options.topK ?? topK }
  }

  #checkRetrieval<Options extends RetrieveOptions>(
    question: Question,
    options: Options,
  ): Options & { readonly topK: number } {
    const { limits, topK } = this.#config
    checkQueryOptions(options)
    checkQuestion(question, limits.maxQueryChars)
    return { ...options, topK: options.topK ?? topK }
  }

  async #reembed({ lastWrites, namespace }: NamespaceRuntime, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { maxTextLength } = this.#config
    const { limits, passages: openPassages, store, tracker } = this.#parts
    const stepBack = await (await store()).acquireMaintenance()
    if (stepBack === undefined) {
      throw new RagError('LOCKED', 'Another process is maintaining this store.', {
        hint: 'Wait for it to finish, then call reindex() again.',
        retryable: true,
      })
    }
    try {
      const passages = await openPassages()
      if (passages === undefined) return
      await reembedDocuments({ passages, namespace, lastWrites, limits, maxTextLength, recorder: tracker }, signal)
    } finally {
      await stepBack()
    }
  }

  #refuseReadOnly({ readOnly }: NamespaceRuntime): void {
    if (!readOnly) return
    throw new RagError('READ_ONLY', 'This store was opened read-only.', {
      hint: 'Open it without readOnly to change it.',
    })
  }
}

function checkList(questions: unknown, method: string): void {
  if (!Array.isArray(questions)) throw new RagError('BAD_INPUT', `${method}() takes a list of questions.`)
}

function now(): number {
  return performance.now()
}

/** What callers see of a document. */
function toStoredDocument(document: DocumentRecord): StoredDocument {
  const { id, title, source, mediaType, language, metadata, chunks, characters, pages, committedAt, contentHash } =
    document
  return { id, title, source, mediaType, language, metadata, chunks, characters, pages, committedAt, contentHash }
}
