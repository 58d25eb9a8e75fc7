import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Embedder, UltraFastRAG } from 'ultrafast-rag'
import { createMemoryCache } from '../../src/cache/memory.js'
import { silentEmbedder } from '../lib/given-vectors.js'
import { type MixedPassage, mixedDocuments } from '../lib/mixed-corpus.js'

export interface DefectResult {
  readonly name: string
  readonly rival: string
  /** Whether the rival does it right, and whether we do. */
  readonly theirs: boolean
  readonly ours: boolean
}

interface Case {
  readonly name: string
  readonly rival: string
  theirs(urls: Urls): Promise<boolean>
  ours(): Promise<boolean>
}

type Urls = Readonly<Record<string, string>>

/** Does what goes wrong elsewhere, there and here. */
export default async function defects(urls: Urls): Promise<DefectResult[]> {
  const results: DefectResult[] = []
  for (const { name, ours, rival, theirs } of cases) {
    results.push({ name, rival, theirs: await theirs(urls), ours: await ours() })
  }
  return results
}

const cases: readonly Case[] = [
  {
    name: 'metadata that changes beneath the first level is noticed',
    rival: 'LangChain.js index()',
    theirs: async (urls) => {
      const { document, index } = await langchainIndex(urls)
      await index([document('One text.', { loc: { page: 1 } })])
      const { numAdded } = await index([document('One text.', { loc: { page: 2 } })])
      return numAdded === 1
    },
    ours: async () => {
      const rag = new UltraFastRAG({ embedder: false })
      const ingest = (page: number) => rag.ingest([{ id: 'one', text: 'One text.', metadata: { loc: { page } } }])
      await ingest(1)
      const { documents } = await ingest(2)
      const [hit] = await rag.retrieve('text', { filter: { 'loc.page': 2 } })
      await rag.close()
      return documents === 1 && hit !== undefined
    },
  },
  {
    name: 'what is unchanged is not embedded again',
    rival: 'LangChain.js index(), incremental',
    theirs: async (urls) => {
      const { document, index } = await langchainIndex(urls)
      const documents = ['one', 'two', 'three', 'four'].map((text) => document(text, {}))
      await index(documents)
      // Its clock counts in milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 5))
      const { numAdded } = await index(documents)
      return numAdded === 0
    },
    ours: async () => {
      const embedder = countingEmbedder()
      const rag = new UltraFastRAG({ embedder, cacheEmbeddings: false })
      const documents = ['one', 'two', 'three', 'four'].map((text) => ({ id: text, text }))
      await rag.ingest(documents)
      const before = embedder.count()
      const { unchanged } = await rag.ingest(documents)
      await rag.close()
      return unchanged === 4 && before === 4 && embedder.count() === before
    },
  },
  {
    name: 'a cache that is handed over is used by the next instance',
    rival: 'LlamaIndex.TS IngestionPipeline',
    theirs: async (urls) => {
      const { Document, IngestionCache, IngestionPipeline, SentenceSplitter } = await load<LlamaIndex>(
        urls,
        'llamaindex',
      )
      const cache = new IngestionCache()
      const pipeline = () => new IngestionPipeline({ transformations: [new SentenceSplitter()], cache })
      await pipeline().run({ documents: [new Document({ text: 'One text.' })] })
      return Object.keys(await cache.cache.getAll('llama_cache')).length > 0
    },
    ours: async () => {
      const embedder = countingEmbedder()
      const cache = createMemoryCache()
      for (let instance = 0; instance < 2; instance++) {
        const rag = new UltraFastRAG({ embedder, cache })
        await rag.ingest([{ id: 'one', text: 'One text.' }])
        await rag.close()
      }
      return embedder.count() === 1
    },
  },
  {
    name: 'a filter for one of [0] finds page 0, and one for none of [0] does not',
    rival: 'LlamaIndex.TS SimpleVectorStore',
    theirs: async (urls) => {
      const { SimpleVectorStore, TextNode } = await load<LlamaIndex>(urls, 'llamaindex')
      const store = new SimpleVectorStore({ embedModel: {} })
      const relationships = { SOURCE: { nodeId: 'document', metadata: {} } }
      await store.add([new TextNode({ text: 'One text.', metadata: { page: 0 }, embedding: [1, 0], relationships })])
      const count = async (operator: string) => {
        const filters = { filters: [{ key: 'page', value: [0], operator }], condition: 'and' }
        const { ids } = await store.query({ queryEmbedding: [1, 0], similarityTopK: 5, mode: 'default', filters })
        return ids.length
      }
      return (await count('in')) === 1 && (await count('nin')) === 0
    },
    ours: async () => {
      const rag = new UltraFastRAG({ embedder: false })
      await rag.ingest([{ id: 'one', text: 'One text.', metadata: { page: 0 } }])
      const count = async (operator: '$in' | '$nin') =>
        (await rag.retrieve('text', { filter: { page: { [operator]: [0] } } })).length
      const [some, none] = [await count('$in'), await count('$nin')]
      await rag.close()
      return some === 1 && none === 0
    },
  },
  {
    name: '50,000 vectors of 384 values can be written down and read again',
    rival: 'Orama save()',
    theirs: async (urls) => {
      const { database, save } = await filledOrama(urls, { rows: 50_000, dimensions: 384 })
      return succeeds(() => JSON.stringify(save(database)))
    },
    ours: () => canBeOpenedAgain(50_000, 384),
  },
  {
    name: 'a question of words and vectors to 140,000 passages is answered',
    rival: 'Orama hybrid search',
    theirs: async (urls) => {
      const { database, search } = await filledOrama(urls, { rows: 140_000, dimensions: 8 })
      const vector = { value: new Array(8).fill(1), property: 'embedding' }
      return succeeds(() => search(database, { mode: 'hybrid', term: 'text', vector, similarity: 0, limit: 5 }))
    },
    ours: () => canBeOpenedAgain(140_000, 8),
  },
  {
    name: 'the nearest vector comes first, the opposite one last',
    rival: 'embedJs on hnswlib-node (its ranking, done here)',
    theirs: async (urls) => {
      const { default: hnswlib } = await load<Hnswlib>(urls, 'hnswlib-node')
      const index = new hnswlib.HierarchicalNSW('cosine', 2)
      index.initIndex(3)
      for (const [place, vector] of directions.entries()) index.addPoint([...vector], place)
      const { distances, neighbors } = index.searchKnn([1, 0], 3)
      const scored = neighbors.map((place, i) => ({ place, score: distances[i] as number }))
      // It takes the distance for a score.
      const ranked = scored.filter(({ score }) => score > 0).sort((one, other) => other.score - one.score)
      return ranked.map(({ place }) => place).join() === '0,1,2'
    },
    ours: async () => {
      const rag = new UltraFastRAG({ embedder: silentEmbedder(2) })
      await rag.ingest(
        directions.map((vector, place) => ({
          id: `${place}`,
          chunks: [{ text: 'One text.', vector: Float32Array.from(vector) }],
        })),
      )
      const hits = await rag.retrieve({ vector: Float32Array.of(1, 0) }, { topK: 3 })
      await rag.close()
      return hits.map(({ chunk }) => chunk.documentId).join() === '0,1,2'
    },
  },
]

/** The same as is asked for, half a right angle from it, and its opposite. */
const directions = [
  [1, 0],
  [Math.SQRT1_2, Math.SQRT1_2],
  [-1, 0],
] as const

async function load<Module>(urls: Urls, name: string): Promise<Module> {
  return (await import(urls[name] as string)) as Module
}

async function succeeds(run: () => unknown): Promise<boolean> {
  try {
    await run()
    return true
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}

/** A store of made passages that is closed, opened and asked, by words and vector. */
async function canBeOpenedAgain(passages: number, dimensions: number): Promise<boolean> {
  const storage = mkdtempSync(join(tmpdir(), 'ufrag-bench-defect-'))
  const open = () =>
    new UltraFastRAG({ storage, embedder: silentEmbedder(dimensions), vectorIndex: 'flat', logger: silentLogger })
  try {
    const first = open()
    const { chunks, failed } = await first.ingest([...withChunks(passages, dimensions)])
    await first.close()
    const again = open()
    const vector = new Float32Array(dimensions).fill(1)
    const hits = await again.retrieve({ text: 'the people of the world', vector }, { topK: 5 })
    await again.close()
    return failed.length === 0 && chunks >= passages && hits.length === 5
  } finally {
    rmSync(storage, { recursive: true, force: true })
  }
}

/** Documents of some hundred passages. */
function* withChunks(passages: number, dimensions: number) {
  let chunks: MixedPassage[] = []
  let count = 0
  for (const document of mixedDocuments(passages, { dimensions, seed: 7 })) {
    chunks.push(...document.passages)
    if (chunks.length < 500 && count + chunks.length < passages) continue
    count += chunks.length
    yield { id: document.id, chunks }
    chunks = []
  }
}

const silentLogger = { debug() {}, info() {}, warn() {}, error() {} }

/** Gives every text the same vector and counts the passages. */
function countingEmbedder(): Embedder & { count(): number } {
  let count = 0
  return {
    id: 'counting',
    fingerprint: 'counting',
    dimensions: 2,
    capabilities: { fitted: false, batchSize: 64 },
    embed: async (texts, { kind }) => {
      if (kind === 'passage') count += texts.length
      return { vectors: Float32Array.from({ length: 2 * texts.length }, (_, i) => 1 - (i % 2)), failed: [], tokens: 0 }
    },
    count: () => count,
    close: async () => {},
  }
}

interface LangDocument {
  readonly pageContent: string
  readonly metadata: object
}

interface Langchain {
  readonly InMemoryRecordManager: new () => { createSchema(): Promise<void> }
  readonly MemoryVectorStore: new (embeddings: object) => { delete?: unknown }
  index(options: object): Promise<{ readonly numAdded: number }>
}

/** `index()` in batches of two, what is gone being deleted source by source. */
async function langchainIndex(urls: Urls) {
  const { MemoryVectorStore } = await load<Langchain>(urls, '@langchain/classic/vectorstores/memory')
  const { InMemoryRecordManager } = await load<Langchain>(urls, '@langchain/community/indexes/memory')
  const { index } = await load<Langchain>(urls, '@langchain/core/indexing')
  const embeddings = { embedDocuments: async (texts: readonly string[]) => texts.map(() => [1, 0]) }
  const vectorStore = new MemoryVectorStore(embeddings)
  // It has none of its own.
  vectorStore.delete = async () => {}
  const recordManager = new InMemoryRecordManager()
  await recordManager.createSchema()
  const options = { cleanup: 'incremental', sourceIdKey: 'source', batchSize: 2 }
  return {
    document: (pageContent: string, metadata: object): LangDocument => ({
      pageContent,
      metadata: { source: 'one', ...metadata },
    }),
    index: (docsSource: readonly LangDocument[]) => index({ docsSource, recordManager, vectorStore, options }),
  }
}

interface LlamaIndex {
  readonly Document: new (options: object) => object
  readonly TextNode: new (options: object) => object
  readonly SentenceSplitter: new () => object
  readonly IngestionCache: new () => { readonly cache: { getAll(collection: string): Promise<object> } }
  readonly IngestionPipeline: new (options: object) => { run(options: object): Promise<unknown> }
  readonly SimpleVectorStore: new (
    options: object,
  ) => {
    add(nodes: readonly object[]): Promise<unknown>
    query(query: object): Promise<{ readonly ids: readonly string[] }>
  }
}

interface Hnswlib {
  readonly default: {
    readonly HierarchicalNSW: new (
      space: 'cosine',
      dimensions: number,
    ) => {
      initIndex(count: number): void
      addPoint(vector: number[], place: number): void
      searchKnn(vector: number[], count: number): { readonly distances: number[]; readonly neighbors: number[] }
    }
  }
}

interface Orama {
  create(options: object): unknown
  insertMultiple(database: unknown, rows: readonly object[], batchSize: number): unknown
  save(database: unknown): object
  search(database: unknown, query: object): unknown
}

/** Rows with positive values, so that every one is similar to what is asked for, and with the word "text". */
async function filledOrama(urls: Urls, { dimensions, rows }: { readonly rows: number; readonly dimensions: number }) {
  const { create, insertMultiple, save, search } = await load<Orama>(urls, '@orama/orama')
  const database = create({ schema: { text: 'string', embedding: `vector[${dimensions}]` } })
  const value = (place: number) => 0.1 + ((place * 2_654_435_761) % 4_294_967_296) / 4_294_967_296
  for (let from = 0; from < rows; from += 5_000) {
    const batch = Array.from({ length: 5_000 }, (_, row) => ({
      text: `text ${from + row}`,
      embedding: Array.from({ length: dimensions }, (_, i) => value((from + row) * dimensions + i)),
    }))
    await insertMultiple(database, batch, 5_000)
  }
  return { database, save, search }
}
