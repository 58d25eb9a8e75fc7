import { afterEach, describe, expect, it } from 'vitest'
import type { Chunker, Embedder, Llm, Question, UltraFastRAGOptions } from '../../../src/index.js'
import { RagError, UltraFastRAG } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'

const opened: UltraFastRAG[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
})

/** In this thread: to start others takes longer than all the rest. */
const chunker: Chunker = { id: 'whole', fingerprint: 'whole/1', chunk: ({ text }) => [{ start: 0, end: text.length }] }

function open(options: UltraFastRAGOptions = {}): UltraFastRAG {
  const rag = new UltraFastRAG({ chunker, cacheEmbeddings: false, cacheQueries: false, ...options })
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
    const together = await rag.queryBatch(questions.slice(0, 20), { onFailure: 'throw' })
    expect(together.map(({ answer }) => answer)).toEqual(alone.map(({ answer }) => answer))
    expect(together.map(({ sources }) => sources)).toEqual(alone.map(({ sources }) => sources))
    expect(calls.length).toBe(1)
  })
})

/** A model that fails where it is told to, and counts how many questions it answers at a time. */
function createModel({ failsOn = /never/ }: { readonly failsOn?: RegExp } = {}) {
  const counts = { running: 0, most: 0, asked: 0 }
  const llm: Llm = {
    id: 'model',
    async *generate({ question }, { signal }) {
      counts.asked++
      counts.most = Math.max(counts.most, ++counts.running)
      try {
        for (let i = 0; i < 3; i++) await new Promise(setImmediate)
        signal?.throwIfAborted()
        if (failsOn.test(question)) throw new Error(`Nothing about ${question}.`)
        yield `Answer to ${question} [1].`
      } finally {
        counts.running--
      }
    },
    async close() {},
  }
  return { llm, counts }
}

describe('a question of a batch that fails', () => {
  it('is an entry of its own, and stops no other', async () => {
    const { counts, llm } = createModel({ failsOn: /number(3|40)\b/ })
    const rag = open({ embedder: false, llm, cacheAnswers: false })
    await rag.ingest(documents)
    const asked = Array.from({ length: 60 }, (_, i) => `fruit number${i}`)
    const results = await rag.queryBatch(asked)
    expect(results.map(({ outcome }) => outcome)).toEqual(
      asked.map((_, i) => (i === 3 || i === 40 ? 'failed' : 'answered')),
    )
    for (const [place, result] of results.entries()) {
      if (result.outcome === 'failed') {
        expect(result.error).toMatchObject({ name: 'RagError', code: 'PROVIDER', cause: expect.any(Error) })
        // What was asked stays in the cause, which is the model's own.
        expect(JSON.stringify(result.error)).not.toContain('number')
      } else expect(result.answer).toContain(`fruit number${place}`)
    }
    expect(counts.asked).toBe(60)
  })

  it('is one that is no question, too long, or blank', async () => {
    const rag = open({ embedder: watched().embedder, llm: createModel().llm, limits: { maxQueryChars: 100 } })
    await rag.ingest(documents)
    const wrong = ['', '   ', 5, undefined, null, {}, 'x'.repeat(101)] as string[]
    const results = await rag.queryBatch(['sweet plum', ...wrong, 'red apple'])
    expect(results.map((result) => (result.outcome === 'failed' ? result.error.code : result.outcome))).toEqual([
      'answered',
      ...Array(6).fill('BAD_INPUT'),
      'LIMIT',
      'answered',
    ])
  })

  it('leaves those it was embedded with alone', async () => {
    const { embedder, calls } = watched({ failsOn: questions[70] as string })
    const rag = open({ embedder })
    await rag.ingest(documents)
    const results = await rag.queryBatch(questions.slice(0, 80))
    expect(results.flatMap(({ outcome }, place) => (outcome === 'failed' ? [place] : []))).toEqual([70])
    // The others of its block were embedded by themselves.
    expect(calls.filter(({ length }) => length === 1)).toHaveLength(16)
  })

  it('does not ask an embedder that is down about each of them', async () => {
    const { embedder } = watched()
    let calls = 0
    let down = false
    const rag = open({
      embedder: {
        ...embedder,
        embed: async (texts, options) => {
          if (down) calls++
          if (down) throw new Error('The service is down.')
          return embedder.embed(texts, options)
        },
      },
    })
    await rag.ingest(documents)
    down = true
    const results = await rag.queryBatch(questions.slice(0, 80))
    expect(results.every(({ outcome }) => outcome === 'failed')).toBe(true)
    expect(calls).toBeLessThanOrEqual(6)
  })

  it('stops all with onFailure "throw"', async () => {
    const { counts, llm } = createModel({ failsOn: /number3\b/ })
    const rag = open({ embedder: false, llm, cacheAnswers: false })
    await rag.ingest(documents)
    const asked = Array.from({ length: 200 }, (_, i) => `fruit number${i % 60}`)
    await expect(rag.queryBatch(asked, { onFailure: 'throw' })).rejects.toThrow('Nothing about')
    expect(counts.asked).toBeLessThan(40)
    for (let i = 0; i < 20; i++) await new Promise(setImmediate)
    expect(counts.running).toBe(0)
    await expect(rag.queryBatch(['red apple', ' '], { onFailure: 'throw' })).rejects.toMatchObject({
      code: 'BAD_INPUT',
    })
  })

  it('stops all where no question could be answered', async () => {
    const rag = open({
      embedder: false,
      llm: async function* () {
        yield await Promise.reject(new RagError('MISSING_PEER', 'The package is not installed.'))
      },
    })
    await rag.ingest(documents)
    await expect(rag.queryBatch(['red', 'blue'])).rejects.toMatchObject({ code: 'MISSING_PEER' })
    await expect(rag.queryBatch(['red'], { concurrency: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await expect(rag.queryBatch(['red'], { onFailure: 'ignore' as never })).rejects.toMatchObject({
      code: 'BAD_OPTION',
    })
  })

  it('is told by an abort of all of them, which ends what is under way', async () => {
    const { counts, llm } = createModel()
    const rag = open({ embedder: false, llm, cacheAnswers: false })
    await rag.ingest(documents)
    const controller = new AbortController()
    const reason = new Error('enough')
    const batch = rag.queryBatch(
      Array.from({ length: 60 }, (_, i) => `fruit number${i}`),
      { signal: controller.signal },
    )
    while (counts.asked === 0) await new Promise(setImmediate)
    controller.abort(reason)
    await expect(batch).rejects.toBe(reason)
    const { asked } = counts
    for (let i = 0; i < 20; i++) await new Promise(setImmediate)
    expect(counts).toMatchObject({ asked, running: 0 })
  })
})

describe('the questions of a batch', () => {
  const asked = Array.from({ length: 60 }, (_, i) => `fruit number${i}`)

  it('are answered as many at a time as was asked for', async () => {
    for (const concurrency of [1, 5, 64]) {
      const { counts, llm } = createModel()
      const rag = open({ embedder: false, llm, cacheAnswers: false })
      await rag.ingest(documents)
      await rag.queryBatch(asked, { concurrency })
      expect(counts.most).toBeLessThanOrEqual(concurrency)
      expect(counts.most).toBeGreaterThanOrEqual(Math.min(concurrency, 5))
    }
  })

  it('take no more places than there are, and give them back', async () => {
    const { counts, llm } = createModel()
    const rag = open({ embedder: false, llm, cacheAnswers: false, maxConcurrentQueries: 3, maxQueuedQueries: 100 })
    await rag.ingest(documents)
    const results = await Promise.all([
      rag.queryBatch(asked, { concurrency: 20 }),
      rag.queryBatch(asked.toReversed(), { concurrency: 20 }),
      ...asked.slice(0, 20).map((question) => rag.query(question)),
    ])
    expect(results.flat().every(({ outcome }) => outcome === 'answered')).toBe(true)
    expect(counts.most).toBe(3)
    expect(rag.tracker.summary().gauges.queries).toEqual({ running: 0, waiting: 0, refused: 0 })
  })
})
