import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Document } from '@langchain/core/documents'
import { index, RecordManager } from '@langchain/core/indexing'
import { VectorStore } from '@langchain/core/vectorstores'
import { afterAll, describe, expect, it } from 'vitest'
import { createHashingEmbedder } from '../../../src/embed/hashing.js'
import { fromLangChainEmbeddings, toLangChainEmbeddings, UltraFastVectorStore } from '../../../src/langchain/index.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'
import { randomNumbers } from '../../../src/util/random.js'

const folder = mkdtempSync(join(tmpdir(), 'ufrag-langchain-'))
afterAll(() => rmSync(folder, { recursive: true }))
const embeddings = toLangChainEmbeddings(createHashingEmbedder({ dimensions: 64 }))

describe('a LangChain vector store', () => {
  it('is made from texts or documents, and gives back what was put in', async () => {
    await using store = await UltraFastVectorStore.fromTexts(
      ['  Green tea, 75 degrees \n', 'Espresso under pressure', 'Füße 茶 👍🏽'],
      [{ shelf: 1, deep: { list: [1, 'two', null] } }, { shelf: 2 }, { shelf: 3 }],
      embeddings,
    )
    expect(store).toBeInstanceOf(VectorStore)
    const [tea] = await store.similaritySearch('green tea', 1)
    expect(tea?.pageContent).toBe('  Green tea, 75 degrees \n')
    expect(tea?.metadata).toEqual({ shelf: 1, deep: { list: [1, 'two', null] } })
    expect((await store.similaritySearch('茶', 1))[0]?.pageContent).toBe('Füße 茶 👍🏽')
    await using other = await UltraFastVectorStore.fromDocuments(
      [new Document({ id: 'Ümläut/👍🏽', pageContent: 'one text', metadata: { a: 1 } })],
      embeddings,
      {},
    )
    expect(await other.similaritySearch('one text')).toEqual([
      new Document({ id: 'Ümläut/👍🏽', pageContent: 'one text', metadata: { a: 1 } }),
    ])
  })

  it('scores with cosines, best first, as an exact scan does', async () => {
    const random = randomNumbers(7)
    const vector = () => Array.from({ length: 16 }, () => random() - 0.5)
    const vectors = Array.from({ length: 200 }, vector)
    const documents = vectors.map((_, i) => new Document({ id: `d${i}`, pageContent: `text ${i}`, metadata: { i } }))
    await using store = new UltraFastVectorStore(embeddings)
    await store.addVectors(vectors, documents)
    for (let question = 0; question < 5; question++) {
      const query = vector()
      const even = question % 2 === 0
      const exact = vectors
        .map((one, i) => ({ id: `d${i}`, score: cosine(one, query) }))
        .filter((_, i) => !even || i % 2 === 0)
        .sort((a, b) => b.score - a.score)
        .slice(0, 10)
      const list = Array.from({ length: 100 }, (_, i) => i * 2)
      const found = await store.similaritySearchVectorWithScore(query, 10, even ? { i: { $in: list } } : undefined)
      expect(found.map(([{ id }]) => id)).toEqual(exact.map(({ id }) => id))
      for (const [at, [, score]] of found.entries()) expect(score).toBeCloseTo(exact[at]?.score ?? 0, 2)
    }
  })

  it('replaces a known id, and removes by id and by filter', async () => {
    await using store = new UltraFastVectorStore(embeddings)
    const document = (pageContent: string, metadata = {}) => new Document({ pageContent, metadata })
    expect(await store.addDocuments([document('old tea'), document('coffee')], { ids: ['a', 'b'] })).toEqual(['a', 'b'])
    await store.addDocuments([new Document({ id: 'a', pageContent: 'new tea' })])
    const texts = async () => (await store.similaritySearch('tea coffee', 10)).map(({ pageContent }) => pageContent)
    expect((await texts()).sort()).toEqual(['coffee', 'new tea'])
    const [random] = await store.addDocuments([document('milk', { cold: true })])
    expect(random).toMatch(/^[0-9a-f-]{36}$/)
    await store.delete({ filter: { cold: true } })
    await store.delete({ ids: ['b', 'unknown'] })
    expect(await texts()).toEqual(['new tea'])
    await expect(store.delete()).rejects.toMatchObject({ code: 'BAD_INPUT' })
    await expect(store.delete({ ids: 'a' } as never)).rejects.toMatchObject({ code: 'BAD_INPUT' })
    expect(await texts()).toEqual(['new tea'])
  })

  it('is still there when it is opened again, and embeds nothing twice', async () => {
    let embedded = 0
    const counting = {
      embedQuery: (text: string) => embeddings.embedQuery(text),
      embedDocuments: (texts: string[]) => {
        embedded += texts.length
        return embeddings.embedDocuments(texts)
      },
    }
    const options = { storage: join(folder, 'kept'), fingerprint: 'hashing/64', namespace: 'teas' }
    const documents = [
      new Document({ id: 'a', pageContent: 'green tea' }),
      new Document({ id: 'b', pageContent: 'milk' }),
    ]
    const first = new UltraFastVectorStore(counting, options)
    await first.addDocuments(documents)
    await Promise.all([first.close(), first.close()])
    await expect(first.similaritySearch('tea')).rejects.toMatchObject({ code: 'CLOSED' })
    const again = new UltraFastVectorStore(counting, options)
    expect((await again.similaritySearch('tea', 1))[0]?.id).toBe('a')
    await again.addDocuments(documents)
    expect(embedded).toBe(2)
    await again.close()
    const other = new UltraFastVectorStore(embeddings, { ...options, fingerprint: 'another model' })
    await expect(other.addDocuments(documents)).rejects.toMatchObject({ code: 'FINGERPRINT' })
    await other.close()
  })

  it('finds nothing in an empty store, nothing for k = 0, and says when k is too large', async () => {
    await using store = new UltraFastVectorStore(embeddings)
    expect(await store.similaritySearch('tea')).toEqual([])
    expect(await store.addDocuments([])).toEqual([])
    await store.addDocuments([new Document({ pageContent: 'tea' })])
    expect(await store.similaritySearch('tea', 0)).toEqual([])
    expect(await store.similaritySearch('tea', 10_000)).toHaveLength(1)
    await expect(store.similaritySearch('tea', 10_001)).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await expect(store.similaritySearch('tea', 1, (() => true) as never)).rejects.toMatchObject({ code: 'BAD_FILTER' })
  })

  it('says which documents it could not store, and keeps the others', async () => {
    await using store = new UltraFastVectorStore(embeddings)
    const documents = [
      new Document({ id: 'fine', pageContent: 'tea' }),
      new Document({ id: 'empty', pageContent: ' ' }),
      new Document({ id: 'circle', pageContent: 'milk', metadata: { call: () => 1 } }),
    ]
    await expect(store.addDocuments(documents)).rejects.toMatchObject({
      code: 'BAD_INPUT',
      data: { failed: 2, ids: expect.arrayContaining(['empty', 'circle']) },
    })
    expect((await store.similaritySearch('tea', 5)).map(({ id }) => id)).toEqual(['fine'])
    for (const call of [
      () => store.addDocuments(documents, { ids: ['one'] }),
      () => store.addVectors([[1]], documents),
      () => store.addVectors([[1, 2, 3]], [documents[0] as Document]),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'BAD_INPUT' })
    }
  })

  it('puts back what says the same again (maximal marginal relevance)', async () => {
    await using store = new UltraFastVectorStore(embeddings)
    await store.addDocuments(
      ['green tea is hot', 'green tea is hot indeed', 'green tea is hot today', 'green cups'].map(
        (pageContent) => new Document({ pageContent }),
      ),
    )
    const search = async (lambda: number) =>
      (await store.maxMarginalRelevanceSearch('green tea is hot', { k: 2, fetchK: 4, lambda })).map(
        ({ pageContent }) => pageContent,
      )
    expect(await search(1)).not.toContain('green cups')
    expect(await search(0.2)).toEqual(['green tea is hot', 'green cups'])
    const retriever = store.asRetriever({ k: 2, searchType: 'mmr', searchKwargs: { fetchK: 4, lambda: 0.2 } })
    expect((await retriever.invoke('green tea is hot')).map(({ pageContent }) => pageContent)).toContain('green cups')
    await expect(search(2)).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })

  it('works over documents that are somebody else’s, and leaves them open', async () => {
    const embedder = fromLangChainEmbeddings(embeddings, { fingerprint: 'hashing/64', dimensions: 64 })
    await using rag = new UltraFastRAG({ embedder })
    const store = new UltraFastVectorStore(embeddings, { rag: rag.namespace('teas') })
    await store.addDocuments([new Document({ id: 'a', pageContent: 'green tea' })])
    await store.close()
    expect((await rag.namespace('teas').retrieve('green'))[0]?.chunk.documentId).toBe('a')
    expect(await rag.retrieve('green')).toEqual([])
  })

  it('wants a name for vectors that are kept, and opens nothing for nothing', async () => {
    expect(() => new UltraFastVectorStore(embeddings, { storage: join(folder, 'unnamed') })).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', data: { option: 'fingerprint' } }),
    )
    const never = new UltraFastVectorStore(embeddings, { storage: join(folder, 'never'), fingerprint: 'x' })
    await never.close()
  })

  it('asks again for the width of vectors when the first attempt failed', async () => {
    let attempts = 0
    const flaky = {
      embedDocuments: (texts: string[]) => embeddings.embedDocuments(texts),
      embedQuery: (text: string) =>
        attempts++ === 0 ? Promise.reject(new Error('down')) : embeddings.embedQuery(text),
    }
    await using store = new UltraFastVectorStore(flaky)
    const documents = [new Document({ pageContent: 'tea' })]
    await expect(store.addDocuments(documents)).rejects.toThrow('down')
    expect(await store.addDocuments(documents)).toHaveLength(1)
  })

  it('is kept in step by index() of LangChain', async () => {
    await using store = new UltraFastVectorStore(embeddings)
    const recordManager = new MemoryRecords()
    const page = (pageContent: string) => new Document({ pageContent, metadata: { source: 'page' } })
    const run = (docsSource: Document[]) =>
      index({ docsSource, vectorStore: store, recordManager, options: { cleanup: 'full' } })
    expect(await run([page('green tea'), page('milk')])).toMatchObject({ numAdded: 2, numDeleted: 0 })
    expect(await run([page('green tea'), page('coffee')])).toMatchObject({ numAdded: 1, numSkipped: 1, numDeleted: 1 })
    const left = await store.similaritySearch('tea milk coffee', 5)
    expect(left.map(({ pageContent }) => pageContent).sort()).toEqual(['coffee', 'green tea'])
  })
})

function cosine(one: readonly number[], other: readonly number[]): number {
  const dot = one.reduce((sum, value, i) => sum + value * (other[i] as number), 0)
  return dot / Math.hypot(...one) / Math.hypot(...other)
}

class MemoryRecords extends RecordManager {
  override readonly lc_namespace = ['test']
  readonly #records = new Map<string, number>()
  #time = 0
  async createSchema() {}
  async getTime() {
    return ++this.#time
  }
  async update(keys: string[]) {
    for (const key of keys) this.#records.set(key, this.#time)
  }
  async exists(keys: string[]) {
    return keys.map((key) => this.#records.has(key))
  }
  async listKeys({ before = Number.POSITIVE_INFINITY }: { before?: number }) {
    return [...this.#records].filter(([, at]) => at < before).map(([key]) => key)
  }
  async deleteKeys(keys: string[]) {
    for (const key of keys) this.#records.delete(key)
  }
}
