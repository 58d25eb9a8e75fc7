import { setMaxListeners } from 'node:events'
import { resolve } from 'node:path'
import type { RagError } from '../core/errors.js'
import type { Logger, WaitOptions } from '../core/lifecycle.js'
import { abortable, followSignal, withDeadline } from '../util/abort.js'
import { type Clock, systemClock } from '../util/clock.js'
import { checkWhole } from './check-whole.js'
import { attempt } from './in-process/attempt.js'
import { Documents } from './in-process/documents.js'
import { createEntry, describe, type Entry, isOver } from './in-process/entry.js'
import { KnownJobs } from './in-process/known-jobs.js'
import { Processor } from './in-process/processor.js'
import { lanes, WaitingRoom } from './in-process/waiting-room.js'
import { Listeners } from './listeners.js'
import {
  asJobError,
  closedError,
  nextAttemptMs,
  otherTarget,
  type RetryPolicy,
  superseded,
  UnfitWorker,
  unknownJob,
} from './outcome.js'
import { type PreparedJob, prepareJob } from './prepare-job.js'
import type {
  EnqueueOptions,
  GivenBack,
  JobCounts,
  JobEvent,
  JobHandler,
  JobInput,
  JobProcessor,
  JobQueue,
  JobResult,
  JobState,
  JobStatus,
  ProcessOptions,
} from './types.js'

/** Options of {@link createInProcessQueue}. */
export interface InProcessQueueOptions {
  /** Folder that relative paths are relative to: that of the `UltraFastRAG`. Default: the working directory. */
  readonly root?: string
  /** Jobs that may wait, from 1. Default 10,000. Beyond, `enqueue()` waits or rejects. */
  readonly maxWaiting?: number
  /** Bytes that waiting jobs may hold in memory; the last one in may be of any size. Default 64 MiB. */
  readonly maxWaitingBytes?: number
  /** Bytes of one job's text or data; larger ones are `LIMIT`. Default 16 MiB. Files travel as paths, whatever their size. */
  readonly maxPayloadBytes?: number
  /** Attempts at a job whose failure may pass, the first included; 1 never tries again. Default 3. */
  readonly attempts?: number
  /** Milliseconds before the second attempt at most; doubled with each further one, up to ten minutes. Default 1,000. */
  readonly retryDelayMs?: number
  /** Jobs that are over and remembered; 0 forgets them at once. Default 1,000. */
  readonly keep?: number
  readonly logger?: Logger
}

/**
 * A queue in this process's memory: what waits is lost with the process, so keep what you cannot enqueue again in a queue that is
 * persistent. It needs no package and no server. Throws `BAD_OPTION`.
 *
 * @example
 * const queue = createInProcessQueue()
 * const worker = await createWorker({ queue, rag })
 * const id = await queue.enqueue('paper.pdf')
 * const { state, error } = await queue.finished(id)
 */
export function createInProcessQueue(options: InProcessQueueOptions = {}, clock: Clock = systemClock): JobQueue {
  return new InProcessQueue(options, clock)
}

/** Milliseconds that a closing queue waits for what runs. */
const closeMs = 30_000

class InProcessQueue implements JobQueue {
  readonly id = 'in-process'
  readonly capabilities = { shared: false, persistent: false }
  readonly #root: string
  readonly #maxPayloadBytes: number
  readonly #policy: RetryPolicy
  readonly #clock: Clock
  readonly #logger: Logger | undefined
  readonly #room: WaitingRoom
  readonly #jobs: KnownJobs
  readonly #documents = new Documents()
  readonly #processors = new Set<Processor>()
  readonly #listeners = new Listeners<JobEvent>()
  /** Of calls that wait for something to happen: looks whether it has. */
  readonly #waiters = new Set<() => void>()
  readonly #closing = new AbortController()
  #isClosed = false
  #closed: Promise<readonly GivenBack[]> | undefined

  constructor(options: InProcessQueueOptions, clock: Clock) {
    const { root = '.', maxWaiting = 10_000, maxWaitingBytes = 64 << 20, maxPayloadBytes = 16 << 20 } = options
    const { attempts = 3, retryDelayMs = 1_000, keep = 1_000, logger } = options
    checkWhole({ maxWaiting, maxWaitingBytes, maxPayloadBytes, attempts }, 1)
    checkWhole({ retryDelayMs, keep }, 0)
    this.#root = resolve(root)
    this.#maxPayloadBytes = maxPayloadBytes
    this.#policy = { attempts, retryDelayMs }
    this.#clock = clock
    this.#logger = logger
    this.#room = new WaitingRoom({ maxWaiting, maxBytes: maxWaitingBytes })
    this.#jobs = new KnownJobs(keep)
    // Whoever enqueues listens, and there may be thousands.
    setMaxListeners(0, this.#closing.signal)
  }

  async enqueue(input: JobInput, options: EnqueueOptions = {}): Promise<string> {
    if (this.#closing.signal.aborted) throw closedError()
    const deadline = withDeadline(options)
    const wait = followSignal(deadline.signal)
    const close = () => wait.abort(closedError())
    this.#closing.signal.addEventListener('abort', close, { once: true })
    try {
      wait.signal.throwIfAborted()
      const given = { ...options, signal: wait.signal }
      const job = this.#name(
        await prepareJob(input, given, { root: this.#root, maxPayloadBytes: this.#maxPayloadBytes }),
      )
      wait.signal.throwIfAborted()
      if (this.#joins(job)) return job.id
      await this.#room.enter(job.bytes, { reject: options.whenFull === 'reject', signal: wait.signal })
      // While it waited for room, somebody may have enqueued the same.
      const named = this.#name(job)
      if (this.#joins(named)) this.#room.leave(job.bytes)
      else this.#add(named)
      return named.id
    } finally {
      this.#closing.signal.removeEventListener('abort', close)
      wait.dispose()
      deadline.dispose()
    }
  }

  async cancel(id: string): Promise<boolean> {
    const entry = this.#jobs.get(id)
    if (entry?.state === 'active') {
      entry.stop?.('cancelled')
      return true
    }
    if (entry?.state !== 'waiting') return false
    this.#room.withdraw(entry)
    this.#documents.withdraw(entry.job)
    this.#finish(entry, 'cancelled', {})
    return true
  }

  async retry(id: string): Promise<boolean> {
    const entry = this.#jobs.get(id)
    if (entry?.state !== 'failed' || this.#closing.signal.aborted) return false
    const latest = this.#documents.latest(entry.job.document)
    if ((latest !== undefined && latest !== id) || this.#jobs.hasLater(entry)) return false
    this.#room.push(entry.job.bytes)
    this.#add(entry.job)
    return true
  }

  async job(id: string): Promise<JobStatus | undefined> {
    const entry = this.#jobs.get(id)
    return entry && describe(entry)
  }

  async counts(): Promise<JobCounts> {
    const counts: Record<JobState, number> = { waiting: 0, active: 0, completed: 0, failed: 0, cancelled: 0 }
    for (const { state } of this.#jobs.values()) counts[state]++
    const { waiting, active, completed, failed } = counts
    return { waiting, active, completed, failed }
  }

  async failed({ limit = 100 }: { readonly limit?: number } = {}): Promise<JobStatus[]> {
    return this.#jobs.failed().slice(0, limit).map(describe)
  }

  async finished(id: string, options: WaitOptions = {}): Promise<JobStatus> {
    let last = this.#jobs.get(id)
    if (last === undefined) throw unknownJob(id)
    await this.#until(() => {
      // A job that is forgotten as soon as it is over is known by what it was last.
      last = this.#jobs.get(id) ?? last
      return last === undefined || isOver(last)
    }, options)
    return describe(last)
  }

  async idle(options: WaitOptions = {}): Promise<void> {
    await this.#until(() => this.#documents.size === 0, options)
  }

  subscribe(listener: (event: JobEvent) => void): () => void {
    return this.#listeners.add(listener)
  }

  process(handler: JobHandler, options: ProcessOptions): JobProcessor {
    if (this.#closing.signal.aborted) throw closedError()
    checkWhole({ concurrency: options.concurrency }, 1)
    for (const { target } of this.#processors) if (target !== options.target) throw otherTarget()
    const processor = new Processor(handler, options, this.#clock)
    this.#processors.add(processor)
    this.#dispatch()
    return { ended: processor.ended, close: (waitMs) => this.#stop(processor, waitMs) }
  }

  close(): Promise<readonly GivenBack[]> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<readonly GivenBack[]> {
    this.#closing.abort()
    await Promise.all([...this.#processors].map((processor) => this.#stop(processor, closeMs)))
    // A handler that did not stop is among them: whether its job is done nobody knows.
    const left = [...this.#jobs.values()].filter((entry) => !isOver(entry))
    for (const { wake } of left) wake?.abort(closedError())
    this.#isClosed = true
    for (const look of [...this.#waiters]) look()
    const order = (entry: Entry) => lanes.indexOf(entry.job.priority)
    return left
      .sort((a, b) => order(a) - order(b))
      .map(({ job: { id, input, namespace, priority } }) => ({ id, input, namespace, priority }))
  }

  /** The id under which a job of this content is or comes to be known. */
  #name(job: PreparedJob): PreparedJob {
    if (job.alternateId === undefined) return job
    const [first, second] = job.id < job.alternateId ? [job.id, job.alternateId] : [job.alternateId, job.id]
    const id = this.#documents.running(job.document) === first ? second : first
    return { ...job, id, alternateId: id === first ? second : first }
  }

  /** Whether the job is there already, and not over; one that is being cancelled is wanted again. */
  #joins(job: PreparedJob): boolean {
    const entry = this.#jobs.get(job.id)
    if (entry === undefined || isOver(entry)) return false
    if (entry.stopped === 'cancelled') entry.stopped = 'given-back'
    this.#supersede(job)
    return true
  }

  #add(job: PreparedJob): void {
    const entry = createEntry(job, this.#clock.date())
    this.#jobs.add(entry)
    this.#supersede(job)
    this.#makeReady(entry)
  }

  /** This job's content is the document's newest: older ones that wait are not needed any more. */
  #supersede(job: PreparedJob): void {
    const before = this.#documents.announce(job)
    const older = before === undefined ? undefined : this.#jobs.get(before)
    if (older?.state !== 'waiting') return
    this.#room.withdraw(older)
    this.#finish(older, 'completed', { result: superseded })
  }

  #makeReady(entry: Entry): void {
    entry.state = 'waiting'
    this.#room.ready(entry)
    this.#emit({ type: 'waiting', id: entry.job.id })
    this.#dispatch()
  }

  #dispatch(): void {
    for (const processor of this.#processors) {
      while (processor.isFree) {
        // One job per document is skipped at most, as older ones do not wait.
        const entry = this.#room.next(({ job }) => this.#documents.running(job.document) === undefined)
        if (entry === undefined) return
        this.#begin(entry, processor)
      }
    }
  }

  #begin(entry: Entry, processor: Processor): void {
    const { job } = entry
    this.#room.withdraw(entry)
    this.#documents.begin(job)
    entry.state = 'active'
    entry.facts = { startedAt: this.#clock.date() }
    processor.take(entry, () => this.#run(entry, processor))
    this.#emit({ type: 'active', id: job.id })
  }

  async #run(entry: Entry, processor: Processor): Promise<void> {
    const { document, id } = entry.job
    const outcome = await attempt(entry, processor.handler, (progress) =>
      this.#emit({ type: 'progress', id, progress }),
    )
    entry.stop = undefined
    processor.release(entry)
    this.#documents.end(document)
    if ('result' in outcome) this.#finish(entry, 'completed', outcome, 1)
    else this.#failed(entry, outcome.error, processor)
    this.#dispatch()
  }

  #failed(entry: Entry, cause: unknown, processor: Processor): void {
    const isUnfit = cause instanceof UnfitWorker
    const isLatest = this.#documents.latest(entry.job.document) === entry.job.id
    if (isUnfit) {
      this.#processors.delete(processor)
      processor.fail(cause.cause)
    }
    if (entry.stopped === 'cancelled') this.#finish(entry, 'cancelled', {})
    else if (!isLatest) this.#finish(entry, 'completed', { result: superseded })
    else if (isUnfit || entry.stopped !== undefined) this.#waitAgain(entry)
    else this.#tryAgain(entry, asJobError(cause))
  }

  #tryAgain(entry: Entry, error: RagError): void {
    const { id, source } = entry.job
    const attempts = entry.attempts + 1
    const delayMs = nextAttemptMs(error, attempts, { policy: this.#policy })
    this.#logger?.warn('A job failed.', { job: id, source, code: error.code, attempts, delayMs })
    if (delayMs === undefined) {
      this.#finish(entry, 'failed', { error: error.toJSON() }, 1)
      return
    }
    entry.attempts = attempts
    entry.facts = { ...entry.facts, error: error.toJSON() }
    this.#waitAgain(entry, delayMs)
  }

  #waitAgain(entry: Entry, delayMs?: number): void {
    const { id, bytes } = entry.job
    this.#room.push(bytes)
    if (delayMs === undefined) {
      this.#makeReady(entry)
      return
    }
    entry.state = 'waiting'
    entry.wake = new AbortController()
    this.#room.delay(entry)
    this.#emit({ type: 'retrying', id, delayMs })
    this.#clock.sleep(delayMs, entry.wake.signal).then(
      () => {
        if (this.#room.endDelay(entry)) this.#makeReady(entry)
      },
      () => {
        // It was cancelled, superseded or given back meanwhile.
      },
    )
  }

  #finish(entry: Entry, state: 'completed' | 'failed' | 'cancelled', outcome: Entry['facts'], attempts = 0): void {
    const { id } = entry.job
    const { error: _, ...facts } = entry.facts
    entry.state = state
    entry.attempts += attempts
    entry.facts = { ...facts, ...outcome, finishedAt: this.#clock.date() }
    // Only what failed may be tried again; what an input holds is not kept for the others.
    if (state !== 'failed') entry.job = { ...entry.job, input: '', bytes: 0 }
    this.#documents.finish(entry.job, (other) => this.#jobs.isPending(other))
    this.#jobs.finish(entry)
    if (state === 'completed') this.#emit({ type: state, id, result: outcome.result as JobResult })
    else if (state === 'failed')
      this.#emit({ type: state, id, error: outcome.error as NonNullable<JobStatus['error']> })
    else this.#emit({ type: state, id })
  }

  async #stop(processor: Processor, waitMs: number): Promise<void> {
    this.#processors.delete(processor)
    await processor.close(waitMs)
  }

  /** Waits for something, but not longer than so. */
  async #until(holds: () => boolean, options: WaitOptions): Promise<void> {
    const deadline = withDeadline(options)
    let look = () => {}
    const change = new Promise<void>((resolve, reject) => {
      look = () => {
        if (holds()) resolve()
        else if (this.#isClosed) reject(closedError())
      }
    })
    this.#waiters.add(look)
    look()
    try {
      await abortable(change, deadline.signal)
    } finally {
      this.#waiters.delete(look)
      deadline.dispose()
    }
  }

  #emit(event: JobEvent): void {
    this.#listeners.emit(event)
    for (const look of [...this.#waiters]) look()
  }
}
