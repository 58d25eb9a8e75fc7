import { once } from 'node:events'
import type { MessagePort } from 'node:worker_threads'
import { RagError } from '../core/errors.js'

/** Messages to whoever receives; it answers each value when it has taken it. */
type Sent = { readonly value: unknown } | 'end'

/**
 * Sends what an iteration yields through a port, the next value when the last was taken, and closes the port. Ends the iteration early
 * when the other end closes. Begins at once.
 */
export async function sendThrough(port: MessagePort, values: AsyncIterable<unknown>): Promise<void> {
  const closed = once(port, 'close').then(() => true)
  try {
    for await (const value of values) {
      const taken = once(port, 'message').then(() => false)
      port.postMessage({ value } satisfies Sent)
      if (await Promise.race([taken, closed])) return
    }
    port.postMessage('end' satisfies Sent)
  } finally {
    port.close()
  }
}

/** What is sent through a port. Closes it at the end, or when the iteration is left. Rejects with `signal.reason`, or when the port closes early. */
export async function* receiveFrom(port: MessagePort, signal?: AbortSignal): AsyncGenerator<unknown, void, undefined> {
  const arrived: Sent[] = []
  let isClosed = false
  let wake = (): void => {}
  const onMessage = (message: Sent): void => {
    arrived.push(message)
    wake()
  }
  const onClose = (): void => {
    isClosed = true
    wake()
  }
  const onAbort = (): void => wake()
  port.on('message', onMessage).on('close', onClose)
  signal?.addEventListener('abort', onAbort)
  try {
    for (;;) {
      signal?.throwIfAborted()
      const message = arrived.shift()
      if (message === 'end') return
      if (message !== undefined) {
        yield message.value
        port.postMessage('taken')
        continue
      }
      if (isClosed)
        throw new RagError('WORKER', 'A thread that reads a part of the document has ended.', { retryable: true })
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    port.close()
  }
}
