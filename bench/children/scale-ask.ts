import { UltraFastRAG } from 'ultrafast-rag'
import { silentEmbedder } from '../lib/given-vectors.js'
import { quantile } from '../lib/measure.js'
import { settledBytes } from '../lib/memory.js'
import { mixedDocuments, mixedQuestions } from '../lib/mixed-corpus.js'
import type { ScaleTask } from './scale-fill.js'

export interface AskResult {
  /** From the constructor to the first hits; the files were written a moment ago, and lie in the page cache. */
  readonly openMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Memory that the open store holds once all questions were asked, less what this process had before: anonymous, and all with the files that are mapped. */
  readonly anonymousBytes: number
  readonly residentBytes: number
}

/** Questions are made of the first passages; a sample of so many of them. */
const askedPassages = 5_000

/** Opens a store that was closed and asks it, by words and vectors. */
export default async function ask(task: ScaleTask & { readonly questions: number }): Promise<AskResult> {
  const { chunks, dimensions, questions: count, storage } = task
  const documents = [...mixedDocuments(Math.min(chunks, askedPassages), { dimensions, seed: 5 })]
  const [first, ...questions] = mixedQuestions(documents, { count: count + 51, seed: 6 })
  if (first === undefined) throw new Error('There is no question.')
  const before = await settledBytes()
  const began = performance.now()
  const rag = new UltraFastRAG({ storage, embedder: silentEmbedder(dimensions), cache: false, cacheQueries: false })
  await rag.retrieve(first, { topK: 10 })
  const openMs = performance.now() - began
  // What was opened is read through in the background: no question shares a core with that.
  await rag.settled()
  const times: number[] = []
  for (const question of questions) {
    const asked = performance.now()
    await rag.retrieve(question, { topK: 10 })
    times.push(performance.now() - asked)
  }
  const after = await settledBytes()
  await rag.close()
  const warm = times.slice(50)
  const anonymousBytes = after.anonymous - before.anonymous
  return {
    openMs,
    p50Ms: quantile(warm, 0.5),
    p99Ms: quantile(warm, 0.99),
    anonymousBytes,
    residentBytes: anonymousBytes + after.mapped - before.mapped,
  }
}
