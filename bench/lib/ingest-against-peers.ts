import type { PeerResult } from '../children/peer-run.js'
import type { BenchContext, Metrics } from './bench.js'
import { formatNumber } from './measure.js'
import { loadPdfs, type Run, runContenders } from './peer-runs.js'

/** Rivals take seconds for a page. */
const pages = 30
/** Of the rival's tokens per page, ours must embed at least this share, else the comparison does not count. */
const leastTokens = 0.9

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

/** Metric by the names of the two runs that it compares. */
const comparisons = {
  'speedup.langchainSameWeights': ['ours, same work', 'langchain, same work'],
  'speedup.llamaindexSameWeights': ['ours, same work', 'llamaindex, same work'],
  'speedup.langchainDefaults': ['ours, 1,000 characters, 200 of them again', 'langchain, documented defaults'],
  'speedup.llamaindexDefaults': ['ours, as it comes', 'llamaindex, documented defaults'],
} as const

/**
 * PDFs, end to end, against the usual pipelines of LangChain.js and LlamaIndex.TS: with the same int8 weights and chunks of the same size,
 * nothing but their text embedded; and each as its documentation shows, ours with int8. `tokens.ratio…` is what ours embeds of a page over
 * what they embed, with the same work.
 */
export async function measureAgainstPeers(context: BenchContext): Promise<Metrics> {
  const pdfs = await loadPdfs(context.data as string, pages)
  const task = { corpus: pdfs.corpus, questions: [], filled: 0, timed: [] }
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
  for (const [key, [ours, theirs]] of Object.entries(comparisons)) {
    const ratio = tokenRatio(of(ours), of(theirs))
    if (ratio < leastTokens) context.log(`! ${key} does not count: ours embedded ${ratio.toFixed(2)} of the tokens`)
    else metrics[key] = of(theirs).ingestMs / of(ours).ingestMs
  }
  return {
    ...metrics,
    'tokens.ratioLangchain': tokenRatio(of('ours, same work'), of('langchain, same work')),
    'tokens.ratioLlamaindex': tokenRatio(of('ours, same work'), of('llamaindex, same work')),
  }
}

/** Of the same pages: the files are the same, though one library counts a page without text and another does not. */
function tokenRatio(ours: PeerResult, theirs: PeerResult): number {
  return ours.tokens / theirs.tokens
}
