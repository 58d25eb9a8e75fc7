import { mean, ndcg } from '../src/eval/metrics.js'
import { createBm25Index } from '../src/lexical-index/bm25.js'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import { compare, formatRatio, formatTimes } from './lib/measure.js'
import { indexSet, loadRetrievalSet, type RetrievalSet, sentencePassages, wholeText } from './lib/retrieval.js'

const sets = [
  'cranfield',
  'cisi',
  'med',
  'time',
  'nfcorpus',
  'product-docs',
  'contextual-code',
  'cmrc2018-zh',
  'scifact',
]
/** The set that is raced on: 5,183 abstracts, 300 claims. */
const raceSet = 'scifact'

/** The ranking function over whole documents, the bytes it takes, and its speed against MiniSearch. */
const bench: Bench = async (context) => {
  const { data, log, table } = context
  if (data === undefined) {
    log('skipped: the retrieval sets are not there (UFRAG_DATA)')
    return {}
  }
  const metrics: Metrics = {}
  const rows: (string | number)[][] = [['set, documents whole', 'documents', 'nDCG@10']]
  for (const name of sets) {
    const set = loadRetrievalSet(data, name)
    if (set === undefined) {
      log(`skipped: ${name} is not there`)
      continue
    }
    const value = await withOurs(set, (search) => quality(set, search))
    metrics[`ndcg10.${name}`] = value
    rows.push([name, set.documents.length, value.toFixed(4)])
    if (name === raceSet) Object.assign(metrics, await measureMemory(set, log), await race(set, context))
  }
  table(rows)
  return metrics
}
export default bench

/** Ids of the documents found, best first. */
type Search = (text: string) => Promise<string[]> | string[]

async function withOurs<Result>(set: RetrievalSet, use: (search: Search) => Promise<Result>): Promise<Result> {
  const index = await createBm25Index({ documentWeight: 0 })
  try {
    const passages = await indexSet(index, set, wholeText)
    await index.compact()
    return await use(async (text) =>
      (await index.search(text, { topK: 10 })).matches.map(({ number }) => passages.get(number)?.documentId ?? ''),
    )
  } finally {
    await index.close()
  }
}

async function quality(set: RetrievalSet, search: Search): Promise<number> {
  const values: number[] = []
  for (const { text, relevant } of set.queries) values.push(ndcg(await search(text), relevant))
  return mean(values)
}

async function measureMemory(set: RetrievalSet, log: BenchContext['log']): Promise<Metrics> {
  const index = await createBm25Index()
  try {
    await indexSet(index, set, sentencePassages())
    await index.compact()
    const { bytes, chunks } = index.stats()
    log(`${chunks} passages of 400 characters: ${(bytes / chunks).toFixed(0)} bytes each`)
    return { 'memory.bytesPerChunk': bytes / chunks }
  } finally {
    await index.close()
  }
}

interface MiniSearchLike {
  addAll(documents: readonly object[]): void
  search(text: string): { readonly id: string }[]
}

/** Questions asked in the race; quality is measured on all. */
const raceQuestions = 100

/** Both answer the same questions, whole documents, in turns. */
async function race(set: RetrievalSet, { quick, peer, table }: BenchContext): Promise<Metrics> {
  const module = (await import(await peer('minisearch'))) as {
    default: new (options: { fields: string[] }) => MiniSearchLike
  }
  const rival = new module.default({ fields: ['title', 'text'] })
  rival.addAll(set.documents)
  const theirs: Search = (text) =>
    rival
      .search(text)
      .slice(0, 10)
      .map(({ id }) => id)
  return withOurs(set, async (ours) => {
    const questions = set.queries.slice(0, raceQuestions)
    const turn = (name: string, search: Search) => ({
      name,
      run: async () => {
        for (const { text } of questions) await search(text)
      },
    })
    const [mine, other] = await compare([turn('ultrafast-rag', ours), turn('MiniSearch', theirs)], {
      warmup: 1,
      blocks: quick ? 1 : 3,
      repetitions: 1,
    })
    if (mine === undefined || other === undefined) throw new Error('Two contenders give two results.')
    const [ourQuality, theirQuality] = [await quality(set, ours), await quality(set, theirs)]
    table([
      [`${questions.length} questions to ${set.documents.length} documents`, 'all', 'time ratio', 'nDCG@10'],
      [mine.name, formatTimes(mine.times), '', ourQuality.toFixed(4)],
      [other.name, formatTimes(other.times), formatRatio(other), theirQuality.toFixed(4)],
    ])
    return {
      'speedup.minisearch': other.ratio,
      'speed.queryMs': mine.times.median / questions.length,
      'quality.overMinisearch': ourQuality - theirQuality,
    }
  })
}
