import { afterEach, describe, expect, it } from 'vitest'
import { type Chunker, type Reranker, UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { createFakeReranker, createScriptedLlm } from '../../../src/testing/fakes.js'

const opened: UltraFastRAG[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
})

const texts = ['The red fox naps.', 'Fox fox fox tales.', 'A red brick lies on the fox.', 'Dogs bark at night.']
const question = 'Where does the red fox nap?'
/** In this thread: to start others takes longer than all the rest. */
const chunker: Chunker = { id: 'whole', fingerprint: 'whole/1', chunk: ({ text }) => [{ start: 0, end: text.length }] }

async function open(options: UltraFastRAGOptions): Promise<UltraFastRAG> {
  const rag = new UltraFastRAG({ embedder: false, chunker, ...options })
  opened.push(rag)
  await rag.ingest(texts.map((text, i) => ({ id: `d${i}`, text })))
  return rag
}

/** A reranker that turns the order round, and hangs while it is told to, until it is stopped. */
function createTurningReranker() {
  const plain = createFakeReranker()
  const state = { hangs: true, asked: 0, stopped: 0 }
  const reranker: Reranker = {
    ...plain,
    id: 'turning',
    fingerprint: 'turning/1',
    async rerank({ candidates }, { signal }) {
      state.asked++
      if (state.hangs) {
        await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()))
        state.stopped++
        signal?.throwIfAborted()
      }
      return candidates
        .map(({ number }, place) => ({ number, score: -place }))
        .reverse()
        .map((match, place) => ({ ...match, score: -place }))
    },
  }
  return { reranker, state }
}

/** A model that hangs at steps of understanding while it is told to. */
function createHangingModel() {
  const answers = createScriptedLlm(['It naps [1].'])
  const state = { hangs: true, asked: 0 }
  const model = {
    ...answers,
    async *generate(
      prompt: Parameters<typeof answers.generate>[0],
      options: Parameters<typeof answers.generate>[1],
    ): AsyncGenerator<string, void, undefined> {
      if (!/last one of a conversation|other ways to ask|short passage/.test(prompt.system))
        return yield* answers.generate(prompt, options)
      state.asked++
      if (!state.hangs) return yield 'fox den'
      const { signal } = options
      await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()))
      signal?.throwIfAborted()
    },
  }
  return { model, state }
}

const ids = (hits: readonly { readonly chunk: { readonly documentId: string } }[]) =>
  hits.map(({ chunk }) => chunk.documentId)
const countsOf = (rag: UltraFastRAG) => rag.tracker.summary().counters

describe('budgetMs', () => {
  it('gives a reranker up when the time is over: hits have the order of the search', async () => {
    const { reranker, state } = createTurningReranker()
    const rag = await open({ rerank: reranker })
    const searched = await rag.retrieve(question, { rerank: false })
    const hits = await rag.retrieve(question, { budgetMs: 30 })
    expect(ids(hits)).toEqual(ids(searched))
    expect(hits.every(({ scores }) => scores.rerank === undefined)).toBe(true)
    expect(state.stopped).toBe(state.asked)
    expect(countsOf(rag)['budget.dropped.rerank']).toBe(1)
  })

  it('says in answers, streams, chats and batches what was dropped', async () => {
    const { reranker } = createTurningReranker()
    const rag = await open({ rerank: reranker, budgetMs: 30 })
    expect((await rag.query(question)).dropped).toEqual(['rerank'])
    const [result] = await rag.queryBatch([question])
    expect(result).toMatchObject({ outcome: 'answered', dropped: ['rerank'] })
    for await (const event of rag.chat().send(question)) {
      if (event.type === 'metadata') expect(event.dropped).toEqual(['rerank'])
    }
    await rag.retrieveBatch([question, 'dogs at night fox'])
    expect(countsOf(rag)['budget.dropped.rerank']).toBeGreaterThanOrEqual(4)
  })

  it('is none for a call that says so, and then nothing is told of it', async () => {
    const { reranker, state } = createTurningReranker()
    state.hangs = false
    const rag = await open({ rerank: reranker, budgetMs: 600_000 })
    expect(await rag.query(question, { budgetMs: false })).not.toHaveProperty('dropped')
    expect((await rag.query(question)).dropped).toEqual([])
  })

  it('leaves nothing in the caches that another call would find', async () => {
    const { reranker, state } = createTurningReranker()
    const rag = await open({ rerank: reranker, semanticCache: false })
    const hurried = await rag.query(question, { budgetMs: 30 })
    expect(hurried.dropped).toEqual(['rerank'])
    state.hangs = false
    const whole = await rag.query(question)
    expect(whole.cache.retrieval).toBe('miss')
    expect(ids(whole.sources)).toEqual(ids(hurried.sources).reverse())
    // What others found is there for those in a hurry, and costs no time.
    state.hangs = true
    const again = await rag.query(question, { budgetMs: 30 })
    expect([again.cache.retrieval, again.dropped, ids(again.sources)]).toEqual(['hit', [], ids(whole.sources)])
  })

  it('waits for nobody who has more time, and gives him nothing of what it dropped', async () => {
    const { reranker, state } = createTurningReranker()
    let release = () => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    let begin = () => {}
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    const patient: Reranker = {
      ...reranker,
      async rerank(request, options) {
        if (state.asked > 0) return reranker.rerank(request, options)
        state.asked++
        begin()
        await released
        state.hangs = false
        return reranker.rerank(request, options)
      },
    }
    const rag = await open({ rerank: patient })
    const whole = rag.retrieve(question)
    await begun
    const hurried = await rag.retrieve(question, { budgetMs: 40 })
    release()
    expect(hurried.some(({ scores }) => scores.rerank !== undefined)).toBe(false)
    expect(ids(await whole)).toEqual(ids(hurried).reverse())
  })

  it('ends the steps of understanding that ask a model, and condenses by rules', async () => {
    const { model, state } = createHangingModel()
    const rag = await open({ llm: model, understand: { multiQuery: 1, hyde: true } })
    await rag.retrieve(question, { understand: false })
    const history = [{ role: 'user' as const, content: 'What does the Red Fox do?' }]
    const { answer, dropped, understood } = await rag.query('Where does it nap?', { history, budgetMs: 30 })
    expect(answer).toBe('It naps [1].')
    expect(dropped?.toSorted()).toEqual(['condense', 'hyde', 'multiQuery'])
    expect(understood).toMatchObject({ condensed: 'terms', queries: [] })
    expect(understood?.skipped.map(({ reason }) => reason)).toEqual(['budget', 'budget', 'budget'])
    // Only the first was begun; for the others there was no time left.
    expect(state.asked).toBeLessThanOrEqual(1)
  })

  it('takes what a model wrote before, and blames no model for little time', async () => {
    const { model, state } = createHangingModel()
    const rag = await open({ llm: model, understand: { multiQuery: 1 } })
    for (let i = 0; i < 8; i++) await rag.retrieve(`${question} ${i}`, { budgetMs: 10 })
    state.hangs = false
    const { understood } = await rag.query(question)
    expect(understood?.queries).toEqual([{ text: 'fox den', from: 'multiQuery' }])
    state.hangs = true
    const again = await rag.query(question, { budgetMs: 1, topK: 1 })
    expect([again.understood?.queries, again.dropped]).toEqual([[{ text: 'fox den', from: 'multiQuery' }], []])
  })

  it('leaves the text around hits out when the time is over before it', async () => {
    const { reranker } = createTurningReranker()
    const blocking: Reranker = {
      ...reranker,
      async rerank({ candidates }) {
        const began = performance.now()
        while (performance.now() - began < 25);
        return candidates.map(({ number }, place) => ({ number, score: -place }))
      },
    }
    const rag = await open({ rerank: blocking })
    const hits = await rag.retrieve(question, { budgetMs: 25, expand: 'neighbours' })
    expect(hits.length).toBeGreaterThan(1)
    expect(hits.every(({ context }) => context === undefined)).toBe(true)
    expect(countsOf(rag)['budget.dropped.expand']).toBe(1)
  })

  it('counts the time that a question waits for its place, and keeps no sources without the text around them for others', async () => {
    const rag = await open({ maxConcurrentQueries: 1, llm: createScriptedLlm(['It naps [1].']) })
    const options = { expand: { maxChars: 4 }, topK: 2 } as const
    const first = await rag.query(question, options)
    const holder = rag.stream('Who barks?')
    await holder.next()
    const waiting = rag.query(question, { ...options, budgetMs: 5 })
    await new Promise((resolve) => setTimeout(resolve, 20))
    await holder.return(undefined)
    const hurried = await waiting
    expect([hurried.dropped, hurried.cache.retrieval]).toEqual([['expand'], 'hit'])
    for (let i = 0; i < 2; i++) {
      const again = await rag.query(question, options)
      expect([again.cache.retrieval, again.sources]).toEqual(['hit', first.sources])
    }
  })

  it.each([0, -1, 1.5, 600_001, '50', Number.NaN])('of %s is refused', async (budgetMs) => {
    const rag = await open({})
    const failure = { code: 'BAD_OPTION', data: { option: 'budgetMs' } }
    await expect(rag.retrieve(question, { budgetMs: budgetMs as never })).rejects.toMatchObject(failure)
    expect(() => new UltraFastRAG({ budgetMs: budgetMs as never })).toThrow('budgetMs')
  })

  it('is nothing that answers ahead of time have', async () => {
    const rag = await open({ budgetMs: 1 })
    const refused = rag.precompute([question], { budgetMs: 5 } as never)
    await expect(refused).rejects.toThrow('leaves nothing out')
    expect(await rag.precompute([question])).toMatchObject({ computed: 1, failed: [] })
  })
})
