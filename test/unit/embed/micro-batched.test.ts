import { describe, expect, it } from 'vitest'
import { createMicroBatchedEmbedder } from '../../../src/embed/micro-batched.js'
import type { Embedder } from '../../../src/embed/types.js'
import { UltraFastRAG } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'

/** A fake that remembers the texts of its calls. */
function recording(failure: (text: string) => Error | undefined = () => undefined) {
  const calls: { kind: string; texts: readonly string[] }[] = []
  const fake = createFakeEmbedder({ failure })
  const embedder: Embedder = {
    ...fake,
    embed: async (texts, options) => {
      calls.push({ kind: options.kind, texts })
      return fake.embed(texts, options)
    },
  }
  return { embedder, fake, calls }
}

const query = { kind: 'query' } as const

describe('a micro-batched embedder', () => {
  it('embeds questions that are asked at once in one call, with the vectors of each alone', async () => {
    const { calls, embedder, fake } = recording()
    const batched = createMicroBatchedEmbedder(embedder)
    const questions = Array.from({ length: embedder.capabilities.batchSize }, (_, i) => `question ${i}`)
    const results = await Promise.all(questions.map((text) => batched.embed([text], query)))
    expect(calls.map(({ texts }) => texts)).toEqual([questions])
    for (const [index, text] of questions.entries()) {
      expect(results[index]?.vectors).toEqual((await fake.embed([text], query)).vectors)
    }
    const { tokens } = await fake.embed(questions, query)
    expect(results.reduce((sum, result) => sum + result.tokens, 0)).toBe(tokens)
  })

  it('fails a question alone', async () => {
    const reason = new Error('too strange')
    const { embedder } = recording((text) => (text === 'b' ? reason : undefined))
    const batched = createMicroBatchedEmbedder(embedder)
    const [a, b] = await Promise.all(['a', 'b'].map((text) => batched.embed([text], query)))
    expect(a?.failed).toEqual([])
    expect(b?.failed).toEqual([{ index: 0, error: reason }])
  })

  it('hands passages, and calls of many texts, on', async () => {
    const { calls, embedder } = recording()
    const batched = createMicroBatchedEmbedder(embedder)
    await Promise.all([
      batched.embed(['a'], { kind: 'passage' }),
      batched.embed(['b'], { kind: 'passage' }),
      batched.embed(['c', 'd'], query),
    ])
    expect(calls.map(({ texts }) => texts)).toEqual([['a'], ['b'], ['c', 'd']])
  })

  it('stands before an embedder of the caller’s own', async () => {
    const { calls, embedder } = recording()
    const rag = new UltraFastRAG({ embedder, cache: false })
    await rag.ingest([{ id: 'a', text: 'A canary sings.' }])
    calls.length = 0
    const questions = Array.from({ length: 16 }, (_, i) => `Which bird number ${i} sings?`)
    await Promise.all(questions.map((question) => rag.retrieve(question)))
    expect(calls.length).toBeLessThan(4)
    expect(calls.flatMap(({ texts }) => texts).toSorted()).toEqual(questions.toSorted())
    await rag.close()
  })
})
