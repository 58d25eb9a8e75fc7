import type { PeerResult } from '../children/peer-run.js'
import type { BenchContext, Metrics } from './bench.js'
import { formatNumber } from './measure.js'
import { madeQuestions, type Run, runContenders } from './peer-runs.js'

/** Passages with made vectors that are asked. */
const passages = 100_000

const runs: readonly Run[] = [
  { name: 'ours', contender: 'ours' },
  { name: 'langchain', contender: 'langchain' },
  { name: 'llamaindex', contender: 'llamaindex' },
]

/**
 * From a question to its sources among 100,000 stored passages, the int8 model included, against the memory stores of LangChain.js and
 * LlamaIndex.TS: `sources.…` is ours, `speedup.…` their median time over it. Empty without measuring data.
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
    ['question to sources of 100,000', 'p50 ms', 'ours faster'],
    ...runs.map(({ name }) => [name, formatNumber(p50(name)), `${formatNumber(p50(name) / p50('ours'))}x`]),
  ])
  return {
    'speedup.langchain': p50('langchain') / p50('ours'),
    'speedup.llamaindex': p50('llamaindex') / p50('ours'),
  }
}
