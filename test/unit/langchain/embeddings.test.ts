import { Embeddings } from '@langchain/core/embeddings'
import { SyntheticEmbeddings } from '@langchain/core/utils/testing'
import { describe, expect, it } from 'vitest'
import { AsyncEmbedding } from '../../../src/async-embedding.js'
import { RagError } from '../../../src/core/errors.js'
import { createHashingEmbedder } from '../../../src/embed/hashing.js'
import { fromLangChainEmbeddings, toLangChainEmbeddings } from '../../../src/langchain/index.js'
import { createFakeEmbedder, embedderConformance } from '../../../src/testing/index.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'

describe('LangChain embeddings over an embedder', () => {
  it('embed questions as questions and passages as passages', async () => {
    const kinds: string[] = []
    const inner = createFakeEmbedder()
    const embeddings = toLangChainEmbeddings({
      embed: (texts, options) => {
        kinds.push(options.kind)
        return inner.embed(texts, options)
      },
    })
    expect(embeddings).toBeInstanceOf(Embeddings)
    const documents = await embeddings.embedDocuments(['one', 'two'])
    const question = await embeddings.embedQuery('two')
    expect(kinds).toEqual(['passage', 'query'])
    const { vectors } = await inner.embed(['one', 'two'], { kind: 'passage' })
    expect(documents.flat()).toEqual([...vectors])
    expect(question).toHaveLength(inner.dimensions)
    expect(await embeddings.embedDocuments([])).toEqual([])
  })

  it('take an AsyncEmbedding as well', async () => {
    await using embedding = new AsyncEmbedding({ embedder: { kind: 'hashing', dimensions: 32 } })
    const embeddings = toLangChainEmbeddings(embedding)
    const [passage] = await embeddings.embedDocuments(['green tea'])
    expect(passage).toEqual([...(await embedding.embedSingle('green tea'))])
    expect(await embeddings.embedQuery('green tea')).toEqual(passage)
  })

  it('reject with the place and the reason of a text that cannot be embedded, without its text', async () => {
    const embeddings = toLangChainEmbeddings(createHashingEmbedder())
    const error = await embeddings.embedDocuments(['fine', ' … ', 'fine as well']).catch((error) => error)
    expect(RagError.isInstance(error, 'EMPTY')).toBe(true)
    expect(error).toMatchObject({ data: { index: 1, texts: 3, failed: 1 }, message: expect.not.stringContaining('…') })
  })
})

describe('an embedder over LangChain embeddings', () => {
  const fake = (fingerprint: string) => {
    const embedder = createFakeEmbedder()
    const { dimensions } = embedder
    return fromLangChainEmbeddings(toLangChainEmbeddings(embedder), { fingerprint, dimensions })
  }
  embedderConformance(it, {
    create: async () => fake('one model'),
    createOther: async () => fake('another model'),
    unembeddable: ['', ' \n'],
    minCosine: 1,
  })

  it('asks for batches of the given size, and never for a text without words', async () => {
    const asked: string[][] = []
    class Counting extends SyntheticEmbeddings {
      override async embedDocuments(texts: string[]) {
        asked.push(texts)
        return super.embedDocuments(texts)
      }
    }
    const embedder = fromLangChainEmbeddings(new Counting({ vectorSize: 8 }), {
      fingerprint: 'synthetic',
      dimensions: 8,
      batchSize: 2,
    })
    const { failed } = await embedder.embed(['a', ' ', 'b', 'c'], { kind: 'passage' })
    expect(asked).toEqual([['a', 'b'], ['c']])
    expect(failed).toMatchObject([{ index: 1, error: { code: 'EMPTY' } }])
  })

  it('refuses vectors of another width, another number of vectors, and options that are none', async () => {
    const embeddings = new SyntheticEmbeddings({ vectorSize: 8 })
    const wide = fromLangChainEmbeddings(embeddings, { fingerprint: 'x', dimensions: 9 })
    await expect(wide.embed(['a'], { kind: 'query' })).rejects.toMatchObject({
      code: 'BAD_INPUT',
      data: { dimensions: 9, length: 8 },
    })
    const short = { embedQuery: async () => [1], embedDocuments: async () => [] }
    const broken = fromLangChainEmbeddings(short, { fingerprint: 'x', dimensions: 1 })
    await expect(broken.embed(['a'], { kind: 'passage' })).rejects.toMatchObject({ code: 'PROVIDER' })
    for (const options of [
      { dimensions: 8 },
      { fingerprint: 'x' },
      { fingerprint: 'x', dimensions: 8, batchSize: 0 },
    ]) {
      expect(() => fromLangChainEmbeddings(embeddings, options as never)).toThrow(
        expect.objectContaining({ code: 'BAD_OPTION' }),
      )
    }
    expect(() => fromLangChainEmbeddings({} as never, { fingerprint: 'x', dimensions: 8 })).toThrow('LangChain')
  })

  it('searches by meaning in an UltraFastRAG', async () => {
    const hashing = fromLangChainEmbeddings(toLangChainEmbeddings(createHashingEmbedder({ dimensions: 64 })), {
      fingerprint: 'hashing',
      dimensions: 64,
    })
    await using rag = new UltraFastRAG({ embedder: hashing })
    await rag.ingest([
      { id: 'tea', text: 'Green tea is brewed at 75 degrees.' },
      { id: 'coffee', text: 'Espresso is brewed under pressure.' },
    ])
    const [best] = await rag.retrieve('green teas')
    expect(best?.chunk.documentId).toBe('tea')
    expect(best?.scores.vector).toBeGreaterThan(0.1)
  })

  it('reports a service that fails as PROVIDER, with its error as the cause', async () => {
    const cause = new Error('429 from the service')
    const down = { embedQuery: () => Promise.reject(cause), embedDocuments: () => Promise.reject(cause) }
    await using rag = new UltraFastRAG({
      embedder: fromLangChainEmbeddings(down, { fingerprint: 'x', dimensions: 4 }),
    })
    const { failed } = await rag.ingest([{ id: 'a', text: 'some text' }])
    expect(failed).toMatchObject([{ source: 'memory:a', error: { code: 'PROVIDER', cause } }])
  })
})
