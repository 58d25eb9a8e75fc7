import { resolve } from 'node:path'
import type { ResolvedConfig } from '../config/resolve.js'
import { stepsOfCall } from '../config/resolve-understanding.js'
import type { QueryOptions, QueryResult } from '../core/answer.js'
import type { BatchOptions, BatchResult } from '../core/batch.js'
import type { DocumentFailure, DocumentInput, StoredDocument } from '../core/document.js'
import { RagError } from '../core/errors.js'
import type { AnswerEvent, IngestProgress } from '../core/events.js'
import type { Filter } from '../core/filter.js'
import type { WaitOptions } from '../core/lifecycle.js'
import type { Hit, Question, RetrieveOptions } from '../core/search.js'
import { type AnswerOptions, answerQuestion, collectAnswer } from '../pipelines/answer.js'
import { answerMany } from '../pipelines/answer-many.js'
import { type GonePaths, type IngestReport, ingestDocuments } from '../pipelines/ingest.js'
import { type PrecomputeProgress, type PrecomputeReport, precompute } from '../pipelines/precompute.js'
import { reembedDocuments } from '../pipelines/reembed.js'
import { removeDocuments } from '../pipelines/remove.js'
import { retrieve } from '../pipelines/retrieve.js'
import { retrieveMany } from '../pipelines/retrieve-many.js'
import { toDocumentFailure } from '../pipelines/steps/attempts.js'
import { isLeftOutOf } from '../pipelines/steps/discover.js'
import { observeFolder } from '../pipelines/steps/observe-folder.js'
import type { PackOptions } from '../pipelines/steps/pack.js'
import type { Verify } from '../pipelines/steps/write-document.js'
import { type LabelledQuestion, type Tuned, type TuneOptions, tune } from '../pipelines/tune.js'
import { type FolderWatch, type WatchOptions, watchFolder } from '../pipelines/watch.js'
import type { DocumentRecord } from '../store/types.js'
import { abortable } from '../util/abort.js'
import { systemClock } from '../util/clock.js'
import { EndableStream, type RunningStream } from '../util/endable-stream.js'
import { compileFilter, metadataReader } from '../util/filter.js'
import { createPause } from '../util/yield.js'
import type { StoredCacheStats } from './caching.js'
import {
  checkBatchOptions,
  checkChatOptions,
  checkIngestOptions,
  checkListOptions,
  checkPrecomputeOptions,
  checkQueryOptions,
  checkQuestion,
  checkTuneOptions,
  checkWaitOptions,
  checkWatchOptions,
} from './call-options.js'
import { Calls } from './calls.js'
import { catalogue } from './catalogue.js'
import { Chat, type ChatOptions } from './chat.js'
import { composeParts, type Parts } from './compose.js'
import { guardNamespace } from './guarded-namespace.js'
import type { NamespaceRuntime } from './namespace-runtime.js'
import { closedError, Namespaces } from './namespaces.js'
import { type LeavePlace, QueryGate } from './query-gate.js'
import { QueryTools } from './query-tools.js'
import { readQuestionFile } from './question-file.js'
import { type RagStats, readStats } from './rag-stats.js'

const { now } = systemClock

/** Options of `precompute()`. */
export interface PrecomputeOptions extends Omit<QueryOptions, 'budgetMs'> {
  /** Called after each question; may be async, it is awaited. What it throws ends the call; what was kept until then stays. */
  readonly onProgress?: (progress: PrecomputeProgress) => void
  /** Questions at a time, 1 to 64. Default 4. */
  readonly concurrency?: number
  /** Milliseconds the answers are kept. Default: the option `cacheTtlMs`; 0: until there is no room. */
  readonly ttlMs?: number
}

/** Options of one ingest. */
export interface IngestCallOptions extends WaitOptions {
  readonly onProgress?: (progress: IngestProgress) => void
  readonly verify?: Verify
  readonly retry?: boolean
  readonly beforeCommit?: () => Promise<void>
  readonly sync?: boolean
}

/** Carries out what the facade offers, namespace by namespace: opens the parts a call needs and hands them to its pipeline. */
export class Engine {
  readonly #config: ResolvedConfig
  readonly #parts: Parts
  readonly #namespaces: Namespaces
  readonly #calls = new Calls(closedError)
  readonly #tools: QueryTools
  readonly #gate: QueryGate
  #closed: Promise<void> | undefined

  constructor(config: ResolvedConfig) {
    this.#config = config
    this.#parts = composeParts(config)
    this.#namespaces = new Namespaces(config, this.#parts)
    this.#gate = new QueryGate({ running: config.maxConcurrentQueries, waiting: config.maxQueuedQueries })
    this.#parts.tracker.watch('queries', () => ({ ...this.#gate.counts }))
    this.#tools = new QueryTools({
      config,
      parts: this.#parts,
      call: (name, options, task) => this.#call(name, options, task),
    })
  }

  get tracker() {
    return this.#parts.tracker
  }

  ingest(
    name: string,
    inputs: Iterable<DocumentInput> | AsyncIterable<DocumentInput>,
    options: IngestCallOptions,
  ): Promise<IngestReport> {
    checkIngestOptions(options)
    return this.#ingest(name, inputs, options)
  }

  #ingest(
    name: string,
    inputs: Iterable<DocumentInput> | AsyncIterable<DocumentInput>,
    options: IngestCallOptions & { readonly gone?: GonePaths },
  ): Promise<IngestReport> {
    return this.#call(name, options, async (runtime, signal) => {
      this.#refuseReadOnly(runtime)
      // Vectors of another embedder in the store are an error now, not after the work.
      if (this.#parts.embedder !== undefined) await runtime.freshen()
      const { enrichment: openEnrichment, limits, passages, preparation, tracker } = this.#parts
      const { fingerprint, prepare } = await preparation()
      const enrichment = await openEnrichment()
      const { language, limits: callLimits, logger, maxTextLength, root } = this.#config
      const { beforeCommit, gone, retry = false, sync = false, verify = 'stamp' } = options
      const { directory: exclude } = await this.#parts.store()
      const urls = await this.#parts.urls?.()
      return runtime.changing(async () => {
        const run = ingestDocuments(
          inputs,
          { language, root, exclude, signal, verify, retry, sync, ...(gone === undefined ? {} : { gone }) },
          {
            namespace: beforeCommit === undefined ? runtime.namespace : guardNamespace(runtime.namespace, beforeCommit),
            prepare,
            preparation: enrichment === undefined ? fingerprint : `${fingerprint}/${enrichment.fingerprint}`,
            enrichment: enrichment?.tools,
            readingLimits: readingLimits(callLimits),
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
            const told: unknown = options.onProgress?.(next.value)
            if (told !== undefined) await abortable(Promise.resolve(told), signal)
          }
        } finally {
          await run.return(undefined as never) // Ended already, unless onProgress threw.
        }
      }, signal)
    })
  }

  /** Resolves when the first look at the folder is done; the watch itself goes on until it, or all of this, is closed. */
  watch(name: string, folder: string, options: WatchOptions): Promise<FolderWatch> {
    checkWatchOptions(folder, options)
    return new Promise((resolveWatch, reject) => {
      const { signal } = options
      this.#calls
        .run(signal === undefined ? {} : { signal }, async (signal) => {
          const path = resolve(this.#config.root, folder)
          const { directory } = await this.#parts.store()
          const watch = await watchFolder(
            path,
            { ...options, signal },
            {
              ingest: (inputs, call) => this.#ingest(name, inputs, call),
              observe: observeFolder,
              ignores: (inside) => isLeftOutOf(path, inside, directory),
              clock: systemClock,
              logger: this.#config.logger,
            },
          )
          resolveWatch(watch)
          await watch.closed
        })
        .catch(reject) // What ends a watch that is under way is no error.
    })
  }

  retrieve(name: string, question: Question, options: RetrieveOptions): Promise<Hit[]> {
    const checked = this.#checkRetrieval(question, options)
    const budget = this.#tools.budget(options, 'hits')
    return this.#call(name, options, async (runtime, signal) => {
      const tools = await this.#tools.forRetrieval(runtime, options)
      return (await retrieve(question, { ...checked, signal }, { ...tools, budget })).hits
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
    return this.#call(name, options, async (runtime, signal) => {
      const tools = {
        ...(await this.#tools.forRetrieval(runtime, options)),
        budget: this.#tools.budget(options, 'hits'),
      }
      return retrieveMany([...questions], { ...checked, signal }, tools)
    })
  }

  async queryBatch(name: string, questions: readonly string[], given: BatchOptions): Promise<BatchResult[]> {
    checkBatchOptions(given)
    const { concurrency = 8, onFailure = 'report', ...options } = given
    checkQueryOptions(options)
    checkList(questions, 'queryBatch')
    const { maxQueryChars } = this.#config.limits
    return this.#calls.run(options, (signal) =>
      this.#inPlace(signal, () =>
        this.#namespaces.use(name, async (runtime) => {
          signal.throwIfAborted()
          const tools = await this.#tools.forAnswers(runtime, options)
          return answerMany(
            [...questions],
            { ...this.#answerOptions(options), signal },
            {
              ...tools,
              budget: this.#tools.budget(options, 'first-token'),
              lanes: concurrency,
              spare: () => this.#gate.tryEnter(signal),
              crowded: () => this.#gate.counts.waiting > 0,
              check: (question) => checkQuestion(question, maxQueryChars),
              onFailure,
            },
          )
        }),
      ),
    )
  }

  stream(name: string, question: string, options: QueryOptions): AsyncGenerator<AnswerEvent, void, undefined> {
    return new EndableStream((onRunning) => this.#stream(name, question, options, onRunning))
  }

  async *#stream(
    name: string,
    question: string,
    options: QueryOptions,
    onRunning: (running: RunningStream) => void,
  ): AsyncGenerator<AnswerEvent, void, undefined> {
    this.#checkRetrieval(question, options)
    const { signal, abandon, dispose } = this.#calls.begin(options)
    const budget = this.#tools.budget(options, 'first-token')
    let complete = false
    onRunning({ signal, abandon: () => (complete ? undefined : abandon()) })
    let leave: LeavePlace | undefined
    try {
      leave = await this.#gate.enter(signal)
      const runtime = await this.#namespaces.acquire(name)
      try {
        signal.throwIfAborted()
        const tools = await this.#tools.forAnswers(runtime, options)
        const asked = { ...this.#answerOptions(options), signal }
        for await (const event of answerQuestion(question, asked, { ...tools, budget })) {
          complete = event.type === 'metadata'
          yield event
        }
      } finally {
        this.#namespaces.release(name)
      }
    } finally {
      leave?.()
      dispose()
    }
  }

  chat(name: string, { maxHistoryChars, maxTurns, ...options }: ChatOptions): Chat {
    checkQueryOptions(options)
    checkChatOptions({ maxHistoryChars, maxTurns })
    // A chat that could not read what was said is told so now, not at its second question.
    stepsOfCall(this.#config.understanding, { ...options, history: [{ role: 'user', content: '' }] })
    const bounds = {
      ...(maxTurns === undefined ? {} : { maxTurns }),
      ...(maxHistoryChars === undefined ? {} : { maxHistoryChars }),
    }
    return new Chat((question, asked) => this.stream(name, question, asked), { ...options, ...bounds })
  }

  precompute(
    name: string,
    questions: string | Iterable<string> | AsyncIterable<string>,
    { concurrency = 4, onProgress, ttlMs, ...options }: PrecomputeOptions,
  ): Promise<PrecomputeReport> {
    checkQueryOptions(options)
    checkPrecomputeOptions({ concurrency, onProgress, ttlMs, budgetMs: (options as QueryOptions).budgetMs })
    const answerAhead = async (runtime: NamespaceRuntime, signal: AbortSignal) => {
      const { answers, ...tools } = await this.#tools.forAnswers(runtime, options)
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
    }
    // One place for all of them: it is done ahead of time, and bounds itself.
    return this.#calls.run(options, (signal) =>
      this.#inPlace(signal, () => this.#namespaces.use(name, (runtime) => answerAhead(runtime, signal))),
    )
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
    options: { readonly filter?: Filter; readonly after?: string },
  ): AsyncGenerator<StoredDocument, void, undefined> {
    checkListOptions(options)
    const { after, filter } = options
    const matches = compileFilter(filter)
    const runtime = await this.#namespaces.acquire(name)
    try {
      const pause = createPause(this.#parts.turns)
      for (const document of runtime.namespace.list(after === undefined ? {} : { after })) {
        await pause()
        if (matches(metadataReader(document, document.metadata))) yield toStoredDocument(document)
        if (this.#calls.ended) throw closedError()
      }
    } finally {
      this.#namespaces.release(name)
    }
  }

  async *failures(name: string): AsyncGenerator<DocumentFailure, void, undefined> {
    const runtime = await this.#namespaces.acquire(name)
    try {
      const pause = createPause(this.#parts.turns)
      for (const failure of runtime.namespace.failures()) {
        await pause()
        yield toDocumentFailure(failure)
        if (this.#calls.ended) throw closedError()
      }
    } finally {
      this.#namespaces.release(name)
    }
  }

  tune(name: string, labelled: readonly LabelledQuestion[], options: TuneOptions): Promise<Tuned> {
    checkTuneOptions(options)
    return this.#call(name, options, async (runtime, signal) => {
      const tools = await this.#tools.forRetrieval(runtime, { rerank: false })
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

  settled(name: string, options: WaitOptions): Promise<void> {
    checkWaitOptions(options)
    return this.#call(name, options, (runtime, signal) => abortable(runtime.settled(signal), signal))
  }

  stats(name: string): Promise<RagStats> {
    return this.#call(name, {}, (runtime) => readStats(runtime, this.#config, this.#parts))
  }

  warmUp(options: WaitOptions): Promise<void> {
    checkWaitOptions(options)
    return this.#call('', options, async (runtime, signal) => {
      const { embedder, llm, preparation, store } = this.#parts
      await runtime.freshen()
      await (await embedder?.())?.warmUp?.({ signal })
      await abortable(runtime.fitted?.follow() ?? Promise.resolve(), signal)
      // Loads what a search needs beside the indexes, the analyzers, and runs the model once.
      const tools = await this.#tools.forRetrieval(runtime, {})
      await retrieve(
        'warm up',
        { topK: 1, signal },
        { ...tools, reranking: undefined, understanding: undefined, caching: undefined },
      )
      const reranker = await tools.reranking?.open()
      await reranker?.warmUp?.({ signal })
      const { readOnly } = (await store()).capabilities
      await Promise.all([
        llm().then((model) => model.warmUp?.({ signal })),
        readOnly ? undefined : preparation().then((prepared) => prepared.warmUp(signal)),
      ])
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

  /** Runs a task that answers questions when there is a place for one. */
  async #inPlace<Result>(signal: AbortSignal, task: () => Promise<Result>): Promise<Result> {
    const leave = await this.#gate.enter(signal)
    try {
      return await task()
    } finally {
      leave()
    }
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

  #answerOptions(options: QueryOptions): AnswerOptions {
    const { perDocument, topK } = this.#config
    const { maxContextChars: _chars, maxContextTokens: _tokens, ...others } = options
    return { perDocument, ...others, ...this.#contextLimits(options), topK: options.topK ?? topK }
  }

  /** A call that names one of the limits means that one alone. */
  #contextLimits({ maxContextChars, maxContextTokens }: QueryOptions): PackOptions {
    const isNamed = maxContextChars !== undefined || maxContextTokens !== undefined
    const characters = isNamed ? (maxContextChars ?? Number.POSITIVE_INFINITY) : this.#config.maxContextChars
    const tokens = isNamed ? maxContextTokens : this.#config.maxContextTokens
    return { maxContextChars: characters, ...(tokens === undefined ? {} : { maxContextTokens: tokens }) }
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

/** The limits that decide whether a document can be read. */
function readingLimits(limits: ResolvedConfig['limits']): string {
  const { maxArchiveBytes, maxArchiveEntries, maxArchiveRatio, maxFileBytes, pageTimeoutMs } = limits
  return [maxFileBytes, pageTimeoutMs, maxArchiveEntries, maxArchiveBytes, maxArchiveRatio].join('/')
}

/** What callers see of a document. */
function toStoredDocument(document: DocumentRecord): StoredDocument {
  const { id, title, source, mediaType, language, metadata, chunks, characters, pages, committedAt, contentHash } =
    document
  return { id, title, source, mediaType, language, metadata, chunks, characters, pages, committedAt, contentHash }
}
