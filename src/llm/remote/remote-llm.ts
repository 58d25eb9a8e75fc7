import { RagError } from '../../core/errors.js'
import { shortened } from '../../text/model-text.js'
import { abortableValues, followSignal } from '../../util/abort.js'
import { type Clock, systemClock } from '../../util/clock.js'
import { CallFailure, describeFault, type Fault } from '../../util/fault.js'
import { sha256Hex } from '../../util/hash.js'
import { retry } from '../../util/retry.js'
import { stableJson } from '../../util/stable-json.js'
import { messagesOf } from '../messages.js'
import { spentBefore, ThoughtFilter } from '../thoughts.js'
import type { GenerateEnd, Llm, PromptMessage } from '../types.js'
import { Watchdog } from '../watchdog.js'
import type { ChatEndpoint } from './endpoint.js'
import { faultError } from './fault.js'
import type { RemoteLimits } from './settings.js'

/** What tests replace. */
export interface RemoteLlmTools {
  readonly clock?: Clock
  /** Numbers in [0, 1). Default `Math.random`. */
  readonly random?: () => number
}

export interface RemoteLlmParts {
  /** Kind of model. */
  readonly kind: string
  readonly endpoint: ChatEndpoint
  readonly limits: RemoteLimits
  /** What the model is called in the fingerprint. */
  readonly identity: string
  /** Whatever else changes what it writes, as JSON values. */
  readonly shaping: unknown
  readonly tools: RemoteLlmTools
}

/** Raised when the same prompt would be sent otherwise. */
const version = 1
/** Times the longest answer that a model may think. */
const mostThoughts = 10

/** A model that is a service. An attempt that fails before the first word may be made again; what comes later is never asked for twice. */
export function createRemoteLlm({ kind, endpoint, limits, identity, shaping, tools }: RemoteLlmParts): Llm {
  const { clock = systemClock, random } = tools
  const closing = followSignal(undefined)
  return {
    id: endpoint.model,
    fingerprint: `${kind}/${version}/${identity}/${sha256Hex(stableJson(shaping)).slice(0, 16)}`,

    async *generate(prompt, { signal, onEnd }) {
      signal?.throwIfAborted()
      closing.signal.throwIfAborted()
      const messages = messagesOf(prompt).map(({ role, content }): PromptMessage => {
        // Half a surrogate pair is no character: some services refuse the whole call.
        return { role, content: content.toWellFormed() }
      })
      const call = followSignal(signal)
      const close = (): void => call.abort(closing.signal.reason)
      closing.signal.addEventListener('abort', close, { once: true })
      try {
        const { answer, first } = await retry(() => begin(messages, call.signal), {
          attempts: limits.maxAttempts,
          again: (error) => isWorthAnotherAttempt(error, limits),
          signal: call.signal,
          clock,
          ...(random === undefined ? {} : { random }),
        })
        try {
          for (let next = first; ; next = await answer.next()) {
            if (next.done === true) {
              onEnd?.(next.value)
              return
            }
            yield next.value
          }
        } finally {
          await answer.return({})
        }
      } catch (error) {
        throw error instanceof CallFailure ? faultError(error.fault, endpoint) : error
      } finally {
        closing.signal.removeEventListener('abort', close)
        call.dispose()
      }
    },

    async close() {
      closing.abort(new RagError('CLOSED', 'The model was closed.'))
    },
  }

  async function begin(messages: readonly PromptMessage[], signal: AbortSignal) {
    const answer = attempt({ endpoint, messages, limits, clock, signal })
    return { answer, first: await answer.next() }
  }
}

/** What took too long will again, and whoever is to wait for longer than is waited is better served elsewhere. */
function isWorthAnotherAttempt(error: unknown, { maxRetryAfterMs }: RemoteLimits): false | { afterMs: number } {
  if (!(error instanceof CallFailure)) return false
  const { again, afterMs, kind } = error.fault
  return again && kind !== 'timeout' && afterMs <= maxRetryAfterMs && { afterMs }
}

interface Attempt {
  readonly endpoint: ChatEndpoint
  readonly messages: readonly PromptMessage[]
  readonly limits: RemoteLimits
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** One call, as text and how it ended. Throws {@link CallFailure} or `signal.reason`; whatever happens, the connection is closed. */
async function* attempt({
  endpoint,
  messages,
  limits,
  clock,
  signal,
}: Attempt): AsyncGenerator<string, GenerateEnd, undefined> {
  const own = followSignal(signal)
  const watchdog = new Watchdog(limits, own.abort)
  const thoughts = new ThoughtFilter()
  const bounds = new AnswerBounds(limits.maxAnswerChars)
  let heard = false
  try {
    watchdog.wait()
    for await (const part of abortableValues(endpoint.stream(messages, { signal: own.signal }), own.signal)) {
      watchdog.heard()
      heard = true
      if (part.type === 'end') {
        const rest = bounds.cut(thoughts.end())
        if (rest !== '') yield rest
        if (part.end.finishReason === 'length' && bounds.isUntouched) throw spentBefore(endpoint.model)
        return part.end
      }
      if (part.type === 'text') {
        if (typeof part.text !== 'string') throw unusable('not_text', { again: false })
        const text = bounds.cut(thoughts.push(part.text))
        bounds.think(part.text.length - text.length)
        if (text !== '') yield text
        if (bounds.isMet) return { finishReason: 'length' }
      } else bounds.think(Math.max(1, part.characters))
      watchdog.wait()
    }
    // Without an end nobody knows whether there was more.
    throw heard ? new CallFailure(cutOff) : unusable('empty_stream', { again: true })
  } catch (error) {
    signal.throwIfAborted()
    const known = callFailureIn(error)
    if (known !== undefined) throw known
    if (own.signal.aborted) throw new CallFailure(timeout(own.signal.reason))
    if (RagError.isInstance(error, 'LIMIT')) throw error
    const texts = messages.map(({ content }) => content)
    throw new CallFailure(describeFault(error, { endpoint, texts, quote: 'denials', date: clock.date() }))
  } finally {
    watchdog.stop()
    own.abort(new RagError('CLOSED', 'The answer is complete.'))
    own.dispose()
  }
}

/** A failure of ours, which a client may have wrapped into one of its own. */
function callFailureIn(error: unknown): CallFailure | undefined {
  if (error instanceof CallFailure) return error
  return error instanceof Error && error.cause instanceof CallFailure ? error.cause : undefined
}

/** Keeps an answer, and what is thought before it, from growing without end. */
class AnswerBounds {
  readonly #most: number
  #room: number
  #thoughts = 0

  constructor(most: number) {
    this.#most = most
    this.#room = most
  }

  /** Nothing was written. */
  get isUntouched(): boolean {
    return this.#room === this.#most
  }

  /** There is no room for more. */
  get isMet(): boolean {
    return this.#room === 0
  }

  /** As much of a part as there is room for. */
  cut(text: string): string {
    const part = shortened(text, this.#room)
    this.#room = part === text ? this.#room - part.length : 0
    return part
  }

  think(characters: number): void {
    this.#thoughts += characters
    if (this.#thoughts > mostThoughts * this.#most) throw unusable('endless_thoughts', { again: false })
  }
}

const cutOff: Fault = { kind: 'unavailable', again: true, reason: 'cut_off', afterMs: 0 }

function unusable(reason: string, { again }: Pick<Fault, 'again'>): CallFailure {
  return new CallFailure({ kind: 'answer', again, reason, afterMs: 0 })
}

function timeout({ data, hint }: RagError): Fault {
  return {
    kind: 'timeout',
    again: true,
    reason: String(data.reason),
    afterMs: 0,
    ...(hint === undefined ? {} : { hint }),
  }
}
