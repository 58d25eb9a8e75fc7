import { mean } from '../src/eval/metrics.js'
import { createBm25Index } from '../src/lexical-index/bm25.js'
import { createExtractiveLlm } from '../src/llm/extractive.js'
import { buildPrompt } from '../src/llm/prompt.js'
import type { Prompt } from '../src/llm/types.js'
import type { Bench, Metrics } from './lib/bench.js'
import {
  type AnswerSpan,
  indexSet,
  loadRetrievalSet,
  type Passage,
  type RetrievalQuery,
  type RetrievalSet,
  sentencePassages,
} from './lib/retrieval.js'

/** The no-answer decision was fitted on pairs of these; what is reported has another set on one side at least. */
const fittedOn = ['med', 'cranfield', 'covidqa']
const heldOut = ['product-docs', 'cisi', 'time']
/**
 * Sets that mark what answers a question. The weights of the sentences were chosen on a quarter of their questions
 * (each fourth).
 */
const marked = ['covidqa', 'chunking-eval']

/** As `query()` packs them. */
const topK = 5
const perDocument = 3

/**
 * Does the extractive answerer keep quiet when the corpus does not answer (100 questions of one set asked of another),
 * does it speak when it does, and does it quote the sentence that answers?
 */
const bench: Bench = async ({ data, quick, log, table }) => {
  if (data === undefined) {
    log('skipped: the retrieval sets are not there (UFRAG_DATA)')
    return {}
  }
  const load = (names: readonly string[]): RetrievalSet[] =>
    names.flatMap((name) => {
      const set = loadRetrievalSet(data, name)
      if (set === undefined) log(`skipped: ${name} is not there`)
      return set === undefined ? [] : [set]
    })
  const crossed = load([...fittedOn, ...heldOut])
  const metrics: Metrics = {}
  const rows: (string | number)[][] = [['refused, questions of:', ...crossed.map(({ name }) => name)]]
  const refusals = { unanswerable: [] as number[], answerable: [] as number[] }
  const times: number[] = []
  for (const corpus of crossed) {
    const ask = await openCorpus(corpus, times)
    const row: (string | number)[] = [`asked of ${corpus.name}`]
    for (const asking of crossed) {
      const questions = sample(asking.queries, quick ? 25 : 100)
      const refused: number[] = []
      for (const { text } of questions) refused.push((await ask.answer(text)).answer === '' ? 1 : 0)
      row.push(mean(refused).toFixed(2))
      const isSeen = fittedOn.includes(corpus.name) && fittedOn.includes(asking.name)
      if (!isSeen) refusals[corpus === asking ? 'answerable' : 'unanswerable'].push(mean(refused))
    }
    rows.push(row)
    await ask.close()
  }
  table(rows)
  metrics['noAnswer.recall'] = mean(refusals.unanswerable)
  metrics['noAnswer.falseRate'] = mean(refusals.answerable)
  metrics['answer.p50Ms'] = [...times].sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN

  for (const set of load(marked)) {
    const ask = await openCorpus(set, [])
    const unseen = set.queries.filter(({ answers }, i) => answers.length > 0 && i % 4 !== 0)
    const hits: number[] = []
    const first: number[] = []
    const quotes: number[] = []
    for (const { text, answers } of sample(unseen, quick ? 100 : 300)) {
      const spans = quotedSpans(await ask.answer(text))
      const isHit = spans.map((span) => answers.some((answer) => overlaps(span, answer)))
      hits.push(isHit.includes(true) ? 1 : 0)
      first.push(isHit[0] === true ? 1 : 0)
      quotes.push(spans.length)
    }
    metrics[`answer.${set.name}.quoted`] = mean(hits)
    metrics[`answer.${set.name}.quotedFirst`] = mean(first)
    metrics[`answer.${set.name}.sentences`] = mean(quotes)
    await ask.close()
  }
  table([['metric', 'value'], ...Object.entries(metrics).map(([key, value]) => [key, value.toFixed(3)])])
  return metrics
}
export default bench

interface Answer {
  readonly answer: string
  /** In the order of their markers. */
  readonly passages: readonly Passage[]
  readonly prompt: Prompt
}

interface Corpus {
  answer(question: string): Promise<Answer>
  close(): Promise<void>
}

/** Indexes a set and answers as the pipeline does; `times` collects the milliseconds of the answerer alone. */
async function openCorpus(set: RetrievalSet, times: number[]): Promise<Corpus> {
  const index = await createBm25Index()
  const passages = await indexSet(index, set, sentencePassages())
  const documents = new Map(set.documents.map((document) => [document.id, document]))
  const llm = createExtractiveLlm()
  return {
    async answer(question) {
      const { matches, terms } = await index.search(question, { topK: 50 })
      const ofDocument = new Map<string, number>()
      const hits = matches.flatMap(({ number, score }) => {
        const passage = passages.get(number)
        if (passage === undefined) return []
        const count = (ofDocument.get(passage.documentId) ?? 0) + 1
        ofDocument.set(passage.documentId, count)
        return count > perDocument ? [] : [{ passage, score }]
      })
      const best = hits.slice(0, topK)
      const sources = best.map(({ passage, score }, i) => {
        const { title = '', text = '' } = documents.get(passage.documentId) ?? {}
        const shown = { title, headings: [], language: 'en', text: text.slice(passage.start, passage.end) }
        return { marker: i + 1, score, ...shown }
      })
      const prompt = buildPrompt({ question, sources, terms })
      const began = performance.now()
      let answer = ''
      for await (const delta of llm.generate(prompt, {})) answer += delta
      times.push(performance.now() - began)
      return { answer, prompt, passages: best.map(({ passage }) => passage) }
    },
    close: () => index.close(),
  }
}

/** Where the quoted sentences stand in their documents. */
function quotedSpans({ answer, passages, prompt }: Answer): AnswerSpan[] {
  if (answer === '') return []
  return answer.split(/(?<= (?<!\\)\[\d+\]) /).map((part) => {
    const [, quote = '', marker = ''] = /^([\s\S]*) \[(\d+)\]$/.exec(part) ?? []
    const place = Number(marker) - 1
    const [passage, source] = [passages[place], prompt.sources[place]]
    const offset = source?.text.indexOf(quote.replace(/\\(?=\[[\d\s,;\u2010-\u2015-]+\])/g, '')) ?? -1
    if (passage === undefined || offset < 0) throw new Error(`An answer holds what no source says: source ${marker}.`)
    const start = passage.start + offset
    return { documentId: passage.documentId, start, end: start + quote.length }
  })
}

function overlaps(a: AnswerSpan, b: AnswerSpan): boolean {
  return a.documentId === b.documentId && a.start < b.end && b.start < a.end
}

/** Evenly spread, so that it is the same every time and holds all parts of a set. */
function sample(queries: readonly RetrievalQuery[], count: number): RetrievalQuery[] {
  return queries.length <= count
    ? [...queries]
    : Array.from({ length: count }, (_, i) => queries[Math.floor((i * queries.length) / count)] as RetrievalQuery)
}
