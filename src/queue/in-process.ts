import { resolve } from 'node:path'
import { RagError } from '../core/errors.js'
import type { Logger, WaitOptions } from '../core/lifecycle.js'
import { abortable, followSignal, withDeadline } from '../util/abort.js'
import { type Clock, systemClock } from '../util/clock.js'
import { Gate } from '../util/gate.js'
import { waitAtMost } from '../util/wait-at-most.js'
import { checkWhole } from './check-whole.js'
import { Listeners } from './listeners.js'
import {
  asJobError,
  closedError,
  nextAttemptMs,
  otherTarget,
  type RetryPolicy,
  type StopReason,
  stopError,
  superseded,
  UnfitWorker,
  unknownJob,
} from './outcome.js'
import { type PreparedJob, prepareJob } from './prepare-job.js'
import type {
  ActiveJob,
  EnqueueOptions,
  GivenBack,
  JobCounts,
  JobEvent,
  JobHandler,
  JobInput,
  JobPriority,
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
 * const worker = createWorker({ queue, rag })
 * const id = await queue.enqueue('paper.pdf')
 * const { state, error } = await queue.finished(id)
 */
export function createInProcessQueue(options: InProcessQueueOptions = {}, clock: Clock = systemClock): JobQueue {
  return new InProcessQueue(options, clock)
}

/** The order in which waiting jobs begin. */
const lanes: readonly JobPriority[] = ['high', 'normal', 'low']
/** Milliseconds that a closing queue waits for what runs. */
const closeMs = 30_000
/** Milliseconds that a stopped handler may take to end before nobody waits for it any more. */
const stopMs = 5_000

/** Bytes of the inputs of failed jobs that are kept for another try. */
const maxFailedBytes = 64 << 20

interface Entry {
  /** Without its input once that is not needed any more. */
  job: PreparedJob
  state: JobState
  attempts: number
  readonly enqueuedAt: number
  /** Ends the wait for another attempt. */
  wake: AbortController | undefined
  /** What stops the attempt that runs. */
  stop: ((reason: StopReason) => void) | undefined
  stopped: StopReason | undefined
  facts: Pick<JobStatus, 'startedAt' | 'finishedAt' | 'progress' | 'result' | 'error'>
}

interface Processor extends ProcessOptions {
  readonly handler: JobHandler
  readonly running: Set<Promise<void>>
  readonly entries: Set<Entry>
  closed: boolean
  readonly fail: (error: unknown) => void
}

class InProcessQueue implements JobQueue {
  readonly id = 'in-process'
  readonly capabilities = { shared: false, persistent: false }
  readonly #root: string
  readonly #maxPayloadBytes: number
  readonly #policy: RetryPolicy
  readonly #keep: number
  readonly #clock: Clock
  readonly #logger: Logger | undefined
  readonly #room: { readonly jobs: Gate; readonly bytes: Gate; readonly maxWaiting: number; readonly maxBytes: number }
  readonly #entries = new Map<string, Entry>()
  /** Those that may begin, in order. */
  readonly #ready = new Map<JobPriority, Set<Entry>>(lanes.map((lane) => [lane, new Set()]))
  /** Those that wait for another attempt. */
  readonly #delayed = new Set<Entry>()
  /** Ids of jobs that are over, the first to be forgotten first. */
  readonly #over = new Set<string>()
  /** Of each document with jobs that are not over: the job that was enqueued last, and the one that runs. */
  readonly #documents = new Map<string, { latest: string; running: string | undefined }>()
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
    this.#keep = keep
    this.#clock = clock
    this.#logger = logger
    this.#room = {
      jobs: new Gate(maxWaiting),
      bytes: new Gate(maxWaitingBytes),
      maxWaiting,
      maxBytes: maxWaitingBytes,
    }
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
      await this.#enter(job, options.whenFull === 'reject', wait.signal)
      // While it waited for room, somebody may have enqueued the same.
      const named = this.#name(job)
      if (this.#joins(named)) this.#leave(job)
      else this.#add(named)
      return named.id
    } finally {
      this.#closing.signal.removeEventListener('abort', close)
      wait.dispose()
      deadline.dispose()
    }
  }

  async cancel(id: string): Promise<boolean> {
    const entry = this.#entries.get(id)
    if (entry?.state === 'active') {
      entry.stop?.('cancelled')
      return true
    }
    if (entry?.state !== 'waiting') return false
    this.#withdraw(entry)
    const document = this.#documents.get(entry.job.document)
    // The older content that is being ingested is the newest again.
    if (document?.running !== undefined && document.latest === id) document.latest = document.running
    this.#finish(entry, 'cancelled', {})
    return true
  }

  async retry(id: string): Promise<boolean> {
    const entry = this.#entries.get(id)
    if (entry?.state !== 'failed' || this.#closing.signal.aborted) return false
    const document = this.#documents.get(entry.job.document)
    if (document !== undefined && document.latest !== id) return false
    if (this.#hasLater(entry)) return false
    this.#room.jobs.push(1)
    this.#room.bytes.push(entry.job.bytes)
    this.#add(entry.job)
    return true
  }

  /** Whether a newer content of the document ended after this job did. */
  #hasLater({ job: { document, id } }: Entry): boolean {
    const ended = [...this.#over]
    return ended.slice(ended.indexOf(id) + 1).some((other) => {
      const later = this.#entries.get(other)
      return later?.job.document === document && later.state !== 'cancelled'
    })
  }

  async job(id: string): Promise<JobStatus | undefined> {
    const entry = this.#entries.get(id)
    return entry && describe(entry)
  }

  async counts(): Promise<JobCounts> {
    const { waiting, active, completed, failed } = this.#tally()
    return { waiting, active, completed, failed }
  }

  async failed({ limit = 100 }: { readonly limit?: number } = {}): Promise<JobStatus[]> {
    const ids = [...this.#over].reverse()
    const entries = ids.map((id) => this.#entries.get(id)).filter((entry) => entry?.state === 'failed')
    return entries.slice(0, limit).map((entry) => describe(entry as Entry))
  }

  async finished(id: string, options: WaitOptions = {}): Promise<JobStatus> {
    let last = this.#entries.get(id)
    if (last === undefined) throw unknownJob(id)
    await this.#until(() => {
      // A job that is forgotten as soon as it is over is known by what it was last.
      last = this.#entries.get(id) ?? last
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
    let settle: { readonly resolve: () => void; readonly reject: (error: unknown) => void }
    const ended = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject }
    })
    ended.catch(() => {
      // Who asks for `ended` sees it; nobody has to.
    })
    const processor: Processor = {
      ...options,
      handler,
      running: new Set(),
      entries: new Set(),
      closed: false,
      fail: (error) => {
        settle.reject(error)
        void this.#stopProcessor(processor, 0)
      },
    }
    this.#processors.add(processor)
    this.#dispatch()
    return {
      ended,
      close: async (waitMs) => {
        await this.#stopProcessor(processor, waitMs)
        settle.resolve()
      },
    }
  }

  close(): Promise<readonly GivenBack[]> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<readonly GivenBack[]> {
    this.#closing.abort()
    await Promise.all([...this.#processors].map((processor) => this.#stopProcessor(processor, closeMs)))
    // A handler that did not stop is among them: whether its job is done nobody knows.
    const left = [...this.#entries.values()].filter((entry) => !isOver(entry))
    for (const { wake } of left) wake?.abort(closedError())
    this.#isClosed = true
    for (const look of [...this.#waiters]) look()
    const order = (entry: Entry) => lanes.indexOf(entry.job.priority)
    return left
      .sort((a, b) => order(a) - order(b))
      .map(({ job: { id, input, namespace, priority } }) => ({ id, input, namespace, priority }))
  }

  #tally(): Record<JobState, number> {
    const counts = { waiting: 0, active: 0, completed: 0, failed: 0, cancelled: 0 }
    for (const { state } of this.#entries.values()) counts[state]++
    return counts
  }

  /** The id under which a job of this content is or comes to be known. */
  #name(job: PreparedJob): PreparedJob {
    if (job.alternateId === undefined) return job
    const running = this.#documents.get(job.document)?.running
    const [first, second] = job.id < job.alternateId ? [job.id, job.alternateId] : [job.alternateId, job.id]
    const id = running === first ? second : first
    return { ...job, id, alternateId: id === first ? second : first }
  }

  /** Whether the job is there already, and not over; one that is being cancelled is wanted again. */
  #joins(job: PreparedJob): boolean {
    const entry = this.#entries.get(job.id)
    if (entry === undefined || isOver(entry)) return false
    if (entry.stopped === 'cancelled') entry.stopped = 'given-back'
    this.#supersede(job)
    return true
  }

  async #enter({ bytes }: PreparedJob, reject: boolean, signal: AbortSignal): Promise<void> {
    const { jobs, maxWaiting, bytes: held, maxBytes } = this.#room
    if (reject && (jobs.inside >= maxWaiting || held.inside >= maxBytes)) throw overloaded(jobs.inside, held.inside)
    await jobs.enter(1, signal)
    try {
      await held.enter(bytes, signal)
    } catch (error) {
      jobs.leave(1)
      throw error
    }
  }

  #leave({ bytes }: PreparedJob): void {
    this.#room.jobs.leave(1)
    this.#room.bytes.leave(bytes)
  }

  #add(job: PreparedJob): void {
    this.#over.delete(job.id)
    const entry: Entry = {
      job,
      state: 'waiting',
      attempts: 0,
      enqueuedAt: this.#clock.date(),
      wake: undefined,
      stop: undefined,
      stopped: undefined,
      facts: {},
    }
    this.#entries.set(job.id, entry)
    this.#supersede(job)
    this.#makeReady(entry)
  }

  /** This job's content is the document's newest: older ones that wait are not needed any more. */
  #supersede({ id, document }: PreparedJob): void {
    const { latest, running } = this.#documents.get(document) ?? {}
    this.#documents.set(document, { latest: id, running })
    if (latest === undefined || latest === id) return
    const older = this.#entries.get(latest)
    if (older?.state !== 'waiting') return
    this.#withdraw(older)
    this.#finish(older, 'completed', { result: superseded })
  }

  #makeReady(entry: Entry): void {
    entry.state = 'waiting'
    this.#ready.get(entry.job.priority)?.add(entry)
    this.#emit({ type: 'waiting', id: entry.job.id })
    this.#dispatch()
  }

  /** Takes a job away from where it waits. */
  #withdraw(entry: Entry): void {
    entry.wake?.abort(closedError())
    this.#delayed.delete(entry)
    this.#ready.get(entry.job.priority)?.delete(entry)
    this.#leave(entry.job)
  }

  #dispatch(): void {
    for (const processor of this.#processors) {
      while (!processor.closed && processor.entries.size < processor.concurrency) {
        const entry = this.#next()
        if (entry === undefined) return
        this.#begin(entry, processor)
      }
    }
  }

  /** The first job whose document has none that runs: one job per document is skipped at most, as older ones do not wait. */
  #next(): Entry | undefined {
    for (const lane of lanes) {
      for (const entry of this.#ready.get(lane) ?? [])
        if (this.#documents.get(entry.job.document)?.running === undefined) return entry
    }
    return undefined
  }

  #begin(entry: Entry, processor: Processor): void {
    this.#withdraw(entry)
    const { job } = entry
    const document = this.#documents.get(job.document) ?? { latest: job.id, running: undefined }
    this.#documents.set(job.document, { ...document, running: job.id })
    entry.state = 'active'
    entry.facts = { startedAt: this.#clock.date() }
    processor.entries.add(entry)
    this.#emit({ type: 'active', id: job.id })
    const run = this.#run(entry, processor)
    processor.running.add(run)
    void run.finally(() => processor.running.delete(run))
  }

  async #run(entry: Entry, processor: Processor): Promise<void> {
    const controller = new AbortController()
    entry.stopped = undefined
    entry.stop = (reason) => {
      // A job that is cancelled while its worker closes is cancelled, and must not wait again.
      if (entry.stopped === undefined || reason === 'cancelled') entry.stopped = reason
      controller.abort(stopError(reason))
    }
    const { id, input, source, namespace } = entry.job
    const active: ActiveJob = {
      id,
      input,
      source,
      namespace,
      attempt: entry.attempts + 1,
      signal: controller.signal,
      report: (progress) => {
        if (entry.stop === undefined) return
        entry.facts = { ...entry.facts, progress }
        this.#emit({ type: 'progress', id, progress })
      },
    }
    // Whoever enqueues must not run the handler's first stretch.
    await new Promise(setImmediate)
    let outcome: { readonly result: JobResult } | { readonly error: unknown }
    try {
      controller.signal.throwIfAborted()
      outcome = { result: await processor.handler(active) }
    } catch (error) {
      outcome = { error }
    }
    entry.stop = undefined
    processor.entries.delete(entry)
    const document = this.#documents.get(entry.job.document)
    if (document !== undefined) document.running = undefined
    if ('result' in outcome) this.#finish(entry, 'completed', outcome, 1)
    else this.#failed(entry, outcome.error, processor)
    this.#dispatch()
  }

  #failed(entry: Entry, cause: unknown, processor: Processor): void {
    const isUnfit = cause instanceof UnfitWorker
    const isLatest = this.#documents.get(entry.job.document)?.latest === entry.job.id
    if (isUnfit) processor.fail(cause.cause)
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

  /** Room or not, what was accepted is kept. */
  #waitAgain(entry: Entry, delayMs?: number): void {
    const { id, bytes } = entry.job
    this.#room.jobs.push(1)
    this.#room.bytes.push(bytes)
    if (delayMs === undefined) {
      this.#makeReady(entry)
      return
    }
    entry.state = 'waiting'
    entry.wake = new AbortController()
    this.#delayed.add(entry)
    this.#emit({ type: 'retrying', id, delayMs })
    this.#clock.sleep(delayMs, entry.wake.signal).then(
      () => {
        if (this.#delayed.delete(entry)) this.#makeReady(entry)
      },
      () => {
        // It was cancelled, superseded or given back meanwhile.
      },
    )
  }

  #finish(entry: Entry, state: 'completed' | 'failed' | 'cancelled', outcome: Entry['facts'], attempts = 0): void {
    const { id, document } = entry.job
    const { error: _, ...facts } = entry.facts
    entry.state = state
    entry.attempts += attempts
    entry.facts = { ...facts, ...outcome, finishedAt: this.#clock.date() }
    // Only what failed may be tried again; what an input holds is not kept for the others.
    if (state !== 'failed') entry.job = { ...entry.job, input: '', bytes: 0 }
    const known = this.#documents.get(document)
    if (known?.latest === id && known.running === undefined) this.#documents.delete(document)
    else if (known !== undefined && known.running === undefined && !this.#isPending(known.latest))
      this.#documents.delete(document)
    this.#over.add(id)
    while (this.#over.size > this.#keep) this.#forget(this.#over.values().next().value as string)
    this.#boundFailed()
    if (state === 'completed') this.#emit({ type: state, id, result: outcome.result as JobResult })
    else if (state === 'failed')
      this.#emit({ type: state, id, error: outcome.error as NonNullable<JobStatus['error']> })
    else this.#emit({ type: state, id })
  }

  /** Forgets the oldest failed jobs while what they hold for another try is too much. */
  #boundFailed(): void {
    const held = [...this.#over].flatMap((id) => this.#entries.get(id) ?? []).filter(({ job }) => job.bytes > 0)
    let bytes = held.reduce((sum, { job }) => sum + job.bytes, 0)
    for (const { job } of held) {
      if (bytes <= maxFailedBytes) return
      bytes -= job.bytes
      this.#forget(job.id)
    }
  }

  #isPending(id: string): boolean {
    const entry = this.#entries.get(id)
    return entry !== undefined && !isOver(entry)
  }

  #forget(id: string): void {
    this.#over.delete(id)
    this.#entries.delete(id)
  }

  async #stopProcessor(processor: Processor, waitMs: number): Promise<void> {
    processor.closed = true
    this.#processors.delete(processor)
    const all = () => Promise.allSettled([...processor.running])
    await waitAtMost(all(), waitMs, this.#clock)
    for (const { stop } of processor.entries) stop?.('given-back')
    await waitAtMost(all(), stopMs, this.#clock)
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

function isOver({ state }: Entry): boolean {
  return state === 'completed' || state === 'failed' || state === 'cancelled'
}

function describe({ job, state, attempts, enqueuedAt, facts }: Entry): JobStatus {
  const { id, source, namespace, priority } = job
  return { id, state, source, namespace, priority, attempts, enqueuedAt, ...facts }
}

function overloaded(waiting: number, waitingBytes: number): RagError {
  return new RagError('OVERLOADED', 'Too many jobs wait already.', {
    data: { waiting, waitingBytes },
    hint: "Enqueue later, with whenFull: 'wait', or raise maxWaiting and maxWaitingBytes.",
    retryable: true,
  })
}
