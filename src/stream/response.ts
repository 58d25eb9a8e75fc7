import { RagError } from '../core/errors.js'
import type { AnswerEvent } from '../core/events.js'
import { createByteStream, type SseOptions } from './byte-stream.js'
import type { Protocol } from './protocol.js'
import { createSseProtocol } from './sse.js'
import { createUiMessageProtocol } from './ui-message-stream.js'

/** Options of {@link toResponse}. */
export interface ToResponseOptions extends SseOptions {
  /**
   * `'sse'` (default): the events as `toSse()` writes them. `'ui-message-stream'`: what the AI SDK's `useChat` reads (versions 5 and 6).
   */
  readonly protocol?: StreamProtocol
  /** Of the message, for `'ui-message-stream'`. Default: the client makes one. */
  readonly messageId?: string
  /** Default 200. */
  readonly status?: number
  /** Laid over those of an event stream. */
  readonly headers?: Readonly<Record<string, string>>
}

/** How an answer goes over the wire. */
export type StreamProtocol = 'sse' | 'ui-message-stream'

/**
 * An answer as the response of any server that speaks Fetch (Hono, Next.js, Deno, Bun, Cloudflare; Node's `http` with `toSse()`). Proxies are
 * told not to buffer, change or keep it. When the client leaves, the server cancels the body, and the answer ends. Headers are sent before
 * the question is looked at, so what fails is an event of a response with status 200; check questions before where that matters.
 *
 * @example
 * app.post('/chat', async (context) => {
 *   const { question } = await context.req.json()
 *   return toResponse(rag.stream(question, { signal: context.req.raw.signal }))
 * })
 */
export function toResponse(events: AsyncIterable<AnswerEvent>, options: ToResponseOptions = {}): Response {
  const { headers, messageId, protocol: name = 'sse', status = 200, ...sse } = options
  const protocol = protocols[name]?.(messageId)
  if (protocol === undefined) {
    throw new RagError('BAD_OPTION', `protocol must be one of "${Object.keys(protocols).join('", "')}".`, {
      data: { option: 'protocol' },
    })
  }
  return new Response(createByteStream(events, protocol, sse), {
    status,
    headers: { ...eventStreamHeaders, ...protocol.headers, ...headers },
  })
}

const protocols: Record<StreamProtocol, (messageId: string | undefined) => Protocol> = {
  sse: () => createSseProtocol(),
  'ui-message-stream': (messageId) => createUiMessageProtocol(messageId === undefined ? {} : { messageId }),
}

const eventStreamHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  // Compression would hold events back until a block is full.
  'cache-control': 'no-cache, no-transform',
  // Of nginx and those that copied it.
  'x-accel-buffering': 'no',
}
