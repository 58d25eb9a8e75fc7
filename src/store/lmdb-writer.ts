import { randomUUID } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { RagError } from '../core/errors.js'
import type { Logger } from '../core/lifecycle.js'
import { createThreadGuard } from '../util/thread-guard.js'
import { smallYoungGeneration } from '../util/worker-pool.js'
import { workerUrl } from '../util/worker-url.js'
import type { Replies, ReplyMessage, Request, RequestMessage, WriterData } from './lmdb-messages.js'
import { storeClosed } from './validate.js'

export interface WriterThreadOptions {
  readonly directory: string
  readonly mapSize: number
  readonly retireMs: number
  readonly logger: Logger
}

/** How long `close()` waits for a disk, or another process, that does not answer. */
const closeTimeoutMs = 10_000

/**
 * The main thread's end of the thread that writes. Replies come in the order of requests, each after its flush to disk. When the
 * thread dies, what it had not acknowledged rejects with `WORKER`, and the next request starts another.
 */
export class WriterThread {
  readonly #options: WriterThreadOptions
  #thread: Thread | undefined
  readonly #endedSessions: string[] = []
  #closing: Promise<void> | undefined

  constructor(options: WriterThreadOptions) {
    this.#options = options
  }

  /** Starts the thread, which deletes what dead processes have left, without waiting for it. */
  start(): void {
    this.#running()
  }

  /** Resolves after the flush to disk. `bytes` is about what the request writes; the buffers in `transfer` are moved. */
  async request<Kind extends Exclude<Request['kind'], 'close'>>(
    request: Extract<Request, { kind: Kind }>,
    { bytes = 0, transfer = [] }: { readonly bytes?: number; readonly transfer?: readonly ArrayBuffer[] } = {},
  ): Promise<Replies[Kind]> {
    if (this.#closing !== undefined) throw storeClosed()
    return (await this.#running().request(request, bytes, transfer)) as Replies[Kind]
  }

  /** Tells the operator about a failure that nobody waits for. */
  warn(message: string, error: unknown): void {
    this.#options.logger.warn(message, { error: String(error) })
  }

  /** Finishes what was requested and ends the thread. */
  close(): Promise<void> {
    this.#closing ??= this.#thread === undefined ? Promise.resolve() : this.#thread.close()
    return this.#closing
  }

  #running(): Thread {
    this.#thread ??= new Thread(
      { ...this.#options, session: randomUUID(), endedSessions: [...this.#endedSessions] },
      (session) => {
        this.#endedSessions.push(session)
        this.#thread = undefined
      },
    )
    return this.#thread
  }
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: unknown): void
}

class Thread {
  readonly #worker: Worker
  readonly #logger: Logger
  readonly #waiting = new Map<number, Waiting>()
  readonly #exited: Promise<unknown>
  readonly #exitGuard = createThreadGuard()
  #nextId = 1
  #closed = false

  constructor(
    { logger, ...options }: WriterThreadOptions & Omit<WriterData, 'exitGuard'>,
    onDeath: (session: string) => void,
  ) {
    this.#logger = logger
    const workerData: WriterData = { ...options, exitGuard: this.#exitGuard.cells }
    this.#worker = new Worker(workerUrl('lmdb'), {
      name: 'ufrag-lmdb',
      workerData,
      resourceLimits: smallYoungGeneration,
      execArgv: [],
    })
    this.#worker.on('message', (message: ReplyMessage) => this.#receive(message))
    let cause: unknown
    this.#worker.on('error', (error) => {
      cause = error
    })
    // Not events.once(), which rejects when the thread fails before it ends.
    this.#exited = new Promise((resolve) => this.#worker.once('exit', resolve))
    this.#worker.on('exit', (code) => {
      this.#exitGuard.release()
      if (!this.#closed) onDeath(options.session)
      this.#rejectAll(
        new RagError('WORKER', `The thread that writes the store ended (exit code ${code}).`, {
          cause,
          hint: 'Repeat what failed; nothing that was acknowledged is lost.',
          retryable: true,
        }),
      )
    })
    this.#worker.unref()
  }

  request(request: Request, bytes: number, transfer: readonly ArrayBuffer[]): Promise<unknown> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      // Throws, and so rejects, when the document holds what cannot travel to another thread.
      this.#worker.postMessage({ id, bytes, request } satisfies RequestMessage, [...transfer])
      this.#waiting.set(id, { resolve, reject })
      // Only a thread that owes an answer keeps the process running.
      this.#worker.ref()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#logger.warn('The store did not finish writing in time; the rest was given up.', { closeTimeoutMs })
        // Not terminated: a thread inside a flush cannot be, and waiting for that is what must not happen here.
        this.#worker.unref()
        this.#rejectAll(storeClosed())
        resolve()
      }, closeTimeoutMs).unref()
    })
    const finished = this.request({ kind: 'close' }, 0, [])
      .catch((error) => this.#logger.warn('The store was closed with an error.', { error: String(error) }))
      .then(() => this.#exited)
    await Promise.race([finished, timeout])
    clearTimeout(timer)
  }

  #receive(message: ReplyMessage): void {
    if (message.kind === 'warning') {
      this.#logger.warn(message.message, message.data)
      return
    }
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    // `close()` also waits for the thread to end.
    if (this.#waiting.size === 0 && !this.#closed) this.#worker.unref()
    if (message.kind === 'done') waiting?.resolve(message.value)
    else waiting?.reject(fromWire(message))
  }

  #rejectAll(error: RagError): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }
}

function fromWire({ error, cause }: Extract<ReplyMessage, { kind: 'failed' }>): RagError {
  return new RagError(error.code, error.message, {
    data: error.data,
    retryable: error.retryable,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(cause === undefined ? {} : { cause: new Error(cause) }),
  })
}
