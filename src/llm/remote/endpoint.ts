import type { GenerateEnd, PromptMessage } from '../types.js'

/** A service that writes answers, reached over the network. What a failed call deserves is for the caller to decide: it is made once. */
export interface ChatEndpoint {
  /** Short name for errors, without credentials: `'api.openai.com'`. */
  readonly name: string
  /** Name of the model there. */
  readonly model: string
  /** What must never be shown: keys, values of headers. */
  readonly secrets: readonly string[]
  /**
   * Makes one call. Throws whatever the client of the service throws. Stops when `signal` fires, and closes the connection then or when
   * the iteration is ended.
   */
  stream(messages: readonly PromptMessage[], options: { readonly signal: AbortSignal }): AsyncIterable<ChatPart>
}

/** What comes of an answer. Nothing is believed of it yet. */
export type ChatPart =
  | { readonly type: 'text'; readonly text: unknown }
  /** A sign of life that is no part of the answer: a thought of so many characters, the head of the answer. */
  | { readonly type: 'other'; readonly characters: number }
  /** How it ended. Without one it was cut off. */
  | { readonly type: 'end'; readonly end: GenerateEnd }
