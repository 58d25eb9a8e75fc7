import type { Hit, Question, RetrieveOptions } from '../core/search.js'
import { followSignal } from '../util/abort.js'
import { inLanes } from '../util/in-lanes.js'
import { type RetrieveTools, retrieve } from './retrieve.js'
import { embedTogether } from './steps/embed-questions.js'
import { searchingTogether } from './steps/search-together.js'

/** Questions that are searched at the same time. */
const questionsAtOnce = 8

/** {@link retrieve} for many questions, in their order: embedded together, some at a time. The first failure stops the rest. */
export async function retrieveMany(
  questions: readonly Question[],
  options: RetrieveOptions & { readonly signal: AbortSignal },
  tools: RetrieveTools,
): Promise<Hit[][]> {
  // Before anything is embedded: what is wrong with the indexes is told now.
  await tools.freshen()
  const { signal } = options
  const together = searchingTogether(tools)
  const embedder = await tools.useIndexes(async ({ vector }) => vector?.embedder)
  const results = new Array<Hit[]>(questions.length)
  const own = followSignal(signal)
  const embedded = embedTogether(questions, { ...tools, embedder }, own.signal)
  try {
    await inLanes(questions.keys(), { lanes: questionsAtOnce, signal }, async (place, signal) => {
      const withVector = () => embedded(place)
      const question = questions[place] as Question
      const own = { ...together, embedded: withVector, budget: tools.budget?.anew() }
      const { hits } = await retrieve(question, { ...options, signal }, own)
      results[place] = hits
    })
  } finally {
    // What is embedded ahead of time is not wanted any more after a failure.
    own.abort(undefined)
    own.dispose()
  }
  return results
}
