import { UltraFastRAG, type UltraFastRAGOptions, type UnderstandOptions } from 'ultrafast-rag'
import { pairedBootstrap } from '../src/eval/bootstrap.js'
import { mean, ndcg } from '../src/eval/metrics.js'
import { stopWords } from '../src/text/stop-words.js'
import type { Bench, Metrics } from './lib/bench.js'
import { loadRetrievalSet, type RetrievalSet } from './lib/retrieval.js'

/** Sets whose questions ask for several things now and then, and two whose do not. */
const names = ['product-docs', 'cisi', 'adi', 'cranfield', 'med']

/** Ways to understand a question without a model. What a model would write is written by a rule in its place. */
const ways: readonly Way[] = [
  { name: 'conjunctions', understand: { decompose: 'conjunctions' }, write: () => '' },
  { name: 'everyAnd', understand: { decompose: true }, write: (question) => splitAtAnd(question).join('\n') },
  { name: 'keywords', understand: { multiQuery: 1 }, write: keywordsOf },
  { name: 'halves', understand: { multiQuery: 2 }, write: (question) => halvesOf(question).join('\n') },
]

interface Way {
  readonly name: string
  readonly understand: UnderstandOptions
  readonly write: (question: string) => string
}

/** What it is worth to take questions apart, and to vary them, by rules: nDCG@10 of documents, over all questions and over those it changes. */
const bench: Bench = async ({ data, log, table }) => {
  if (data === undefined) {
    log('skipped: the retrieval sets are not there (UFRAG_DATA)')
    return {}
  }
  const metrics: Metrics = {}
  const rows: (string | number)[][] = [
    ['set', 'way', 'questions', 'as asked', 'understood', 'gain', '95%', 'changed', 'gain of those'],
  ]
  for (const name of names) {
    const set = loadRetrievalSet(data, name)
    if (set === undefined) {
      log(`skipped: ${name} is not there`)
      continue
    }
    for (const { changed, way, plain, understood } of await measure(set)) {
      const { difference, low, high } = pairedBootstrap(plain, understood)
      const relative = difference / mean(plain)
      const among = (values: readonly number[]) => mean(values.filter((_, place) => changed[place]))
      const count = changed.filter(Boolean).length
      const gain = count === 0 ? 0 : (among(understood) - among(plain)) / among(plain)
      metrics[`gain.${way}.${name}`] = relative
      metrics[`changed.${way}.${name}`] = count
      if (count > 0) metrics[`gainOfChanged.${way}.${name}`] = gain
      rows.push([
        name,
        way,
        plain.length,
        mean(plain).toFixed(4),
        mean(understood).toFixed(4),
        percent(relative),
        `${low.toFixed(4)} to ${high.toFixed(4)}`,
        count,
        count === 0 ? '' : percent(gain),
      ])
    }
  }
  table(rows)
  return metrics
}
export default bench

interface Measured {
  readonly way: string
  readonly plain: readonly number[]
  readonly understood: readonly number[]
  /** Whether anything was searched beside the question. */
  readonly changed: readonly boolean[]
}

async function measure(set: RetrievalSet): Promise<Measured[]> {
  let write: Way['write'] = () => ''
  const options: UltraFastRAGOptions = {
    cacheQueries: false,
    understandLlm: async function* ({ question }) {
      yield write(question)
    },
  }
  const rag = new UltraFastRAG(options)
  try {
    await rag.ingest(
      set.documents.map(({ id, title, text }) => (text.trim() === '' ? { id, text: title } : { id, title, text })),
    )
    await rag.warmUp()
    const score = async (understand: UnderstandOptions | false): Promise<number[]> => {
      const scores: number[] = []
      for (const { relevant, text } of set.queries) {
        const hits = await rag.retrieve(text, { topK: 10, groupBy: 'document', understand })
        scores.push(
          ndcg(
            hits.map(({ chunk }) => chunk.documentId),
            relevant,
          ),
        )
      }
      return scores
    }
    const plain = await score(false)
    const measured: Measured[] = []
    for (const way of ways) {
      write = way.write
      const changed: boolean[] = []
      for (const { text } of set.queries) {
        const { understood } = await rag.query(text, { understand: way.understand, topK: 1 })
        changed.push((understood?.queries.length ?? 0) > 0)
      }
      measured.push({ way: way.name, plain, understood: await score(way.understand), changed })
    }
    return measured
  } finally {
    await rag.close()
  }
}

function splitAtAnd(question: string): string[] {
  const parts = question.split(/\s+(?:and|or)\s+|[,;]\s+/i).filter((part) => keywordsOf(part) !== '')
  return parts.length < 2 ? [] : parts
}

const functionWords = new Set(stopWords.english)

function keywordsOf(question: string): string {
  const words = question.match(/[\p{L}\p{N}][\p{L}\p{M}\p{N}'-]*/gu) ?? []
  return words.filter((word) => !functionWords.has(word.toLowerCase())).join(' ')
}

function halvesOf(question: string): string[] {
  const words = question.split(/\s+/)
  const middle = Math.ceil(words.length / 2)
  return words.length < 6 ? [] : [words.slice(0, middle).join(' '), words.slice(middle).join(' ')]
}

function percent(share: number): string {
  return `${share < 0 ? '' : '+'}${(share * 100).toFixed(1)}%`
}
