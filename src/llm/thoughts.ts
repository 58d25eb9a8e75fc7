import { RagError } from '../core/errors.js'

const openings = ['<think>', '<thinking>']
const closing = /<\/think(?:ing)?>/i
const longestClosing = '</thinking>'.length

/**
 * Drops what a model writes down before it answers, `<think>…</think>` at the beginning of its text, part by part. Text that begins
 * otherwise passes through as it comes.
 */
export class ThoughtFilter {
  #state: 'beginning' | 'thinking' | 'between' | 'answering' = 'beginning'
  #held = ''

  /** What of the next part is answer: `''` while it thinks, or while nobody can tell. */
  push(part: string): string {
    if (this.#isAnswering) return part
    this.#held += part
    // Each may lead to the next within one part.
    this.#begin()
    this.#think()
    this.#skipSpace()
    return this.#isAnswering ? this.#take() : ''
  }

  /** What was held back, when nothing more comes. */
  end(): string {
    return this.#state === 'thinking' ? '' : this.#take()
  }

  get #isAnswering(): boolean {
    return this.#state === 'answering'
  }

  #begin(): void {
    if (this.#state !== 'beginning') return
    const text = this.#held.trimStart().toLowerCase()
    if (openings.some((opening) => text.startsWith(opening))) this.#state = 'thinking'
    else if (!openings.some((opening) => opening.startsWith(text))) this.#state = 'answering'
  }

  #think(): void {
    if (this.#state !== 'thinking') return
    const end = closing.exec(this.#held)
    // An end that has come in part is kept; thoughts may be long.
    this.#held = end === null ? this.#held.slice(-longestClosing) : this.#held.slice(end.index + end[0].length)
    if (end !== null) this.#state = 'between'
  }

  #skipSpace(): void {
    if (this.#state !== 'between') return
    this.#held = this.#held.trimStart()
    if (this.#held !== '') this.#state = 'answering'
  }

  #take(): string {
    const text = this.#held
    this.#held = ''
    return text
  }
}

/** An answer that was cut before its first word is none, and must not pass for one that found nothing. */
export function spentBefore(model: string): RagError {
  return new RagError(
    'LIMIT',
    `The model "${model}" came to its limit of tokens before the first word of its answer.`,
    {
      data: { model },
      hint: 'Raise maxTokens: what a model thinks counts. Or have it think less.',
    },
  )
}
