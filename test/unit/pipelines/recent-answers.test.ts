import { describe, expect, it } from 'vitest'
import type { Source } from '../../../src/core/answer.js'
import type { NamespaceIndexes } from '../../../src/pipelines/catch-up.js'
import { nothingWritten } from '../../../src/pipelines/steps/answer-end.js'
import { RecentAnswers } from '../../../src/pipelines/steps/recent-answers.js'
import type { StoreNamespace } from '../../../src/store/types.js'

/** A namespace and indexes of which only the epochs are looked at. */
function createTools() {
  const at = { epoch: 1, indexed: 1, turns: 0 }
  const namespace = {
    epoch: () => at.epoch,
    nextNumber: () => 7,
    counts: () => ({ documents: 1, chunks: 7 }),
  } as StoreNamespace
  return {
    at,
    tools: {
      namespace,
      useIndexes: <Result>(task: (indexes: NamespaceIndexes) => Promise<Result>) =>
        task({ lexical: { epoch: at.indexed }, vector: undefined } as NamespaceIndexes),
      turn: async () => void at.turns++,
    },
  }
}

function createRecent(options: { readonly maxEntries?: number; readonly maxBytes?: number } = {}) {
  const counted: Record<string, number> = {}
  const time = { date: 0 }
  const recent = new RecentAnswers({
    maxEntries: 10,
    maxBytes: 1 << 20,
    ...options,
    recorder: {
      stage() {},
      count(name, by = 1) {
        counted[name] = (counted[name] ?? 0) + by
      },
    },
    now: () => 0,
    date: () => time.date,
    onLookup: ({ found }) => {
      const name = found ? 'found' : 'missed'
      counted[name] = (counted[name] ?? 0) + 1
    },
  })
  return { recent, counted, time }
}

const state = '1,7,1,7,'

function sourceOf(text: string): Source {
  const chunk = {
    id: 'c',
    documentId: 'd',
    ordinal: 0,
    text,
    span: { start: 0, end: text.length },
    title: '',
    headings: [],
    language: 'english',
    metadata: {},
  }
  return { chunk, score: 1, scores: { lexical: 1 }, marker: 1 }
}

function answerOf(text: string, life: { readonly ranking?: number; readonly answer?: number } = {}) {
  const lifetime = (expiresAt: number | undefined) => ({ costMs: 5, ...(expiresAt === undefined ? {} : { expiresAt }) })
  return {
    state,
    sources: [sourceOf(text)],
    hits: 1,
    ranking: lifetime(life.ranking),
    answer: { ...lifetime(life.answer), value: { parts: [text], end: nothingWritten } },
  }
}

describe('recent answers', () => {
  it('keep as many as are allowed, those that were asked for last', async () => {
    const { recent } = createRecent({ maxEntries: 2 })
    const { tools } = createTools()
    for (const key of ['a', 'b']) recent.keep(key, answerOf(key), recent.clears)
    expect((await recent.recall('a', tools))?.parts).toEqual([
      { type: 'answer-delta', text: 'a' },
      { type: 'end', end: nothingWritten },
    ])
    recent.keep('c', answerOf('c'), recent.clears)
    const known = await Promise.all(['a', 'b', 'c'].map((key) => recent.recall(key, tools)))
    expect(known.map((found) => found?.sources[0]?.chunk.text)).toEqual(['a', undefined, 'c'])
    expect(recent.stats()).toMatchObject({ entries: 2, evictions: 1 })
  })

  it('stay within their bytes, whatever the answers weigh, and let none drive the others out', async () => {
    const maxBytes = 100_000
    const { recent } = createRecent({ maxEntries: 1_000, maxBytes })
    for (let place = 0; place < 200; place++)
      recent.keep(`${place}`, answerOf('x'.repeat((place * 37) % 1_000)), recent.clears)
    const before = recent.stats()
    expect(before.bytes).toBeLessThanOrEqual(maxBytes)
    expect(before.entries).toBeGreaterThan(20)
    recent.keep('large', answerOf('x'.repeat(10_000)), recent.clears)
    expect(recent.stats()).toEqual(before)
    expect(await recent.recall('large', createTools().tools)).toBeUndefined()
  })

  it('are not kept when they were cleared since the question was asked', async () => {
    const { recent } = createRecent()
    const { clears } = recent
    recent.clear()
    recent.keep('a', answerOf('a'), clears)
    expect(await recent.recall('a', createTools().tools)).toBeUndefined()
  })

  it('hold until the earlier of their two expiries', async () => {
    const { recent, time } = createRecent()
    const { tools } = createTools()
    const lives: Readonly<Record<string, Parameters<typeof answerOf>[1]>> = {
      none: {},
      ranking: { ranking: 10 },
      answer: { answer: 10 },
      both: { ranking: 20, answer: 10 },
    }
    for (const [key, life] of Object.entries(lives)) recent.keep(key, answerOf(key, life), recent.clears)
    const found = async () => {
      const all = await Promise.all(Object.keys(lives).map((key) => recent.recall(key, tools)))
      return all.filter((one) => one !== undefined).length
    }
    time.date = 9
    expect(await found()).toBe(4)
    time.date = 10
    recent.prune()
    expect(recent.stats().entries).toBe(1)
    expect(await found()).toBe(1)
  })

  it('are given only while store and indexes stand where they stood, and never again after', async () => {
    for (const change of [{ epoch: 2 }, { epoch: 2, indexed: 2 }, { indexed: 0 }]) {
      const { recent, counted } = createRecent()
      const { at, tools } = createTools()
      recent.keep('a', answerOf('a'), recent.clears)
      expect(await recent.recall('a', tools)).toBeDefined()
      Object.assign(at, change)
      expect(await recent.recall('a', tools)).toBeUndefined()
      Object.assign(at, { epoch: 1, indexed: 1 })
      expect(await recent.recall('a', tools)).toBeUndefined()
      expect(counted).toEqual({
        found: 1,
        missed: 2,
        'cache.retrieval.hit': 1,
        'cache.retrieval.savedMs': 5,
        'cache.answers.hit': 1,
        'cache.answers.savedMs': 5,
      })
    }
  })

  it('take turns with others who compute, and leave those alone who find nothing', async () => {
    const { recent } = createRecent()
    const { at, tools } = createTools()
    recent.keep('a', answerOf('a'), recent.clears)
    await recent.recall('b', tools)
    expect(at.turns).toBe(0)
    for (let i = 0; i < 3; i++) await recent.recall('a', tools)
    expect(at.turns).toBe(3)
  })
})
