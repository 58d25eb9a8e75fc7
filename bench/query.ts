import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AnswerEvent, type Llm, UltraFastRAG } from 'ultrafast-rag'
import type { QuestionSourcesTask } from './children/question-sources.js'
import type { Bench, BenchContext } from './lib/bench.js'
import { quantile } from './lib/measure.js'
import { measureQuestionsAgainstPeers } from './lib/query-against-peers.js'

const documents = 1_000
const chunksEach = 10

/**
 * What does the pipeline cost beside the embedder, the search and the model? Ten thousand chunks in memory, the hashing embedder, no caches,
 * a model that writes at once. And how long is it from a question to its sources, with 100,000 stored vectors on disk and an int8 model of the shape
 * of all-MiniLM-L6-v2 with random weights, without reranking, and how long elsewhere?
 */
const bench: Bench = async (context) => {
  const { quick, log, table, child } = context
  const rag = await openCorpus({ llm: writes(['It is said [1]', ' and said again [2].']) })
  const repetitions = quick ? 200 : 1_000
  let stages: Interval[] = []
  const { tracker } = rag
  const stage = tracker.stage.bind(tracker)
  // Stages of what is not ours to pay for, as the pipeline times them.
  tracker.stage = (name, durationMs) => {
    const now = performance.now()
    if (searchStages.has(name)) stages.push({ from: now - durationMs, to: now })
    stage(name, durationMs)
  }
  const overhead: number[] = []
  const added: number[] = []
  for (let i = -100; i < repetitions; i++) {
    stages = []
    const began = performance.now()
    let first = Number.NaN
    for await (const event of rag.stream(questionOf(i))) if (event.type === 'answer-delta') first ||= performance.now()
    const took = performance.now() - began
    if (i < 0) continue
    const searched = lengthOf(stages)
    overhead.push(took - searched)
    // The model needs no time for its first token: all that is not search is added.
    added.push(first - began - searched)
  }
  const took = Object.entries(tracker.summary().stages).filter(([name]) => name.startsWith('query.'))
  log(`stages, p50 ms: ${took.map(([name, { p50Ms }]) => `${name.slice(6)} ${p50Ms.toFixed(2)}`).join(', ')}`)
  await rag.close()

  const abort = await timeAborts(quick ? 20 : 100)
  const { result: growth } = await child<number>('./children/query-streams.ts', {})
  const sources = await timeSources(quick ? 200 : 1_000, child)
  const metrics = {
    'overhead.p50Ms': quantile(overhead, 0.5),
    'overhead.p99Ms': quantile(overhead, 0.99),
    'ttft.addedMs': quantile(added, 0.5),
    'abort.maxMs': Math.max(...abort),
    'streams.rssGrowthMb': growth,
    'sources.p50Ms100k': quantile(sources, 0.5),
    'sources.p95Ms100k': quantile(sources, 0.95),
  }
  log('overhead: a whole answer less embedding and search; added: the same up to the first token, median')
  log(
    'abort: from abort() to the rejection of the reader and the end of the model; streams: 200 at a time, what is held after ten more rounds',
  )
  table([['metric', 'value'], ...Object.entries(metrics).map(([key, value]) => [key, value.toFixed(3)])])
  return { ...metrics, ...(await measureQuestionsAgainstPeers(context)) }
}
export default bench

const searchStages = new Set(['query.embed', 'query.lexical', 'query.vector'])

interface Interval {
  readonly from: number
  readonly to: number
}

/** Of all time that lies in one interval or more: words and vectors are searched at the same time. */
function lengthOf(intervals: readonly Interval[]): number {
  let length = 0
  let end = Number.NEGATIVE_INFINITY
  for (const { from, to } of intervals.toSorted((one, other) => one.from - other.from)) {
    length += Math.max(0, to - Math.max(from, end))
    end = Math.max(end, to)
  }
  return length
}

/** A corpus of made texts, ten chunks a document, in memory. */
export async function openCorpus({ llm }: { readonly llm: Llm }): Promise<UltraFastRAG> {
  const rag = new UltraFastRAG({ embedder: 'hashing', cache: false, llm })
  await rag.ingest(
    Array.from({ length: documents }, (_, document) => ({
      id: `document-${document}`,
      chunks: Array.from({ length: chunksEach }, (_, chunk) => ({ text: textOf(document * chunksEach + chunk) })),
    })),
  )
  return rag
}

/** Some 400 characters; words of Zipfian frequency, and some that few chunks have. */
function textOf(number: number): string {
  let state = number + 1
  const words = Array.from({ length: 60 }, () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9
    const share = ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
    return `word${Math.floor(3_000 ** share)}`
  })
  return `Chunk ${number} of topic${number % 97}. ${words.slice(0, 30).join(' ')}. ${words.slice(30).join(' ')}.`
}

export function questionOf(number: number): string {
  const place = Math.abs(number)
  return `What is said of topic${place % 97} and word${(place * 7) % 900} in chunk ${place % 9_999}?`
}

export function writes(parts: readonly string[]): Llm {
  return {
    id: 'written',
    async *generate() {
      yield* parts
    },
    async close() {},
  }
}

async function timeSources(questions: number, child: BenchContext['child']): Promise<readonly number[]> {
  const storage = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  try {
    const task: QuestionSourcesTask = { storage, passages: 100_000, questions }
    return (await child<number[]>('./children/question-sources.ts', task)).result
  } finally {
    rmSync(storage, { recursive: true, force: true })
  }
}

/** Milliseconds from an abort to the end of reader and model, while the model is silent. */
async function timeAborts(count: number): Promise<number[]> {
  let ended = Promise.resolve()
  const silent: Llm = {
    id: 'silent',
    async *generate(_prompt, { signal }) {
      yield 'So'
      ended = new Promise((resolve) => signal?.addEventListener('abort', () => resolve()))
      await ended
      signal?.throwIfAborted()
    },
    async close() {},
  }
  const rag = await openCorpus({ llm: silent })
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const controller = new AbortController()
    let began = 0
    const read = async (): Promise<AnswerEvent | undefined> => {
      for await (const event of rag.stream(questionOf(i), { signal: controller.signal })) {
        if (event.type !== 'answer-delta') continue
        setTimeout(() => {
          began = performance.now()
          controller.abort()
        }, 5)
      }
      return undefined
    }
    await read().catch((error: unknown) => {
      if (error !== controller.signal.reason) throw error
    })
    if (began === 0) throw new Error('The answer was over before it was aborted.')
    await ended
    times.push(performance.now() - began)
  }
  await rag.close()
  return times
}
