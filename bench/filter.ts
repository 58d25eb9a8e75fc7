import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodePiece } from '../src/core/piece.js'
import type { RangeSet } from '../src/core/range-set.js'
import type { Hit, Question, RetrieveOptions } from '../src/core/search.js'
import { fuseByRank } from '../src/fusion/rrf.js'
import { createBm25Index } from '../src/lexical-index/bm25.js'
import type { LexicalIndex, LexicalSearchOptions } from '../src/lexical-index/types.js'
import { createMetadataIndex } from '../src/metadata-index/metadata-index.js'
import { catchUp, type NamespaceIndexes } from '../src/pipelines/catch-up.js'
import { type RetrieveTools, retrieve } from '../src/pipelines/retrieve.js'
import { scanDocuments } from '../src/pipelines/steps/allow.js'
import { StageEstimates } from '../src/pipelines/steps/stage-estimates.js'
import { createMemoryStore } from '../src/store/memory.js'
import type { StoreNamespace } from '../src/store/types.js'
import { createFakeEmbedder } from '../src/testing/fakes.js'
import { createTurns } from '../src/util/yield.js'
import { createAutoIndex } from '../src/vector-index/auto.js'
import { createFlatIndex } from '../src/vector-index/flat.js'
import type { VectorIndex } from '../src/vector-index/types.js'
import type { Bench, Metrics } from './lib/bench.js'
import { compare, formatTimes, quantile } from './lib/measure.js'
import { type MixedDocument, type MixedQuestion, mixedDocuments, mixedQuestions } from './lib/mixed-corpus.js'
import { recallOf as recallOfNumbers } from './lib/vector-indexes.js'

const passages = 100_000
const dimensions = 384
const topK = 10
/** Of a thousand documents. */
const selectivities = [500, 100, 10, 1]
const legs = ['lexical', 'vector', 'hybrid'] as const

/**
 * What a filter costs and loses, at 100,000 passages, through the pipeline. Against exact search: for vectors the plain inner product
 * with every allowed row; for words the whole ranking, of which the allowed ones are taken; for both, these two.
 */
const bench: Bench = async ({ quick, log, table }) => {
  const documents = [...mixedDocuments(passages, { dimensions, seed: 5 })]
  const namespace = createMemoryStore().namespace('')
  for (const document of documents) await commit(namespace, document)
  const tools = await indexed(namespace)
  log(`${namespace.counts().chunks} passages of ${documents.length} documents`)
  const metrics: Metrics = { ...(await measureMatching(namespace, tools, { quick, table })) }

  const rows: (string | number)[][] = [['allowed', 'leg', 'filtered', 'exact', 'slowdown', 'recall@10', 'unfiltered']]
  const slowdowns: number[] = []
  const recalls: number[] = []
  const questions = mixedQuestions(documents, { count: quick ? 30 : 100, seed: 6 })
  const plain = await plainIndex(documents)
  const graphs = await measureGraphs({ documents, questions, namespace, plain, quick })
  recalls.push(...graphs.recalls)
  slowdowns.push(...graphs.slowdowns)
  Object.assign(metrics, graphs.metrics)
  for (const perThousand of selectivities) {
    const filter = { bucket: { $lt: perThousand } }
    const exact = exactTools(tools, plain, await scanDocuments(filter, namespace))
    for (const leg of legs) {
      const ask = (question: MixedQuestion, using: IndexTools, options: RetrieveOptions) =>
        retrieve(questionFor(leg, question), { topK, ...options }, leg === 'lexical' ? wordsOnly(using) : using)
      const recalled: number[] = []
      for (const question of questions) {
        const found = await ask(question, tools, { filter })
        recalled.push(recallOf(found.hits, (await ask(question, exact, { filter })).hits))
      }
      const turn = (name: string, using: IndexTools, options: RetrieveOptions) => {
        let next = 0
        return { name, run: () => ask(questions[next++ % questions.length] as MixedQuestion, using, options) }
      }
      const contenders = [turn('filtered', tools, { filter }), turn('exact', exact, { filter }), turn('all', tools, {})]
      const [ours, theirs, all] = await compare(contenders, {
        warmup: 5,
        blocks: quick ? 2 : 5,
        repetitions: questions.length / 2,
      })
      if (ours === undefined || theirs === undefined || all === undefined) throw new Error('Three give three results.')
      const slowdown = 1 / theirs.ratio
      const recall = Math.min(...recalled)
      slowdowns.push(slowdown)
      recalls.push(recall)
      metrics[`slowdown.${leg}.${perThousand / 10}percent`] = slowdown
      const times = [ours, theirs].map(({ times }) => formatTimes(times))
      const share = `${perThousand / 10}%`
      rows.push([share, leg, ...times, slowdown.toFixed(2), recall.toFixed(3), formatTimes(all.times)])
    }
  }
  await plain.close()
  table(rows)
  table(graphs.rows)
  for (const index of [tools.indexes.lexical, tools.indexes.vector?.index, tools.indexes.metadata]) await index?.close()
  return { ...metrics, 'recall.min': Math.min(...recalls), 'slowdown.max': Math.max(...slowdowns) }
}
export default bench

async function commit(namespace: StoreNamespace, { id, metadata, passages }: MixedDocument): Promise<void> {
  const writer = namespace.begin(id)
  const text = passages.map(({ text }) => text).join('\n\n')
  const vectors = new Float32Array(passages.length * dimensions)
  let start = 0
  const chunks = passages.map(({ text, vector }, i) => {
    vectors.set(vector, i * dimensions)
    const span = { start, end: start + text.length }
    start = span.end + 2
    return { id: `${id}/${i}`.padStart(32, '0'), span, headings: [] }
  })
  await writer.write(encodePiece({ firstOrdinal: 0, start: 0, text, chunks }), chunks.length, vectors)
  await writer.commit({
    title: '',
    source: id,
    mediaType: 'text/plain',
    language: 'en',
    metadata,
    characters: text.length,
    pages: 0,
    contentHash: id,
    pipeline: 'bench',
    embedder: embedder.fingerprint,
  })
}

const embedder = createFakeEmbedder({ dimensions })
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** The tools of the pipeline, and the indexes behind them. */
interface IndexTools extends RetrieveTools {
  readonly indexes: NamespaceIndexes
}

function withIndexes(tools: Omit<RetrieveTools, 'useIndexes'>, indexes: NamespaceIndexes): IndexTools {
  return { ...tools, indexes, useIndexes: (task) => task(indexes) }
}

async function indexed(namespace: StoreNamespace): Promise<IndexTools> {
  const turns = createTurns()
  const index: VectorIndex = createFlatIndex({ dimensions, fingerprint: embedder.fingerprint, turns })
  const indexes: NamespaceIndexes = {
    lexical: await createBm25Index(),
    vector: { index, embedder },
    metadata: createMetadataIndex({ namespace, turns }),
  }
  const recorder = { stage() {}, count() {} }
  await catchUp(namespace, indexes, { recorder, now: () => performance.now() })
  const tools: Omit<RetrieveTools, 'useIndexes'> = {
    namespace,
    adaptive: false,
    addsScores: false,
    watchRecall: undefined,
    caching: undefined,
    freshen: async () => {},
    fuse: (lists) => fuseByRank(lists.map(({ matches }) => ({ matches, weight: 1 }))),
    reranking: undefined,
    documentWeight: 0.5,
    turn: () => turns.next(),
    recorder,
    logger: silent,
    estimates: new StageEstimates({ now: () => performance.now() }),
    now: () => performance.now(),
  }
  return withIndexes(tools, indexes)
}

function questionFor(leg: (typeof legs)[number], { text, vector }: MixedQuestion): Question {
  if (leg === 'lexical') return text
  return leg === 'vector' ? { vector } : { text, vector }
}

function wordsOnly(tools: IndexTools): IndexTools {
  return withIndexes(tools, { ...tools.indexes, vector: undefined })
}

async function plainIndex(documents: readonly MixedDocument[]): Promise<VectorIndex> {
  const index = createFlatIndex({ dimensions, fingerprint: embedder.fingerprint, accelerate: false })
  await addAll(index, documents)
  return index
}

async function addAll(index: VectorIndex, documents: readonly MixedDocument[]): Promise<void> {
  const update = index.update()
  let number = 0
  for (const { passages } of documents) for (const { vector } of passages) await update.add([number++], vector)
  await update.publish(1)
}

/**
 * The same filters on an index that has graphs, against a look at every allowed row of the same index (`exact`): it must never be slower. Both are
 * searched in a worker thread.
 */
async function measureGraphs({
  documents,
  namespace,
  plain,
  questions,
  quick,
}: {
  readonly documents: readonly MixedDocument[]
  readonly namespace: StoreNamespace
  readonly plain: VectorIndex
  readonly questions: readonly MixedQuestion[]
  readonly quick: boolean
}) {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-filter-'))
  const index = await createAutoIndex({ dimensions, fingerprint: embedder.fingerprint, directory: folder })
  try {
    await addAll(index, documents)
    while (index.stats().segments > 1) await new Promise((resolve) => setTimeout(resolve, 50))
    const rows: (string | number)[][] = [['allowed', 'index', 'filtered', 'every allowed row', 'slowdown', 'recall@10']]
    const recalls: number[] = []
    const slowdowns: number[] = []
    const metrics: Metrics = {}
    for (const perThousand of [1_000, ...selectivities]) {
      const allow = await scanDocuments({ bucket: { $lt: perThousand } }, namespace)
      const numbersOf = async (vector: Float32Array, using: VectorIndex) =>
        (await using.search(vector, { topK, allow })).map(({ number }) => number)
      const found: number[][] = []
      const truth: number[][] = []
      for (const { vector } of questions) {
        found.push(await numbersOf(vector, index))
        truth.push(await numbersOf(vector, plain))
      }
      const turn = (name: string, exact: boolean) => {
        let next = 0
        const run = () => {
          const { vector } = questions[next++ % questions.length] as MixedQuestion
          return index.search(vector, { topK, allow, exact })
        }
        return { name, run }
      }
      const [ours, theirs] = await compare([turn('filtered', false), turn('exact', true)], {
        warmup: 5,
        blocks: quick ? 2 : 5,
        repetitions: questions.length / 2,
      })
      if (ours === undefined || theirs === undefined) throw new Error('Two give two results.')
      const recall = recallOfNumbers(found, truth)
      const slowdown = 1 / theirs.ratio
      recalls.push(recall)
      slowdowns.push(slowdown)
      const share = `${perThousand / 10}%`
      metrics[`slowdown.graphs.${perThousand / 10}percent`] = slowdown
      metrics[`recall.graphs.${perThousand / 10}percent`] = recall
      rows.push([
        share,
        'auto',
        formatTimes(ours.times),
        formatTimes(theirs.times),
        slowdown.toFixed(2),
        recall.toFixed(4),
      ])
    }
    return { rows, recalls, slowdowns, metrics }
  } finally {
    await index.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The same pipeline over indexes that search plainly. */
function exactTools(tools: IndexTools, index: VectorIndex, allowed: RangeSet): IndexTools {
  const { lexical } = tools.indexes
  const whole: LexicalIndex = Object.assign(Object.create(lexical) as LexicalIndex, {
    search: async (text: string, { topK, documentWeight }: LexicalSearchOptions) => {
      const ranking = { topK: passages, ...(documentWeight === undefined ? {} : { documentWeight }) }
      const { matches, terms } = await lexical.search(text, ranking)
      return { matches: matches.filter(({ number }) => allowed.has(number)).slice(0, topK), terms }
    },
  })
  return withIndexes(tools, { ...tools.indexes, lexical: whole, vector: { index, embedder } })
}

function recallOf(found: readonly Hit[], wanted: readonly Hit[]): number {
  if (wanted.length === 0) return found.length === 0 ? 1 : 0
  const ids = new Set(found.map(({ chunk }) => chunk.id))
  return wanted.filter(({ chunk }) => ids.has(chunk.id)).length / wanted.length
}

/** What it costs to know which passages a filter allows: the first time for a path, each time, and by testing every document. */
async function measureMatching(
  namespace: StoreNamespace,
  { indexes: { metadata } }: IndexTools,
  { quick, table }: { readonly quick: boolean; readonly table: Parameters<Bench>[0]['table'] },
): Promise<Metrics> {
  const filters = {
    'number, half': { bucket: { $lt: 500 } },
    'number, 1 in 1,000': { bucket: 7 },
    'text, 8 in 10': { language: 'en' },
    'list, 1 in 10': { tags: 'a3' },
    date: { date: { $gte: '2024-01-01' } },
    'three of them': { language: 'en', bucket: { $gte: 100, $lt: 300 }, tags: { $ne: 'a1' } },
  }
  const rows: (string | number)[][] = [['filter', 'first ms', 'p50 ms', 'again ms', 'every document ms']]
  const metrics: Metrics = {}
  const timed = async (run: () => Promise<unknown>) => {
    const began = performance.now()
    await run()
    return performance.now() - began
  }
  for (const [name, filter] of Object.entries(filters)) {
    const first = await timed(() => metadata.prepare(filter))
    const times: number[] = []
    for (let i = 0; i < (quick ? 9 : 31); i++) {
      // Another filter each time: of one that came before the result is known.
      const other = { ...filter, $not: { bucket: -1 - i } }
      await metadata.prepare(other)
      times.push(await timed(() => metadata.match(other)))
    }
    await metadata.match(filter)
    const again = await timed(() => metadata.match(filter))
    const scan = await timed(() => scanDocuments(filter, namespace))
    const median = quantile(times, 0.5)
    rows.push([name, first.toFixed(0), median.toFixed(2), again.toFixed(3), scan.toFixed(0)])
    metrics['match.p50Ms'] = Math.max(metrics['match.p50Ms'] ?? 0, median)
  }
  const { bytes, rows: held } = metadata.stats()
  metrics['memory.bytesPerRow'] = bytes / held
  table(rows)
  return metrics
}
