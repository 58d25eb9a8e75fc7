import { UltraFastRAG } from 'ultrafast-rag'
import { type Contender, topK, type Usage } from './contender.js'

/** Passages that come with their vectors, in one document. */
const passagesPerDocument = 50

/** Into a store on disk. Nothing is found in a cache: no question comes twice, and the caches are off. */
export async function createOurs({
  chunkOverlap,
  chunkSize,
  dtype,
  headings,
  model,
  storage,
}: Usage): Promise<Contender> {
  const rag = new UltraFastRAG({
    storage,
    embedder: { kind: 'onnx', model, quantization: dtype === 'q8' ? 'int8' : 'fp32' },
    chunkSize,
    chunkOverlap,
    enrich: headings ? 'headings' : false,
    cache: false,
    cacheQueries: false,
    cacheEmbeddings: false,
  })
  let filled = 0
  return {
    warmUp: () => rag.warmUp(),
    ingest: async (corpus) => {
      let pages = 0
      const inputs = corpus.kind === 'pdf' ? corpus.files : corpus.documents
      const { chunks, failed } = await rag.ingest(inputs, {
        onProgress: (progress) => void (pages = progress.pages),
      })
      if (failed[0] !== undefined) throw failed[0].error
      return { pages, embedded: async () => ({ chunks, tokens: (await rag.stats()).embedder?.tokens ?? 0 }) }
    },
    fill: async (passages) => {
      const documents = Array.from({ length: Math.ceil(passages.length / passagesPerDocument) }, (_, place) => ({
        id: `filled-${filled++}`,
        chunks: passages.slice(place * passagesPerDocument, (place + 1) * passagesPerDocument),
      }))
      const { failed } = await rag.ingest(documents)
      if (failed[0] !== undefined) throw failed[0].error
    },
    settle: () => rag.settled(),
    ask: async (question) => {
      const hits = await rag.retrieve(question, { topK })
      return hits.map(({ chunk }) => ({ source: chunk.documentId, text: chunk.text }))
    },
    close: () => rag.close(),
  }
}
