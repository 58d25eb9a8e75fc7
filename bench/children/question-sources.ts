import { UltraFastRAG } from 'ultrafast-rag'
import { modelFolder } from '../../test/fixtures/models/model-folder.js'
import { mixedDocuments, mixedQuestions } from '../lib/mixed-corpus.js'

export interface QuestionSourcesTask {
  readonly storage: string
  readonly passages: number
  readonly questions: number
}

/** Values per vector of the model. */
const dimensions = 384
const warmUpQuestions = 50

/** Milliseconds from each question to the sources of its answer, one after the other: passages and vectors are stored, questions are embedded. */
export default async function questionSources({
  passages,
  questions,
  storage,
}: QuestionSourcesTask): Promise<number[]> {
  const documents = [...mixedDocuments(passages, { dimensions, seed: 7 })]
  const rag = new UltraFastRAG({
    storage,
    embedder: { kind: 'onnx', model: modelFolder({ size: 'minilm', weights: ['int8'] }) },
    quantization: 'int8',
    rerank: false,
    cache: false,
  })
  await rag.ingest(
    documents.map(({ id, passages }) => ({ id, chunks: passages.map(({ text, vector }) => ({ text, vector })) })),
  )
  await rag.settled()
  const times: number[] = []
  for (const { text } of mixedQuestions(documents, { count: questions + warmUpQuestions, seed: 8 })) {
    const began = performance.now()
    for await (const event of rag.stream(text)) {
      if (event.type !== 'sources') continue
      times.push(performance.now() - began)
      break
    }
  }
  await rag.close()
  return times.slice(warmUpQuestions)
}
