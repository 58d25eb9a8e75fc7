import { type ResourceLimits, Worker } from 'node:worker_threads'
import { RagError } from '../core/errors.js'
import type { Closable } from '../core/lifecycle.js'
import type { FromWorker, ToWorker, WireError } from './worker-serve.js'
import { workerUrl } from './worker-url.js'

export interface WorkerPoolOptions {
  /** Name of the worker entry (`NAME.worker.js`), or the place of a worker file. */
  readonly worker: string | URL
  /** Threads at most; they are started when there is work for them. */
  readonly size: number
  /** A worker whose `heldBytes` (see `serveTasks`) exceed this after a task is replaced. Default: never. */
  readonly maxHeldBytes?: number
  /** V8 heap limits per thread; beyond them the thread dies with its task only. Default: {@link smallYoungGeneration}. */
  readonly resourceLimits?: ResourceLimits
  /** Passed to each thread as `workerData`. */
  readonly workerData?: unknown
  /** Threads without work for this long are ended. Default 30,000 ms; 0 keeps them. */
  readonly idleMs?: number
}

/** Each thread otherwise lets up to 48 MB of garbage gather before it looks; collecting 12 MB is as fast per byte. */
export const smallYoungGeneration: ResourceLimits = { maxYoungGenerationSizeMb: 12 }

/** One call into a worker. */
export interface Task {
  /** Name of the handler. */
  readonly type: string
  readonly payload: unknown
  /** Buffers that are moved, not copied: the caller loses them. */
  readonly transfer?: readonly ArrayBuffer[]
}

export interface TaskOptions {
  readonly signal?: AbortSignal | undefined
  /**
   * Milliseconds the worker may go without an answer (a result, or an emitted value while the caller has room) before it is
   * terminated and the task fails with `TIMEOUT`. Default: no limit.
   */
  readonly timeoutMs?: number | undefined
}

/** Milliseconds an aborted task may take to stop by itself before its thread is terminated. */
const abortGraceMs = 500
/** Bytes a streaming task may be ahead of its reader. */
const defaultCreditBytes = 1 << 20

/**
 * Runs tasks in worker threads: each thread serves one task at a time, waiting tasks run in the order they came. A thread that
 * crashes, hangs or grows too large is replaced; only its own task fails. Threads never keep the process alive while idle.
 */
export class WorkerPool implements Closable {
  readonly #options: WorkerPoolOptions
  readonly #threads = new Set<Thread>()
  readonly #queue: Job[] = []
  #closed = false
  /** Threads replaced so far, by reason. */
  readonly replaced = { crashed: 0, timedOut: 0, aborted: 0, recycled: 0 }

  constructor(options: WorkerPoolOptions) {
    this.#options = options
  }

  /** Threads alive now. */
  get threads(): number {
    return this.#threads.size
  }

  /** Tasks waiting for a thread. */
  get queued(): number {
    return this.#queue.length
  }

  /** Runs a task and returns its result. Values it emits are dropped. */
  async run<Result>(task: Task, options: TaskOptions = {}): Promise<Result> {
    const job = this.#enqueue(task, options, Number.MAX_SAFE_INTEGER)
    try {
      return (await job.result) as Result
    } finally {
      job.settleCaller()
    }
  }

  /**
   * Runs a task and yields what it emits; the generator's return value is the task's result. Ending the iteration early aborts the
   * task. The worker waits while more than `creditBytes` (default 1 MiB) of emitted values have not been read.
   */
  async *stream<Value, Result = void>(
    task: Task,
    options: TaskOptions & { readonly creditBytes?: number } = {},
  ): AsyncGenerator<Value, Result, undefined> {
    const job = this.#enqueue(task, options, options.creditBytes ?? defaultCreditBytes)
    let finished = false
    try {
      for (;;) {
        const next = await job.next()
        if (next === undefined) break
        yield next.value as Value
        job.acknowledge(next.bytes)
      }
      finished = true
      return (await job.result) as Result
    } catch (error) {
      finished = true
      throw error
    } finally {
      if (!finished) job.abort(new RagError('CLOSED', 'The reader stopped before the task was done.'))
      job.settleCaller()
    }
  }

  /** Fails what waits and what runs with `CLOSED` and ends every thread. Safe twice. */
  async close(): Promise<void> {
    this.#closed = true
    const error = new RagError('CLOSED', 'The worker pool was closed.')
    for (const job of this.#queue.splice(0)) job.fail(error)
    await Promise.all([...this.#threads].map((thread) => this.#discard(thread, error)))
  }

  #enqueue(task: Task, options: TaskOptions, credit: number): Job {
    if (this.#closed) throw new RagError('CLOSED', 'The worker pool was closed.')
    options.signal?.throwIfAborted()
    const job = new Job(task, options, credit, () => this.#abort(job))
    this.#queue.push(job)
    this.#dispatch()
    return job
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = [...this.#threads].find((candidate) => candidate.job === undefined) ?? this.#start()
      if (thread === undefined) return
      thread.assign(this.#queue.shift() as Job)
    }
  }

  #start(): Thread | undefined {
    if (this.#threads.size >= this.#options.size) return undefined
    const thread: Thread = new Thread(this.#options, {
      idle: (heldBytes) => this.#release(thread, heldBytes),
      died: (error) => this.#buried(thread, error),
      hung: (error) => {
        this.replaced.timedOut++
        void this.#discard(thread, error)
        this.#dispatch()
      },
    })
    this.#threads.add(thread)
    return thread
  }

  #release(thread: Thread, heldBytes: number): void {
    if (heldBytes > (this.#options.maxHeldBytes ?? Number.POSITIVE_INFINITY)) {
      this.replaced.recycled++
      void this.#discard(thread)
    } else thread.rest(this.#options.idleMs ?? 30_000, () => void this.#discard(thread))
    this.#dispatch()
  }

  #buried(thread: Thread, error: Error): void {
    if (!this.#threads.delete(thread)) return
    this.replaced.crashed++
    thread.job?.fail(error)
    this.#dispatch()
  }

  #abort(job: Job): void {
    const place = this.#queue.indexOf(job)
    if (place >= 0) this.#queue.splice(place, 1)
    const thread = [...this.#threads].find((candidate) => candidate.job === job)
    thread?.abort(() => {
      this.replaced.aborted++
      void this.#discard(thread)
      this.#dispatch()
    })
  }

  async #discard(thread: Thread, error?: Error): Promise<void> {
    this.#threads.delete(thread)
    if (error !== undefined) thread.job?.fail(error)
    await thread.end()
  }
}

/** A task on its way: what the caller awaits, and what it has not read yet. */
class Job {
  readonly result: Promise<unknown>
  readonly #unread: { readonly value: unknown; readonly bytes: number }[] = []
  #resolve!: (value: unknown) => void
  #reject!: (error: unknown) => void
  #wake: (() => void) | undefined
  #settled = false
  /** Bytes emitted that the reader has not acknowledged. */
  #outstanding = 0
  readonly #onAbort: () => void
  /** Tells the worker that the reader has taken so many bytes. */
  onCredit: ((bytes: number) => void) | undefined

  constructor(
    readonly task: Task,
    readonly options: TaskOptions,
    readonly credit: number,
    stop: () => void,
  ) {
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.result.catch(() => {
      // The caller sees it through run() or stream(); a stream that was abandoned has nobody left to tell.
    })
    this.#onAbort = () => {
      stop()
      this.fail(options.signal?.reason)
    }
    this.abort = (reason) => {
      if (this.#settled) return
      stop()
      this.fail(reason)
    }
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  readonly abort: (reason: unknown) => void

  get settled(): boolean {
    return this.#settled
  }

  /** True while the worker may send nothing more until the reader has caught up. */
  get awaitsReader(): boolean {
    return this.#outstanding >= this.credit
  }

  push(value: unknown, bytes: number): void {
    this.#outstanding += bytes
    this.#unread.push({ value, bytes })
    this.#wake?.()
  }

  finish(value: unknown): void {
    this.#settled = true
    this.#resolve(value)
    this.#wake?.()
  }

  fail(error: unknown): void {
    this.#settled = true
    this.#reject(error)
    this.#wake?.()
  }

  acknowledge(bytes: number): void {
    this.#outstanding -= bytes
    this.onCredit?.(bytes)
  }

  /** The next emitted value, or `undefined` when there will be none; then `result` tells why. */
  async next(): Promise<{ readonly value: unknown; readonly bytes: number } | undefined> {
    for (;;) {
      const value = this.#unread.shift()
      if (value !== undefined) return value
      if (this.#settled) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }

  settleCaller(): void {
    this.options.signal?.removeEventListener('abort', this.#onAbort)
  }
}

interface ThreadEvents {
  idle(heldBytes: number): void
  died(error: Error): void
  hung(error: Error): void
}

let nextTaskId = 1

/** One worker thread and the task it serves. */
class Thread {
  readonly #worker: Worker
  readonly #events: ThreadEvents
  job: Job | undefined
  #taskId = 0
  #timer: NodeJS.Timeout | undefined
  #ended = false

  constructor(options: WorkerPoolOptions, events: ThreadEvents) {
    this.#events = events
    const { worker } = options
    this.#worker = new Worker(typeof worker === 'string' ? workerUrl(worker) : worker, {
      workerData: options.workerData,
      name: typeof worker === 'string' ? `ufrag-${worker}` : 'ufrag',
      resourceLimits: { ...smallYoungGeneration, ...options.resourceLimits },
      // Loaders and instrumentation of the application (`--import`) are none of our threads' business: they cost memory and time.
      execArgv: [],
    })
    this.#worker.unref()
    this.#worker.on('message', (message: FromWorker) => this.#receive(message))
    this.#worker.on('error', (error) => this.#die(error))
    this.#worker.on('exit', (code) => this.#die(new Error(`exit code ${code}`)))
  }

  assign(job: Job): void {
    clearTimeout(this.#timer)
    this.job = job
    this.#taskId = nextTaskId++
    job.onCredit = (bytes) => this.#post({ kind: 'credit', id: this.#taskId, bytes }, job)
    this.#worker.ref()
    const { type, payload, transfer = [] } = job.task
    this.#post({ kind: 'run', id: this.#taskId, type, payload, credit: job.credit }, job, transfer)
    this.#watch()
  }

  /** Asks the task to stop; calls `terminate` when it does not within the grace period. */
  abort(terminate: () => void): void {
    clearTimeout(this.#timer)
    this.#worker.postMessage({ kind: 'abort', id: this.#taskId } satisfies ToWorker)
    this.#timer = setTimeout(terminate, abortGraceMs).unref()
  }

  rest(idleMs: number, end: () => void): void {
    this.#worker.unref()
    if (idleMs > 0) this.#timer = setTimeout(end, idleMs).unref()
  }

  async end(): Promise<void> {
    this.#ended = true
    clearTimeout(this.#timer)
    // Whoever awaits the end must not be outlived by it.
    this.#worker.ref()
    await this.#worker.terminate()
  }

  #post(message: ToWorker, job: Job, transfer: readonly ArrayBuffer[] = []): void {
    if (this.job !== job || this.#ended) return
    try {
      this.#worker.postMessage(message, [...transfer])
    } catch (error) {
      // A payload that cannot be cloned is a mistake of the caller; the thread itself is well.
      job.fail(error)
      this.#done(0)
    }
  }

  #receive(message: FromWorker): void {
    if (message.id !== this.#taskId || this.job === undefined) return
    switch (message.kind) {
      case 'emit':
        if (!this.job.settled) this.job.push(message.value, message.bytes)
        if (!this.job.settled) this.#watch()
        return
      case 'done':
        this.job.finish(message.value)
        this.#done(message.heldBytes)
        return
      case 'failed':
        this.job.fail(fromWire(message.error))
        this.#done(message.heldBytes)
        return
      default:
        message satisfies never
    }
  }

  #done(heldBytes: number): void {
    clearTimeout(this.#timer)
    this.job = undefined
    this.#events.idle(heldBytes)
  }

  #watch(): void {
    const { job } = this
    const timeoutMs = job?.options.timeoutMs
    if (job === undefined || timeoutMs === undefined) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      // A worker that waits for its reader is not hanging.
      if (job.awaitsReader) return this.#watch()
      this.#events.hung(
        new RagError('TIMEOUT', `A worker gave no sign of life for ${timeoutMs} ms and was ended.`, {
          data: { task: job.task.type, timeoutMs },
          hint: 'The input may be hostile or very large; raise the time limit if it is not.',
        }),
      )
    }, timeoutMs).unref()
  }

  #die(cause: Error): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#timer)
    const outOfMemory = 'code' in cause && cause.code === 'ERR_WORKER_OUT_OF_MEMORY'
    this.#events.died(
      outOfMemory
        ? new RagError('LIMIT', 'A worker ran out of memory.', {
            cause,
            hint: 'The input is too large for the memory limit.',
          })
        : new RagError('WORKER', `A worker thread died: ${cause.message}`, { cause, retryable: true }),
    )
  }
}

function fromWire(error: WireError): Error {
  if ('rag' in error) {
    const { rag } = error
    return new RagError(rag.code, rag.message, {
      data: rag.data,
      retryable: rag.retryable,
      ...(rag.hint === undefined ? {} : { hint: rag.hint }),
      ...(error.cause === undefined ? {} : { cause: new Error(error.cause) }),
    })
  }
  const plain = new Error(error.message)
  plain.name = error.name
  if (error.stack !== undefined) plain.stack = error.stack
  return plain
}
