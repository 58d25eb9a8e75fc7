import { afterEach, describe, expect, it } from 'vitest'
import { type Chunker, type Llm, RagError, UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { randomNumbers } from '../../../src/util/random.js'

const opened: UltraFastRAG[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
})

const chunker: Chunker = { id: 'whole', fingerprint: 'whole/1', chunk: ({ text }) => [{ start: 0, end: text.length }] }

/** A model that answers when it is let go, and counts how many wait for that. */
function createModel() {
  let open = () => {}
  const released = new Promise<void>((resolve) => {
    open = resolve
  })
  const counts = { running: 0, most: 0 }
  const llm: Llm = {
    id: 'model',
    async *generate({ question }, { signal }) {
      counts.most = Math.max(counts.most, ++counts.running)
      try {
        yield 'Answer '
        await Promise.race([
          released,
          new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
        ])
        yield `to ${question} [1].`
      } finally {
        counts.running--
      }
    },
    async close() {},
  }
  return { llm, counts, release: () => open() }
}

async function createRag(options: UltraFastRAGOptions): Promise<UltraFastRAG> {
  const rag = new UltraFastRAG({ embedder: false, chunker, cache: false, ...options })
  opened.push(rag)
  await rag.ingest([{ id: 'a', text: 'The tower is 30 metres tall.' }])
  return rag
}

const question = (i: number) => `How tall is tower ${i}?`
const turns = async (count = 20) => {
  for (let i = 0; i < count; i++) await new Promise(setImmediate)
}
const gauges = (rag: UltraFastRAG) => rag.tracker.summary().gauges.queries

describe('thousands of callers', () => {
  it('are answered as many at a time as may be, some wait, and the others are told at once', async () => {
    const { counts, llm, release } = createModel()
    const rag = await createRag({ llm, maxConcurrentQueries: 7, maxQueuedQueries: 20 })
    const settled: unknown[] = []
    const calls = Array.from({ length: 5_000 }, (_, i) =>
      rag.query(question(i)).then(
        () => settled.push('answered'),
        (error: unknown) => settled.push(error),
      ),
    )
    await turns()
    expect(settled).toHaveLength(4_973)
    expect(gauges(rag)).toEqual({ running: 7, waiting: 20, refused: 4_973 })
    const [first] = settled
    expect(RagError.isInstance(first, 'OVERLOADED')).toBe(true)
    expect(first).toMatchObject({
      retryable: true,
      data: { maxConcurrentQueries: 7, maxQueuedQueries: 20 },
      hint: expect.stringContaining('maxConcurrentQueries'),
    })
    release()
    await Promise.all(calls)
    expect(settled.filter((one) => one === 'answered')).toHaveLength(27)
    expect(counts.most).toBe(7)
    expect(gauges(rag)).toEqual({ running: 0, waiting: 0, refused: 4_973 })
    await expect(rag.query(question(0))).resolves.toMatchObject({ outcome: 'answered' })
  })

  it('of all namespaces, and of every kind of call, share the places', async () => {
    const { llm, release } = createModel()
    const rag = await createRag({ llm, maxConcurrentQueries: 3, maxQueuedQueries: 0 })
    const other = rag.namespace('other')
    await other.ingest([{ id: 'a', text: 'The tower is 30 metres tall.' }])
    const stream = rag.chat().send(question(0))
    await stream.next()
    const calls = [rag.query(question(1)), other.query(question(2))]
    await turns()
    const refused = { code: 'OVERLOADED' }
    await expect(other.query(question(3))).rejects.toMatchObject(refused)
    await expect(rag.queryBatch([question(4)])).rejects.toMatchObject(refused)
    await expect(rag.stream(question(5)).next()).rejects.toMatchObject(refused)
    await expect(rag.chat().send(question(6)).next()).rejects.toMatchObject(refused)
    // Passages are found all the while.
    expect(await rag.retrieve(question(7))).toHaveLength(1)
    release()
    for await (const _event of stream);
    await Promise.all(calls)
    expect(gauges(rag)).toMatchObject({ running: 0, waiting: 0 })
  })
})

describe('a place', () => {
  it('is held by a stream until it ends or is left, and taken by none that nobody reads', async () => {
    const { llm, release } = createModel()
    const rag = await createRag({ llm, maxConcurrentQueries: 2, maxQueuedQueries: 0 })
    const unread = Array.from({ length: 10 }, (_, i) => rag.stream(question(i)))
    expect(gauges(rag)).toMatchObject({ running: 0 })
    const [one, two, three] = unread as [AsyncGenerator, AsyncGenerator, AsyncGenerator]
    await one.next()
    await two.next()
    await expect(three.next()).rejects.toMatchObject({ code: 'OVERLOADED' })
    await one.return(undefined)
    expect(gauges(rag)).toMatchObject({ running: 1 })
    release()
    for await (const _event of two);
    expect(gauges(rag)).toMatchObject({ running: 0 })
  })

  it('is given back by an abort, also of a stream that nobody comes back to, and of a call that waits', async () => {
    const { llm, release } = createModel()
    const rag = await createRag({ llm, maxConcurrentQueries: 1, maxQueuedQueries: 2 })
    const [reader, waiter] = [new AbortController(), new AbortController()]
    const forgotten = rag.stream(question(0), { signal: reader.signal })
    await forgotten.next()
    const waits = rag.query(question(1), { signal: waiter.signal })
    const next = rag.query(question(2))
    await turns()
    expect(gauges(rag)).toMatchObject({ running: 1, waiting: 2 })
    const reason = new Error('enough')
    waiter.abort(reason)
    await expect(waits).rejects.toBe(reason)
    expect(gauges(rag)).toMatchObject({ running: 1, waiting: 1 })
    reader.abort(reason)
    release()
    await expect(next).resolves.toMatchObject({ outcome: 'answered' })
    expect(gauges(rag)).toMatchObject({ running: 0, waiting: 0 })
    await expect(forgotten.next()).rejects.toBe(reason)
    expect(gauges(rag)).toMatchObject({ running: 0, waiting: 0 })
  })

  it('is given back by what fails, by a deadline, and by questions that are none', async () => {
    const { llm } = createModel()
    const rag = await createRag({ llm, maxConcurrentQueries: 1, maxQueuedQueries: 3 })
    await expect(rag.query(question(0), { deadlineMs: 20 })).rejects.toMatchObject({ code: 'DEADLINE' })
    await expect(rag.query('  ')).rejects.toMatchObject({ code: 'BAD_INPUT' })
    await expect(rag.query(question(1), { rerank: true })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await expect(rag.queryBatch([question(2)], { deadlineMs: 20 })).rejects.toMatchObject({ code: 'DEADLINE' })
    expect(gauges(rag)).toMatchObject({ running: 0, waiting: 0 })
  })

  it('is waited for in the order of the calls', async () => {
    const order: string[] = []
    const rag = await createRag({
      maxConcurrentQueries: 1,
      llm: async function* ({ question }) {
        order.push(question)
        await turns(1)
        yield 'Answer [1].'
      },
    })
    const asked = Array.from({ length: 5 }, (_, i) => question(i))
    await Promise.all(asked.map((text) => rag.query(text)))
    expect(order).toEqual(asked)
  })

  it('is no longer waited for when everything is closed', async () => {
    const { llm } = createModel()
    const rag = await createRag({ llm, maxConcurrentQueries: 1 })
    const calls = Promise.allSettled(Array.from({ length: 4 }, (_, i) => rag.query(question(i))))
    await turns()
    await rag.close()
    for (const call of await calls) expect(call).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } })
    expect(gauges(rag)).toMatchObject({ running: 0, waiting: 0 })
  })
})

describe('random callers, aborts and readers that leave', () => {
  it('leave no place taken', async () => {
    const random = randomNumbers(7)
    const counts = { running: 0, mostPlaces: 0 }
    const rag: UltraFastRAG = await createRag({
      maxConcurrentQueries: 4,
      maxQueuedQueries: 8,
      llm: async function* (_prompt, { signal }) {
        counts.running++
        counts.mostPlaces = Math.max(counts.mostPlaces, gauges(rag)?.running ?? 0)
        try {
          for (let i = 0; i < 4; i++) {
            await turns(1)
            signal?.throwIfAborted()
            yield 'word '
          }
        } finally {
          counts.running--
        }
      },
    })
    const outcomes: string[] = []
    await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        await turns(Math.floor(random() * 60))
        const controller = new AbortController()
        const leaveAt = Math.floor(random() * 12)
        const way = Math.floor(random() * 3)
        try {
          let seen = 0
          for await (const _event of rag.stream(question(i), { signal: controller.signal })) {
            if (seen++ < leaveAt) continue
            if (way === 0) break
            if (way === 1) controller.abort(new Error('enough'))
          }
          outcomes.push('ended')
        } catch (error) {
          outcomes.push(RagError.isInstance(error) ? error.code : 'aborted')
        }
      }),
    )
    await turns()
    expect(outcomes).toHaveLength(300)
    expect(new Set(outcomes)).toEqual(new Set(['ended', 'aborted', 'OVERLOADED']))
    expect(counts).toEqual({ running: 0, mostPlaces: 4 })
    expect(gauges(rag)).toMatchObject({ running: 0, waiting: 0 })
  })
})
