import type { FinishReason, Groundedness, GroundedSentence, TokenCounts } from '../../core/answer.js'

/** What is known of an answer when the model has stopped. */
export interface AnswerEnd {
  /** `[n]` markers that named no source. */
  readonly invented: number
  readonly finishReason: Exclude<FinishReason, 'no-answer'>
  readonly tokens: TokenCounts
  /** Which model wrote it, where the id of the adapter names several. */
  readonly model?: string
  /** A model stood in for another one: such an answer is not kept. */
  readonly isSubstitute?: boolean
  /** Absent when no sentence has content words. */
  readonly groundedness?: Groundedness
}

/** No model was asked. */
export const nothingWritten: AnswerEnd = {
  invented: 0,
  finishReason: 'stop',
  tokens: { input: 0, output: 0, estimated: false },
}

/** A copy that shares nothing. */
export function copyEnd({ groundedness, tokens, ...plain }: AnswerEnd): AnswerEnd {
  return {
    ...plain,
    tokens: { ...tokens },
    ...(groundedness === undefined ? {} : { groundedness: copyGroundedness(groundedness) }),
  }
}

function copyGroundedness({ score, sentences }: Groundedness): Groundedness {
  return { score, sentences: sentences.map((sentence) => ({ ...sentence, citations: [...sentence.citations] })) }
}

/** Whether what was read from a cache is how an answer ends. */
export function isAnswerEnd(value: unknown): value is AnswerEnd {
  const { finishReason, groundedness, invented, model, tokens } = (value ?? {}) as { readonly [key: string]: unknown }
  return (
    isCount(invented) &&
    isFinishReason(finishReason) &&
    isTokenCounts(tokens) &&
    (model === undefined || typeof model === 'string') &&
    (groundedness === undefined || isGroundedness(groundedness))
  )
}

const finishReasons: Record<AnswerEnd['finishReason'], true> = {
  stop: true,
  length: true,
  'content-filter': true,
  other: true,
}

export function isFinishReason(value: unknown): value is AnswerEnd['finishReason'] {
  return typeof value === 'string' && Object.hasOwn(finishReasons, value)
}

function isTokenCounts(value: unknown): value is TokenCounts {
  const { estimated, input, output } = (value ?? {}) as Partial<TokenCounts>
  return isCount(input) && isCount(output) && typeof estimated === 'boolean'
}

function isGroundedness(value: unknown): value is Groundedness {
  const { score, sentences } = (value ?? {}) as Partial<Groundedness>
  return Number.isFinite(score) && Array.isArray(sentences) && sentences.every(isSentence)
}

function isSentence(value: unknown): value is GroundedSentence {
  const { citations, end, score, start } = (value ?? {}) as Partial<GroundedSentence>
  return (
    isCount(start) && isCount(end) && Number.isFinite(score) && Array.isArray(citations) && citations.every(isCount)
  )
}

/** A whole number that is not negative. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
