import { afterEach, describe, expect, it } from 'vitest'
import type { Embedder, Question, UltraFastRAGOptions } from '../../../src/index.js'
import { UltraFastRAG } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'

const opened: UltraFastRAG[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
})

function open(options: UltraFastRAGOptions = {}): UltraFastRAG {
  const rag = new UltraFastRAG({ cacheEmbeddings: false, cacheQueries: false, ...options })
  opened.push(rag)
  return rag
}

/** An embedder that keeps what it was asked. */
function watched(options: { readonly failsOn?: string } = {}) {
  const inner = createFakeEmbedder()
  const calls: (readonly string[])[] = []
  const embedder: Embedder = {
    ...inner,
    async embed(texts, given) {
      if (given.kind === 'query') calls.push(texts)
      if (options.failsOn !== undefined && texts.includes(options.failsOn)) throw new Error('The service is down.')
      return inner.embed(texts, given)
    },
  }
  return { embedder, calls }
}

const words = ['red', 'green', 'blue', 'apple', 'pear', 'plum', 'sweet', 'sour']
const documents = Array.from({ length: 60 }, (_, i) => ({
  id: `d${i}`,
  text: `${words[i % 8]} ${words[(i * 3 + 1) % 8]} fruit number${i}.`,
  metadata: { even: i % 2 === 0 },
}))
const questions = Array.from({ length: 150 }, (_, i) => `${words[i % 8]} ${words[(i * 5 + 2) % 8]} number${i % 60}`)

describe('retrieveBatch', () => {
  it('finds for each question what retrieve() finds, in order, with few calls of the embedder', async () => {
    const { embedder, calls } = watched()
    const rag = open({ embedder })
    await rag.ingest(documents)
    const options = { topK: 4, filter: { even: true }, perDocument: 1 }
    const alone = await Promise.all(questions.map((question) => rag.retrieve(question, options)))
    calls.length = 0
    const together = await rag.retrieveBatch(questions, options)
    expect(together).toEqual(alone)
    expect(calls.map(({ length }) => length)).toEqual([64, 64, 22])
  })

  it('takes texts, vectors, both, and what no embedder can represent', async () => {
    const { embedder } = watched()
    const rag = open({ embedder })
    await rag.ingest(documents)
    const { vectors } = await embedder.embed(['sweet plum'], { kind: 'passage' })
    const mixed: Question[] = ['red apple', { vector: vectors }, '   ', { text: 'green', vector: vectors }, 'sour pear']
    const alone = await Promise.all(mixed.map((question) => rag.retrieve(question)))
    expect(await rag.retrieveBatch(mixed)).toEqual(alone)
    expect(alone[2]).toEqual([])
  })

  it('works by words alone, and on nothing', async () => {
    const rag = open({ embedder: false })
    expect(await rag.retrieveBatch(questions.slice(0, 3))).toEqual([[], [], []])
    await rag.ingest(documents)
    expect(await rag.retrieveBatch([])).toEqual([])
    const [first] = await rag.retrieveBatch(['number7'])
    expect(first?.map(({ chunk }) => chunk.documentId)).toEqual(['d7'])
  })

  it('fails as a whole when one question fails, and asks the embedder for no more', async () => {
    const { embedder, calls } = watched({ failsOn: questions[70] as string })
    const rag = open({ embedder })
    await rag.ingest(documents)
    const many = [...questions, ...questions, ...questions]
    await expect(rag.retrieveBatch(many)).rejects.toMatchObject({ code: 'PROVIDER' })
    expect(calls.length).toBeLessThanOrEqual(3)
  })

  it('refuses what is no question before anything is done', async () => {
    const { embedder, calls } = watched()
    const rag = open({ embedder })
    await rag.ingest(documents)
    await expect(rag.retrieveBatch(['red', 5 as never])).rejects.toMatchObject({ code: 'BAD_INPUT' })
    await expect(rag.retrieveBatch('red' as never)).rejects.toMatchObject({ code: 'BAD_INPUT' })
    await expect(rag.retrieveBatch(['red'], { topK: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    expect(calls).toEqual([])
  })

  it('ends with the signal’s reason, and with DEADLINE for all questions together', async () => {
    const rag = open({ embedder: watched().embedder })
    await rag.ingest(documents)
    const reason = new Error('enough')
    await expect(rag.retrieveBatch(questions, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(rag.retrieveBatch(questions, { deadlineMs: 0 })).rejects.toMatchObject({ code: 'DEADLINE' })
    await expect(rag.queryBatch(questions, { deadlineMs: 0 })).rejects.toMatchObject({ code: 'DEADLINE' })
  })
})

describe('queryBatch', () => {
  it('answers as query() does, with the questions embedded together', async () => {
    const { embedder, calls } = watched()
    const rag = open({ embedder })
    await rag.ingest(documents)
    const alone = await Promise.all(questions.slice(0, 20).map((question) => rag.query(question)))
    calls.length = 0
    const together = await rag.queryBatch(questions.slice(0, 20))
    expect(together.map(({ answer }) => answer)).toEqual(alone.map(({ answer }) => answer))
    expect(together.map(({ sources }) => sources)).toEqual(alone.map(({ sources }) => sources))
    expect(calls.length).toBe(1)
  })
})
