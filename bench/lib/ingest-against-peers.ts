import type { PeerResult } from '../children/peer-run.js'
import type { BenchContext, Metrics } from './bench.js'
import { formatNumber } from './measure.js'
import { leastTokens, loadPdfs, type Run, runContenders, tokenRatio } from './peer-runs.js'

/** Rivals take seconds for a page. */
const pages = 30

const runs: readonly Run[] = [
  { name: 'ours, same work', contender: 'ours' },
  { name: 'ours, as it comes', contender: 'ours', headings: true },
  {
    name: 'ours, 1,000 characters, 200 of them again',
    contender: 'ours',
    headings: true,
    chunkSize: 1_000,
    chunkOverlap: 200,
  },
  { name: 'langchain, same work', contender: 'langchain' },
  { name: 'llamaindex, same work', contender: 'llamaindex' },
  // What their documentation shows: 1,000 characters of which 200 are repeated, 1,024 tokens of which 20 are; weights that are not quantized.
  {
    name: 'langchain, documented defaults',
    contender: 'langchain',
    dtype: 'fp32',
    chunkSize: 1_000,
    chunkOverlap: 200,
  },
  {
    name: 'llamaindex, documented defaults',
    contender: 'llamaindex',
    dtype: 'fp32',
    headings: true,
    chunkSize: 4_096,
    chunkOverlap: 80,
  },
]

/** The two runs that are compared, and the metrics that tell of them. */
const comparisons = [
  {
    speedup: 'speedup.langchainSameWeights',
    tokens: 'tokens.ratioLangchain',
    runs: ['ours, same work', 'langchain, same work'],
  },
  {
    speedup: 'speedup.llamaindexSameWeights',
    tokens: 'tokens.ratioLlamaindex',
    runs: ['ours, same work', 'llamaindex, same work'],
  },
  {
    speedup: 'speedup.langchainDefaults',
    tokens: 'tokens.ratioLangchainDefaults',
    runs: ['ours, 1,000 characters, 200 of them again', 'langchain, documented defaults'],
  },
  {
    speedup: 'speedup.llamaindexDefaults',
    tokens: 'tokens.ratioLlamaindexDefaults',
    runs: ['ours, as it comes', 'llamaindex, documented defaults'],
  },
] as const

/**
 * PDFs, end to end, against the usual pipelines of LangChain.js and LlamaIndex.TS: with the same int8 weights and chunks of the same size,
 * nothing but their text embedded; and each as its documentation shows, ours with int8. `tokens.ratio…` is what ours embeds over what they
 * embed; where that is too little, there is no `speedup.…`.
 */
export async function measureAgainstPeers(context: BenchContext & { data: string }): Promise<Metrics> {
  const pdfs = await loadPdfs(context.data, pages)
  const task = { corpus: pdfs.corpus, sample: pdfs.sample, questions: [], filled: 0, timed: [] }
  const results = await runContenders({ runs, rounds: context.quick ? 1 : 3, task }, context)
  context.log(`${pdfs.pages} PDF pages against others:`)
  context.table([
    ['pipeline', 'seconds', 'pages/min', 'pages', 'chunks', 'tokens/page', 'peak MB'],
    ...[...results].map(([name, { chunks, ingestMs, pages: read, peakBytes, tokens }]) => [
      name,
      formatNumber(ingestMs / 1000),
      formatNumber((read * 60_000) / ingestMs),
      read,
      chunks,
      Math.round(tokens / read),
      Math.round(peakBytes / 2 ** 20),
    ]),
  ])
  const of = (name: string) => results.get(name) as PeerResult
  const metrics: Metrics = {}
  for (const { runs, speedup, tokens } of comparisons) {
    const [ours, theirs] = [of(runs[0]), of(runs[1])]
    const ratio = tokenRatio(ours, theirs)
    metrics[tokens] = ratio
    if (ratio >= leastTokens) metrics[speedup] = theirs.ingestMs / ours.ingestMs
    else context.log(`! ${speedup} does not count: ours embedded ${ratio.toFixed(2)} of the tokens`)
  }
  return metrics
}
