import { UltraFastRAG, type UltraFastRAGOptions } from 'ultrafast-rag'
import { silentEmbedder } from '../lib/given-vectors.js'
import { type MixedQuestion, mixedDocuments, mixedQuestions } from '../lib/mixed-corpus.js'

export interface MixedStoreTask {
  readonly storage: string
  readonly passages: number
  readonly questions: number
  readonly dimensions: number
  readonly vectorIndex: UltraFastRAGOptions['vectorIndex']
}

export interface MixedStoreResult {
  readonly ingestMs: number
  /** Milliseconds of each question. */
  readonly times: readonly number[]
  /** The same questions with a filter that allows one document in ten. */
  readonly filtered: readonly number[]
  readonly stages: Readonly<Record<string, number>>
  readonly hits: number
}

/** Fills a store with passages and their vectors, asks one question after the other, and tells how long each took. */
export default async function mixedStore(task: MixedStoreTask): Promise<MixedStoreResult> {
  const { dimensions, passages, storage, vectorIndex } = task
  const documents = [...mixedDocuments(passages, { dimensions, seed: 5 })]
  const rag = new UltraFastRAG({
    storage,
    embedder: silentEmbedder(dimensions),
    // The questions of the warm-up come again.
    cacheQueries: false,
    ...(vectorIndex === undefined ? {} : { vectorIndex }),
  })
  const began = performance.now()
  await rag.ingest(
    documents.map(({ id, metadata, passages }) => ({
      id,
      metadata,
      chunks: passages.map(({ text, vector }) => ({ text, vector })),
    })),
  )
  const ingestMs = performance.now() - began
  await rag.settled()
  const questions = mixedQuestions(documents, { count: task.questions, seed: 6 })
  let hits = 0
  const ask = async (
    question: MixedQuestion,
    filter?: { readonly bucket: { readonly $lt: number } },
  ): Promise<number> => {
    const asked = performance.now()
    const found = await rag.retrieve(question, filter === undefined ? { topK: 10 } : { topK: 10, filter })
    const took = performance.now() - asked
    hits += found.length
    return took
  }
  for (const question of questions.slice(0, 50)) await ask(question, { bucket: { $lt: 100 } })
  for (const question of questions.slice(0, 200)) await ask(question)
  rag.tracker.reset()
  hits = 0
  const times: number[] = []
  for (const question of questions) times.push(await ask(question))
  const { stages } = rag.tracker.summary()
  const filtered: number[] = []
  const asked = hits
  for (const question of questions) filtered.push(await ask(question, { bucket: { $lt: 100 } }))
  await rag.close()
  return {
    ingestMs,
    times,
    filtered,
    hits: asked,
    stages: Object.fromEntries(Object.entries(stages).map(([name, { p50Ms }]) => [name, p50Ms])),
  }
}
