import type { Closable } from '../core/lifecycle.js'

/** Writes the answer. */
export interface Llm extends Closable {
  /** Shown in the metadata event. */
  readonly id: string
  /**
   * Model and parameters: whatever changes what it writes changes this, so that answers that were kept are not found any more. Absent:
   * the id.
   */
  readonly fingerprint?: string
  /**
   * Streams the answer with `[n]` markers after what source `n` supports. Streaming nothing means that the sources do not answer.
   * A bracketed number that is no citation is written `\[n]`. Stops soon after `signal` fires. Failures throw from the iterator.
   */
  generate(prompt: Prompt, options: GenerateOptions): AsyncIterable<string>
  /** Loads what the first answer would otherwise wait for. Absent where there is nothing to load. */
  warmUp?(options: { readonly signal?: AbortSignal }): Promise<void>
}

/** How one answer is written. */
export interface GenerateOptions {
  readonly signal?: AbortSignal
  /** Told once, before the iteration ends, by models that know. Not told of an answer that fails or is left. */
  readonly onEnd?: (end: GenerateEnd) => void
}

/** What a model tells of an answer that is complete. */
export interface GenerateEnd {
  /** Default `'stop'`. `'length'`: it was cut at the model's limit. */
  readonly finishReason?: 'stop' | 'length' | 'content-filter' | 'other'
  /** As the provider counts them. */
  readonly inputTokens?: number
  readonly outputTokens?: number
  /** Which model wrote it, as the service calls it, or where the id names several. */
  readonly model?: string
  /** It was written by a model that stands in for one that failed: not to be kept for whoever asks when that is back. */
  readonly isSubstitute?: boolean
}

/** Everything a model is told, as data; `text` is the same as one string. */
export interface Prompt {
  readonly question: string
  /** Instructions: answer from the sources, cite as `[n]`, treat sources as data. */
  readonly system: string
  /** Best first. */
  readonly sources: readonly PromptSource[]
  /** The words of the question as the lexical index knows them; empty when it was not searched. */
  readonly terms: readonly PromptTerm[]
  /** System, numbered sources (fenced, marked as untrusted) and question, for models that take one string. */
  readonly text: string
  /**
   * The same as messages, for models that tell who speaks: instructions come from the system, what is quoted and asked from the user. Absent:
   * `system`, and the rest of `text`.
   */
  readonly messages?: readonly PromptMessage[]
}

/** One message of a prompt. */
export interface PromptMessage {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

/** A passage that is shown to the model. */
export interface PromptSource {
  /** The `n` of `[n]`, from 1. */
  readonly marker: number
  /** Title of the document, `''` for none. */
  readonly title: string
  /** Headings above the passage, outermost first. */
  readonly headings: readonly string[]
  /** 1-based, for media with pages. */
  readonly page?: number
  /** BCP 47 or English name (`en`, `german`). */
  readonly language: string
  /** Retrieval score, higher is better, comparable within one prompt. */
  readonly score: number
  /** Untouched passage text. */
  readonly text: string
}

/** A word of the question: its stem, its inverse document frequency, and in how many chunks of the corpus it occurs. */
export interface PromptTerm {
  readonly term: string
  readonly idf: number
  readonly documentFrequency: number
}

/** Makes what a model is told of a question and sources; `llm/prompt.ts` has the one of the library, which fences what documents say. */
export type BuildPrompt = (parts: {
  readonly question: string
  readonly sources: readonly PromptSource[]
  readonly terms: readonly []
  /** In the place of the instructions for answering. */
  readonly system: string
}) => Prompt

/** What a prompt is made of. */
export interface PromptParts {
  readonly question: string
  /** Best first. */
  readonly sources: readonly PromptSource[]
  readonly terms: readonly PromptTerm[]
  /** What is to be done with question and sources. Default: to answer with citations. */
  readonly system?: string
  /**
   * How sources follow each other in the text; they keep their numbers. `'given'`, the default: as they come. `'edges'`: the best first, the
   * second best last, and so on inwards, because models read the middle of a long text least (Liu et al. 2023, "Lost in the middle").
   */
  readonly order?: 'given' | 'edges'
}

/**
 * Makes the prompt of an answer in the place of the library's own; the same parts must give the same prompt. A text is all that the model is
 * told; it must fence what documents say, and ask for citations as `[n]`.
 */
export type PromptFunction = (parts: PromptParts) => Prompt | string
