import type { PeerResult } from '../children/peer-run.js'
import type { BenchContext, Metrics } from './bench.js'
import { formatNumber } from './measure.js'
import { madeQuestions, type Run, runContenders } from './peer-runs.js'

/** Passages with made vectors that are asked. */
const passages = 100_000

const runs: readonly Run[] = [
  { name: 'ours', contender: 'ours' },
  { name: 'langchain', contender: 'langchain' },
  { name: 'langchainTuned', contender: 'langchain', style: 'tuned' },
  { name: 'llamaindex', contender: 'llamaindex' },
]

/**
 * From a question to its ten passages among 100,000 stored ones, the int8 model included: `speedup.…` is the median time of others over ours. LangChain.js
 * and LlamaIndex.TS compare vectors one by one in their memory stores; tuned, LangChain.js searches a graph of hnswlib-node, which takes minutes to
 * build. The questions are others than those of `sources.…`. Empty without measuring data.
 */
export async function measureQuestionsAgainstPeers(context: BenchContext): Promise<Metrics> {
  if (context.data === undefined) {
    context.log('! skipped: other libraries (no measuring data)')
    return {}
  }
  const task = { questions: [], filled: passages, timed: madeQuestions(110) }
  const results = await runContenders({ runs, rounds: context.quick ? 1 : 3, task }, context)
  const p50 = (name: string) => (results.get(name) as PeerResult).queryP50Ms
  context.table([
    ['question to ten of 100,000 passages', 'p50 ms', 'ours faster'],
    ...runs.map(({ name }) => [name, formatNumber(p50(name)), `${formatNumber(p50(name) / p50('ours'))}x`]),
  ])
  const others = runs.filter(({ name }) => name !== 'ours')
  return Object.fromEntries(others.map(({ name }) => [`speedup.${name}`, p50(name) / p50('ours')]))
}
