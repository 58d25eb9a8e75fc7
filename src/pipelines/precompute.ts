import { RagError } from '../core/errors.js'
import { abortableValues } from '../util/abort.js'
import { inLanes } from '../util/in-lanes.js'
import { type AnswerOptions, type AnswerTools, answerQuestion, collectAnswer } from './answer.js'
import { failsAll } from './answer-many.js'

/** What `precompute()` did. */
export interface PrecomputeReport {
  readonly questions: number
  /** Questions that were answered for the first time. */
  readonly computed: number
  /** Questions whose answer was there already. */
  readonly cached: number
  /** Questions that the documents do not answer; that is kept as well. */
  readonly unanswered: number
  /** By their place in the input, from 0. */
  readonly failed: readonly { readonly place: number; readonly error: unknown }[]
  readonly durationMs: number
}

/** What `onProgress` of `precompute()` receives after each question. */
export type PrecomputeProgress = Omit<PrecomputeReport, 'failed' | 'durationMs'> & {
  readonly failed: number
  readonly elapsedMs: number
}

export interface PrecomputeTools extends AnswerTools {
  /** Questions at a time. */
  readonly lanes: number
  readonly onProgress: ((progress: PrecomputeProgress) => unknown) | undefined
}

/**
 * Answers questions ahead of time, so that their answers are found when somebody asks. One that fails does not stop the others, unless
 * none of them could work. Reads no faster than it answers.
 */
export async function precompute(
  questions: Iterable<string> | AsyncIterable<string>,
  options: AnswerOptions,
  { lanes, onProgress, ...tools }: PrecomputeTools,
): Promise<PrecomputeReport> {
  const began = tools.now()
  const done = { questions: 0, computed: 0, cached: 0, unanswered: 0 }
  const failed: { readonly place: number; readonly error: unknown }[] = []
  await inLanes(numbered(questions, options.signal), { lanes, signal: options.signal }, async (next, signal) => {
    try {
      const { cache, outcome } = await collectAnswer(answerQuestion(next.question, { ...options, signal }, tools))
      if (cache.answer === 'hit') done.cached++
      else done.computed++
      if (outcome === 'no-answer') done.unanswered++
    } catch (error) {
      signal.throwIfAborted()
      if (failsAll(error)) throw error
      failed.push({ place: next.place, error })
    }
    done.questions++
    await onProgress?.({ ...done, failed: failed.length, elapsedMs: tools.now() - began })
  })
  failed.sort((a, b) => a.place - b.place)
  return { ...done, failed, durationMs: tools.now() - began }
}

/** Questions by their places in the input; blank ones are passed over. */
async function* numbered(
  questions: Iterable<string> | AsyncIterable<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly question: string; readonly place: number }, void, undefined> {
  let place = 0
  for await (const value of abortableValues(questions, signal)) {
    if (typeof value !== 'string') throw new RagError('BAD_INPUT', 'precompute() takes questions as texts.')
    const own = place++
    const question = value.trim()
    if (question !== '') yield { question, place: own }
  }
}
