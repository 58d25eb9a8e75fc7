import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Llm, type QueryOptions, UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'
import { modelFolder } from '../../fixtures/models/model-folder.js'
import { readQuestionPairs } from '../text/question-pairs.js'

const open: UltraFastRAG[] = []
afterEach(async () => {
  for (const rag of open.splice(0)) await rag.close()
})

/** Every two questions are near enough: only the guards tell them apart. */
const forced = { threshold: -1 }

async function createRag(options: UltraFastRAGOptions = {}) {
  const asked: string[] = []
  const llm: Llm = {
    id: 'model',
    async *generate({ question }) {
      asked.push(question)
      yield `An answer to "${question}" [1].`
    },
    async close() {},
  }
  const rag = new UltraFastRAG({ embedder: createFakeEmbedder(), semanticCache: forced, llm, ...options })
  open.push(rag)
  await rag.ingest([{ id: 'a', text: 'The tower of the town is 30 metres tall.', metadata: { year: 2020 } }])
  return { rag, asked }
}

async function ask(rag: Pick<UltraFastRAG, 'query'>, question: string, options: QueryOptions = {}) {
  const { answer, cache, citations, outcome } = await rag.query(question, options)
  return { answer, cache, citations, outcome }
}

const tall = 'How tall is the tower?'
const height = 'What is the height of the tower?'

describe('the semantic cache', () => {
  it('gives a question the answer of an earlier one that means the same, and says so', async () => {
    const { asked, rag } = await createRag()
    const first = await ask(rag, tall)
    expect(first.cache.semantic).toBeUndefined()
    const second = await ask(rag, height)
    expect(second).toMatchObject({ answer: first.answer, citations: first.citations, outcome: 'answered' })
    expect(second.cache).toMatchObject({ retrieval: 'hit', answer: 'hit', semantic: { served: true } })
    expect(second.cache.semantic?.similarity).toBeGreaterThan(-1)
    expect(asked).toEqual([tall])
    expect(rag.tracker.summary().caches.semantic).toMatchObject({ hits: 1, misses: 1 })
  })

  it('is off unless it is asked for', async () => {
    const { asked, rag } = await createRag({ semanticCache: false })
    for (const question of [tall, height]) await rag.query(question)
    expect(asked).toHaveLength(2)
  })

  it('serves nine in ten paraphrases and turns away nineteen in twenty that only look alike, however near they are', async () => {
    const { rag } = await createRag()
    const served = { same: 0, other: 0 }
    const pairs = readQuestionPairs()
    for (const [place, { questions, same }] of pairs.entries()) {
      // Other options are another scope: pairs do not meet each other.
      const options = { topK: place + 1 }
      await rag.query(questions[0], options)
      const { cache } = await rag.query(questions[1], options)
      if (cache.semantic?.served === true) served[same ? 'same' : 'other']++
    }
    const all = pairs.filter(({ same }) => same).length
    expect(served.same / all).toBeGreaterThanOrEqual(0.9)
    expect(served.other / (pairs.length - all)).toBeLessThanOrEqual(0.05)
  })

  it('asks the model where the vectors are not near enough', async () => {
    const { asked, rag } = await createRag({ semanticCache: true })
    await rag.query('the tower is how tall')
    // The same words: the fake embedder makes the same vector.
    expect((await ask(rag, 'is the tower how tall')).cache.semantic?.similarity).toBeCloseTo(1)
    expect((await ask(rag, height)).cache.semantic).toBeUndefined()
    expect(asked).toHaveLength(2)
  })

  it('finds nothing of another namespace, filter or option', async () => {
    const { rag } = await createRag()
    const other = rag.namespace('other')
    await other.ingest([{ id: 'a', text: 'The tower of the town is 99 metres tall.', metadata: { year: 2020 } }])
    await rag.query(tall)
    expect((await ask(other, height)).cache.semantic).toBeUndefined()
    const options: QueryOptions[] = [
      { filter: { year: 2020 } },
      { filter: { year: { $gte: 2020 } } },
      { topK: 1 },
      { maxContextChars: 100 },
      { expand: 'section' },
      { perDocument: 1 },
    ]
    for (const one of options) expect((await ask(rag, height, one)).cache.semantic).toBeUndefined()
    for (const one of options)
      expect((await ask(rag, 'Tell me the height of the tower', one)).cache.semantic?.served).toBe(true)
  })

  it('serves what survives an ingest, and nothing whose passages changed', async () => {
    const { asked, rag } = await createRag()
    const options = { filter: { year: 2020 } }
    await rag.query(tall, options)
    await rag.ingest([{ id: 'b', text: 'Another town has no tower.', metadata: { year: 1999 } }])
    expect((await ask(rag, height, options)).cache.semantic?.served).toBe(true)
    await rag.ingest([{ id: 'a', text: 'The tower of the town is 31 metres tall.', metadata: { year: 2020 } }])
    const changed = await ask(rag, height, options)
    expect(changed.cache.semantic).toBeUndefined()
    expect(asked).toEqual([tall, height])
  })

  it('reports in shadow mode what it would have served, and serves nothing', async () => {
    const { asked, rag } = await createRag({ semanticCache: { ...forced, shadow: true } })
    const first = await ask(rag, tall)
    const { answer, cache } = await ask(rag, height)
    expect(answer).toContain(height)
    expect(cache).toMatchObject({ answer: 'miss', semantic: { served: false, question: tall, answer: first.answer } })
    expect(asked).toHaveLength(2)
    expect(rag.tracker.summary().counters['cache.semantic.shadow']).toBe(1)
  })

  it('has the cross-encoder confirm what is not near enough, when it is told to', async () => {
    const modelsDir = mkdtempSync(join(tmpdir(), 'ufrag-check-'))
    vi.stubEnv('HF_HUB_OFFLINE', '1')
    try {
      const checked = (least: number) =>
        createRag({ modelsDir, semanticCache: { threshold: 1, check: { from: -1, least } } })
      const missing = await checked(0)
      await missing.rag.query(tall)
      await expect(missing.rag.query(height)).rejects.toMatchObject({ code: 'NOT_FOUND' })

      mkdirSync(join(modelsDir, 'cross-encoder'))
      const name = join('cross-encoder', 'ms-marco-MiniLM-L6-v2')
      symlinkSync(modelFolder({ output: 'logit', weights: ['fp32'] }), join(modelsDir, name))
      const [lenient, strict] = [await checked(-1e9), await checked(1e9)]
      for (const { rag } of [lenient, strict]) await rag.query(tall)
      expect((await ask(lenient.rag, height)).cache.semantic?.served).toBe(true)
      expect((await ask(strict.rag, height)).cache.semantic).toBeUndefined()
      // The guards come first: nobody is asked about another number.
      await lenient.rag.query('How tall was the tower in 1999?')
      expect((await ask(lenient.rag, 'How tall was the tower in 1998?')).cache.semantic).toBeUndefined()
    } finally {
      vi.unstubAllEnvs()
      rmSync(modelsDir, { recursive: true })
    }
  })

  it('answers a question that was asked word for word with its own answer', async () => {
    const { asked, rag } = await createRag({ semanticCache: { ...forced, shadow: true } })
    for (const question of [tall, height, tall]) await rag.query(question)
    expect((await ask(rag, height)).cache).toEqual({ retrieval: 'hit', answer: 'hit' })
    expect(asked).toEqual([tall, height])
  })

  it('remembers no question that was not answered, and no more than it may', async () => {
    const { asked, rag } = await createRag({
      semanticCache: { ...forced, maxQuestions: 1 },
    })
    await rag.query(tall)
    await rag.query('Who built the castle in 1999?')
    // The first one had to go.
    expect((await ask(rag, height)).cache.semantic).toBeUndefined()
    expect(asked).toHaveLength(3)
    let calls = 0
    const silent = await createRag({
      // biome-ignore lint/correctness/useYield: a model that has nothing to say yields nothing
      async *llm() {
        calls++
      },
    })
    for (const question of [tall, height]) await silent.rag.query(question)
    expect(calls).toBe(2)
  })

  it('counts what the guards turned away, by reason', async () => {
    const { rag } = await createRag()
    await rag.query('How tall was the tower in 1999?')
    await rag.query('How tall was the tower in 1998?')
    expect(rag.tracker.summary().counters['cache.semantic.blocked.numbers']).toBe(1)
  })

  it.each([
    [{ semanticCache: true, embedder: false }, 'embedder'],
    [{ semanticCache: true, cache: false }, 'cache'],
    [{ semanticCache: true, cacheAnswers: false }, 'cacheAnswers'],
    [{ semanticCache: true, cacheQueries: false }, 'cacheQueries'],
    [{ semanticCache: true, preset: 'research' }, 'cacheAnswers'],
    [{ semanticCache: { threshold: 2 } }, 'threshold'],
    [{ semanticCache: { shadw: true } as never }, 'shadw'],
  ] as const)('refuses %j', (options, named) => {
    expect(() => new UltraFastRAG({ ...options } as UltraFastRAGOptions)).toThrow(named)
  })
})
