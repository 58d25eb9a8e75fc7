import { mean, ndcg, recall } from '../src/eval/metrics.js'
import { createBm25Index } from '../src/lexical-index/bm25.js'
import type { Bench, Metrics } from './lib/bench.js'
import {
  byDocument,
  indexSet,
  loadRetrievalSet,
  type Passage,
  type RetrievalQuery,
  type RetrievalSet,
  sentencePassages,
  spanHit5,
} from './lib/retrieval.js'

/** The settings were chosen on `tuned`; `heldBack` were looked at afterwards. */
const tuned = [
  'cranfield',
  'cisi',
  'med',
  'time',
  'nfcorpus',
  'product-docs',
  'contextual-code',
  'covidqa',
  'cmrc2018-zh',
]
const heldBack = ['scifact', 'adi', 'cacm', 'chunking-eval']

/** `bm25` ranks passages alone, `lexical` on two levels, by passage and by document. */
const legs = [
  { name: 'bm25', documentWeight: 0 },
  { name: 'lexical', documentWeight: 0.5 },
] as const

/** Passages asked for: enough that ten documents are among them. */
const depth = 1_000

/** How well 400-character passages are found: a document is ranked by its best passage. */
const bench: Bench = async ({ data, log, table }) => {
  if (data === undefined) {
    log('skipped: the retrieval sets are not there (UFRAG_DATA)')
    return {}
  }
  const metrics: Metrics = {}
  const rows: (string | number)[][] = [['set', 'passages', 'leg', 'nDCG@10', 'recall@10', 'span hit@5']]
  for (const name of [...tuned, ...heldBack]) {
    const set = loadRetrievalSet(data, name)
    if (set === undefined) {
      log(`skipped: ${name} is not there`)
      continue
    }
    for (const { leg, passages, figures } of await measureSet(set)) {
      for (const [figure, value] of Object.entries(figures)) metrics[`${figure}.${leg}.${name}`] = value
      const cells = [figures.ndcg10, figures.recall10, figures.spanHit5].map((value) => value?.toFixed(4) ?? '')
      rows.push([`${name}${heldBack.includes(name) ? ' (held back)' : ''}`, passages, leg, ...cells])
    }
  }
  table(rows)
  return metrics
}
export default bench

interface Figures {
  readonly ndcg10: number
  readonly recall10: number
  readonly spanHit5?: number
}

async function measureSet(set: RetrievalSet) {
  const index = await createBm25Index()
  try {
    const passages = await indexSet(index, set, sentencePassages())
    const results: { leg: string; passages: number; figures: Figures }[] = []
    for (const { name: leg, documentWeight } of legs) {
      const rank = async ({ text }: RetrievalQuery) =>
        (await index.search(text, { topK: depth, documentWeight })).matches.map(
          ({ number }) => passages.get(number) as Passage,
        )
      results.push({ leg, passages: passages.size, figures: await score(set, rank) })
    }
    return results
  } finally {
    await index.close()
  }
}

async function score(set: RetrievalSet, rank: (query: RetrievalQuery) => Promise<Passage[]>): Promise<Figures> {
  const gains: number[] = []
  const recalls: number[] = []
  const hits: number[] = []
  for (const query of set.queries) {
    const found = await rank(query)
    const documents = byDocument(found)
    gains.push(ndcg(documents, query.relevant))
    recalls.push(recall(documents, query.relevant, { capped: true }))
    if (query.answers.length > 0) hits.push(spanHit5(found, query.answers))
  }
  const figures = { ndcg10: mean(gains), recall10: mean(recalls) }
  return hits.length === 0 ? figures : { ...figures, spanHit5: mean(hits) }
}
