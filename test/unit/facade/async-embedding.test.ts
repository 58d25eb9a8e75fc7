import { afterEach, describe, expect, it } from 'vitest'
import { createHashingEmbedder } from '../../../src/embed/hashing.js'
import { AsyncEmbedding, type AsyncEmbeddingOptions, type Embedder, RagError } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/index.js'
import { createLaneEmbedder, turns } from '../../lib/lane-embedder.js'

const opened: AsyncEmbedding[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((embedding) => embedding.close()))
})

function open(options: AsyncEmbeddingOptions): AsyncEmbedding {
  const embedding = new AsyncEmbedding(options)
  opened.push(embedding)
  return embedding
}

const wrong = (value: unknown) => value as never
const texts = ['Mars has two moons.', 'Jupiter is the largest planet.', 'A year on Mercury takes 88 days.']

describe('AsyncEmbedding', () => {
  it('gives the vectors of the embedder it is told by name', async () => {
    const embedding = open({ embedder: { kind: 'hashing', dimensions: 64 } })
    const expected = await createHashingEmbedder({ dimensions: 64 }).embed(texts, { kind: 'passage' })
    const { vectors, dimensions, failed, tokens } = await embedding.embedBatch(texts)
    expect({ dimensions, failed, tokens }).toEqual({ dimensions: 64, failed: [], tokens: 0 })
    expect(vectors).toEqual(expected.vectors)
    expect(await embedding.embedSingle(texts[1] as string)).toEqual(vectors.slice(64, 128))
    expect((await embedding.embedBatch([])).vectors.length).toBe(0)
  })

  it('tells the embedder whether a text is a question', async () => {
    const kinds: string[] = []
    const fake = createFakeEmbedder()
    const embedder: Embedder = {
      ...fake,
      async embed(given, options) {
        kinds.push(options.kind)
        return fake.embed(given, options)
      },
    }
    const embedding = open({ embedder })
    await embedding.embedSingle('a')
    await embedding.embedSingle('a', { kind: 'query' })
    await embedding.embedBatch(['a'], { kind: 'query' })
    expect(kinds).toEqual(['passage', 'query', 'query'])
  })

  it('tunes an embedder that can be tuned, and says that others cannot', async () => {
    const row = { device: 'cpu', maxBatchTokens: 512, tokensPerSecond: 9, paddingWaste: 0, refused: false }
    const samples: unknown[] = []
    const embedder: Embedder = {
      ...createFakeEmbedder(),
      async autoTune({ sample } = {}) {
        samples.push(sample)
        return { table: [row], best: { cpu: row } }
      },
    }
    expect((await open({ embedder }).autoTune({ sample: texts })).best.cpu).toEqual(row)
    expect(samples).toEqual([texts])
    await expect(open({ embedder: 'hashing' }).autoTune()).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(open({ embedder }).autoTune(wrong({ samples: texts }))).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await expect(open({ embedder }).autoTune({ sample: wrong(['a', 1]) })).rejects.toMatchObject({ code: 'BAD_INPUT' })
  })

  it('lists the texts that could not be embedded, and rejects for a single one', async () => {
    const embedding = open({ embedder: 'hashing' })
    const { failed, vectors } = await embedding.embedBatch(['a', '***', 'b'])
    expect(failed).toMatchObject([{ index: 1, error: { code: 'EMPTY' } }])
    expect(vectors.subarray(256, 512).every((value) => value === 0)).toBe(true)
    await expect(embedding.embedSingle('***')).rejects.toMatchObject({ code: 'EMPTY' })
    const odd = open({ embedder: createFakeEmbedder({ failure: () => new Error('odd') }) })
    await expect(odd.embedSingle('a')).rejects.toMatchObject({ code: 'PROVIDER', cause: { message: 'odd' } })
  })

  it('loads nothing when it is made, once for all who wait, and again when that failed', async () => {
    let loads = 0
    const missing = new RagError('MISSING_PEER', 'Not installed.')
    const fake = createFakeEmbedder()
    const embedder: Embedder = {
      ...fake,
      async warmUp() {
        loads++
        if (loads === 1) throw missing
      },
    }
    const embedding = open({ embedder })
    expect(embedding.stats()).toMatchObject({ texts: 0, batches: 0, busyMs: 0, textsPerSecond: 0, calls: { count: 0 } })
    expect(loads).toBe(0)
    await expect(embedding.warmUp()).rejects.toBe(missing)
    await embedding.warmUp()
    expect(loads).toBe(2)
  })

  it('streams vectors in the order of the texts, whatever they are read from', async () => {
    const embedder = createLaneEmbedder({ pass: () => turns(3), capabilities: { batchSize: 10, concurrency: 4 } })
    const embedding = open({ embedder })
    const many = Array.from({ length: 105 }, (_, i) => `Text number ${i}.`)
    const { vectors: all } = await embedding.embedBatch(many)
    const source = async function* () {
      for (const text of many) {
        await turns(0)
        yield text
      }
    }
    for (const given of [many, source()]) {
      const parts: number[] = []
      let next = 0
      for await (const { count, dimensions, first, vectors } of embedding.embedStream(given)) {
        expect([first, vectors.length]).toEqual([next, count * dimensions])
        parts.push(...vectors)
        next += count
      }
      expect(next).toBe(105)
      expect(Float32Array.from(parts)).toEqual(all)
    }
  })

  it('takes texts of a stream no further ahead of its reader than keeps the embedder busy', async () => {
    const embedder = createLaneEmbedder({ pass: () => turns(1), capabilities: { batchSize: 10, concurrency: 4 } })
    const embedding = open({ embedder })
    let taken = 0
    const endless = (function* () {
      for (;;) yield `Text ${taken++}.`
    })()
    let read = 0
    for await (const { count } of embedding.embedStream(endless)) {
      await turns(100)
      read += count
      // Read, four batches done or under way, and one that was begun while there was room.
      expect(taken).toBeLessThanOrEqual(read + 60)
      if (read === 100) break
    }
    expect(embedder.facts.mostCalls).toBeLessThanOrEqual(4)
    const { calls } = embedder.facts
    await turns(100)
    expect(embedder.facts.calls).toBe(calls)
  })

  it('ends a stream with what its texts, its embedder or its caller fail with', async () => {
    const embedding = open({ embedder: createFakeEmbedder() })
    const broken = (function* () {
      yield 'a'
      throw new Error('source')
    })()
    const drain = async (stream: AsyncIterable<unknown>) => {
      for await (const _ of stream);
    }
    await expect(drain(embedding.embedStream(broken))).rejects.toThrow('source')
    await expect(drain(embedding.embedStream(['a', wrong(7)]))).rejects.toMatchObject({ code: 'BAD_INPUT' })
    const failing = open({
      embedder: { ...createFakeEmbedder(), embed: () => Promise.reject(new RagError('PROVIDER', 'Away.')) },
    })
    await expect(drain(failing.embedStream(['a']))).rejects.toMatchObject({ code: 'PROVIDER' })
    const controller = new AbortController()
    const waiting = async function* () {
      yield 'a'
      await new Promise(() => {})
    }
    const drained = drain(embedding.embedStream(waiting(), { signal: controller.signal }))
    await turns(20)
    controller.abort(new Error('enough'))
    await expect(drained).rejects.toThrow('enough')
  })

  it('keeps signals and deadlines', async () => {
    const never: Embedder = { ...createFakeEmbedder(), embed: () => new Promise(() => {}) }
    const embedding = open({ embedder: never })
    await expect(embedding.embedSingle('a', { deadlineMs: 20 })).rejects.toMatchObject({ code: 'DEADLINE' })
    await expect(embedding.embedBatch(['a'], { signal: AbortSignal.abort(new Error('mine')) })).rejects.toThrow('mine')
  })

  it('ends what waits when it is closed, and refuses what comes later; an embedder of the caller stays open', async () => {
    let closed = 0
    const never: Embedder = {
      ...createFakeEmbedder(),
      embed: () => new Promise(() => {}),
      close: async () => {
        closed++
      },
    }
    const embedding = open({ embedder: never })
    const waiting = embedding.embedSingle('a')
    const streaming = embedding.embedStream(['a']).next()
    const refused = Promise.all([
      expect(waiting).rejects.toMatchObject({ code: 'CLOSED' }),
      expect(streaming).rejects.toMatchObject({ code: 'CLOSED' }),
    ])
    await turns(5)
    await embedding.close()
    await refused
    await embedding.close()
    await expect(embedding.embedSingle('a')).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(embedding.embedStream(['a']).next()).rejects.toMatchObject({ code: 'CLOSED' })
    expect(closed).toBe(0)
    await open({ embedder: 'hashing' })[Symbol.asyncDispose]()
  })

  it('tells how much and how fast, by call and by batch', async () => {
    const embedding = open({ embedder: 'hashing' })
    await embedding.embedBatch([...texts, '***'])
    await embedding.embedSingle('a')
    const stats = embedding.stats()
    expect(stats).toMatchObject({ texts: 4, failed: 1, batches: 2, queued: 0, devices: { hashing: 1 }, retries: 0 })
    expect(stats.calls.count).toBe(2)
    expect(stats.calls.p95Ms).toBeGreaterThanOrEqual(stats.calls.p50Ms)
    expect(stats.batchMs?.p95).toBeGreaterThan(0)
    expect(stats.textsPerSecond).toBeCloseTo(4_000 / stats.busyMs, 6)
    expect(stats).not.toHaveProperty('fingerprint')
  })

  it.each([
    [{}, 'embedder'],
    [{ embedder: false }, 'embedder'],
    [{ embedder: 'hashing', storage: './x' }, 'storage'],
    [{ embedder: 'hashing', batchSize: 0 }, 'batchSize'],
    [{ embedder: { kind: 'hashing', dimensions: 0 } }, 'embedder.dimensions'],
  ])('refuses %o when it is made', (options, option) => {
    expect(() => new AsyncEmbedding(wrong(options))).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', data: expect.objectContaining({ option }) }),
    )
  })

  it('refuses what is no text, no list and no option', async () => {
    const embedding = open({ embedder: 'hashing' })
    await expect(embedding.embedSingle(wrong(7))).rejects.toMatchObject({ code: 'BAD_INPUT' })
    await expect(embedding.embedBatch(wrong('text'))).rejects.toMatchObject({ code: 'BAD_INPUT' })
    await expect(embedding.embedBatch(['a', wrong(null)])).rejects.toMatchObject({
      code: 'BAD_INPUT',
      data: { index: 1 },
    })
    await expect(embedding.embedSingle('a', wrong({ kind: 'document' }))).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await expect(embedding.embedSingle('a', wrong({ topK: 1 }))).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })
})
