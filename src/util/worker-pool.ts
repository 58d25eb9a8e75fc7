import { type MessagePort, type ResourceLimits, Worker } from 'node:worker_threads'
import { RagError } from '../core/errors.js'
import type { Closable } from '../core/lifecycle.js'
import { createThreadGuard, type ThreadGuard } from './thread-guard.js'
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
  /**
   * Threads without work for this long are ended; a function is asked with the milliseconds that the thread has worked in all. Default
   * 30,000 ms; 0 keeps them.
   */
  readonly idleMs?: number | ((workedMs: number) => number)
  /**
   * Tasks handed to one thread at once. It serves them one after the other; with 2 it has the next at hand while the main thread is
   * busy. A thread that dies takes them all with it. Not for streams: a slow reader holds up the next task. Default 1.
   */
  readonly depth?: number
  /**
   * Milliseconds an aborted task may take to stop by itself before its thread is ended. Default 500. `Infinity`: its answer is
   * awaited and dropped, for threads that hold what is dear to load.
   */
  readonly abortGraceMs?: number
  /** `'low'` (default) lets the application, or a question, have the core first; on Linux only. */
  readonly priority?: 'low' | 'normal'
}

/** Each thread otherwise lets up to 48 MB of garbage gather before it looks; collecting 12 MB is as fast per byte. */
export const smallYoungGeneration: ResourceLimits = { maxYoungGenerationSizeMb: 12 }

/** One call into a worker. */
export interface Task {
  /** Name of the handler. */
  readonly type: string
  readonly payload: unknown
  /** Buffers and ports that are moved, not copied: the caller loses them. */
  readonly transfer?: readonly (ArrayBuffer | MessagePort)[]
}

export interface TaskOptions {
  readonly signal?: AbortSignal | undefined
  /**
   * Milliseconds the worker may go without an answer (a result, or an emitted value while the caller has room) before it is
   * terminated and the task fails with `TIMEOUT`. Default: no limit.
   */
  readonly timeoutMs?: number | undefined
}

const defaultAbortGraceMs = 500
/** Bytes a streaming task may be ahead of its reader. */
const defaultCreditBytes = 1 << 20

/**
 * Runs tasks in worker threads: each thread serves one task at a time, waiting tasks run in the order they came. A thread that
 * crashes, hangs or grows too large is replaced; only its own task fails. Threads never keep the process alive while idle. No thread
 * is ended inside a critical section (`TaskContext.critical`): whoever ends it waits for up to 10 seconds and then leaves it behind.
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

  /** Threads that have nothing to do, those not started yet included: so many more tasks would begin at once. */
  get idle(): number {
    let busy = 0
    for (const { load } of this.#threads) if (load > 0) busy++
    return Math.max(0, this.#options.size - busy - this.#queue.length)
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
      const thread = this.#choose()
      if (thread === undefined) return
      thread.assign(this.#queue.shift() as Job)
    }
  }

  /** An idle thread, else a new one, else the one with the fewest tasks that takes another. */
  #choose(): Thread | undefined {
    let best: Thread | undefined
    for (const thread of this.#threads) if (thread.hasRoom && thread.load < (best?.load ?? Infinity)) best = thread
    return best?.load === 0 ? best : (this.#start() ?? best)
  }

  #start(): Thread | undefined {
    if (this.#threads.size >= this.#options.size) return undefined
    const thread: Thread = new Thread(this.#options, {
      answered: (heldBytes) => this.#release(thread, heldBytes),
      died: (error) => this.#buried(thread, error),
      hung: (error) => {
        this.replaced.timedOut++
        void this.#discard(thread, error)
        this.#dispatch()
      },
      ignoredAbort: () => {
        this.replaced.aborted++
        void this.#discard(thread)
        this.#dispatch()
      },
    })
    this.#threads.add(thread)
    return thread
  }

  #release(thread: Thread, heldBytes: number): void {
    if (heldBytes > (this.#options.maxHeldBytes ?? Number.POSITIVE_INFINITY)) thread.retire()
    if (thread.load === 0 && thread.retired) {
      this.replaced.recycled++
      void this.#discard(thread)
    } else if (thread.load === 0) {
      const { idleMs = 30_000 } = this.#options
      thread.rest(typeof idleMs === 'number' ? idleMs : idleMs(thread.workedMs), () => void this.#discard(thread))
    }
    this.#dispatch()
  }

  #buried(thread: Thread, error: Error): void {
    if (!this.#threads.delete(thread)) return
    this.replaced.crashed++
    thread.fail(error)
    this.#dispatch()
  }

  #abort(job: Job): void {
    const place = this.#queue.indexOf(job)
    if (place >= 0) this.#queue.splice(place, 1)
    else for (const thread of this.#threads) thread.abort(job)
  }

  async #discard(thread: Thread, error?: Error): Promise<void> {
    this.#threads.delete(thread)
    thread.fail(error)
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
  /** Bytes the reader has acknowledged that the worker was not told of. */
  #unsaid = 0
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
    return this.#outstanding + this.#unsaid >= this.credit
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
    this.#unsaid += bytes
    // A message for each value would cost more than a small value does. The worker waits only for a reader who is behind by all of the credit.
    if (this.#unsaid < this.credit / 4) return
    this.onCredit?.(this.#unsaid)
    this.#unsaid = 0
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
  /** One more task is done. */
  answered(heldBytes: number): void
  died(error: Error): void
  hung(error: Error): void
  ignoredAbort(): void
}

/** A task that was handed to a thread. */
interface Assigned {
  readonly id: number
  readonly job: Job
  aborted: boolean
}

let nextTaskId = 1

/** One worker thread and the tasks it was given: it serves the first, the others wait there. */
class Thread {
  readonly #worker: Worker
  readonly #events: ThreadEvents
  readonly #guard: ThreadGuard
  readonly #depth: number
  readonly #abortGraceMs: number
  readonly #assigned: Assigned[] = []
  #timer: NodeJS.Timeout | undefined
  #retired = false
  #ended = false

  constructor(options: WorkerPoolOptions, events: ThreadEvents) {
    const { worker, priority = 'low', depth = 1, abortGraceMs = defaultAbortGraceMs } = options
    this.#events = events
    this.#depth = depth
    this.#abortGraceMs = abortGraceMs
    this.#worker = new Worker(typeof worker === 'string' ? workerUrl(worker) : worker, {
      workerData: options.workerData,
      name: typeof worker === 'string' ? `ufrag-${worker}` : 'ufrag',
      resourceLimits: { ...smallYoungGeneration, ...options.resourceLimits },
      // Loaders and instrumentation of the application (`--import`) are none of our threads' business: they cost memory and time.
      execArgv: [],
    })
    this.#guard = createThreadGuard()
    this.#worker.unref()
    this.#worker.on('message', (message: FromWorker) => this.#receive(message))
    this.#worker.on('error', (error) => this.#die(error))
    this.#worker.on('exit', (code) => {
      this.#guard.release()
      this.#die(new Error(`exit code ${code}`))
    })
    this.#worker.postMessage({ kind: 'start', guard: this.#guard.cells, priority } satisfies ToWorker)
  }

  /** Tasks it was given and has not answered. */
  get load(): number {
    return this.#assigned.length
  }

  get hasRoom(): boolean {
    return !this.#retired && this.load < this.#depth
  }

  get retired(): boolean {
    return this.#retired
  }

  /** How long its event loop was busy since it began, in all. */
  get workedMs(): number {
    return this.#worker.performance.eventLoopUtilization().active
  }

  /** Takes no more tasks. */
  retire(): void {
    this.#retired = true
  }

  assign(job: Job): void {
    const assigned: Assigned = { id: nextTaskId++, job, aborted: false }
    this.#assigned.push(assigned)
    job.onCredit = (bytes) => {
      if (this.#assigned.includes(assigned)) this.#post({ kind: 'credit', id: assigned.id, bytes }, assigned)
    }
    this.#worker.ref()
    if (this.load === 1) this.#attend()
    const { type, payload, transfer = [] } = job.task
    this.#post({ kind: 'run', id: assigned.id, type, payload, credit: job.credit }, assigned, transfer)
  }

  /** Asks a task to stop, if it is here; one that does not within the grace period is reported. */
  abort(job: Job): void {
    const assigned = this.#assigned.find((candidate) => candidate.job === job)
    if (assigned === undefined) return
    assigned.aborted = true
    this.#post({ kind: 'abort', id: assigned.id }, assigned)
    if (this.#assigned[0] === assigned) this.#attend()
  }

  rest(idleMs: number, end: () => void): void {
    this.#worker.unref()
    if (idleMs > 0) this.#timer = setTimeout(end, idleMs).unref()
  }

  /** Fails the tasks it has: the one it serves with `error`, those that wait with `WORKER`, as nothing is wrong with them. */
  fail(error?: Error): void {
    const closed = RagError.isInstance(error, 'CLOSED')
    for (const [place, { job }] of this.#assigned.splice(0).entries()) {
      if (place === 0 && error !== undefined) job.fail(error)
      else job.fail(closed ? error : endedBefore(error))
    }
  }

  async end(): Promise<void> {
    this.#ended = true
    clearTimeout(this.#timer)
    // Whoever awaits the end must not be outlived by it.
    this.#worker.ref()
    if (await this.#guard.stop()) await this.#worker.terminate()
    else {
      this.#worker.unref()
      void this.#guard.stop(Number.POSITIVE_INFINITY).then(() => this.#worker.terminate())
    }
  }

  #post(message: ToWorker, assigned: Assigned, transfer: readonly (ArrayBuffer | MessagePort)[] = []): void {
    if (this.#ended) return
    try {
      this.#worker.postMessage(message, [...transfer])
    } catch (error) {
      // A payload that cannot be cloned is a mistake of the caller; the thread itself is well.
      assigned.job.fail(error)
      this.#done(assigned, 0)
    }
  }

  #receive(message: FromWorker): void {
    const assigned = this.#assigned.find(({ id }) => id === message.id)
    if (assigned === undefined) return
    const { job } = assigned
    switch (message.kind) {
      case 'emit':
        if (job.settled) return
        job.push(message.value, message.bytes)
        this.#attend()
        return
      case 'done':
        job.finish(message.value)
        this.#done(assigned, message.heldBytes)
        return
      case 'failed':
        job.fail(fromWire(message.error))
        this.#done(assigned, message.heldBytes)
        return
      default:
        message satisfies never
    }
  }

  #done(assigned: Assigned, heldBytes: number): void {
    this.#assigned.splice(this.#assigned.indexOf(assigned), 1)
    this.#attend()
    this.#events.answered(heldBytes)
  }

  /** Sets the timer for the task that is being served: how long it may be silent, or take to stop. */
  #attend(): void {
    clearTimeout(this.#timer)
    const first = this.#assigned[0]
    if (first === undefined) return
    if (first.aborted) this.#awaitStop()
    else this.#watch(first.job)
  }

  #awaitStop(): void {
    if (this.#abortGraceMs === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => {
      // It cannot be ended now, and may well stop when it is out of there.
      if (this.#guard.busy) this.#awaitStop()
      else this.#events.ignoredAbort()
    }, this.#abortGraceMs).unref()
  }

  #watch(job: Job): void {
    const { timeoutMs } = job.options
    if (timeoutMs === undefined) return
    this.#timer = setTimeout(() => {
      // A worker that waits for its reader is not hanging.
      if (job.awaitsReader) return this.#watch(job)
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

function endedBefore(cause: Error | undefined): RagError {
  return new RagError('WORKER', 'The worker thread ended before it came to this task.', { cause, retryable: true })
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
