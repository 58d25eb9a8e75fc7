import pLimit from 'p-limit'
import type { BatchResult } from '../core/batch.js'
import { RagError } from '../core/errors.js'
import type { Question } from '../core/search.js'
import { followSignal } from '../util/abort.js'
import { type AnswerOptions, type AnswerTools, answerQuestion, collectAnswer } from './answer.js'
import { embedTogether, type QuestionTools } from './steps/embed-questions.js'
import { searchingTogether } from './steps/search-together.js'

/** What answering many questions works with. */
interface BatchTools extends AnswerTools {
  /** Questions at a time, at most. */
  readonly lanes: number
  /** Gives a place for one question more than there are under way, and what gives it back; `undefined` while there is none. */
  readonly spare: () => (() => void) | undefined
  /** Whether others wait for a place. */
  readonly crowded: () => boolean
  /** Throws for what is no question. */
  readonly check: (question: string) => void
  readonly onFailure: 'report' | 'throw'
}

/** These will meet every other question as well. */
const final = new Set(['CLOSED', 'MISSING_PEER', 'BAD_OPTION'])

/** Whether a failure would be that of any question. */
export function failsAll(error: unknown): boolean {
  return RagError.isInstance(error) && final.has(error.code)
}

/**
 * Answers many questions, in their order: embedded together, searched together, several at a time; as many more as there are places for.
 * One that fails is reported and stops no other, unless none of them could be answered, or failures are to be thrown.
 */
export async function answerMany(
  questions: readonly string[],
  options: AnswerOptions & { readonly signal: AbortSignal },
  { check, crowded, lanes, onFailure, spare, ...tools }: BatchTools,
): Promise<BatchResult[]> {
  const problems = questions.map((question) => problemOf(question, check))
  const wrong = problems.find((problem) => problem !== undefined)
  if (onFailure === 'throw' && wrong !== undefined) throw wrong
  // Before anything is embedded: what is wrong with the indexes is told now.
  await tools.freshen()
  const own = followSignal(options.signal)
  const { signal } = own
  const together = searchingTogether(tools)
  const embedder = await tools.useIndexes(async ({ vector }) => vector?.embedder)
  const askable = questions.map((question, place) => (problems[place] === undefined ? question : ''))
  const embedded = embedApart(askable, { ...tools, embedder }, signal)

  const answer = async (place: number): Promise<BatchResult> => {
    const problem = problems[place]
    if (problem !== undefined) return failed(problem)
    const question = askable[place] as string
    const withVector = () => embedded(place)
    try {
      return await collectAnswer(
        answerQuestion(question, { ...options, signal }, { ...together, embedded: withVector }),
      )
    } catch (error) {
      signal.throwIfAborted()
      if (onFailure === 'throw' || failsAll(error)) throw error
      return failed(error)
    }
  }
  try {
    return await inGrowingLanes(questions.length, { lanes, signal, spare, crowded, onFailure: own.abort }, answer)
  } finally {
    // What is embedded ahead of time is not wanted any more after a failure.
    own.abort(undefined)
    own.dispose()
  }
}

/** Questions embedded by themselves in a row that may fail, before the embedder is taken to be down. */
const failuresInRow = 3

/** Questions embedded together; where that fails, each by itself: it may have been another one of them. */
function embedApart(
  questions: readonly string[],
  tools: QuestionTools,
  signal: AbortSignal,
): (place: number) => Promise<Question> {
  const together = embedTogether(questions, tools, signal)
  // One after the other, or they would be joined again.
  const oneByOne = pLimit(1)
  let failures = 0
  return async (place) => {
    try {
      return await together(place)
    } catch (error) {
      return oneByOne(async () => {
        signal.throwIfAborted()
        if (failures >= failuresInRow) throw error
        failures++
        const question = await embedTogether([questions[place] as string], tools, signal)(0)
        failures = 0
        return question
      })
    }
  }
}

function problemOf(question: string, check: (question: string) => void): unknown {
  try {
    check(question)
    return undefined
  } catch (error) {
    return error
  }
}

function failed(error: unknown): BatchResult {
  return { outcome: 'failed', error: RagError.isInstance(error) ? error : unknownFailure(error) }
}

function unknownFailure(cause: unknown): RagError {
  return new RagError('PROVIDER', 'A question of the batch could not be answered.', {
    cause,
    hint: 'The cause is what the model, or another part of your own, has thrown.',
  })
}

interface GrowingLanes {
  readonly lanes: number
  readonly signal: AbortSignal
  readonly spare: BatchTools['spare']
  readonly crowded: BatchTools['crowded']
  /** Told of failures; it fires the signal, with whose reason the call rejects. */
  readonly onFailure: (error: unknown) => void
}

/**
 * One lane at first, which needs no place of its own; another one whenever there is an item, and a place for it, which it gives up again when
 * others wait.
 */
async function inGrowingLanes<Result>(
  count: number,
  { crowded, lanes, onFailure, signal, spare }: GrowingLanes,
  work: (place: number) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(count)
  const running: Promise<void>[] = []
  let next = 0
  let atWork = 0
  const open = (leave?: () => void): void => {
    atWork++
    const lane = async (): Promise<void> => {
      while (next < count && !signal.aborted) {
        const place = next++
        grow()
        results[place] = await work(place)
        if (leave !== undefined && crowded()) return
      }
    }
    const ended = lane()
      .catch(onFailure)
      .finally(() => {
        atWork--
        leave?.()
      })
    running.push(ended)
  }
  const grow = (): void => {
    while (next < count && atWork < lanes) {
      const leave = spare()
      if (leave === undefined) return
      open(leave)
    }
  }
  open()
  // Lanes open lanes: the list grows while it is read.
  for (const lane of running) await lane
  signal.throwIfAborted()
  return results
}
