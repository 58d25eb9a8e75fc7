import type { QueryOptions } from '../core/answer.js'
import { RagError } from '../core/errors.js'
import type { AnswerEvent } from '../core/events.js'
import type { Turn } from '../core/understanding.js'
import { shortened } from '../text/model-text.js'

/** Options of one question of a chat; they lie over those of the chat. */
export type ChatQuestionOptions = Omit<QueryOptions, 'history'>

/** Options of `chat()`: how its questions are answered, and how much it remembers. */
export interface ChatOptions extends Omit<QueryOptions, 'history' | 'signal' | 'deadlineMs'> {
  /** What was said before, the oldest first: what {@link Chat.history} of an earlier chat gave. Default: nothing. */
  readonly history?: readonly Turn[]
  /** Questions that are remembered with their answers, 1 to 1,000; the oldest goes first. Default 10. */
  readonly maxTurns?: number
  /** Characters of all that is remembered, 1,000 to 10,000,000. Default 20,000. */
  readonly maxHistoryChars?: number
}

/** How a question is asked. */
type Ask = (question: string, options: QueryOptions) => AsyncGenerator<AnswerEvent, void, undefined>

/**
 * A conversation: each question is asked with what was said before, and remembered with its answer when that is complete. What fails, and
 * what is left before its last event, is not remembered. One question at a time; nothing to close.
 *
 * @example
 * const chat = rag.chat()
 * for await (const event of chat.send('How tall is the Eiffel Tower?')) …
 * for await (const event of chat.send('And when was it built?')) …
 */
export class Chat {
  readonly #ask: Ask
  readonly #options: ChatQuestionOptions
  readonly #bounds: { readonly maxTurns: number; readonly maxHistoryChars: number }
  #history: readonly Turn[]
  /** The question under way. */
  #running: symbol | undefined

  /** @internal */
  constructor(ask: Ask, { history = [], maxTurns = 10, maxHistoryChars = 20_000, ...options }: ChatOptions) {
    this.#ask = ask
    this.#options = options
    this.#bounds = { maxTurns, maxHistoryChars }
    this.#history = bounded(history, this.#bounds)
  }

  /** What is remembered, the oldest first: plain data, of which another chat can be made. */
  get history(): Turn[] {
    return this.#history.map(({ content, role }) => ({ role, content }))
  }

  /** Forgets the conversation. A question under way goes on, and is not remembered. */
  reset(): void {
    this.#history = []
    this.#running = undefined
  }

  /**
   * Asks a question, as `stream()` does: the same events and failures. `BAD_INPUT` while another one is under way, which ends with its last
   * event, or when its iterator is ended (`break`).
   */
  send(question: string, options: ChatQuestionOptions = {}): AsyncGenerator<AnswerEvent, void, undefined> {
    let answer: AsyncGenerator<AnswerEvent, void, undefined> | undefined
    const ask = () => this.#ask(question, { ...this.#options, ...options, history: this.history })
    const events = this.#events(question, () => (answer = ask()))
    const end = events.return.bind(events)
    // By itself it would wait behind a `next()` that waits for the model.
    events.return = async (value) => {
      await answer?.return()
      return end(value)
    }
    return events
  }

  async *#events(
    question: string,
    ask: () => AsyncIterable<AnswerEvent>,
  ): AsyncGenerator<AnswerEvent, void, undefined> {
    if (this.#running !== undefined) throw busy()
    const own = Symbol('question')
    this.#running = own
    try {
      let answer = ''
      for await (const event of ask()) {
        if (event.type === 'answer-delta') answer += event.text
        // Before it is handed on: whoever stops reading at the last event has read everything.
        if (event.type === 'metadata' && this.#running === own) {
          this.#remember(question, answer)
          this.#running = undefined
        }
        yield event
      }
    } finally {
      if (this.#running === own) this.#running = undefined
    }
  }

  #remember(question: string, answer: string): void {
    const said: readonly Turn[] = [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ]
    this.#history = bounded([...this.#history, ...said], this.#bounds)
  }
}

/** The last turns that fit; one that does not fit alone is cut, so that the last question is always among them. */
function bounded(
  history: readonly Turn[],
  { maxHistoryChars, maxTurns }: { readonly maxTurns: number; readonly maxHistoryChars: number },
): Turn[] {
  const kept: Turn[] = []
  let room = maxHistoryChars
  let questions = 0
  for (const { content, role } of history.toReversed()) {
    if (role === 'user' && questions++ === maxTurns) break
    const isCut = content.length > room
    // A cut turn is worth its room only where there is next to nothing else.
    if (isCut && kept.length >= 2) break
    // Of the last answer and its question each gets half.
    const text = isCut ? shortened(content, kept.length === 0 ? Math.floor(maxHistoryChars / 2) : room) : content
    room -= text.length
    kept.push({ role, content: text })
  }
  // It begins with a question.
  while (kept.length > 0 && kept.at(-1)?.role !== 'user') kept.pop()
  return kept.reverse()
}

function busy(): RagError {
  return new RagError('BAD_INPUT', 'A chat answers one question at a time.', {
    hint: 'Wait for the last event, or end the stream that is under way; several conversations are several chats.',
  })
}
