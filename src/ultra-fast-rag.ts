import type { StoredCacheStats } from './compose/caching.js'
import { catalogue } from './compose/catalogue.js'
import type { Chat, ChatOptions } from './compose/chat.js'
import { Engine, type PrecomputeOptions } from './compose/engine.js'
import type { RagStats } from './compose/rag-stats.js'
import type { UltraFastRAGOptions } from './config/options.js'
import { resolveConfig } from './config/resolve.js'
import type { QueryOptions, QueryResult } from './core/answer.js'
import type { BatchOptions, BatchResult } from './core/batch.js'
import type { DocumentFailure, DocumentInput, StoredDocument } from './core/document.js'
import { RagError } from './core/errors.js'
import type { AnswerEvent, IngestProgress } from './core/events.js'
import type { Filter } from './core/filter.js'
import type { WaitOptions } from './core/lifecycle.js'
import type { Hit, Question, RetrieveOptions } from './core/search.js'
import type { PerformanceTracker } from './performance/tracker.js'
import type { IngestReport } from './pipelines/ingest.js'
import type { PrecomputeReport } from './pipelines/precompute.js'
import type { Verify } from './pipelines/steps/write-document.js'
import type { LabelledQuestion, Tuned, TuneOptions } from './pipelines/tune.js'
import type { FolderWatch, WatchOptions } from './pipelines/watch.js'

/** Options of `ingest()`. */
export interface IngestOptions extends WaitOptions {
  /**
   * Called as each document ends, as each is removed, and up to five times a second in between, when one was `opened` or had more of it
   * `written`. May be async, it is awaited. What it throws ends the ingest; what was committed until then stays.
   */
  readonly onProgress?: (progress: IngestProgress) => void
  /**
   * How a file is told to be unchanged: by its size, time of change and inode (`'stamp'`, the default), or by its content (`'hash'`), which
   * reads it. For file systems and tools that change a file and keep all three.
   */
  readonly verify?: Verify
  /**
   * Tries files again that were left out because they had failed three times. A file that has changed, and one that is read with other
   * options, is tried without being asked. Default `false`; `ingestDocument()` always tries.
   */
  readonly retry?: boolean
  /**
   * Removes, at the end and once, the documents whose files are gone from the folders among the inputs. Documents from elsewhere stay: from
   * memory, from other folders, and under ids of their own. Nothing is removed when anything could not be listed. Default `false`.
   * A disk that is not mounted may leave an empty folder behind: then everything is gone.
   */
  readonly sync?: boolean
  /**
   * Awaited before each document becomes visible; what it throws is the failure of that document. For those who hold a lock that they may
   * lose: a version that was stored by somebody else since this was called is not replaced (`LOCKED`, which may be tried again).
   */
  readonly beforeCommit?: () => Promise<void>
}

/** Which documents `remove()` removes. */
export type RemoveTarget = { readonly documentId: string | readonly string[] } | { readonly filter: Filter }

/** One tenant's documents and questions. Made by {@link UltraFastRAG.namespace}; it sees nothing of the others. */
export class RagNamespace {
  /** `''` for the root. */
  readonly name: string
  protected readonly engine: Engine

  /** @internal */
  constructor(engine: Engine, name: string) {
    this.engine = engine
    this.name = name
  }

  /**
   * Ingests one document: a path, text, bytes, or chunks made elsewhere. Resolves once it is on disk and can be found; a document
   * with a known id replaces the old one. Rejects with the `RagError` that says why it cannot be read.
   */
  async ingestDocument(input: DocumentInput, options: WaitOptions = {}): Promise<IngestReport> {
    const report = await this.ingest([input], { ...options, retry: true })
    const failure = report.failed[0]
    if (failure !== undefined && report.documents + report.unchanged === 0) throw failure.error
    return report
  }

  /**
   * Ingests files, folders, globs and objects, several at once, in constant memory. A document that fails becomes an entry of
   * `failed` and does not stop the others; unchanged ones cost next to nothing. Rejects only on abort, deadline, `close()`, or when
   * the store itself cannot be written (`STORAGE_FULL`, `READ_ONLY`) or the embedder cannot work (`MISSING_PEER`, `INTEGRITY`, …); what
   * was committed until then stays. Resolves when everything can be found; see `settled()` for what goes on afterwards.
   */
  async ingest(
    inputs: Iterable<DocumentInput> | AsyncIterable<DocumentInput>,
    options: IngestOptions = {},
  ): Promise<IngestReport> {
    return this.engine.ingest(this.name, toList(inputs), options)
  }

  /**
   * Keeps the documents in step with a folder: ingests it with `sync`, then follows what is added, changed, renamed and removed in it, as files
   * settle. Resolves when the folder is ingested. Ends with `close()` of the watch or of the whole. Rejects with `NOT_FOUND` when there is no
   * such folder, and like `ingest()`.
   *
   * @example
   * await using watch = await rag.watch('docs/', { onEvent: (event) => console.log(event.type) })
   */
  async watch(folder: string, options: WatchOptions = {}): Promise<FolderWatch> {
    return this.engine.watch(this.name, folder, options)
  }

  /** The best passages for a question, best first. */
  async retrieve(question: Question, options: RetrieveOptions = {}): Promise<Hit[]> {
    return this.engine.retrieve(this.name, question, options)
  }

  /**
   * The best passages for each of many questions, in their order: embedded together, searched a bounded number at a time. The first
   * failure rejects and stops the rest; `deadlineMs` is for all of them.
   */
  async retrieveBatch(questions: readonly Question[], options: RetrieveOptions = {}): Promise<Hit[][]> {
    return this.engine.retrieveBatch(this.name, questions, options)
  }

  /**
   * Answers a question from the documents, with citations. `perDocument` is 3 unless given. Rejects with `OVERLOADED`, retryable, when
   * `maxConcurrentQueries` are being answered and `maxQueuedQueries` wait already.
   */
  async query(question: string, options: QueryOptions = {}): Promise<QueryResult> {
    return this.engine.query(this.name, question, options)
  }

  /**
   * Answers many questions, in order: embedded and searched together, answered a bounded number at a time. One that fails is an entry with
   * `outcome: 'failed'` and its error, and stops no other; with `onFailure: 'throw'` the first failure rejects and stops the rest.
   * `deadlineMs` is for all of them. Rejects with `OVERLOADED` when too many questions are being answered, and wait, already.
   */
  queryBatch(
    questions: readonly string[],
    options: BatchOptions & { readonly onFailure: 'throw' },
  ): Promise<QueryResult[]>
  queryBatch(questions: readonly string[], options?: BatchOptions): Promise<BatchResult[]>
  async queryBatch(questions: readonly string[], options: BatchOptions = {}): Promise<BatchResult[]> {
    return this.engine.queryBatch(this.name, questions, options)
  }

  /**
   * Answers a question as a stream of events. Failures throw from the iterator, `OVERLOADED` like `query()`; ending it early stops the model.
   * It takes a place of `maxConcurrentQueries` with its first event, until it ends, is left, or its signal fires.
   */
  stream(question: string, options: QueryOptions = {}): AsyncGenerator<AnswerEvent, void, undefined> {
    return this.engine.stream(this.name, question, options)
  }

  /**
   * Begins a conversation: `chat.send(question)` is `stream()` with what was said before, so that "And when was it built?" is understood.
   * Throws `BAD_OPTION` for wrong options. See docs/answering.md.
   */
  chat(options: ChatOptions = {}): Chat {
    return this.engine.chat(this.name, options)
  }

  /**
   * Answers questions ahead of time, so that whoever asks them finds the answer in the cache: a list, an async iterable, or the path of a
   * file with one question a line (blank lines do not count). One that fails is listed and does not stop the others. Rejects with
   * `BAD_OPTION` where answers are not cached, `NOT_FOUND` for a file that is not there.
   */
  async precompute(
    questions: string | Iterable<string> | AsyncIterable<string>,
    options: PrecomputeOptions = {},
  ): Promise<PrecomputeReport> {
    return this.engine.precompute(this.name, questions, options)
  }

  /**
   * Learns from questions whose answers are known (30 or more, better 100) how much the vector leg should weigh, and how sure that is;
   * changes nothing by itself. Rejects with `BAD_OPTION` without an embedder, `BAD_INPUT` for fewer than 5 questions.
   *
   * @example
   * const tuned = await rag.tune([{ question: 'How tall is the tower?', relevant: ['paris.md'] }, …])
   * console.log(tuned.summary)
   * const better = new UltraFastRAG({ storage: './knowledge', fusion: tuned.fusion })
   */
  async tune(labelled: readonly LabelledQuestion[], options: TuneOptions = {}): Promise<Tuned> {
    return this.engine.tune(this.name, labelled, options)
  }

  /** Removes documents by id or by filter, for good, and resolves with how many there were once that is on disk. */
  async remove(target: RemoveTarget, options: WaitOptions = {}): Promise<number> {
    return this.engine.remove(this.name, target, options)
  }

  /** Lists documents in the order of their ids, from the first one behind `after`: the id with which an earlier list ended. */
  documents(
    options: { readonly filter?: Filter; readonly after?: string } = {},
  ): AsyncGenerator<StoredDocument, void, undefined> {
    return this.engine.documents(this.name, options)
  }

  /**
   * Lists the documents whose last attempt failed, the newest first. What is ingested or removed is no longer among them. Documents without
   * an id that failed before their content was known are not either.
   */
  failures(): AsyncGenerator<DocumentFailure, void, undefined> {
    return this.engine.failures(this.name)
  }

  /**
   * Rebuilds what is derived from the documents: missing or foreign vectors are embedded anew, indexes built afresh and swapped in;
   * questions are answered all the while. Interrupted, the next call goes on.
   */
  async reindex(options: WaitOptions = {}): Promise<void> {
    return this.engine.reindex(this.name, options)
  }

  /**
   * Resolves when nothing goes on in the background of this namespace: graphs are built, segments joined, and all of it is written. `ingest()` does not wait for
   * that, as everything is found without it, only slower. A script that ingests more than 20,000 passages, from which on there are graphs, and ends
   * calls it before `close()`, which ends such work; a process that stays open need not. While another process maintains the store, it waits. Rejects
   * like `retrieve()` where the embedder is missing.
   */
  async settled(options: WaitOptions = {}): Promise<void> {
    return this.engine.settled(this.name, options)
  }

  /** What is stored and indexed. */
  async stats(): Promise<RagStats> {
    return this.engine.stats(this.name)
  }
}

/**
 * Files in, cited answers out, in this process. The constructor checks its options (`BAD_OPTION`) and does nothing else: stores,
 * workers and models are opened by the first call that needs them.
 *
 * @example
 * const rag = new UltraFastRAG({ storage: './knowledge' })
 * await rag.ingest(['docs/', 'paper.pdf'])
 * const { answer, citations } = await rag.query('What does the paper claim?')
 * await rag.close()
 */
export class UltraFastRAG extends RagNamespace {
  constructor(options: UltraFastRAGOptions = {}) {
    super(new Engine(resolveConfig(options, catalogue)), '')
  }

  /** What happened so far, how long it took, how much memory it needed. */
  get tracker(): PerformanceTracker {
    return this.engine.tracker
  }

  /** One tenant's view: its documents, statistics and indexes are its own. Names match `[A-Za-z0-9._-]{1,128}`. */
  namespace(name: string): RagNamespace {
    // Without types a missing tenant would become the tenant "undefined", shared by all who miss theirs.
    if (typeof name !== 'string' || !/^[A-Za-z0-9._-]{1,128}$/.test(name)) {
      throw new RagError('BAD_OPTION', 'A namespace is named by 1 to 128 of A-Z, a-z, 0-9, ".", "_" and "-".', {
        data: { name: String(name).slice(0, 200) },
      })
    }
    return new RagNamespace(this.engine, name)
  }

  /**
   * Opens the store, brings the indexes up to date, loads models and what reads documents, ahead of the first question and the first
   * ingest. Rejects with what keeps the embedder from loading (`MISSING_PEER`, `NOT_FOUND`, `INTEGRITY`, `UNSUPPORTED`); call it again
   * when that is mended.
   */
  async warmUp(options: WaitOptions = {}): Promise<void> {
    return this.engine.warmUp(options)
  }

  /**
   * What the cache holds: the one that was chosen with the option `cache`, else the memory of this process. What each part of it did is in
   * `stats()`.
   */
  async cacheStats(): Promise<StoredCacheStats> {
    return this.engine.cacheStats()
  }

  /** Forgets everything that is cached, for all who share it: vectors, rankings and answers of every namespace. Documents stay. */
  async clearCache(): Promise<void> {
    return this.engine.clearCache()
  }

  /** Removes from the cache what has expired, and resolves with how many entries there were. */
  async pruneCache(): Promise<number> {
    return this.engine.pruneCache()
  }

  /**
   * Ends what runs, writes the indexes, joins workers, releases the store. Calls still waiting reject with `CLOSED`, as do later ones. Safe
   * twice. A graph that is being built is not finished (`settled()` of its namespace waits for it); the next process builds it.
   */
  async close(): Promise<void> {
    return this.engine.close()
  }

  /** `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function toList(inputs: unknown): Iterable<DocumentInput> | AsyncIterable<DocumentInput> {
  // A lone path is iterable, letter by letter, and lone bytes one by one: surely not what was meant.
  if (typeof inputs === 'string' || inputs instanceof Uint8Array) return [inputs]
  if (typeof inputs === 'object' && inputs !== null && (Symbol.iterator in inputs || Symbol.asyncIterator in inputs)) {
    return inputs as Iterable<DocumentInput> | AsyncIterable<DocumentInput>
  }
  throw new RagError('BAD_INPUT', 'ingest() takes an array or another iterable of documents.', {
    hint: 'Use ingestDocument() for one document.',
  })
}
