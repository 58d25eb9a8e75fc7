import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG, type UltraFastRAGOptions } from 'ultrafast-rag'
import { createMarkdownChunker } from '../../src/chunk/markdown.js'
import { createRecursiveChunker } from '../../src/chunk/recursive.js'
import { createSemanticChunker } from '../../src/chunk/semantic.js'
import { createSentenceChunker } from '../../src/chunk/sentence.js'
import { createTokenChunker } from '../../src/chunk/token.js'
import type { Chunker } from '../../src/chunk/types.js'
import { pairedBootstrap } from '../../src/eval/bootstrap.js'
import { mean } from '../../src/eval/metrics.js'
import type { BenchContext, Metrics } from './bench.js'
import { type AnswerSpan, loadRetrievalSet, type RetrievalSet, sections, spanHit5 } from './retrieval.js'

/** Sets whose answers are labelled, and every how many of their questions are asked; three times as many are left out by `--quick`. */
const labelledSets = [
  { name: 'chunking-eval', every: 1 },
  { name: 'covidqa', every: 1 },
  { name: 'cmrc2018-zh', every: 4 },
] as const

/** What is searched: the words alone, and as the library does by default. */
const legs = [
  { name: 'words', fusion: { kind: 'weighted', weights: { lexical: 1, vector: 0 } } },
  { name: 'default', fusion: { kind: 'adaptive' } },
] as const

const sizes = { chunkSize: 400, chunkOverlap: 0, minChunkSize: 0 }

type ChunkerOptions = NonNullable<UltraFastRAGOptions['chunker']>

interface Candidate {
  readonly name: string
  readonly options: ChunkerOptions
  make(): Promise<Chunker>
}

/**
 * What each chunker is worth: how fast it cuts, on one thread and without what is around it, and how well answers are found in its
 * chunks by the whole library.
 */
export async function measureChunkers(context: BenchContext): Promise<Metrics> {
  const { quick } = context
  const data = context.data as string
  const sets = labelledSets.flatMap(({ name, every }) => {
    const set = loadRetrievalSet(data, name)
    if (set === undefined) context.log(`skipped: ${name} is not there`)
    return set === undefined
      ? []
      : [{ ...set, queries: set.queries.filter((_, i) => i % (quick ? 3 * every : every) === 0) }]
  })
  const candidates = chunkers(join(data, 'tokenizer', 'bert-base-uncased'))
  return { ...(await measureSpeed(context, sets, candidates)), ...(await measureFinding(context, sets, candidates)) }
}

/** The tokens of `token` are about as many as 400 characters of English have. */
function chunkers(tokenizer: string): readonly Candidate[] {
  const plain = {
    sentence: createSentenceChunker,
    recursive: createRecursiveChunker,
    markdown: createMarkdownChunker,
    semantic: createSemanticChunker,
  }
  const token = { tokenizer, maxTokens: 96 }
  return [
    ...Object.entries(plain).map(([name, make]) => ({
      name,
      options: { kind: name as keyof typeof plain },
      make: async () => make(sizes),
    })),
    {
      name: 'token',
      options: { kind: 'token', ...token },
      make: () => createTokenChunker({ ...sizes, chunkSize: 16 * token.maxTokens, ...token, prefix: '' }),
    },
  ]
}

async function measureSpeed(
  { quick, table }: BenchContext,
  sets: readonly RetrievalSet[],
  candidates: readonly Candidate[],
): Promise<Metrics> {
  const texts = sets
    .flatMap(({ documents }) => documents)
    .flatMap(({ text }) => sections(text).map(({ start, end }) => text.slice(start, end)))
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  const characters = texts.reduce((sum, text) => sum + text.length, 0)
  const metrics: Metrics = {}
  const rows: (string | number)[][] = [['chunker', 'chunks', 'characters each', 'chunks/s', 'MB/s']]
  for (const { name, make } of candidates) {
    const chunker = await make()
    let chunks = 0
    let seconds = Number.POSITIVE_INFINITY
    for (let round = 0; round < (quick ? 3 : 9); round++) {
      chunks = 0
      const began = performance.now()
      for (const text of texts) chunks += (await chunker.chunk({ text, whole: [] })).length
      seconds = Math.min(seconds, (performance.now() - began) / 1_000)
    }
    metrics[`chunksPerSecond.${name}`] = chunks / seconds
    const each = Math.round(characters / chunks)
    rows.push([name, chunks, each, Math.round(chunks / seconds), (bytes / 1e6 / seconds).toFixed(1)])
  }
  table(rows)
  return metrics
}

/** One value for each question. */
interface Found {
  /** 1 when one of the first five chunks overlaps an answer. */
  readonly hit: readonly number[]
  /** 1 when one of them holds an answer from its beginning to its end. */
  readonly whole: readonly number[]
}

async function measureFinding(
  { table }: BenchContext,
  sets: readonly RetrievalSet[],
  candidates: readonly Candidate[],
): Promise<Metrics> {
  const metrics: Metrics = {}
  const rows: (string | number)[][] = [
    ['set', 'searched', 'chunker', 'chunks', 'span hit@5', 'whole span@5', 'against sentence', '95%'],
  ]
  for (const set of sets) {
    const baselines = new Map<string, Found>()
    for (const { name, options } of candidates) {
      for (const { leg, chunks, found } of await search(set, options)) {
        const baseline = baselines.get(leg) ?? found
        baselines.set(leg, baseline)
        metrics[`spanHit5.${name}.${leg}.${set.name}`] = mean(found.hit)
        metrics[`wholeSpan5.${name}.${leg}.${set.name}`] = mean(found.whole)
        const { difference, low, high } = pairedBootstrap(baseline.hit, found.hit)
        const against = found === baseline ? [] : [points(difference), `${points(low)} to ${points(high)}`]
        rows.push([set.name, leg, name, chunks, mean(found.hit).toFixed(4), mean(found.whole).toFixed(4), ...against])
      }
    }
  }
  table(rows)
  return metrics
}

/** Asks every question of a set that was cut by one chunker. */
async function search(set: RetrievalSet, chunker: ChunkerOptions) {
  const storage = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  try {
    const results: { leg: string; chunks: number; found: Found }[] = []
    for (const { name: leg, fusion } of legs) {
      await using rag = new UltraFastRAG({ chunker, fusion, storage })
      // The second time nothing is new.
      await rag.ingest(set.documents.map(({ id, title, text }) => ({ id, title, text })))
      await rag.warmUp()
      const found = { hit: [] as number[], whole: [] as number[] }
      for (const { answers, text } of set.queries) {
        const hits = await rag.retrieve(text, { topK: 5 })
        const passages = hits.map(({ chunk: { documentId, span } }) => ({ documentId, ...span }))
        found.hit.push(spanHit5(passages, answers))
        found.whole.push(holdsWhole(passages, answers))
      }
      results.push({ leg, chunks: (await rag.stats()).chunks, found })
    }
    return results
  } finally {
    rmSync(storage, { recursive: true, force: true })
  }
}

function holdsWhole(passages: readonly AnswerSpan[], answers: readonly AnswerSpan[]): number {
  const holds = (passage: AnswerSpan) =>
    answers.some(
      ({ documentId, end, start }) => documentId === passage.documentId && passage.start <= start && end <= passage.end,
    )
  return passages.some(holds) ? 1 : 0
}

function points(share: number): string {
  return `${share < 0 ? '' : '+'}${(share * 100).toFixed(1)}`
}
