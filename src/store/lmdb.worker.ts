import { statSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { RagError } from '../core/errors.js'
import { type Environment, environmentFile, openEnvironment, storageError, transact } from '../lmdb/environment.js'
import { createReserve, trimFile } from '../lmdb/file-length.js'
import { createScavenger } from '../util/scavenge.js'
import { guarded } from '../util/thread-guard.js'
import type { Replies, ReplyMessage, Request, RequestMessage, WriterData } from './lmdb-messages.js'
import { deleteRetired, execute, retireAbandoned, type TransactionContext } from './lmdb-transactions.js'

/**
 * The only thread that writes. Requests that arrived while a transaction was being flushed share the next one; replies are sent
 * after the flush. Between transactions it deletes what nobody reads any more, a little at a time.
 */

/** Of one transaction: its changed pages lie in anonymous memory until it ends. */
const maxTransactionBytes = 8 << 20
const maxTransactionMs = 20
const maxRemovals = 65_536
/** Between looks for versions whose writer died, and after a failed deletion. */
const idleMs = 30_000
/** Between the end of a burst of writes and the deleting of what it replaced. */
const pauseMs = 250

const port = parentPort
if (port === null) throw new RagError('WORKER', 'The writer of a store was started outside a worker thread.')
const send = (message: ReplyMessage) => port.postMessage(message)
const { directory, mapSize, session, endedSessions, retireMs, exitGuard } = workerData as WriterData

const queue: RequestMessage[] = []
let environment: Environment | undefined
/** Of the file that is open. */
let inode: number | undefined
/** Aborts that failed, to be tried again: what they would delete is seen by nobody. */
let postponed: Request[] = []
let drainScheduled = false
let tidyTimer: NodeJS.Timeout | undefined
let tidyDue = Number.POSITIVE_INFINITY
let abandonedLookedFor = Date.now()

port.on('message', (message: RequestMessage) => {
  queue.push(message)
  scheduleDrain()
})
// Whatever dead processes have left is deleted without being asked.
scheduleDrain()

function scheduleDrain(): void {
  if (drainScheduled) return
  drainScheduled = true
  // After every message that is already there.
  setImmediate(() => void drain())
}

async function drain(): Promise<void> {
  try {
    environment ??= await open()
    while (queue.length > 0 && queue[0]?.request.kind !== 'close') commitSome(environment)
  } catch (error) {
    if (queue.length === 0) warn('The store could not be opened for writing yet.', error)
    const closing = queue.at(-1)?.request.kind === 'close' ? 1 : 0
    for (const message of queue.splice(0, queue.length - closing)) fail(message, error)
  }
  drainScheduled = false
  const [last] = queue
  if (last !== undefined) await close(last)
  else tidyWithin(pauseMs)
}

async function open(): Promise<Environment> {
  const opened = await openEnvironment({
    directory,
    mapSize,
    readOnly: false,
    protect: (open) => guarded(exitGuard, open),
  })
  inode = statSync(environmentFile(directory)).ino
  opened.readerCheck()
  change(opened, retireAbandoned)
  tidyWithin(0)
  return opened
}

async function close(message: RequestMessage): Promise<void> {
  clearTimeout(tidyTimer)
  try {
    if (environment !== undefined) {
      const open = environment
      change(open, (context) => execute(context, message.request))
      guarded(exitGuard, () => trimFile(open, directory))
      await open.close()
    }
    send({ kind: 'done', id: message.id, value: undefined })
  } catch (error) {
    fail(message, error)
  }
  port?.close()
}

const scavenger = createScavenger()

/** One transaction with what fits of the queue. When it fails, each request is tried on its own: one must not fail for another. */
function commitSome(open: Environment): void {
  const group: RequestMessage[] = []
  try {
    requireFile()
    const values = change(open, (context) => {
      const began = performance.now()
      const done: unknown[] = []
      for (let bytes = 0; fits(bytes, performance.now() - began); ) {
        const message = queue.shift() as RequestMessage
        group.push(message)
        bytes += message.bytes
        done.push(execute(context, message.request))
      }
      return done as Replies[keyof Replies][]
    })
    for (const [index, value] of values.entries()) send({ kind: 'done', id: group[index]?.id ?? 0, value })
    scavenger.dropped(group.reduce((sum, { bytes }) => sum + bytes, 0))
  } catch (error) {
    if (group.length === 0) group.push(queue.shift() as RequestMessage)
    const [only, ...others] = group
    if (only !== undefined && others.length === 0) fail(only, error)
    else for (const message of group) commitAlone(open, message)
  }
}

/** A file that was deleted can still be written, and everything acknowledged would be lost. */
function requireFile(): void {
  if (statSync(environmentFile(directory), { throwIfNoEntry: false })?.ino === inode) return
  throw new RagError('STORAGE', 'The storage folder was deleted or replaced while the store was open.', {
    data: { directory },
    hint: 'Close the store and open it again; what was in the deleted folder is lost.',
  })
}

function fits(bytes: number, elapsedMs: number): boolean {
  const next = queue[0]
  if (next === undefined || next.request.kind === 'close') return false
  return bytes === 0 || (bytes + next.bytes <= maxTransactionBytes && elapsedMs < maxTransactionMs)
}

function commitAlone(open: Environment, message: RequestMessage): void {
  try {
    requireFile()
    const value = change(open, (context) => execute(context, message.request))
    send({ kind: 'done', id: message.id, value })
  } catch (error) {
    fail(message, error)
  }
}

function tidyWithin(delayMs: number): void {
  const due = Date.now() + delayMs
  if (due >= tidyDue) return
  tidyDue = due
  clearTimeout(tidyTimer)
  tidyTimer = setTimeout(tidy, delayMs).unref()
}

/** One bounded transaction of deleting; requests that have arrived meanwhile go first. */
function tidy(): void {
  tidyDue = Number.POSITIVE_INFINITY
  if (environment === undefined || drainScheduled) return
  try {
    const more = change(environment, (context) => {
      for (const request of postponed) execute(context, request)
      if (Date.now() - abandonedLookedFor >= idleMs) {
        abandonedLookedFor = Date.now()
        retireAbandoned(context)
      }
      return deleteRetired(context, retireMs)
    })
    postponed = []
    tidyWithin(Math.min(more ?? idleMs, idleMs))
  } catch (error) {
    warn('Old versions could not be deleted yet.', error)
    tidyWithin(idleMs)
  }
}

function change<Result>(environment: Environment, action: (context: TransactionContext) => Result): Result {
  return guarded(exitGuard, () =>
    transact(environment, () => {
      const reserve = createReserve(environment, directory)
      return action({ environment, reserve, session, endedSessions, maxRemovals, now: Date.now })
    }),
  )
}

function warn(message: string, error: unknown): void {
  send({ kind: 'warning', message, data: { error: storageError(error, directory).toJSON() } })
}

function fail({ id, request }: RequestMessage, error: unknown): void {
  if (request.kind === 'abort') postponed.push(request)
  const rag = storageError(error, directory)
  const cause = rag.cause === undefined ? undefined : String(rag.cause)
  send({ kind: 'failed', id, error: rag.toJSON(), cause })
}
