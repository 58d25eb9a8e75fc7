import type { AnswerEvent } from '../core/events.js'
import { createByteStream, type SseOptions } from './byte-stream.js'
import { frame, type Protocol } from './protocol.js'
import type { PublicError } from './public-error.js'

/**
 * The events of `stream()` as server-sent events, for a response of your own (else `toResponse()`). Each has its type as its name and is JSON:
 *
 *     event: answer-delta
 *     data: {"type":"answer-delta","text":"Two moons"}
 *
 * A failure becomes `{ type: 'error', error: { code, message, retryable } }`, and the stream ends as usual. Cancel the stream (Node does when
 * the client leaves) and the answer ends. To leave things out, or to add some, give it a generator that maps the events.
 *
 * An `EventSource` asks again whenever a stream ends: close it at `metadata` and `error`, or read with `fetch()`.
 */
export function toSse(
  events: AsyncIterable<AnswerEvent>,
  options: SseOptions = {},
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return createByteStream(events, createSseProtocol(), options)
}

/** What comes over the wire when an answer fails. */
export interface SseErrorEvent {
  readonly type: 'error'
  readonly error: PublicError
}

export function createSseProtocol(): Protocol {
  const encode = (event: AnswerEvent | SseErrorEvent): string => frame(JSON.stringify(event), event.type)
  return {
    headers: {},
    begin: () => '',
    event: encode,
    failure: (error) => encode({ type: 'error', error }),
    end: () => '',
  }
}
