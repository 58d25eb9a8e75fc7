import { RagError } from '../../core/errors.js'
import { abortable, withDeadline } from '../../util/abort.js'
import { importOptional } from '../../util/import-optional.js'

/** How a Redis server is reached. */
export interface RedisAddress {
  /** `redis://[[user]:password@]host[:port][/database]`, or `rediss://` with TLS. */
  readonly url: string
  /** Further options of the client (ioredis 5), as for Sentinel or certificates. They come before what the url says. */
  readonly client?: Readonly<Record<string, unknown>>
}

/** Milliseconds to connect. */
const connectMs = 2_000
/** Milliseconds without a byte, while an answer is due, after which a worker's connection is made anew. A worker's longest wait is 10 s. */
const silenceMs = 20_000

/** The package, on first use. */
export async function loadBullmq(): Promise<typeof import('bullmq')> {
  return importOptional('bullmq', () => import('bullmq'), 'npm i bullmq@5')
}

/** For those who want an answer now: whatever is asked while there is no connection fails at once. */
export function callerConnection({ url, client }: RedisAddress, timeoutMs: number): Record<string, unknown> {
  return {
    ...common(url, client),
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: timeoutMs,
  }
}

/** For those who have time: whatever is asked while there is no connection waits for it. */
export function patientConnection({ url, client }: RedisAddress): Record<string, unknown> {
  return { ...common(url, client), maxRetriesPerRequest: null, socketTimeout: silenceMs }
}

function common(url: string, client: RedisAddress['client']): Record<string, unknown> {
  return {
    url,
    connectTimeout: connectMs,
    retryStrategy: (attempts: number) => Math.min(50 * 2 ** attempts, connectMs),
    ...client,
  }
}

/**
 * Clears the timer of `socketTimeout` of what was closed: its client leaves it behind when it is disconnected while an answer is due (ioredis 5.11),
 * and the process would not end before it.
 */
export function endSilence(closed: object): void {
  interface Connection {
    readonly _client?: { readonly socketTimeoutTimer?: NodeJS.Timeout }
  }
  const { blockingConnection, connection } = closed as { blockingConnection?: Connection; connection?: Connection }
  for (const one of [blockingConnection, connection]) clearTimeout(one?._client?.socketTimeoutTimer)
}

/** Throws `BAD_OPTION` when it is no address of a Redis server. The address itself may hold a password: it is never told. */
export function checkAddress(url: unknown): void {
  if (typeof url === 'string' && /^rediss?:\/\/./.test(url) && URL.canParse(url)) return
  throw new RagError('BAD_OPTION', 'The url of a Redis server begins with redis:// or rediss://.', {
    data: { option: 'url' },
  })
}

/** Waits for an answer of the server, but not longer than so; failures are told as `PROVIDER` or `OVERLOADED`. */
export async function withinLimit<Value>(call: () => Promise<Value>, timeoutMs: number): Promise<Value> {
  const limit = withDeadline({ deadlineMs: timeoutMs })
  try {
    return await abortable(call(), limit.signal)
  } catch (error) {
    throw asQueueError(limit.signal?.aborted && error === limit.signal.reason ? silence(timeoutMs) : error)
  } finally {
    limit.dispose()
  }
}

/** A failure of the server or the client as a `RagError`. Errors of the client hold the command, and so documents: only their message is kept. */
export function asQueueError(error: unknown): RagError {
  if (RagError.isInstance(error)) return error
  const message = error instanceof Error ? error.message : String(error)
  const { code, message: text, hint, retryable } = kinds.find(({ test }) => test.test(message)) ?? other
  return new RagError(code, text, { cause: new Error(message), ...(hint === undefined ? {} : { hint }), retryable })
}

/** Whether the server is there and refuses to write: workers that ask again at once would only heat it. */
export function isRefusal(error: Error): boolean {
  return /^(?:OOM|MISCONF|READONLY|LOADING|NOREPLICAS|BUSY|CLUSTERDOWN|NOAUTH|WRONGPASS|NOPERM)|\b(?:OOM|MISCONF|READONLY) /.test(
    error.message,
  )
}

interface Kind {
  readonly code: 'PROVIDER' | 'OVERLOADED'
  readonly message: string
  readonly hint?: string
  readonly retryable: boolean
}

const other: Kind = {
  code: 'PROVIDER',
  message: 'The Redis server of the queue cannot be reached, or does not answer as expected.',
  hint: 'Check that it runs and that its address is right. Calling again is safe; workers go on by themselves.',
  retryable: true,
}

const kinds: readonly (Kind & { readonly test: RegExp })[] = [
  {
    test: /\bOOM\b/,
    code: 'OVERLOADED',
    message: 'The Redis server of the queue has no memory left.',
    hint: 'Let workers catch up, enqueue paths instead of texts, or raise its maxmemory.',
    retryable: true,
  },
  {
    test: /\b(?:NOAUTH|WRONGPASS|NOPERM)\b/,
    code: 'PROVIDER',
    message: 'The Redis server of the queue refuses this user.',
    hint: 'Check user and password in the url.',
    retryable: false,
  },
  {
    test: /\b(?:MISCONF|READONLY|LOADING|NOREPLICAS)\b/,
    code: 'PROVIDER',
    message: 'The Redis server of the queue takes no writes at present.',
    hint: 'It is loading, a replica, or cannot save to its disk; its own log tells which.',
    retryable: true,
  },
]

function silence(timeoutMs: number): RagError {
  return new RagError('PROVIDER', `The Redis server of the queue did not answer within ${timeoutMs} ms.`, {
    data: { timeoutMs },
    hint: 'Check that it runs and is reached from here. Calling again is safe.',
    retryable: true,
  })
}
