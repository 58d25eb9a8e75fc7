import { setPriority } from 'node:os'
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { RagError, type SerializedRagError } from '../core/errors.js'
import { guarded } from './thread-guard.js'

/** What a task handler inside a worker receives beside its payload. */
export interface TaskContext {
  /** Fires when the caller aborted; stop soon after. */
  readonly signal: AbortSignal
  /**
   * Sends an intermediate value to a streaming caller. Resolves when the caller has room for more, counted in `bytes`;
   * rejects when the task was aborted.
   */
  emit(value: unknown, options?: { readonly bytes?: number; readonly transfer?: readonly ArrayBuffer[] }): Promise<void>
  /**
   * Runs native code that would take the whole process down if its thread were stopped in the middle. Meanwhile the pool does not end
   * the thread, nor does the process exit (for up to a minute). Keep it short, and one at a time. Throws when the end has begun.
   */
  critical<Result>(section: () => Result): Result
}

/** A result whose buffers are moved to the caller, not copied. */
export class Transferred<Value> {
  constructor(
    readonly value: Value,
    readonly transfer: readonly ArrayBuffer[],
  ) {}
}

export type TaskHandler = (payload: never, context: TaskContext) => Promise<unknown> | unknown

/** Messages from the pool to a worker. */
export type ToWorker =
  | { readonly kind: 'start'; readonly guard: Int32Array; readonly priority: 'low' | 'normal' }
  | {
      readonly kind: 'run'
      readonly id: number
      readonly type: string
      readonly payload: unknown
      readonly credit: number
    }
  | { readonly kind: 'abort'; readonly id: number }
  | { readonly kind: 'credit'; readonly id: number; readonly bytes: number }

/** Messages from a worker to the pool. `heldBytes` is native or WASM memory that only a new worker would give back. */
export type FromWorker =
  | { readonly kind: 'emit'; readonly id: number; readonly value: unknown; readonly bytes: number }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown; readonly heldBytes: number }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError; readonly heldBytes: number }

/** An error as it crosses a thread. */
export type WireError =
  | { readonly rag: SerializedRagError; readonly cause?: string }
  | { readonly name: string; readonly message: string; readonly stack: string | undefined }

/**
 * Serves the tasks of a `WorkerPool` inside a worker thread, one at a time. `heldBytes` tells how much memory this worker keeps
 * that it cannot give back itself (a WASM heap); the pool replaces it above its limit.
 */
export function serveTasks(handlers: Readonly<Record<string, TaskHandler>>, heldBytes: () => number = () => 0): void {
  const port = parentPort
  if (port === null) throw new RagError('WORKER', 'serveTasks() was called outside a worker thread.')
  const send = (message: FromWorker, transfer: readonly ArrayBuffer[] = []) => port.postMessage(message, [...transfer])
  /** The first is being served, the others wait. */
  const tasks: RunningTask[] = []
  let guard: Int32Array = new Int32Array(2)

  port.on('message', receive)

  function receive(message: ToWorker): void {
    switch (message.kind) {
      case 'start':
        guard = message.guard
        if (message.priority === 'low') giveWay()
        return
      case 'run':
        tasks.push(new RunningTask(message))
        if (tasks.length === 1) void serve()
        return
      case 'abort':
        tasks.find(({ id }) => id === message.id)?.abort()
        return
      case 'credit':
        tasks.find(({ id }) => id === message.id)?.refill(message.bytes)
        return
      default:
        message satisfies never
    }
  }

  async function serve(): Promise<void> {
    for (let task = tasks[0]; task !== undefined; task = tasks[0]) {
      receiveArrived()
      await execute(task)
      tasks.shift()
    }
  }

  /** Otherwise a task would begin before an abort of it, sent while this thread was busy, is seen. */
  function receiveArrived(): void {
    for (let next = receiveMessageOnPort(port as MessagePort); next !== undefined; ) {
      receive(next.message)
      next = receiveMessageOnPort(port as MessagePort)
    }
  }

  async function execute(task: RunningTask): Promise<void> {
    const { id, type, payload } = task
    try {
      task.signal.throwIfAborted()
      const handler = handlers[type]
      if (handler === undefined) throw new RagError('WORKER', `The worker knows no task "${type}".`)
      const result = await handler(payload as never, {
        signal: task.signal,
        emit: async (value, { bytes = 0, transfer = [] } = {}) => {
          await task.take(bytes)
          send({ kind: 'emit', id, value, bytes }, transfer)
        },
        critical: (section) => guarded(guard, section),
      })
      if (result instanceof Transferred)
        send({ kind: 'done', id, value: result.value, heldBytes: heldBytes() }, result.transfer)
      else send({ kind: 'done', id, value: result, heldBytes: heldBytes() })
    } catch (error) {
      send({ kind: 'failed', id, error: toWire(error), heldBytes: heldBytes() })
    }
  }
}

/** Niceness of a thread: its work waits when the application, or a question, wants the core. */
const niceness = 10

/** Lowers the priority of this thread alone, which only Linux can do: elsewhere the call would hit the whole process. */
function giveWay(): void {
  if (process.platform !== 'linux') return
  try {
    setPriority(niceness)
  } catch {
    // A sandbox that forbids it costs others some latency, and that is all.
  }
}

/** A task with its abort signal and its byte credit. */
class RunningTask {
  readonly id: number
  readonly type: string
  readonly payload: unknown
  readonly #controller = new AbortController()
  readonly signal = this.#controller.signal
  #credit: number
  #waiting: (() => void) | undefined

  constructor({ id, type, payload, credit }: Extract<ToWorker, { kind: 'run' }>) {
    this.id = id
    this.type = type
    this.payload = payload
    this.#credit = credit
  }

  abort(): void {
    this.#controller.abort()
    this.#waiting?.()
  }

  refill(bytes: number): void {
    this.#credit += bytes
    if (this.#credit > 0) this.#waiting?.()
  }

  /** Waits until there is any credit, then spends `bytes` of it (it may go below zero once). */
  async take(bytes: number): Promise<void> {
    while (this.#credit <= 0 && !this.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
      this.#waiting = undefined
    }
    this.signal.throwIfAborted()
    this.#credit -= bytes
  }
}

function toWire(error: unknown): WireError {
  if (RagError.isInstance(error)) {
    const rag = error.toJSON()
    return error.cause === undefined ? { rag } : { rag, cause: String(error.cause) }
  }
  if (error instanceof Error) return { name: error.name, message: error.message, stack: error.stack }
  return { name: 'Error', message: String(error), stack: undefined }
}
