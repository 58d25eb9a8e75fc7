import {
  anyText,
  type Contender,
  createTunedEmbedding,
  importPeer,
  loadModel,
  passagesOf,
  topK,
  type Usage,
} from './contender.js'

interface Vectra {
  readonly LocalIndex: new (
    folder: string,
  ) => {
    createIndex(): Promise<void>
    beginUpdate(): Promise<void>
    insertItem(item: { readonly vector: readonly number[]; readonly metadata: Metadata }): Promise<unknown>
    endUpdate(): Promise<void>
    queryItems(
      vector: readonly number[],
      query: string,
      topK: number,
    ): Promise<{ readonly item: { readonly metadata: Metadata } }[]>
  }
}

interface Metadata {
  readonly source: string
  readonly text: string
}

export const vectraPackages = ['@huggingface/transformers', 'vectra']

/**
 * An index in one JSON file. As its documentation shows, items are inserted one by one, each of which writes the file anew. Tuned: one
 * update for all.
 */
export async function createVectra(usage: Usage): Promise<Contender> {
  const { LocalIndex } = await importPeer<Vectra>(usage, 'vectra')
  const embed = await loadModel(usage)
  const tuned = createTunedEmbedding(embed)
  const index = new LocalIndex(usage.storage)
  return {
    warmUp: async (sample) => {
      await embed([anyText])
      if (usage.style === 'tuned') await tuned.tune(sample)
      await index.createIndex()
    },
    ingest: async (corpus) => {
      const passages = passagesOf(corpus)
      const texts = passages.map(({ text }) => text)
      if (usage.style === 'docs') {
        for (const { documentId, text } of passages) {
          const [vector = []] = await embed([text])
          await index.insertItem({ vector, metadata: { source: documentId, text } })
        }
      } else {
        const vectors = await tuned.embed(texts)
        await index.beginUpdate()
        for (const [place, { documentId, text }] of passages.entries()) {
          await index.insertItem({ vector: vectors[place] ?? [], metadata: { source: documentId, text } })
        }
        await index.endUpdate()
      }
      return { pages: 0, embedded: () => texts }
    },
    fill: async (passages) => {
      await index.beginUpdate()
      for (const { text, vector } of passages) {
        await index.insertItem({ vector: Array.from(vector), metadata: { source: 'filled', text } })
      }
      await index.endUpdate()
    },
    ask: async (question) => {
      const [vector = []] = await embed([question])
      const found = await index.queryItems(vector, question, topK)
      return found.map(({ item }) => item.metadata)
    },
    close: async () => {},
  }
}
