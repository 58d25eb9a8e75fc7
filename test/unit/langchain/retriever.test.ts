import { createRequire } from 'node:module'
import { StringOutputParser } from '@langchain/core/output_parsers'
import { PromptTemplate } from '@langchain/core/prompts'
import { BaseRetriever } from '@langchain/core/retrievers'
import type * as Runnables from '@langchain/core/runnables'
import { RunnableLambda, RunnableSequence } from '@langchain/core/runnables'
import { FakeListChatModel } from '@langchain/core/utils/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import type { RetrieveOptions } from '../../../src/core/search.js'
import { toLangChainRetriever } from '../../../src/langchain/index.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'

const rag = new UltraFastRAG({ embedder: false })
beforeAll(async () => {
  await rag.ingest([
    {
      id: 'Füße/茶.md',
      text: '# Green tea\n\nGreen tea is brewed at 75 degrees.\n\nIt is steeped for two minutes.\n\nThe cup is warm.',
      mediaType: 'text/markdown',
      metadata: { shelf: 1, title: 'the user has a title, too', documentId: 'not this one' },
    },
    { id: 'coffee', text: 'Espresso is brewed with nine bars of pressure.', metadata: { shelf: 2 } },
  ])
})
afterAll(() => rag.close())

describe('a LangChain retriever', () => {
  it('gives passages with the place where they stand', async () => {
    const retriever = toLangChainRetriever(rag, { topK: 1 })
    expect(retriever).toBeInstanceOf(BaseRetriever)
    const [hit] = await rag.retrieve('How hot is green tea brewed?', { topK: 1 })
    const [document] = await retriever.invoke('How hot is green tea brewed?')
    expect(document?.id).toBe(hit?.chunk.id)
    expect(document?.pageContent).toBe(hit?.chunk.text)
    expect(document?.metadata).toMatchObject({
      source: 'Füße/茶.md',
      documentId: 'Füße/茶.md',
      chunkId: hit?.chunk.id,
      headings: ['Green tea'],
      span: hit?.chunk.span,
      score: hit?.score,
      scores: hit?.scores,
      shelf: 1,
    })
  })

  it("leaves the user's own descriptions, but not what identifies a passage, to metadata of the same name", async () => {
    const [document] = await toLangChainRetriever(rag).invoke('green tea')
    expect(document?.metadata).toMatchObject({ title: 'the user has a title, too', documentId: 'Füße/茶.md' })
  })

  it('passes the options of retrieve() on', async () => {
    const filtered = await toLangChainRetriever(rag, { filter: { shelf: 2 } }).invoke('how is green tea brewed')
    expect(filtered.map(({ metadata }) => metadata.documentId)).toEqual(['coffee'])
    await expect(toLangChainRetriever(rag, { topK: 10_001 }).invoke('tea')).rejects.toMatchObject({
      code: 'BAD_OPTION',
    })
    await expect(toLangChainRetriever(rag, { topk: 3 } as never).invoke('tea')).rejects.toMatchObject({
      hint: 'Did you mean "topK"?',
    })
  })

  it('has the text around a passage as its content when that was asked for, each text once', async () => {
    const many = new UltraFastRAG({ embedder: false, chunkSize: 40 })
    const text = 'Tea is picked in May.\n\nTea is dried in June.\n\nTea is drunk in July.'
    await many.ingestDocument({ id: 'tea', text })
    expect(await toLangChainRetriever(many).invoke('tea')).toHaveLength(3)
    const [whole, ...others] = await toLangChainRetriever(many, { expand: 'neighbours' }).invoke('tea')
    expect(others).toEqual([])
    expect(whole?.pageContent).toBe(text)
    expect(whole?.metadata.span).toMatchObject({ start: 0, end: text.length })
    await many.close()
  })

  it('tells callbacks when it starts, ends and fails, without the library in what is traced', async () => {
    const told: unknown[] = []
    const callbacks = [
      {
        handleRetrieverStart: (serialized: unknown, query: string) =>
          void told.push([JSON.stringify(serialized), query]),
        handleRetrieverEnd: (documents: readonly unknown[]) => void told.push(documents.length),
        handleRetrieverError: (error: unknown) => void told.push(RagError.isInstance(error, 'BAD_OPTION')),
      },
    ]
    await toLangChainRetriever(rag, { callbacks, topK: 1, tags: ['tea'] }).invoke('tea')
    await toLangChainRetriever(rag, { callbacks, topK: 0 })
      .invoke('tea')
      .catch(() => {})
    expect(told).toEqual([[expect.not.stringContaining('topK'), 'tea'], 1, [expect.any(String), 'tea'], true])
  })

  it('stops the search with the signal and the timeout of the call, and with no other', async () => {
    const seen: (AbortSignal | undefined)[] = []
    const waiting = {
      retrieve: (_: unknown, { signal }: RetrieveOptions = {}) =>
        new Promise<never>((_, reject) => {
          seen.push(signal)
          signal?.addEventListener('abort', () => reject(signal.reason))
        }),
    }
    const retriever = toLangChainRetriever(waiting)
    const controller = new AbortController()
    const stopped = retriever.invoke('one', { signal: controller.signal })
    const late = retriever.invoke('two', { timeout: 20 })
    void retriever.invoke('three')
    const inChain = RunnableSequence.from([RunnableLambda.from((text: string) => text), retriever]).invoke('four', {
      signal: controller.signal,
    })
    await expect(late).rejects.toMatchObject({ name: 'TimeoutError' })
    controller.abort(new Error('enough'))
    await Promise.all([expect(stopped).rejects.toThrow('enough'), expect(inChain).rejects.toThrow()])
    expect(seen.map((signal) => signal?.aborted)).toEqual([true, true, undefined, true])
  })

  it('works in a chain, in a batch and with many callers', async () => {
    const chain = RunnableSequence.from([
      { context: toLangChainRetriever(rag, { topK: 1 }).pipe((documents) => documents[0]?.pageContent ?? '') },
      PromptTemplate.fromTemplate('Answer from: {context}'),
      new FakeListChatModel({ responses: ['75 degrees'] }),
      new StringOutputParser(),
    ])
    expect(await chain.invoke('How hot is green tea?')).toBe('75 degrees')
    const retriever = toLangChainRetriever(rag, { topK: 1 })
    const questions = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 'green tea' : 'espresso'))
    const found = await retriever.batch(questions)
    expect(found.map(([document]) => document?.metadata.documentId)).toEqual(
      questions.map((question) => (question === 'espresso' ? 'coffee' : 'Füße/茶.md')),
    )
  })

  it('works in chains of another copy of LangChain', async () => {
    const other = createRequire(import.meta.url)('@langchain/core/runnables') as typeof Runnables
    expect(other.RunnableSequence).not.toBe(RunnableSequence)
    const retriever = toLangChainRetriever(rag, { topK: 1 })
    const chain = other.RunnableSequence.from([retriever as never, (found: { id: string }[]) => found.length])
    expect(await chain.invoke('green tea')).toBe(1)
  })

  it('finds nothing in an empty store, and says when it was closed', async () => {
    const empty = new UltraFastRAG()
    expect(await toLangChainRetriever(empty).invoke('anything')).toEqual([])
    await empty.close()
    await expect(toLangChainRetriever(empty).invoke('anything')).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
