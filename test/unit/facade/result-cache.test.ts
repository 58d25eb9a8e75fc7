import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createMemoryCache } from '../../../src/cache/memory.js'
import {
  type AnswerEvent,
  type Cache,
  type DocumentInput,
  type Llm,
  type Prompt,
  type QueryOptions,
  type Reranker,
  UltraFastRAG,
  type UltraFastRAGOptions,
} from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'

const open: UltraFastRAG[] = []
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ufrag-'))
})
afterEach(async () => {
  for (const rag of open.splice(0)) await rag.close()
  rmSync(folder, { recursive: true, force: true })
})

const documents = Array.from({ length: 12 }, (_, place) => ({
  id: `river-${place}`,
  text: `The river ${place} is ${place * 10} miles long. It rises in the hills of land ${place % 3}.`,
  metadata: { land: place % 3, place },
}))
const question = 'How long is the river 7?'

/** A model that cites its first source, and keeps what it was asked. */
function createModel(id = 'model') {
  const asked: string[] = []
  const model: Llm = {
    id,
    async *generate(prompt, { signal }) {
      asked.push(prompt.question)
      for (const part of ['The answer ', `of ${id} to "${prompt.question}" `, 'is this [1].', ' And more [2].']) {
        await new Promise(setImmediate)
        signal?.throwIfAborted()
        yield part
      }
    },
    async close() {},
  }
  return { model, asked }
}

async function createRag(options: UltraFastRAGOptions = {}, inputs: readonly DocumentInput[] = documents) {
  const rag = new UltraFastRAG({ embedder: createFakeEmbedder(), ...options })
  open.push(rag)
  // One after the other: equal scores are in the order of the commits.
  for (const input of inputs) await rag.ingestDocument(input)
  return rag
}

const withoutCache = { cacheQueries: false, cacheAnswers: false } as const

/** What a query gives, less what differs from run to run. */
async function ask(rag: Pick<UltraFastRAG, 'query'>, text = question, options: QueryOptions = {}) {
  const { timings: _timings, cache, ...result } = await rag.query(text, options)
  return { result, cache }
}

describe('what was found for a question', () => {
  it('is found again, and is what a search would find', async () => {
    const [rag, plain] = [await createRag(), await createRag(withoutCache)]
    const texts = documents.map((_, place) => `How long is the river ${place} of the hills?`)
    const optionSets: QueryOptions[] = [
      {},
      { topK: 2 },
      { groupBy: 'document' },
      { filter: { land: 1 } },
      { filter: { place: { $lt: Number.POSITIVE_INFINITY } } },
      { expand: 'section' },
      { rerank: 'mmr' },
      { maxContextChars: 100 },
    ]
    for (const options of optionSets) {
      for (const text of texts) {
        const expected = await ask(plain, text, options)
        expect(expected.cache).toEqual({ retrieval: 'off', answer: 'off' })
        expect((await ask(rag, text, options)).result).toEqual(expected.result)
        // From the caches, then from the memory before them.
        for (let again = 0; again < 2; again++) {
          expect(await ask(rag, text, options)).toEqual({
            result: expected.result,
            cache: { retrieval: 'hit', answer: 'hit' },
          })
        }
      }
    }
  })

  it('is counted, with the time it saved', async () => {
    const rag = await createRag()
    for (let i = 0; i < 4; i++) await rag.query(question)
    const { caches, counters } = rag.tracker.summary()
    expect(caches.retrieval).toMatchObject({ hits: 3, misses: 1, hitRate: 0.75 })
    expect(caches.answers).toMatchObject({ hits: 3, misses: 1, hitRate: 0.75 })
    expect(counters['cache.retrieval.savedMs']).toBeGreaterThan(0)
  })

  it('is nothing of one namespace in another, of one store in another, or of other options', async () => {
    const cache = createMemoryCache()
    const shared: Cache = { ...bound(cache), id: 'shared', capabilities: { shared: true, persistent: true } }
    // The same numbers, the same epochs, the same words: only the places differ.
    const places = ['here', 'there']
    const stores = await Promise.all(places.map(() => createRag({ cache: shared, llm: createModel().model }, [])))
    const scopes = stores.flatMap((rag, store) =>
      ['', 'a', 'b'].map((name) => ({ rag: name === '' ? rag : rag.namespace(name), label: `${store}-${name}` })),
    )
    for (const { rag, label } of scopes) {
      await rag.ingest([{ id: 'secret', text: `The secret of the house is the word ${label}.`, metadata: { n: 1 } }])
    }
    const asked: QueryOptions[] = [{}, { topK: 1 }, { filter: { n: 1 } }, { filter: { n: 2 } }, { perDocument: 1 }]
    for (const round of [1, 2, 3, 4]) {
      for (const { rag, label } of scopes) {
        for (const options of asked) {
          const { result, cache } = await ask(rag, 'What is the secret of the house?', options)
          const texts = result.sources.map(({ chunk }) => chunk.text)
          const isEmpty = JSON.stringify(options.filter) === '{"n":2}'
          expect(texts).toEqual(isEmpty ? [] : [`The secret of the house is the word ${label}.`])
          expect(cache.retrieval).toBe(round === 1 ? 'miss' : 'hit')
        }
      }
    }
  })

  it('is not found when the documents changed', async () => {
    const rag = await createRag()
    await rag.query(question)
    await rag.ingest([{ id: 'river-7', text: 'The river 7 is 5 miles long.' }])
    const changed = await ask(rag)
    expect(changed.cache).toEqual({ retrieval: 'miss', answer: 'miss' })
    expect(changed.result.answer).toContain('5 miles')
    await rag.remove({ documentId: 'river-7' })
    expect((await ask(rag)).result.sources.map(({ chunk }) => chunk.documentId)).not.toContain('river-7')
  })

  it('is of the reranker that ordered it, and not kept when that failed', async () => {
    let healthy = false
    const reranker: Reranker = {
      id: 'backwards',
      capabilities: { vectors: false },
      async rerank({ candidates }) {
        if (!healthy) throw new Error('down')
        return candidates
          .map(({ number }, place) => ({ number, score: -place }))
          .reverse()
          .map((match, place) => ({ ...match, score: -place }))
      },
      async close() {},
    }
    const rag = await createRag({ rerank: reranker })
    const plain = (await ask(rag)).result.sources.map(({ chunk }) => chunk.id)
    healthy = true
    const reranked = await ask(rag)
    expect(reranked.cache.retrieval).toBe('miss')
    expect(reranked.result.sources.map(({ chunk }) => chunk.id)).not.toEqual(plain)
    expect((await ask(rag)).cache.retrieval).toBe('hit')
    expect((await ask(rag, question, { rerank: false })).cache.retrieval).toBe('miss')
  })

  it('is searched once for a hundred who ask at the same time, and one who leaves stops nobody', async () => {
    let embedded = 0
    const fake = createFakeEmbedder()
    const rag = await createRag({
      cacheEmbeddings: false,
      embedder: {
        ...fake,
        async embed(texts, options) {
          if (options.kind === 'query') embedded++
          await new Promise((resolve) => setTimeout(resolve, 20))
          return fake.embed(texts, options)
        },
      },
    })
    const impatient = new AbortController()
    const first = rag.retrieve(question, { signal: impatient.signal })
    const calls = Array.from({ length: 99 }, () => rag.retrieve(question))
    await new Promise((resolve) => setTimeout(resolve, 5))
    impatient.abort('enough')
    await expect(first).rejects.toBe('enough')
    const results = await Promise.all(calls)
    expect(embedded).toBe(1)
    for (const hits of results) expect(hits).toEqual(results[0])
    // Each has hits of its own.
    Object.assign(results[0]?.[0] ?? {}, { score: -1 })
    expect(results[1]?.[0]?.score).not.toBe(-1)
  })

  it('is searched again where somebody wrote into the cache', async () => {
    const cache = createMemoryCache()
    const kept = new Map<string, Uint8Array>()
    let tamper: ((value: Uint8Array) => Uint8Array) | undefined
    const hostile: Cache = {
      ...bound(cache),
      id: 'hostile',
      capabilities: { shared: true, persistent: true },
      async set(entries) {
        for (const { key, value } of entries) kept.set(key, value)
      },
      get: async (keys) =>
        keys.map((key) => {
          const value = kept.get(key)
          return value === undefined ? undefined : { value: tamper === undefined ? value.slice() : tamper(value) }
        }),
    }
    const storage = join(folder, 'store')
    const { model } = createModel()
    const first = await createRag({ storage, cache: hostile, llm: model, cacheEmbeddings: false })
    const { result: expected } = await ask(first)
    await first.close()
    const lies: ((value: Uint8Array) => Uint8Array)[] = [
      () => new Uint8Array(0),
      () => Buffer.from('null'),
      () => Buffer.from('[1,null]'),
      () => Buffer.from('[-1,{}]'),
      () => Buffer.from('{"__proto__":{"x":1}}'),
      (value) => value.slice(0, value.length - 3),
      (value) => value.map((byte) => byte ^ 0x55),
      (value) =>
        Buffer.from(
          Buffer.from(value)
            .toString()
            .replace(/"[0-9a-f]{32}"/g, '"00000000000000000000000000000000"'),
        ),
      (value) =>
        Buffer.from(
          Buffer.from(value)
            .toString()
            .replace(/\[\d+,"/g, '[999,"'),
        ),
      (value) =>
        Buffer.from(
          Buffer.from(value)
            .toString()
            .replace(/"key":"[0-9a-f]*"/, '"key":"0"'),
        ),
      (value) =>
        Buffer.from(
          Buffer.from(value)
            .toString()
            .replace(/"answer":.*/, '"answer":null}]'),
        ),
      (value) =>
        Buffer.from(
          Buffer.from(value)
            .toString()
            .replace(/"parts":\[[^\]]*\]/, '"parts":[1,2]'),
        ),
      (value) => Buffer.from(Buffer.from(value).toString().replaceAll('[1,', '[7,')),
      (value) => Buffer.from(Buffer.from(value).toString().replace(/\d+\]/g, '99999]')),
      (value) => Buffer.from(Buffer.from(value).toString().replace(/\d+\]/g, '1.5]')),
    ]
    for (const lie of lies) {
      const rag = await createRag({ storage, cache: hostile, llm: model, cacheEmbeddings: false }, [])
      tamper = lie
      expect((await ask(rag)).result).toEqual(expected)
      await rag.close()
    }
  })
})

describe('an answer', () => {
  it('is written once for a hundred who ask at the same time, and one who leaves stops nobody', async () => {
    const { asked, model } = createModel()
    const rag = await createRag({ llm: model })
    const impatient = new AbortController()
    const left = rag.stream(question)
    const calls = Array.from({ length: 98 }, () => ask(rag))
    const aborted = rag.query(question, { signal: impatient.signal })
    const settled = expect(aborted).rejects.toBe('enough')
    for await (const event of left) if (event.type === 'answer-delta') break
    impatient.abort('enough')
    await settled
    const results = await Promise.all(calls)
    expect(asked).toEqual([question])
    for (const { result } of results) expect(result).toEqual(results[0]?.result)
    expect(results[0]?.result.citations).toHaveLength(2)
  })

  it('streams from the cache as it streamed at first', async () => {
    const { asked, model } = createModel()
    const rag = await createRag({ llm: model })
    const streams: AnswerEvent[][] = []
    for (let i = 0; i < 3; i++) streams.push(await eventsOf(rag.stream(question)))
    const told = streams.map((events) => events.filter(({ type }) => type !== 'metadata'))
    expect(told.slice(1)).toEqual([told[0], told[0]])
    expect(told[1]?.filter(({ type }) => type === 'answer-delta').length).toBeGreaterThan(2)
    expect(asked).toHaveLength(1)
    const last = streams.map((events) => events.at(-1))
    for (const event of last.slice(1))
      expect(event).toMatchObject({ cache: { retrieval: 'hit', answer: 'hit' }, model: 'model', outcome: 'answered' })
  })

  it('survives an ingest that leaves its sources alone, and not one that changes them', async () => {
    const { asked, model } = createModel()
    const rag = await createRag({ llm: model })
    const options = { filter: { place: 7 }, topK: 1 } as const
    await ask(rag, question, options)
    await rag.ingest([{ id: 'other', text: 'A mountain is high.' }])
    expect((await ask(rag, question, options)).cache).toEqual({ retrieval: 'miss', answer: 'hit' })
    await rag.ingest([{ id: 'river-7', text: 'The river 7 is short.', metadata: { place: 7 } }])
    expect((await ask(rag, question, options)).cache).toEqual({ retrieval: 'miss', answer: 'miss' })
    expect(asked).toHaveLength(2)
  })

  it('is written from the sources, whatever a reader does to those he was given', async () => {
    const prompts: Prompt[] = []
    const model: Llm = {
      id: 'model',
      async *generate(prompt) {
        prompts.push(prompt)
        yield 'It is long [1].'
      },
      async close() {},
    }
    const rag = await createRag({ llm: model })
    const seen: string[] = []
    for await (const event of rag.stream(question, { topK: 1 })) {
      if (event.type !== 'sources') continue
      for (const { chunk } of event.sources as unknown as { chunk: { text: string } }[]) {
        seen.push(chunk.text)
        chunk.text = 'changed'
      }
    }
    expect(JSON.stringify(prompts)).toContain(seen[0])
    expect(JSON.stringify(prompts)).not.toContain('changed')
    const again = await rag.query(question, { topK: 1 })
    expect(again.sources.map(({ chunk }) => chunk.text)).toEqual(seen)
  })

  it('of a document is not the answer of its twin', async () => {
    const { model } = createModel()
    const rag = await createRag({ llm: model }, [])
    const text = 'The tower is old.'
    await rag.ingest([{ id: 'one', title: 'Tower', text }])
    await rag.query('How old is the tower?')
    await rag.remove({ documentId: 'one' })
    await rag.ingest([{ id: 'two', title: 'Tower', text }])
    const { citations } = await rag.query('How old is the tower?')
    expect(citations.map(({ documentId }) => documentId)).toEqual(['two'])
  })

  it('is of one model: another id or fingerprint writes its own', async () => {
    const storage = join(folder, 'store')
    const cache = { kind: 'disk', directory: join(folder, 'cache') } as const
    const models: Llm[] = [
      createModel('one').model,
      createModel('two').model,
      { ...createModel('one').model, fingerprint: 'one/cold' },
      { ...createModel('one').model, fingerprint: 'one/warm' },
    ]
    for (const [place, llm] of [...models, ...models].entries()) {
      const rag = await createRag({ storage, cache, llm }, place === 0 ? documents : [])
      const { cache: found, result } = await ask(rag)
      expect(found.answer).toBe(place < models.length ? 'miss' : 'hit')
      expect(result.answer).toContain(`answer of ${llm.id}`)
      await rag.close()
    }
  })

  it('of a function is kept in its process only', async () => {
    const storage = join(folder, 'store')
    let calls = 0
    async function* llm(_prompt: Prompt) {
      calls++
      yield 'An answer [1].'
    }
    for (let i = 0; i < 2; i++) {
      const rag = await createRag({ storage, llm })
      await rag.query(question)
      await rag.query(question)
      await rag.close()
    }
    expect(calls).toBe(2)
  })

  it('that failed is not kept, and neither is one whose reader left', async () => {
    let calls = 0
    const rag = await createRag({
      async *llm() {
        calls++
        yield 'Some '
        if (calls === 1) throw new Error('down')
        await new Promise(setImmediate)
        yield 'answer [1].'
      },
    })
    await expect(rag.query(question)).rejects.toThrow('down')
    for await (const event of rag.stream(question)) if (event.type === 'answer-delta') break
    const { cache, result } = await ask(rag)
    expect([calls, cache.answer, result.answer]).toEqual([3, 'miss', 'Some answer [1].'])
  })

  it('that is none is kept as well', async () => {
    let calls = 0
    const rag = await createRag({
      // biome-ignore lint/correctness/useYield: a model that has nothing to say yields nothing
      async *llm() {
        calls++
      },
    })
    const first = await ask(rag)
    const second = await ask(rag)
    expect(second.result).toEqual(first.result)
    expect(second.result.outcome).toBe('no-answer')
    expect([calls, second.cache.answer]).toEqual([1, 'hit'])
  })

  it('is forgotten after cacheTtlMs', async () => {
    const { asked, model } = createModel()
    const rag = await createRag({ llm: model, cacheTtlMs: 1 })
    await rag.query(question)
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect((await ask(rag)).cache).toEqual({ retrieval: 'miss', answer: 'miss' })
    expect(asked).toHaveLength(2)
  })
})

describe('a cache that others share', () => {
  /** One that takes a while, and tells how many questions were put to it before it answered the first of them. */
  function createSlow() {
    const cache = createMemoryCache()
    const trips: number[] = []
    let waiting = 0
    const slow: Cache = {
      ...bound(cache),
      id: 'slow',
      capabilities: { shared: true, persistent: true },
      async get(keys) {
        waiting++
        // Turns of the event loop, not time: a busy machine must not make two trips of one.
        for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
        if (waiting > 0) trips.push(waiting)
        waiting = 0
        return cache.get(keys)
      },
    }
    return { slow, trips }
  }

  it('is asked for ranking and answer at once, and again where the documents have changed meanwhile', async () => {
    const { slow, trips } = createSlow()
    const { asked, model } = createModel()
    const options = { storage: join(folder, 'store'), cache: slow, llm: model, cacheEmbeddings: false }
    const writer = await createRag(options)
    const query = { topK: 1, filter: { place: 7 } }
    const { result } = await ask(writer, question, query)
    await writer.close()
    const askAnother = async (change?: (rag: UltraFastRAG) => Promise<unknown>) => {
      const rag = await createRag(options, [])
      await change?.(rag)
      trips.length = 0
      const found = await ask(rag, question, query)
      await rag.close()
      return { ...found, trips: [...trips] }
    }
    const hit = { retrieval: 'hit', answer: 'hit' }
    expect(await askAnother()).toEqual({ result, cache: hit, trips: [2] })
    // Other documents: the answer is found by its passages, and from then on at once.
    const changed = await askAnother((rag) => rag.ingestDocument({ id: 'other', text: 'A mountain is high.' }))
    expect(changed).toEqual({ result: changed.result, cache: { retrieval: 'miss', answer: 'hit' }, trips: [2, 1] })
    expect(changed.result.answer).toBe(result.answer)
    expect(await askAnother()).toEqual({ result: changed.result, cache: hit, trips: [2] })
    expect(asked).toHaveLength(1)
    const replaced = await askAnother((rag) =>
      rag.ingestDocument({ id: 'river-7', text: 'The river 7 is short.', metadata: { place: 7 } }),
    )
    expect(replaced.cache).toEqual({ retrieval: 'miss', answer: 'miss' })
    expect(asked).toHaveLength(2)
  })
})

describe('an answer that is asked for again and again', () => {
  const times = 4

  it.each(['memory', 'disk'])('is the same for each, whatever another one does to his (%s)', async (kind) => {
    const { model } = createModel()
    const inputs = [{ id: 'a', text: 'The river is long.', metadata: { of: { land: ['x'] }, place: 1 } }]
    const rag = await createRag({ llm: model, ...(kind === 'disk' ? { storage: join(folder, 'store') } : {}) }, inputs)
    for (const expand of [undefined, 'section'] as const) {
      const options = expand === undefined ? {} : { expand }
      const expected = structuredClone((await ask(rag, question, options)).result)
      expect(expected.sources[0]?.chunk.metadata).toEqual({ of: { land: ['x'] }, place: 1 })
      for (let i = 0; i < times; i++) {
        const { result } = await ask(rag, question, options)
        expect(result).toEqual(expected)
        spoil(result)
        for await (const event of rag.stream(question, options)) spoil(event)
        spoil(await rag.retrieve(question, options))
      }
    }
  })

  it('waits for no cache, and for no store', async () => {
    const cache = createMemoryCache()
    let asked = 0
    const counting: Cache = {
      ...bound(cache),
      id: 'counting',
      capabilities: { shared: true, persistent: true },
      get(keys) {
        asked++
        return cache.get(keys)
      },
    }
    const rag = await createRag({ cache: counting, llm: createModel().model })
    for (let i = 0; i < 2; i++) await rag.query(question)
    const before = asked
    for (let i = 0; i < times; i++) {
      expect((await ask(rag)).cache).toEqual({ retrieval: 'hit', answer: 'hit' })
      await rag.queryBatch([question])
    }
    expect(asked).toBe(before)
  })

  it('is forgotten after cacheTtlMs, counted from when it was written', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      const rag = await createRag({ cacheTtlMs: 1_000 })
      await rag.query(question)
      const began = Date.now()
      for (const [at, cache] of [
        [500, 'hit'],
        [999, 'hit'],
        [1_000, 'miss'],
        [1_500, 'hit'],
        [1_999, 'hit'],
        [2_000, 'miss'],
      ] as const) {
        vi.setSystemTime(began + at)
        expect((await ask(rag)).cache).toEqual({ retrieval: cache, answer: cache })
      }
    } finally {
      vi.useRealTimers()
    }
  })

  it('is forgotten by clearCache(), and when documents come or go, by whichever process', async () => {
    const storage = join(folder, 'store')
    const rag = await createRag({ storage })
    const other = await createRag({ storage }, [])
    const hot = async () => {
      for (let i = 0; i < times; i++) await rag.query(question)
      expect((await ask(rag)).cache).toEqual({ retrieval: 'hit', answer: 'hit' })
    }
    await hot()
    await rag.clearCache()
    expect((await ask(rag)).cache).toEqual({ retrieval: 'miss', answer: 'miss' })
    await hot()
    await other.ingestDocument({ id: 'river-7', text: 'The river 7 is 5 miles long.' })
    expect((await ask(rag)).result.answer).toContain('5 miles')
    await hot()
    await other.remove({ documentId: 'river-7' })
    expect((await ask(rag)).result.answer).not.toContain('5 miles')
    await hot()
    await rag.ingestDocument({ id: 'river-7', text: 'The river 7 is 6 miles long.' })
    expect((await ask(rag)).result.answer).toContain('6 miles')
  })

  it('is never older than what was seen before, while documents come in', async () => {
    const rag = await createRag()
    let coming = true
    let given = 0
    async function* inputs() {
      while (coming) {
        yield { id: 'river-7', text: `The river 7 is ${++given} furlongs long.` }
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
    const asked = 'How many furlongs is the river 7?'
    const seen = async () => {
      const { sources } = await rag.query(asked)
      return Number(/is (\d+) furlongs/.exec(sources.map(({ chunk }) => chunk.text).join())?.[1])
    }
    const ingest = rag.ingest(inputs())
    const places: number[] = []
    for (let i = 0; i < 50; i++) {
      places.push(await seen(), await seen(), await seen())
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    coming = false
    await ingest
    // It is nowhere in between, when the search found a text that is replaced already.
    const known = places.filter((place) => !Number.isNaN(place))
    expect(known).toEqual(known.toSorted((a, b) => a - b))
    for (let i = 0; i < times; i++) expect(await seen()).toBe(given)
  })
})

/** Changes all that can be reached from a result. */
function spoil(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const inner of Object.values(value)) spoil(inner)
  if (Array.isArray(value)) value.push('spoilt')
  else for (const key of [...Object.keys(value), 'spoilt']) Object.assign(value, { [key]: 'spoilt' })
}

describe('a cache of questions', () => {
  it('tells what it did, tier by tier', async () => {
    const storage = join(folder, 'store')
    const { model } = createModel()
    const writer = await createRag({ storage, llm: model })
    for (let i = 0; i < 3; i++) await writer.query(question)
    await writer.close()
    const rag = await createRag({ storage, llm: model }, [])
    expect((await rag.stats()).caches.filter(({ hits }) => hits > 0)).toEqual([])
    for (let i = 0; i < 3; i++) await rag.query(question)
    const { caches } = await rag.stats()
    const told = caches.map(({ name, tier, kind, hits, misses }) => [name, tier, kind, hits, misses])
    expect(told).toEqual(
      expect.arrayContaining([
        ['retrieval', 'near', 'memory', 0, 1],
        ['retrieval', 'far', 'disk', 1, 0],
        ['answers', 'recent', 'memory', 2, 1],
        ['answers', 'near', 'memory', 0, 1],
        ['answers', 'far', 'disk', 1, 0],
      ]),
    )
    for (const wanted of ['near', 'recent']) {
      const found = caches.find(({ name, tier }) => name === 'answers' && tier === wanted)
      expect(found).toMatchObject({ entries: 1, evictions: 0, hitRate: wanted === 'near' ? 0 : 2 / 3 })
      expect(found?.bytes).toBeGreaterThan(100)
    }
    const { caches: summed, gauges } = rag.tracker.summary()
    expect(gauges['cache.answers.recent']).toMatchObject({ hits: 2, misses: 1, entries: 1 })
    for (const name of ['retrieval', 'answers'] as const) expect(summed[name]).toMatchObject({ hits: 3, misses: 0 })
  })

  it('that fails in every way breaks no question', async () => {
    const broken = async () => {
      throw new Error('down')
    }
    const cache: Cache = {
      id: 'broken',
      capabilities: { shared: true, persistent: true },
      get: broken,
      set: broken,
      delete: broken,
      clear: broken,
      close: broken,
    }
    const plain = await createRag({ ...withoutCache, llm: createModel().model })
    const rag = await createRag({ cache, llm: createModel().model })
    const expected = (await ask(plain)).result
    for (let i = 0; i < 5; i++) expect((await ask(rag)).result).toEqual(expected)
    expect(rag.tracker.summary().counters['cache.instance.error']).toBeGreaterThan(0)
  })

  it('serves questions in batches, which are not embedded then', async () => {
    let embedded = 0
    const fake = createFakeEmbedder()
    const rag = await createRag({
      cacheEmbeddings: false,
      embedder: {
        ...fake,
        embed(texts, options) {
          if (options.kind === 'query') embedded += texts.length
          return fake.embed(texts, options)
        },
      },
    })
    const texts = [question, 'Where does the river 3 rise?']
    const single = [await ask(rag, texts[0]), await ask(rag, texts[1])]
    const before = embedded
    const batch = await rag.queryBatch(texts, { onFailure: 'throw' })
    expect(batch.map(({ answer, cache }) => ({ answer, cache }))).toEqual(
      single.map(({ result }) => ({ answer: result.answer, cache: { retrieval: 'hit', answer: 'hit' } })),
    )
    expect(await rag.retrieveBatch(texts, { perDocument: 3 })).toHaveLength(2)
    expect(embedded).toBe(before)
    await rag.retrieveBatch(['What of the hills?', ...texts], { perDocument: 3 })
    expect(embedded).toBeGreaterThan(before)
  })

  it('is off with the preset research, and where the options say so', async () => {
    const off = { retrieval: 'off', answer: 'off' }
    for (const options of [{ preset: 'research', rerank: false }, { cache: false }, withoutCache] as const) {
      const rag = await createRag(options)
      await rag.query(question)
      expect((await ask(rag)).cache).toEqual(off)
    }
    const rag = await createRag({ cacheAnswers: false })
    await rag.query(question)
    expect((await ask(rag)).cache).toEqual({ retrieval: 'hit', answer: 'off' })
  })

  it('gives each process of a store what another one found', async () => {
    const storage = join(folder, 'store')
    const { asked, model } = createModel()
    const writer = await createRag({ storage, llm: model })
    const expected = await ask(writer)
    await writer.close()
    const reader = await createRag({ storage, llm: model }, [])
    const found = await ask(reader)
    expect(found).toEqual({ result: expected.result, cache: { retrieval: 'hit', answer: 'hit' } })
    expect(asked).toHaveLength(1)
  })

  it('lets close() end who waits for others', async () => {
    const rag = await createRag({
      async *llm(_prompt, { signal }) {
        await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
        yield ''
      },
    })
    const calls = Promise.allSettled(Array.from({ length: 10 }, () => rag.query(question)))
    await new Promise((resolve) => setTimeout(resolve, 20))
    await rag.close()
    for (const result of await calls) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } })
    }
  })
})

async function eventsOf(stream: AsyncIterable<AnswerEvent>): Promise<AnswerEvent[]> {
  const events: AnswerEvent[] = []
  for await (const event of stream) events.push(event)
  return events
}

function bound(cache: Cache): Pick<Cache, 'get' | 'set' | 'delete' | 'clear' | 'close'> {
  return {
    get: (keys) => cache.get(keys),
    set: (entries) => cache.set(entries),
    delete: (keys) => cache.delete(keys),
    clear: () => cache.clear(),
    close: async () => {},
  }
}
