import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG, type UltraFastRAGOptions } from 'ultrafast-rag'
import { pairedBootstrap } from '../src/eval/bootstrap.js'
import { mean, ndcg, recall } from '../src/eval/metrics.js'
import { createBm25Index } from '../src/lexical-index/bm25.js'
import type { Bench, Metrics } from './lib/bench.js'
import {
  type AnswerSpan,
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

/** Sets over which the gain of `hybrid` against `bm25` is told. */
const gained = tuned.slice(0, 8)

/** `bm25` ranks passages alone, `lexical` on two levels, by passage and by document: the index itself, without what is around it. */
const lexicalLegs = [
  { name: 'bm25', documentWeight: 0 },
  { name: 'lexical', documentWeight: 0.5 },
] as const

/** The library as its users get it: by default, and with the weight of the words set to nothing. */
const pipelineLegs: readonly { readonly name: string; readonly options: UltraFastRAGOptions }[] = [
  { name: 'hybrid', options: {} },
  { name: 'semantic', options: { fusion: { kind: 'weighted', weights: { lexical: 0, vector: 1 } } } },
]

/** Passages asked for: enough that ten documents are among them. */
const depth = 1_000

/** How well 400-character passages are found: a document is ranked by its best passage. */
const bench: Bench = async ({ data, log, table }) => {
  if (data === undefined) {
    log('skipped: the retrieval sets are not there (UFRAG_DATA)')
    return {}
  }
  const metrics: Metrics = {}
  const heading = ['set', 'passages', 'leg', 'nDCG@10', 'recall@10', 'span hit@5', 'against bm25', '95%']
  const rows: (string | number)[][] = [heading]
  for (const name of [...tuned, ...heldBack]) {
    const set = loadRetrievalSet(data, name)
    if (set === undefined) {
      log(`skipped: ${name} is not there`)
      continue
    }
    const legs = [...(await measureIndex(set)), ...(await measurePipeline(set))]
    const baseline = legs[0] as Leg
    for (const { leg, passages, scores } of legs) {
      const figures = { ndcg10: mean(scores.ndcg), recall10: mean(scores.recall), spanHit5: meanOrNone(scores.span) }
      for (const [figure, value] of Object.entries(figures)) {
        if (value !== undefined) metrics[`${figure}.${leg}.${name}`] = value
      }
      const { difference, low, high } = pairedBootstrap(baseline.scores.ndcg, scores.ndcg)
      const relative = difference / mean(baseline.scores.ndcg)
      if (leg === 'hybrid') metrics[`gain.${name}`] = relative
      const cells = Object.values(figures).map((value) => value?.toFixed(4) ?? '')
      const against = leg === 'bm25' ? [] : [percent(relative), `${signed(low)} to ${signed(high)}`]
      rows.push([`${name}${heldBack.includes(name) ? ' (held back)' : ''}`, passages, leg, ...cells, ...against])
    }
  }
  table(rows)
  const gains = gained.flatMap((name) => metrics[`gain.${name}`] ?? [])
  return gains.length === 0 ? metrics : { ...metrics, 'gain.mean': mean(gains), 'gain.min': Math.min(...gains) }
}
export default bench

interface Leg {
  readonly leg: string
  readonly passages: number
  readonly scores: Scores
}

/** One value for each question; `span` for those whose answer is known. */
interface Scores {
  readonly ndcg: readonly number[]
  readonly recall: readonly number[]
  readonly span: readonly number[]
}

interface Ranking {
  /** Ids, best first. */
  readonly documents: readonly string[]
  readonly passages: readonly AnswerSpan[]
}

async function measureIndex(set: RetrievalSet): Promise<Leg[]> {
  const index = await createBm25Index()
  try {
    const passages = await indexSet(index, set, sentencePassages())
    const legs: Leg[] = []
    for (const { name: leg, documentWeight } of lexicalLegs) {
      const rank = async ({ text }: RetrievalQuery) => {
        const { matches } = await index.search(text, { topK: depth, documentWeight })
        const found = matches.map(({ number }) => passages.get(number) as Passage)
        return { documents: byDocument(found), passages: found }
      }
      legs.push({ leg, passages: passages.size, scores: await score(set, rank) })
    }
    return legs
  } finally {
    await index.close()
  }
}

async function measurePipeline(set: RetrievalSet): Promise<Leg[]> {
  const storage = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  try {
    const legs: Leg[] = []
    for (const { name: leg, options } of pipelineLegs) {
      const rag = new UltraFastRAG({ ...options, storage })
      // A document without text is found by its title, which must not count twice.
      await rag.ingest(
        set.documents.map(({ id, title, text }) => (text.trim() === '' ? { id, text: title } : { id, title, text })),
      )
      await rag.warmUp()
      const { chunks } = await rag.stats()
      legs.push({ leg, passages: chunks, scores: await score(set, (query) => ask(rag, query)) })
      await rag.close()
    }
    return legs
  } finally {
    rmSync(storage, { recursive: true, force: true })
  }
}

async function ask(rag: UltraFastRAG, { answers, text }: RetrievalQuery): Promise<Ranking> {
  const documents = await rag.retrieve(text, { topK: 10, groupBy: 'document' })
  const passages = answers.length === 0 ? [] : await rag.retrieve(text, { topK: 5 })
  return {
    documents: documents.map(({ chunk }) => chunk.documentId),
    passages: passages.map(({ chunk: { documentId, span } }) => ({ documentId, ...span })),
  }
}

async function score(set: RetrievalSet, rank: (query: RetrievalQuery) => Promise<Ranking>): Promise<Scores> {
  const scores = { ndcg: [] as number[], recall: [] as number[], span: [] as number[] }
  for (const query of set.queries) {
    const { documents, passages } = await rank(query)
    scores.ndcg.push(ndcg(documents, query.relevant))
    scores.recall.push(recall(documents, query.relevant, { capped: true }))
    if (query.answers.length > 0) scores.span.push(spanHit5(passages, query.answers))
  }
  return scores
}

function meanOrNone(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : mean(values)
}

function percent(share: number): string {
  return `${share < 0 ? '' : '+'}${(share * 100).toFixed(1)}%`
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(4)}`
}
