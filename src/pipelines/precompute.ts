import { RagError } from '../core/errors.js'
import { followSignal } from '../util/abort.js'
import { type AnswerOptions, type AnswerTools, answerQuestion, collectAnswer } from './answer.js'

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

/** These will meet the next question as well. */
const final = new Set(['CLOSED', 'MISSING_PEER', 'BAD_OPTION'])

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
  const own = followSignal(options.signal)
  const iterator = Symbol.asyncIterator in questions ? questions[Symbol.asyncIterator]() : questions[Symbol.iterator]()
  let taken = 0
  // One at a time, though lanes ask together: a generator gives its values in order.
  let reading: Promise<unknown> = Promise.resolve()
  const take = (): Promise<{ readonly question: string; readonly place: number } | undefined> => {
    const next = reading.then(async () => {
      for (;;) {
        own.signal.throwIfAborted()
        const { done: ended, value } = await iterator.next()
        if (ended === true) return undefined
        if (typeof value !== 'string') throw new RagError('BAD_INPUT', 'precompute() takes questions as texts.')
        if (value.trim() !== '') return { question: value.trim(), place: taken++ }
      }
    })
    reading = next.catch(() => {})
    return next
  }

  const answer = async (question: string, place: number): Promise<void> => {
    try {
      const { cache, outcome } = await collectAnswer(
        answerQuestion(question, { ...options, signal: own.signal }, tools),
      )
      if (cache.answer === 'hit') done.cached++
      else done.computed++
      if (outcome === 'no-answer') done.unanswered++
    } catch (error) {
      own.signal.throwIfAborted()
      if (RagError.isInstance(error) && final.has(error.code)) throw error
      failed.push({ place, error })
    }
    done.questions++
    await onProgress?.({ ...done, failed: failed.length, elapsedMs: tools.now() - began })
  }

  const lane = async (): Promise<void> => {
    for (let next = await take(); next !== undefined; next = await take()) await answer(next.question, next.place)
  }
  try {
    await Promise.all(Array.from({ length: lanes }, lane))
  } catch (error) {
    own.abort(error)
    throw error
  } finally {
    own.dispose()
    await iterator.return?.()
  }
  failed.sort((a, b) => a.place - b.place)
  return { ...done, failed, durationMs: tools.now() - began }
}
