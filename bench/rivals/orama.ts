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

interface Orama {
  create(options: { readonly schema: Readonly<Record<string, string>> }): unknown
  insert(database: unknown, row: Row): unknown
  insertMultiple(database: unknown, rows: readonly Row[], batchSize?: number): unknown
  search(
    database: unknown,
    query: {
      readonly mode: 'hybrid'
      readonly term: string
      readonly vector: { readonly value: readonly number[]; readonly property: 'embedding' }
      readonly similarity?: number
      readonly limit: number
    },
  ): unknown
}

interface Row {
  readonly source: string
  readonly text: string
  readonly embedding: readonly number[]
}

export const oramaPackages = ['@huggingface/transformers', '@orama/orama']

/**
 * Hybrid search over words and vectors in memory. As its documentation shows, rows are inserted one by one with their vectors, and what is
 * less similar than its default of 0.8 is no hit. Tuned: rows in bulk, and hits however similar they are, so that the best ten are found.
 */
export async function createOrama(usage: Usage): Promise<Contender> {
  const { create, insert, insertMultiple, search } = await importPeer<Orama>(usage, '@orama/orama')
  const embed = await loadModel(usage)
  const tuned = createTunedEmbedding(embed)
  let database: unknown
  const open = (dimensions: number) => {
    database ??= create({ schema: { source: 'string', text: 'string', embedding: `vector[${dimensions}]` } })
  }
  return {
    warmUp: async (sample) => {
      open((await embed([anyText]))[0]?.length ?? 0)
      if (usage.style === 'tuned') await tuned.tune(sample)
    },
    ingest: async (corpus) => {
      const passages = passagesOf(corpus)
      const texts = passages.map(({ text }) => text)
      if (usage.style === 'docs') {
        for (const { documentId, text } of passages) {
          const [embedding = []] = await embed([text])
          await insert(database, { source: documentId, text, embedding })
        }
      } else {
        const vectors = await tuned.embed(texts)
        const rows = passages.map(({ documentId, text }, i) => ({
          source: documentId,
          text,
          embedding: vectors[i] ?? [],
        }))
        await insertMultiple(database, rows, 500)
      }
      return { pages: 0, embedded: () => texts }
    },
    fill: async (passages) => {
      const rows = passages.map(({ text, vector }) => ({ source: 'filled', text, embedding: Array.from(vector) }))
      await insertMultiple(database, rows, 500)
    },
    ask: async (question) => {
      const [value = []] = await embed([question])
      const found = (await search(database, {
        mode: 'hybrid',
        term: question,
        vector: { value, property: 'embedding' },
        ...(usage.style === 'tuned' ? { similarity: 0 } : {}),
        limit: topK,
      })) as { readonly hits: readonly { readonly document: Row }[] }
      return found.hits.map(({ document }) => ({ source: document.source, text: document.text }))
    },
    close: async () => {},
  }
}
