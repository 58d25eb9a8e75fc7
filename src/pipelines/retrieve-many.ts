import type { Hit, Question, RetrieveOptions } from '../core/search.js'
import { followSignal } from '../util/abort.js'
import { inLanes } from '../util/in-lanes.js'
import { type RetrieveTools, retrieve } from './retrieve.js'
import { embedTogether } from './steps/embed-questions.js'
import { searchingTogether } from './steps/search-together.js'

/** Questions that are searched, or answered, at the same time. */
const questionsAtOnce = 8

/** {@link retrieve} for many questions, in their order: embedded together, some at a time. The first failure stops the rest. */
export async function retrieveMany(
  questions: readonly Question[],
  options: RetrieveOptions & { readonly signal: AbortSignal },
  tools: RetrieveTools,
): Promise<Hit[][]> {
  const together = searchingTogether(tools)
  return forEachQuestion(questions, options.signal, tools, async (question, signal, embedded) => {
    const { hits } = await retrieve(question, { ...options, signal }, { ...together, embedded })
    return hits
  })
}

/** What `work` makes of each question, in their order. `embedded` gives it with its vector, which is made together with others. */
export async function forEachQuestion<Result>(
  questions: readonly Question[],
  signal: AbortSignal,
  tools: Pick<RetrieveTools, 'useIndexes' | 'freshen' | 'recorder' | 'now'>,
  work: (question: Question, signal: AbortSignal, embedded: () => Promise<Question>) => Promise<Result>,
): Promise<Result[]> {
  // Before anything is embedded: what is wrong with the indexes is told now.
  await tools.freshen()
  const embedder = await tools.useIndexes(async ({ vector }) => vector?.embedder)
  const results = new Array<Result>(questions.length)
  const own = followSignal(signal)
  const embedded = embedTogether(questions, { ...tools, embedder }, own.signal)
  try {
    await inLanes(questions.keys(), { lanes: questionsAtOnce, signal }, async (place, signal) => {
      results[place] = await work(questions[place] as Question, signal, () => embedded(place))
    })
  } finally {
    // What is embedded ahead of time is not wanted any more after a failure.
    own.abort(undefined)
    own.dispose()
  }
  return results
}
