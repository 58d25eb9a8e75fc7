import type { Recorder } from '../../performance/types.js'
import { sha256Hex } from '../../util/hash.js'
import type { AnswerTools } from '../answer.js'
import { decodeAnswer, type KeptAnswer } from './cached-answer.js'
import { readState } from './cached-retrieval.js'
import { countHit, type Kept, type ResultCache } from './result-cache.js'

/**
 * Answers by their questions, beside those by their passages. Such an answer can be asked for together with the ranking, so that both take
 * one round trip to a server; it counts only when the ranking leads to the key of the answer.
 */
export interface DirectAnswers {
  readonly results: ResultCache<DirectAnswer>
  readonly recorder: Recorder
}

export interface DirectAnswer {
  /** Of all that the answer was written from. */
  readonly key: string
  readonly answer: KeptAnswer
}

/** An answer that was asked for before its passages are known. */
export interface AskedAhead {
  /** The answer, if it is the one of this key. Counted as any hit. */
  find(key: string): Promise<Kept<KeptAnswer> | undefined>
  /** Keeps an answer for whoever asks the same. */
  keep(key: string, answer: KeptAnswer, lifetime: Parameters<ResultCache<DirectAnswer>['keep']>[2]): void
}

/** Raised when answers are kept otherwise. */
const version = 'direct/1'

/** Asks for the answer to a question, and does not wait. `question` stands for all that a call says. */
export async function askAhead(
  question: string,
  { answers, caching, freshen, ...tools }: AnswerTools,
): Promise<AskedAhead | undefined> {
  if (answers?.direct === undefined || caching === undefined) return undefined
  const { recorder, results } = answers.direct
  await freshen()
  const state = await readState(tools)
  if (state === undefined) return undefined
  const ahead = sha256Hex(version, caching.storeId, state, caching.fingerprint, answers.fingerprint, question)
  const asked = results.get(ahead)
  return {
    async find(key) {
      const kept = await asked
      if (kept?.value.key !== key) return undefined
      countHit(recorder, 'answers', kept.costMs)
      return { ...kept, value: kept.value.answer }
    },
    keep: (key, answer, lifetime) => results.keep(ahead, { key, answer }, lifetime),
  }
}

/** What somebody else wrote is no answer. */
export function decodeDirectAnswer(data: unknown): DirectAnswer | undefined {
  const { key, answer: kept } = (data ?? {}) as { readonly key?: unknown; readonly answer?: unknown }
  const answer = decodeAnswer(kept)
  return typeof key === 'string' && answer !== undefined ? { key, answer } : undefined
}
