import type { PeerResult } from './children/peer-run.js'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import { countDefects } from './lib/defects.js'
import { withMadeData } from './lib/made-data.js'
import { markdownTable } from './lib/markdown.js'
import { formatNumber } from './lib/measure.js'
import {
  hitRate,
  leastTokens,
  loadPdfs,
  loadTexts,
  madeQuestions,
  ndcgOf,
  type Run,
  runContenders,
  tokenRatio,
} from './lib/peer-runs.js'

/** Rivals take seconds for a page. */
const pages = 20
const characters = 50_000
/** Passages with made vectors that lie in the store when questions are timed: as many as people keep in a memory store. */
const filled = 10_000
const timedQuestions = 50

const pdfRuns: readonly Run[] = [
  { name: 'ours', contender: 'ours' },
  { name: 'langchain', contender: 'langchain' },
  { name: 'langchain, tuned', contender: 'langchain', style: 'tuned' },
  { name: 'llamaindex', contender: 'llamaindex' },
  { name: 'llamaindex, tuned', contender: 'llamaindex', style: 'tuned' },
]
const textRuns: readonly Run[] = [
  { name: 'ours', contender: 'ours' },
  { name: 'transformersjs', contender: 'transformersjs' },
  { name: 'transformersjs, tuned', contender: 'transformersjs', style: 'tuned' },
  { name: 'orama', contender: 'orama' },
  { name: 'orama, tuned', contender: 'orama', style: 'tuned' },
  { name: 'vectra', contender: 'vectra' },
  { name: 'vectra, tuned', contender: 'vectra', style: 'tuned' },
]

/**
 * Other libraries of the field, each in a fresh process, used as its documentation shows and once more as one does who has measured: the same int8
 * weights, the same documents, chunks of the same size. Those that read PDFs get PDFs, the others passages that are cut already. Of each
 * `ingestSpeedup` and `querySpeedup` are their time over ours, `memoryRatio` is our peak of anonymous memory over theirs, `tokenRatio` what ours
 * embeds over what they embed: where that is too little, there is no `ingestSpeedup`. A question is asked of 10,000 stored passages.
 * `defects.passed` counts what goes wrong in one of them and is right here, of seven.
 */
const bench: Bench = async (given) => {
  const context = await withMadeData(given)
  const { data, log, quick } = context
  const metrics: Metrics = {}
  const rounds = quick ? 1 : 3
  const timed = madeQuestions(timedQuestions)

  const pdfs = await loadPdfs(data, pages, await context.peer('pdf-parse'))
  const asked = pdfs.questions.map(({ words }) => words.join(' '))
  const fromPdfs = await runContenders(
    { runs: pdfRuns, rounds, task: { corpus: pdfs.corpus, sample: pdfs.sample, questions: asked, filled, timed } },
    context,
  )
  log(`${pdfs.pages} PDF pages; found: share of ${asked.length} places that eight of their words lead to`)
  show('peers-pdf.md', fromPdfs, (result) => hitRate(pdfs.questions, result), context)
  Object.assign(metrics, compare(fromPdfs, context))

  const texts = loadTexts(data, characters)
  if (texts === undefined) log('! skipped: those that read no PDFs (no labelled set)')
  else {
    const task = {
      corpus: texts.corpus,
      sample: texts.sample,
      questions: texts.questions.map(({ text }) => text),
      filled,
      timed,
    }
    const fromTexts = await runContenders({ runs: textRuns, rounds, task }, context)
    log(
      `${characters.toLocaleString('en')} characters of a labelled set; found: nDCG@10 over ${texts.questions.length} questions`,
    )
    show('peers-text.md', fromTexts, (result) => ndcgOf(texts.questions, result), context)
    Object.assign(metrics, compare(fromTexts, context))
  }
  return { ...metrics, ...(await defects(context)) }
}

export default bench

/** A rival that breaks down here costs no other figure. */
async function defects(context: BenchContext): Promise<Metrics> {
  try {
    return await countDefects(context)
  } catch (error) {
    context.log(`! the defects of others were not counted: ${error}`)
    return {}
  }
}

function show(
  file: string,
  results: ReadonlyMap<string, PeerResult>,
  quality: (result: PeerResult) => number,
  { table, write }: BenchContext,
): void {
  const ours = results.get('ours') as PeerResult
  const rows = [
    [
      'contender',
      'ingest s',
      'ours faster',
      'chunks',
      'tokens',
      'ours over theirs',
      'peak MB',
      `question of ${filled} ms`,
      'ours faster',
      'found',
    ],
    ...[...results].map(([name, result]) => [
      name,
      formatNumber(result.ingestMs / 1000),
      `${formatNumber(result.ingestMs / ours.ingestMs)}x`,
      result.chunks,
      result.tokens,
      tokenRatio(ours, result).toFixed(2),
      Math.round(result.peakBytes / 2 ** 20),
      formatNumber(result.queryP50Ms),
      `${formatNumber(result.queryP50Ms / ours.queryP50Ms)}x`,
      quality(result).toFixed(3),
    ]),
  ]
  table(rows)
  write(file, markdownTable(rows))
}

function compare(results: ReadonlyMap<string, PeerResult>, { log }: BenchContext): Metrics {
  const ours = results.get('ours') as PeerResult
  const metrics: Metrics = {}
  for (const [name, result] of results) {
    const [peer = '', tuned] = name.split(', ')
    if (peer === 'ours') continue
    const suffix = tuned === undefined ? '' : 'Tuned'
    const ratio = tokenRatio(ours, result)
    metrics[`${peer}.tokenRatio${suffix}`] = ratio
    if (ratio >= leastTokens) metrics[`${peer}.ingestSpeedup${suffix}`] = result.ingestMs / ours.ingestMs
    else log(`! the ingest of ${name} does not count: ours embedded ${ratio.toFixed(2)} of the tokens`)
    metrics[`${peer}.querySpeedup${suffix}`] = result.queryP50Ms / ours.queryP50Ms
    metrics[`${peer}.memoryRatio${suffix}`] = ours.peakBytes / result.peakBytes
  }
  return metrics
}
