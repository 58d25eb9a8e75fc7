import { RagError } from '../core/errors.js'
import type { AnswerEvent } from '../core/events.js'
import { longestTimerMs } from '../util/abort.js'
import { systemClock } from '../util/clock.js'
import { waitAtMost } from '../util/wait-at-most.js'
import type { Protocol } from './protocol.js'
import { toPublicError } from './public-error.js'

/** Options of `toSse()` and `toResponse()`. */
export interface SseOptions {
  /**
   * Milliseconds of silence after which a comment is sent, so that proxies keep the connection open while a model thinks. Default 15,000; 0:
   * none.
   */
  readonly keepAliveMs?: number
  /**
   * Told of a failure before the client is: log it here, for the client learns its code and message alone. A text that it returns is sent in the
   * place of the message. What it throws is ignored.
   */
  readonly onError?: (error: unknown) => unknown
}

const usualKeepAliveMs = 15_000
const keepAlive = ': keep-alive\n\n'

/**
 * What a protocol makes of the events, as bytes. The next event is asked for when the reader asks for bytes and not before, so a slow reader
 * slows the model. To cancel the stream ends the answer, also while it waits.
 */
export function createByteStream(
  events: AsyncIterable<AnswerEvent>,
  protocol: Protocol,
  { keepAliveMs = usualKeepAliveMs, onError }: SseOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  if (!(keepAliveMs >= 0 && keepAliveMs <= longestTimerMs)) {
    throw new RagError('BAD_OPTION', 'keepAliveMs is a number of milliseconds from 0.', { data: { keepAliveMs } })
  }
  const encoder = new TextEncoder()
  const wire = new Wire(events[Symbol.asyncIterator](), protocol, onError)
  let arriving: Promise<void> | undefined
  let arrived: { readonly text: string | undefined } | undefined
  const advance = async (): Promise<void> => {
    const text = await wire.next()
    arrived = { text }
  }
  return new ReadableStream(
    {
      async pull(controller) {
        arriving ??= advance()
        await (keepAliveMs === 0 ? arriving : waitAtMost(arriving, keepAliveMs, systemClock))
        if (arrived === undefined) {
          controller.enqueue(encoder.encode(keepAlive))
          return
        }
        const { text } = arrived
        arriving = undefined
        arrived = undefined
        if (text === undefined) controller.close()
        else controller.enqueue(encoder.encode(text))
      },
      cancel: () => wire.leave(),
    },
    { highWaterMark: 0 },
  )
}

/** Texts to be sent, one after the other. Never rejects: a failure is a text, too. */
class Wire {
  readonly #events: AsyncIterator<AnswerEvent>
  readonly #protocol: Protocol
  readonly #onError: SseOptions['onError']
  #state: 'unbegun' | 'open' | 'ended' = 'unbegun'

  constructor(events: AsyncIterator<AnswerEvent>, protocol: Protocol, onError: SseOptions['onError']) {
    this.#events = events
    this.#protocol = protocol
    this.#onError = onError
  }

  /** `undefined` at the end. */
  async next(): Promise<string | undefined> {
    if (this.#state === 'ended') return undefined
    let text = this.#state === 'unbegun' ? this.#protocol.begin() : ''
    this.#state = 'open'
    try {
      // What comes to nothing on the wire is no step.
      while (text === '') {
        const step = await this.#events.next()
        if (step.done === true) {
          this.#state = 'ended'
          const last = this.#protocol.end()
          return last === '' ? undefined : last
        }
        text = this.#protocol.event(step.value)
      }
      return text
    } catch (error) {
      this.#state = 'ended'
      return this.#protocol.failure(toPublicError(error, this.#toldBy(error))) + this.#protocol.end()
    }
  }

  /** Nobody waits for it: an iterator that is not ours may queue this behind what it waits for. */
  leave(): void {
    this.#state = 'ended'
    this.#events.return?.().catch(() => {}) // Nobody is there to be told.
  }

  #toldBy(error: unknown): string | undefined {
    try {
      const told = this.#onError?.(error)
      return typeof told === 'string' ? told : undefined
    } catch {
      // A logger that fails must not keep the client waiting.
      return undefined
    }
  }
}
