import type { Job, Worker } from 'bullmq'
import { RagError } from '../../core/errors.js'
import type { Logger } from '../../core/lifecycle.js'
import { abortable } from '../../util/abort.js'
import type { Clock } from '../../util/clock.js'
import { waitAtMost } from '../../util/wait-at-most.js'
import {
  asJobError,
  nextAttemptMs,
  otherTarget,
  type RetryPolicy,
  type StopReason,
  stopError,
  superseded,
  UnfitWorker,
} from '../outcome.js'
import type { JobHandler, JobProcessor, JobProgress, JobResult, ProcessOptions } from '../types.js'
import { endSilence, isRefusal, loadBullmq } from './connection.js'
import { inputOf, type Payload, placeOf } from './payload.js'
import { cancelledReason, readReason, reasonError } from './record.js'
import { isOld, keysOf, marksMs, runScript, type ScriptClient } from './scripts.js'

/** What a processor needs of its queue. */
export interface ProcessorTools {
  readonly name: string
  readonly prefix: string
  readonly base: string
  readonly connection: Record<string, unknown>
  readonly retryDelayMs: number
  /** Milliseconds without a sign of life after which a job is taken from its worker. */
  readonly lockMs: number
  readonly stalledIntervalMs: number
  readonly maxStalls: number
  readonly clock: Clock
  readonly logger: Logger | undefined
  /** Lets a job wait again that was cancelled, and then enqueued again before it had ended. */
  readonly revive: (job: Job<Payload, JobResult>, place: number) => Promise<void>
}

/** Milliseconds until it is asked again whether another job of the same document has ended. */
const busyMs = 100
/** Milliseconds between two reports of a job's progress. */
const progressMs = 250
/** Milliseconds that stopped handlers may take to end before nobody waits any more. */
const stopMs = 5_000
/** Milliseconds that a server may take to hear how the last jobs ended, and to say goodbye. */
const goodbyeMs = 1_500
/** Milliseconds that a worker leaves a server alone which refuses to write. */
const refusedMs = 1_000

interface Running {
  readonly token: string
  readonly document: string
  stop(reason: StopReason): void
}

/** Runs the jobs of a queue on Redis with a worker of BullMQ. It connects by itself, as often as it takes. */
export function startProcessor(handler: JobHandler, options: ProcessOptions, tools: ProcessorTools): JobProcessor {
  return new BullmqProcessor(handler, options, tools)
}

class BullmqProcessor implements JobProcessor {
  readonly ended: Promise<void>
  readonly #handler: JobHandler
  readonly #options: ProcessOptions
  readonly #tools: ProcessorTools
  readonly #running = new Map<string, Running>()
  readonly #runs = new Set<Promise<unknown>>()
  /** What goes on after the end of jobs. */
  readonly #after = new Set<Promise<void>>()
  readonly #worker: Promise<Worker<Payload, JobResult>>
  readonly #resting = new AbortController()
  #resolve!: () => void
  #reject!: (error: unknown) => void
  #closed: Promise<void> | undefined

  constructor(handler: JobHandler, options: ProcessOptions, tools: ProcessorTools) {
    this.#handler = handler
    this.#options = options
    this.#tools = tools
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.ended.catch(() => {
      // Who asks for `ended` sees it; nobody has to.
    })
    this.#worker = this.#start()
    this.#worker.catch((error) => this.#reject(error))
  }

  close(waitMs: number): Promise<void> {
    this.#closed ??= this.#close(waitMs).finally(() => this.#resolve())
    return this.#closed
  }

  async #start(): Promise<Worker<Payload, JobResult>> {
    const { name, prefix, connection, lockMs, stalledIntervalMs, maxStalls } = this.#tools
    const bullmq = await loadBullmq()
    const worker = new bullmq.Worker<Payload, JobResult>(name, (job, token = '') => this.#track(job, token), {
      connection,
      prefix,
      concurrency: this.#options.concurrency,
      lockDuration: lockMs,
      stalledInterval: stalledIntervalMs,
      maxStalledCount: maxStalls,
      // 15 s by default: this long would a worker sleep after a server that was away for a moment.
      runRetryDelay: refusedMs,
      // What the check writes to the console is told to the logger, by whoever enqueues.
      skipVersionCheck: true,
      settings: { backoffStrategy: (_attempts, _type, error) => (error as { delayMs?: number }).delayMs ?? 0 },
    })
    let lastError = ''
    worker.on('error', (error) => {
      // The same for as long as the server is away: once will do.
      if (error.message !== lastError) this.#tools.logger?.warn('The queue is in trouble.', { reason: error.message })
      lastError = error.message
      if (isRefusal(error)) this.#rest(worker)
    })
    worker.on('failed', (job, error) => {
      if (job !== undefined && readReason(error.message) === 'cancelled') this.#follow(this.#forget(worker, job))
    })
    return worker
  }

  /** A server that refuses to write is asked again after a while, not at once. */
  #rest(worker: Worker): void {
    if (worker.isPaused() || this.#closed !== undefined) return
    void worker.pause(true)
    this.#tools.clock.sleep(refusedMs, this.#resting.signal).then(
      () => worker.resume(),
      () => {
        // It is being closed.
      },
    )
  }

  /** Removes a job that was cancelled while it ran, unless it was enqueued again meanwhile. */
  async #forget(worker: Worker, job: Job<Payload, JobResult>): Promise<void> {
    const { base } = this.#tools
    const id = job.id as string
    const { cancelled } = keysOf(base, { id, document: job.data.document })
    const forgotten = await runScript(await scriptClient(worker), 'forget', [cancelled, `${base}failed`], [base, id])
    if (forgotten !== -1) await this.#tools.revive(job, forgotten as number)
  }

  #follow(work: Promise<void>): void {
    const followed = work
      .catch((error) => this.#tools.logger?.warn('A cancelled job could not be removed.', { reason: String(error) }))
      .finally(() => this.#after.delete(followed))
    this.#after.add(followed)
  }

  #track(job: Job<Payload, JobResult>, token: string): Promise<JobResult> {
    const run = this.#run(job, token)
    const ended: Promise<unknown> = run.then(
      () => this.#runs.delete(ended),
      () => this.#runs.delete(ended),
    )
    this.#runs.add(ended)
    return run
  }

  async #run(job: Job<Payload, JobResult>, token: string): Promise<JobResult> {
    const id = job.id as string
    const { document, source, namespace } = job.data
    const controller = new AbortController()
    const { signal } = controller
    let stopped: StopReason | undefined
    const running: Running = {
      token,
      document,
      stop: (reason) => {
        stopped ??= reason
        controller.abort(stopError(reason))
      },
    }
    this.#running.set(id, running)
    const client = await scriptClient(await this.#worker)
    const keys = keysOf(this.#tools.base, { id, document })
    try {
      const verdict = await this.#admit(client, keys, { id, token, signal, place: placeOf(job.data) })
      if (verdict === 'superseded') return superseded
      if (verdict === 'cancelled') throw stopError('cancelled')
      const beats = this.#beat(client, keys, id, running)
      try {
        return await this.#handler({
          id,
          input: inputOf(job.data),
          source,
          namespace,
          attempt: job.attemptsMade + 1,
          signal,
          report: this.#reporter(job),
          confirm: () => abortable(this.#signOfLife(client, keys, id, running), signal),
        })
      } finally {
        clearInterval(beats)
      }
    } catch (error) {
      if (verdictOf(error) === 'cancelled') stopped ??= 'cancelled'
      return await this.#failed(job, { error, stopped, token, client })
    } finally {
      this.#running.delete(id)
      // Nobody waits for it: it expires by itself.
      void runScript(client, 'release', [keys.running], [id, token]).catch(() => {})
    }
  }

  /** Waits until no other job of the document runs. */
  async #admit(
    client: ScriptClient,
    keys: ReturnType<typeof keysOf>,
    {
      id,
      place,
      signal,
      token,
    }: { readonly id: string; readonly token: string; readonly signal: AbortSignal; readonly place: number },
  ): Promise<'go' | 'superseded' | 'cancelled'> {
    const { base, lockMs, clock } = this.#tools
    for (;;) {
      const asked = runScript(
        client,
        'begin',
        [keys.latest, keys.begun, keys.running, keys.cancelled, keys.target],
        [base, id, place, token, lockMs, this.#options.target, marksMs],
      )
      const verdict = await abortable(asked, signal)
      if (verdict === 'foreign') throw new UnfitWorker(otherTarget())
      if (verdict !== 'busy') return verdict as 'go' | 'superseded' | 'cancelled'
      await clock.sleep(busyMs, signal)
    }
  }

  /** A sign of life; whether the job is still wanted, and ours. */
  async #signOfLife(
    client: ScriptClient,
    keys: ReturnType<typeof keysOf>,
    id: string,
    { token, stop }: Running,
  ): Promise<void> {
    const parameters = [this.#tools.base, id, token, this.#tools.lockMs, this.#options.target]
    const verdict = await runScript(client, 'beat', [keys.running, keys.cancelled, keys.target], parameters)
    if (verdict === 'cancelled' || verdict === 'lost') stop(verdict)
  }

  #beat(client: ScriptClient, keys: ReturnType<typeof keysOf>, id: string, running: Running): NodeJS.Timeout {
    let asking = false
    return setInterval(
      () => {
        if (asking) return
        asking = true
        this.#signOfLife(client, keys, id, running)
          // The worker tells what is wrong with the server.
          .catch(() => {})
          .finally(() => {
            asking = false
          })
      },
      Math.min(this.#tools.lockMs / 4, 500),
    )
  }

  #reporter(job: Job<Payload, JobResult>): (progress: JobProgress) => void {
    let next = Number.NEGATIVE_INFINITY
    return (progress) => {
      const now = this.#tools.clock.now()
      if (now < next && progress.documentsDone < progress.documentsTotal) return
      next = now + progressMs
      // Progress that gets lost is followed by more.
      void job.updateProgress({ ...progress }).catch(() => {})
    }
  }

  /** What BullMQ is told of a job that did not succeed: by the name of the error that is thrown. */
  async #failed(
    job: Job<Payload, JobResult>,
    {
      error: cause,
      stopped,
      token,
      client,
    }: {
      readonly error: unknown
      readonly stopped: StopReason | undefined
      readonly token: string
      readonly client: ScriptClient
    },
  ): Promise<JobResult> {
    const isUnfit = cause instanceof UnfitWorker
    if (stopped === 'cancelled') throw reasonError('UnrecoverableError', cancelledReason)
    if (stopped === 'lost') throw reasonError('Error', 'The lock of the job was lost.')
    if (isUnfit || stopped === 'given-back') {
      await job.moveToWait(token)
      if (isUnfit) this.#giveUp(cause.cause)
      throw reasonError('WaitingError', 'The job waits again.')
    }
    if (await isOld(client, this.#tools.base, job)) return superseded
    const error = asJobError(cause)
    const attempts = job.attemptsMade + 1
    const policy: RetryPolicy = { attempts: job.opts.attempts ?? 1, retryDelayMs: this.#tools.retryDelayMs }
    const delayMs = nextAttemptMs(error, attempts, { policy })
    const { source } = job.data
    this.#tools.logger?.warn('A job failed.', { job: job.id, source, code: error.code, attempts, delayMs })
    const reason = JSON.stringify(error.toJSON())
    if (delayMs === undefined) throw reasonError('UnrecoverableError', reason)
    throw Object.assign(reasonError('Error', reason), { delayMs: Math.ceil(delayMs) })
  }

  #giveUp(error: unknown): void {
    this.#reject(error)
    void this.close(0)
  }

  async #close(waitMs: number): Promise<void> {
    this.#resting.abort()
    const worker = await this.#worker.catch(() => undefined)
    if (worker === undefined) return
    const closing = worker.close().catch(() => {
      // It ends either way.
    })
    await waitAtMost(Promise.all(this.#runs), waitMs, this.#tools.clock)
    for (const { stop } of this.#running.values()) stop('given-back')
    await waitAtMost(Promise.all(this.#runs), stopMs, this.#tools.clock)
    await waitAtMost(Promise.all([closing, ...this.#after]), goodbyeMs, this.#tools.clock)
    await disconnect(worker)
  }
}

function verdictOf(error: unknown): unknown {
  return RagError.isInstance(error, 'CLOSED') ? error.data.reason : undefined
}

async function scriptClient(worker: Worker): Promise<ScriptClient> {
  return (await worker.client) as unknown as ScriptClient
}

/** A server that is away must not keep the process alive: `close()` would wait for it. */
async function disconnect(worker: Worker): Promise<void> {
  const { blockingConnection } = worker as unknown as { blockingConnection?: { disconnect?(wait: boolean): unknown } }
  for (const end of [() => worker.disconnect(), () => blockingConnection?.disconnect?.(false)]) {
    try {
      void Promise.resolve(end()).catch(() => {})
    } catch {
      // It was closed properly before.
    }
  }
  endSilence(worker)
}
