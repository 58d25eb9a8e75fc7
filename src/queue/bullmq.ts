import type { Job, Queue, QueueEvents } from 'bullmq'
import { RagError } from '../core/errors.js'
import type { Logger, WaitOptions } from '../core/lifecycle.js'
import { abortable, withDeadline } from '../util/abort.js'
import { type Clock, systemClock } from '../util/clock.js'
import { memoizeAsync } from '../util/memoize-async.js'
import {
  callerConnection,
  endSilence,
  loadBullmq,
  patientConnection,
  type RedisAddress,
  withinLimit,
} from './bullmq/connection.js'
import { listen } from './bullmq/events.js'
import { type BullmqQueueOptions, type BullmqSettings, checkOptions } from './bullmq/options.js'
import { type Payload, placeOf, toPayload } from './bullmq/payload.js'
import { startProcessor } from './bullmq/processor.js'
import { toStatus } from './bullmq/record.js'
import { isOld, keysOf, marksMs, runScript, type ScriptClient } from './bullmq/scripts.js'
import { inspectServer } from './bullmq/server.js'
import { checkWhole } from './check-whole.js'
import { Listeners } from './listeners.js'
import { closedError, unknownJob } from './outcome.js'
import { type PreparedJob, prepareJob } from './prepare-job.js'
import type {
  EnqueueOptions,
  JobCounts,
  JobEvent,
  JobHandler,
  JobInput,
  JobPriority,
  JobProcessor,
  JobQueue,
  JobResult,
  JobStatus,
  ProcessOptions,
} from './types.js'

/** Milliseconds between two looks at something that somebody waits for: soon at first, then less often. */
const lookMs = { first: 10, longest: 200 }
/** Milliseconds that a worker is given to end when its queue is closed. */
const closeMs = 30_000
/** BullMQ counts downwards, from 1; without a number a job is before all others. */
const ranks: Readonly<Record<JobPriority, number>> = { high: 1, normal: 2, low: 3 }

/**
 * A queue on a Redis server (6.2 or later, `maxmemory-policy noeviction`, with `appendonly yes` if jobs shall outlive the server):
 * `npm i bullmq@5`. Any number of processes may enqueue; workers run on the machine that has the storage. Connects with the first call
 * and again by itself. Throws `BAD_OPTION`; a server that is away, stopped or full makes calls reject with `PROVIDER` or `OVERLOADED`
 * within `timeoutMs`, both retryable, while workers wait for it.
 *
 * @example
 * const queue = createBullmqQueue({ url: 'redis://queue.internal:6379' })
 * const id = await queue.enqueue('/srv/documents/paper.pdf')
 */
export function createBullmqQueue(options: BullmqQueueOptions, clock: Clock = systemClock): JobQueue {
  return new BullmqQueue(options, clock)
}

class BullmqQueue implements JobQueue {
  readonly id = 'bullmq'
  readonly capabilities = { shared: true, persistent: true }
  readonly #settings: BullmqSettings
  readonly #address: RedisAddress
  readonly #logger: Logger | undefined
  readonly #clock: Clock
  readonly #base: string
  readonly #open = memoizeAsync(() => this.#connect())
  readonly #listeners = new Listeners<JobEvent>()
  readonly #processors = new Set<JobProcessor>()
  #events: Promise<QueueEvents> | undefined
  #opened: Promise<Queue<Payload, JobResult>> | undefined
  #closed: Promise<readonly []> | undefined

  constructor(options: BullmqQueueOptions, clock: Clock) {
    this.#settings = checkOptions(options)
    const { url, client, logger } = options
    this.#address = { url, ...(client === undefined ? {} : { client }) }
    this.#logger = logger
    this.#clock = clock
    this.#base = `${this.#settings.prefix}:${this.#settings.name}:`
  }

  async enqueue(input: JobInput, options: EnqueueOptions = {}): Promise<string> {
    const { root, maxPayloadBytes } = this.#settings
    const wait = withDeadline(options)
    try {
      this.#assertOpen()
      wait.signal?.throwIfAborted()
      const given = wait.signal === undefined ? options : { ...options, signal: wait.signal }
      const job = await abortable(prepareJob(input, given, { root, maxPayloadBytes }), wait.signal)
      for (;;) {
        const { id, state } = await abortable(this.#put(job), wait.signal)
        if (state === 'added') return id
        if (state === 'full' && options.whenFull === 'reject') throw overloaded(this.#settings.maxWaiting)
        await this.#clock.sleep(state === 'full' ? lookMs.longest : lookMs.first, wait.signal)
      }
    } finally {
      wait.dispose()
    }
  }

  async cancel(id: string): Promise<boolean> {
    return this.#ask(async (queue, client) => {
      const job = await queue.getJob(id)
      if (job === undefined) return false
      const { cancelled } = keysOf(this.#base, { id, document: job.data.document })
      const marked = await runScript(client, 'cancel', [cancelled], [this.#base, id, marksMs])
      // One that runs is locked and stays: its worker sees the mark.
      if (marked === 1) await job.remove().catch(() => {})
      return marked === 1
    })
  }

  async retry(id: string): Promise<boolean> {
    return this.#ask(async (queue, client) => {
      const job = await queue.getJob(id)
      if (job === undefined || (await job.getState()) !== 'failed') return false
      if (await isOld(client, this.#base, job)) return false
      // In one step: a connection that breaks between two would lose the job.
      await job.retry('failed', { resetAttemptsMade: true })
      return true
    })
  }

  async job(id: string): Promise<JobStatus | undefined> {
    return this.#ask(async (queue, client) => {
      // In this order: what is told to be over has its result.
      const state = await queue.getJobState(id)
      const job = await queue.getJob(id)
      if (job === undefined || state === 'unknown') return undefined
      const { cancelled } = keysOf(this.#base, { id, document: job.data.document })
      const mark = await (client as unknown as { get(key: string): Promise<string | null> }).get(cancelled)
      return toStatus(job, state, mark !== null)
    })
  }

  async counts(): Promise<JobCounts> {
    return this.#ask(async (queue) => {
      const counts = await queue.getJobCounts('waiting', 'prioritized', 'delayed', 'active', 'completed', 'failed')
      const of = (state: string) => counts[state] ?? 0
      return {
        waiting: of('waiting') + of('prioritized') + of('delayed'),
        active: of('active'),
        completed: of('completed'),
        failed: of('failed'),
      }
    })
  }

  async failed({ limit = 100 }: { readonly limit?: number } = {}): Promise<JobStatus[]> {
    return this.#ask(async (queue) => {
      const jobs = limit > 0 ? await queue.getFailed(0, limit - 1) : []
      return jobs.filter((job) => job !== undefined).map((job) => toStatus(job, 'failed', false))
    })
  }

  async finished(id: string, options: WaitOptions = {}): Promise<JobStatus> {
    let known: JobStatus | undefined
    const over = await this.#until(async () => {
      const status = await this.job(id)
      if (status === undefined) {
        if (known === undefined) throw unknownJob(id)
        return { ...known, state: 'cancelled' as const }
      }
      known = status
      return status.state === 'waiting' || status.state === 'active' ? undefined : status
    }, options)
    return over
  }

  async idle(options: WaitOptions = {}): Promise<void> {
    await this.#until(async () => {
      const { waiting, active } = await this.counts()
      return waiting + active === 0 ? true : undefined
    }, options)
  }

  subscribe(listener: (event: JobEvent) => void): () => void {
    this.#assertOpen()
    const { name, prefix } = this.#settings
    this.#events ??= listen(
      { name, prefix, connection: patientConnection(this.#address), clock: this.#clock },
      (event) => this.#listeners.emit(event),
    )
    // Without the package nobody hears anything; every call says what is missing.
    this.#events.catch(() => {})
    return this.#listeners.add(listener)
  }

  process(handler: JobHandler, options: ProcessOptions): JobProcessor {
    this.#assertOpen()
    checkWhole({ concurrency: options.concurrency }, 1)
    const { name, prefix, retryDelayMs, lockMs, stalledIntervalMs, maxStalls } = this.#settings
    const processor = startProcessor(handler, options, {
      name,
      prefix,
      retryDelayMs,
      lockMs,
      stalledIntervalMs,
      maxStalls,
      base: this.#base,
      connection: patientConnection(this.#address),
      clock: this.#clock,
      logger: this.#logger,
      revive: (job, place) => this.#revive(job, place),
    })
    this.#processors.add(processor)
    return processor
  }

  close(): Promise<readonly []> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<readonly []> {
    await Promise.all([...this.#processors].map((processor) => processor.close(closeMs)))
    const { timeoutMs } = this.#settings
    const end = async (part: Promise<Queue | QueueEvents> | undefined) => {
      const opened = await part?.catch(() => undefined)
      if (opened === undefined) return
      await withinLimit(() => opened.close(), Math.min(timeoutMs, 1_000)).catch(() =>
        opened.disconnect().catch(() => {}),
      )
      endSilence(opened)
    }
    await Promise.all([end(this.#opened), end(this.#events)])
    return []
  }

  /** Adds a job, or finds it there; not when too many wait, nor while one of the same id is about to end without having done anything. */
  async #put(job: PreparedJob): Promise<{ readonly id: string; readonly state: 'added' | 'full' | 'ending' }> {
    const { maxWaiting } = this.#settings
    return this.#ask(async (queue, client) => {
      const { latest, running } = keysOf(this.#base, job)
      const lists = ['wait', 'prioritized', 'delayed'].map((list) => `${this.#base}${list}`)
      const parameters = [this.#base, job.id, job.alternateId ?? '', maxWaiting, marksMs]
      const claimed = await runScript(client, 'claim', [latest, running, ...lists], parameters)
      const [id, state, place] = claimed as [string, 'full' | 'ending' | 'over' | 'free', number]
      if (state === 'full' || state === 'ending') return { id, state }
      if (state === 'over') {
        const over = await queue.getJob(id)
        // Another caller may be at the same: the job is added once, as its id is the same.
        if (over !== undefined && over.finishedOn !== undefined) await over.remove().catch(() => {})
      }
      await this.#add(queue, id, toPayload(job, place))
      return { id, state: 'added' }
    })
  }

  async #add(queue: Queue<Payload, JobResult>, id: string, payload: Payload): Promise<void> {
    const { attempts, keep } = this.#settings
    await queue.add('ingest', payload, {
      jobId: id,
      attempts,
      backoff: { type: 'custom' },
      priority: ranks[payload.priority],
      removeOnComplete: { count: keep },
      removeOnFail: { count: keep },
      stackTraceLimit: 1,
    })
  }

  async #revive(job: Job<Payload, JobResult>, place: number): Promise<void> {
    await this.#ask(async (queue) => {
      await job.remove()
      await this.#add(queue, job.id as string, { ...job.data, place: Math.max(place, placeOf(job.data)) })
    })
  }

  async #ask<Value>(
    question: (queue: Queue<Payload, JobResult>, client: ScriptClient) => Promise<Value>,
  ): Promise<Value> {
    this.#assertOpen()
    const { timeoutMs } = this.#settings
    return withinLimit(async () => {
      const queue = await this.#open()
      return question(queue, (await queue.client) as unknown as ScriptClient)
    }, timeoutMs)
  }

  async #connect(): Promise<Queue<Payload, JobResult>> {
    const { name, prefix, timeoutMs } = this.#settings
    const bullmq = await loadBullmq()
    this.#assertOpen()
    const queue = new bullmq.Queue<Payload, JobResult>(name, {
      connection: callerConnection(this.#address, timeoutMs),
      prefix,
      // What it finds is written to the console.
      skipVersionCheck: true,
    })
    // While a server is away the client tries on and on; whoever asks is told at once.
    const failure = new Promise<never>((_, reject) => {
      queue.on('error', reject)
    })
    try {
      this.#opened = Promise.resolve(queue)
      await withinLimit(
        () => Promise.race([failure, queue.client.then((client) => inspectServer(client, this.#logger))]),
        timeoutMs,
      )
      return queue
    } catch (error) {
      // Made anew by the next call: a client that has given up does not come back.
      void queue.disconnect().catch(() => {})
      throw error
    }
  }

  async #until<Value>(look: () => Promise<Value | undefined>, options: WaitOptions): Promise<Value> {
    const deadline = withDeadline(options)
    try {
      for (let waitMs = lookMs.first; ; waitMs = Math.min(lookMs.longest, waitMs * 2)) {
        const seen = await abortable(look(), deadline.signal)
        if (seen !== undefined) return seen
        await this.#clock.sleep(waitMs, deadline.signal)
      }
    } finally {
      deadline.dispose()
    }
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw closedError()
  }
}

function overloaded(maxWaiting: number): RagError {
  return new RagError('OVERLOADED', 'Too many jobs wait already.', {
    data: { maxWaiting },
    hint: "Enqueue later, with whenFull: 'wait', or raise maxWaiting.",
    retryable: true,
  })
}
