import { describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { decodePiece, pieceChunkText } from '../../../src/core/piece.js'
import type { Embedder } from '../../../src/embed/types.js'
import { reembedDocuments } from '../../../src/pipelines/reembed.js'
import { createPassageEmbedder } from '../../../src/pipelines/steps/passage-embedder.js'
import { createMemoryStore } from '../../../src/store/memory.js'
import type { StoreNamespace } from '../../../src/store/types.js'
import { createFakeEmbedder } from '../../../src/testing/index.js'
import { createMemoryBudget } from '../../../src/util/memory-budget.js'
import { createLaneEmbedder, turns } from '../../lib/lane-embedder.js'
import { atOnce, documentOf, memory, now, pipelineOf, recorder } from './support.js'

/** Two lanes whose passes take as long as preparing ten pieces. */
const twoLanes = () => createLaneEmbedder({ pass: () => turns(20), capabilities: { batchSize: 32, concurrency: 8 } })
const window = 8 * 32

/** The stored vectors are those that the fake embedder gives for the stored texts. */
async function expectTrueVectors(namespace: StoreNamespace, embedder: Embedder): Promise<void> {
  for (const document of namespace.list()) {
    const texts = [...namespace.pieces(document)].flatMap((bytes) => {
      const piece = decodePiece(bytes)
      return piece.chunks.map((chunk) => pieceChunkText(piece, chunk))
    })
    const stored = Buffer.concat([...namespace.vectors(document)].map(({ vectors }) => bytesOf(vectors)))
    const { vectors } = await createFakeEmbedder({ dimensions: embedder.dimensions }).embed(texts, { kind: 'passage' })
    expect(stored.equals(bytesOf(vectors))).toBe(true)
  }
}

/** All texts have the same vector: nothing that a test of sizes has to wait for. */
const constantEmbedder = (dimensions: number): Embedder => ({
  ...createFakeEmbedder(),
  dimensions,
  async embed(texts) {
    const vectors = new Float32Array(texts.length * dimensions).fill(1 / Math.sqrt(dimensions))
    return { vectors, failed: [], tokens: 0 }
  },
})

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength)

describe('lanes of an embedder', () => {
  it('are kept busy by many small documents', async () => {
    const embedder = twoLanes()
    const { ingest, limits, namespace, preparing } = pipelineOf({ embedder })
    const documents = Array.from({ length: 600 }, (_, i) => documentOf(`${i}`, 2))
    expect(await ingest(documents)).toMatchObject({ documents: 600, chunks: 1_200, failed: [], unembedded: 0 })
    const { facts } = embedder
    expect(facts.passes).toBeGreaterThanOrEqual(120)
    expect(facts.starved / facts.passes).toBeLessThanOrEqual(0.03)
    expect(facts.mostTexts).toBe(window)
    expect(facts.calls).toBeLessThan(100)
    expect(preparing.mostOpen).toBeLessThanOrEqual(atOnce)
    expect([limits.preparing.inside, limits.pieces.inside, limits.unwritten.inside]).toEqual([0, 0, 0])
    expect(namespace.counts()).toEqual({ documents: 600, chunks: 1_200 })
  })

  it('are kept busy by one large document, whose pieces stay in order', async () => {
    const embedder = twoLanes()
    const { ingest, namespace } = pipelineOf({ embedder })
    expect(await ingest([documentOf('large', 4_000)])).toMatchObject({ documents: 1, chunks: 4_000 })
    const { facts } = embedder
    expect(facts.calls).toBe(50)
    expect(facts.starved / facts.passes).toBeLessThanOrEqual(0.03)
    expect(facts.mostCalls).toBe(8)
    await expectTrueVectors(namespace, embedder)
  })

  it('are kept busy by documents of every size', async () => {
    const embedder = twoLanes()
    const { ingest, namespace } = pipelineOf({ embedder })
    const documents = Array.from({ length: 200 }, (_, i) => documentOf(`${i}`, [1, 3, 7, 200][i % 4] as number))
    await ingest(documents)
    expect(embedder.facts.starved / embedder.facts.passes).toBeLessThanOrEqual(0.03)
    await expectTrueVectors(namespace, embedder)
  })

  it('are given less, one document at a time, while memory is short, and as much as before when it is not', async () => {
    let usedBytes = 0
    let time = 0
    const short = createMemoryBudget({
      maxBytes: 1_000_000_000,
      usedBytes: () => usedBytes,
      now: () => (time += 1_000),
    })
    const calls: number[] = []
    const embedder = createFakeEmbedder()
    const watched: Embedder = {
      ...embedder,
      capabilities: { fitted: false, batchSize: 32, concurrency: 1 },
      embed: async (texts, call) => {
        calls.push(texts.length)
        await turns(50)
        return embedder.embed(texts, call)
      },
    }
    const { ingest, limits, namespace, preparing } = pipelineOf({ embedder: watched, memory: short, linesPerPiece: 1 })
    const documents = (name: string) => Array.from({ length: 60 }, (_, i) => documentOf(`${name} ${i}`, 8))
    usedBytes = 950_000_000
    await ingest(documents('short'))
    expect(short.report()).toMatchObject({ pressure: 0.95, share: 1 / 16, halved: 4 })
    expect(Math.max(...calls.slice(20))).toBeLessThanOrEqual(2)
    usedBytes = 100_000_000
    calls.length = 0
    await ingest(documents('plenty'))
    expect(short.report()).toMatchObject({ pressure: 0.1, share: 1 })
    expect(Math.max(...calls)).toBeGreaterThan(16)
    expect(preparing.mostOpen).toBeGreaterThan(1)
    expect([limits.preparing.inside, limits.pieces.inside, limits.unwritten.inside]).toEqual([0, 0, 0])
    await expectTrueVectors(namespace, embedder)
  })

  it('are kept busy when documents get new vectors', async () => {
    const { ingest, limits, namespace, tools } = pipelineOf({})
    await ingest(Array.from({ length: 800 }, (_, i) => documentOf(`${i}`, i === 0 ? 2_000 : 3)))
    const embedder = twoLanes()
    const passages = createPassageEmbedder(embedder, { defaultCalls: atOnce, recorder, now, memory })
    await reembedDocuments({ ...tools, passages }, new AbortController().signal)
    const { facts } = embedder
    expect(facts.starved / facts.passes).toBeLessThanOrEqual(0.03)
    expect(facts.mostTexts).toBeLessThanOrEqual(9 * 80)
    expect([...namespace.list()].every((document) => document.embedder === embedder.fingerprint)).toBe(true)
    expect([limits.preparing.inside, limits.pieces.inside, limits.unwritten.inside]).toEqual([0, 0, 0])
    await expectTrueVectors(namespace, embedder)
  })

  it('get as many calls as documents are prepared at once when they do not say what they want', async () => {
    const embedder = createLaneEmbedder({ pass: () => turns(5), capabilities: { batchSize: 32 } })
    const { ingest } = pipelineOf({ embedder })
    await ingest(Array.from({ length: 60 }, (_, i) => documentOf(`${i}`, 20)))
    expect(embedder.facts.mostCalls).toBe(atOnce)
  })

  it('get the texts of small documents in calls of the size they like', async () => {
    const sizes: number[] = []
    const fake = createFakeEmbedder()
    const embedder: Embedder = {
      ...fake,
      capabilities: { fitted: false, batchSize: 100, concurrency: 2 },
      async embed(texts, options) {
        sizes.push(texts.length)
        await turns(300)
        return fake.embed(texts, options)
      },
    }
    const { ingest, namespace } = pipelineOf({ embedder })
    await ingest(Array.from({ length: 500 }, (_, i) => documentOf(`${i}`, 1 + (i % 3))))
    expect(Math.max(...sizes)).toBeLessThanOrEqual(100)
    // 1,000 texts: ten calls, if the first ones had not to do with what there was.
    expect(sizes.length).toBeLessThanOrEqual(20)
    await expectTrueVectors(namespace, embedder)
  })

  it('get what they want also when that is more than the documents that may wait for the disk', async () => {
    const embedder = createLaneEmbedder({ pass: () => turns(200), capabilities: { batchSize: 100, concurrency: 10 } })
    const { ingest } = pipelineOf({ embedder })
    await ingest(Array.from({ length: 1_600 }, (_, i) => documentOf(`${i}`, 1)))
    expect(embedder.facts.mostTexts).toBe(1_000)
  })
})

describe('memory', () => {
  it('is bounded when an embedder is slow: nothing is prepared far ahead of it', async () => {
    let answer: () => void = () => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const embedder = createLaneEmbedder({ pass: () => answered, capabilities: { batchSize: 80, concurrency: 4 } })
    const { ingest, preparing } = pipelineOf({ embedder })
    const ingested = ingest(Array.from({ length: 40 }, (_, i) => documentOf(`${i}`, 800)))
    await turns(500)
    // Four calls, the next one, and of each document that is being prepared the piece that waits for its place.
    expect(preparing.pieces).toBe(4 + 1 + atOnce)
    answer()
    await ingested
    expect(preparing.pieces).toBe(400)
  })

  it('is bounded in bytes when the pieces behind a slow one are done: they wait for it', async () => {
    const embedder = constantEmbedder(4_096)
    let answer: () => void = () => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    let calls = 0
    const first: Embedder = {
      ...embedder,
      capabilities: { fitted: false, batchSize: 32, concurrency: 64 },
      async embed(texts, options) {
        if (calls++ === 0) await answered
        return embedder.embed(texts, options)
      },
    }
    const { ingest, limits } = pipelineOf({ embedder: first })
    const ingested = ingest([documentOf('large', 2_000)])
    await turns(2_000)
    // 80 rows of 16 KiB, twice, are 2.6 MB: 16 MiB are passed with the seventh, the first of which is being waited for.
    expect(calls).toBe(8)
    expect(limits.pieces.inside).toBeGreaterThan(16 << 20)
    expect(limits.pieces.inside).toBeLessThan(24 << 20)
    answer()
    await ingested
    expect(limits.pieces.inside).toBe(0)
    expect(calls).toBe(25)
  })

  it('is bounded in bytes over all documents that wait for a piece of theirs', async () => {
    const embedder = constantEmbedder(4_096)
    let answer: () => void = () => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const firsts: Embedder = {
      ...embedder,
      capabilities: { fitted: false, batchSize: 32, concurrency: 64 },
      async embed(texts, options) {
        if (texts[0]?.endsWith('has line 0.')) await answered
        return embedder.embed(texts, options)
      },
    }
    const { ingest, limits } = pipelineOf({ embedder: firsts })
    const ingested = ingest(['a', 'b', 'c'].map((id) => documentOf(id, 1_200)))
    await turns(2_000)
    // Each document may have 16 MiB waiting, all of them 32, and the last piece is let in whatever its size.
    expect(limits.pieces.inside).toBeGreaterThan(32 << 20)
    expect(limits.pieces.inside).toBeLessThan((32 << 20) + (3 << 20))
    answer()
    expect(await ingested).toMatchObject({ documents: 3, chunks: 3_600 })
    expect(limits.pieces.inside).toBe(0)
  })

  it('is bounded when the disk is slow: no document is begun while too much is not on it', async () => {
    const { namespace } = pipelineOf({})
    let commit: () => void = () => {}
    const mayCommit = new Promise<void>((resolve) => {
      commit = resolve
    })
    const slow = new Proxy(namespace, {
      get(target, name) {
        if (name !== 'begin') return (target[name as keyof StoreNamespace] as () => unknown).bind?.(target)
        return (id: string) => {
          const writer = target.begin(id)
          return {
            write: writer.write.bind(writer),
            abort: writer.abort.bind(writer),
            commit: async (document: never) => {
              await mayCommit
              return writer.commit(document)
            },
          }
        }
      },
    })
    const embedder = constantEmbedder(1_024)
    const { ingest, limits, preparing } = pipelineOf({ embedder, namespace: slow })
    const ingested = ingest(Array.from({ length: 60 }, (_, i) => documentOf(`${i}`, 560)))
    await turns(3_000)
    // A document has 2.4 MB: seven of them pass the limit, and those that were being prepared then are written as well.
    expect([limits.preparing.inside, preparing.open]).toEqual([atOnce, 0])
    expect(limits.unwritten.inside).toBeGreaterThan(16 << 20)
    expect(limits.unwritten.inside).toBeLessThan((16 << 20) + (atOnce + 1) * (3 << 20))
    commit()
    expect(await ingested).toMatchObject({ documents: 60 })
    expect(limits.unwritten.inside).toBe(0)
  })
})

describe('an ingest that ends early', () => {
  const inside = ({ limits }: ReturnType<typeof pipelineOf>) =>
    [limits.preparing, limits.pieces, limits.unwritten].map((gate) => gate.inside)

  it('leaves nothing behind when it is aborted, and keeps what was committed', async () => {
    const embedder = twoLanes()
    const pipeline = pipelineOf({ embedder })
    const controller = new AbortController()
    const reason = new Error('enough')
    const ingested = pipeline.ingest(
      Array.from({ length: 400 }, (_, i) => documentOf(`${i}`, i % 50 === 0 ? 500 : 2)),
      controller.signal,
    )
    await turns(400)
    controller.abort(reason)
    await expect(ingested).rejects.toBe(reason)
    expect(inside(pipeline)).toEqual([0, 0, 0])
    expect(pipeline.preparing.open).toBe(0)
    const { documents } = pipeline.namespace.counts()
    expect(documents).toBeGreaterThan(0)
    await turns(400)
    expect(pipeline.namespace.counts().documents).toBe(documents)
    await expectTrueVectors(pipeline.namespace, embedder)
  })

  it('of one document costs the others nothing', async () => {
    const embedder = twoLanes()
    const pipeline = pipelineOf({ embedder })
    const damaged = { id: 'damaged', text: `${documentOf('damaged', 80 * 3).text}\n!` }
    const report = await pipeline.ingest([damaged, documentOf('a', 200), documentOf('b', 2)])
    expect(report.failed).toMatchObject([{ source: 'memory:damaged', error: { code: 'CORRUPT' } }])
    expect(report.documents).toBe(2)
    expect(inside(pipeline)).toEqual([0, 0, 0])
    expect(pipeline.namespace.get('damaged')).toBeUndefined()
    expect([...pipeline.namespace.failures()]).toMatchObject([{ documentId: 'damaged', code: 'CORRUPT' }])
  })

  it('because a piece cannot be embedded gives up the pieces behind it', async () => {
    const fake = createFakeEmbedder()
    const signals: AbortSignal[] = []
    const embedder: Embedder = {
      ...fake,
      capabilities: { fitted: false, batchSize: 80, concurrency: 4 },
      async embed(texts, options) {
        if (options.signal !== undefined) signals.push(options.signal)
        await turns(10)
        if (texts[0]?.includes('large has line 80.')) throw new RagError('PROVIDER', 'Away.', { retryable: true })
        if (texts[0]?.includes('large')) await turns(1_000)
        options.signal?.throwIfAborted()
        return fake.embed(texts, options)
      },
    }
    const pipeline = pipelineOf({ embedder })
    const report = await pipeline.ingest([documentOf('large', 8_000), documentOf('small', 2)])
    expect(report).toMatchObject({ documents: 1, failed: [{ error: { code: 'PROVIDER' } }] })
    expect(signals.length).toBeLessThan(20)
    expect(signals.filter(({ aborted }) => aborted).length).toBeGreaterThan(1)
    expect(inside(pipeline)).toEqual([0, 0, 0])
  })
})

describe('an embedder that cannot work', () => {
  const many = Array.from({ length: 300 }, (_, i) => documentOf(`${i}`, 2))
  const missing = new RagError('MISSING_PEER', 'Not installed.', { hint: 'Run: npm i it' })

  it('ends the run with the error of its load, once and unchanged', async () => {
    const fake = createFakeEmbedder()
    const calls = { warmUp: 0, embed: 0 }
    const embedder: Embedder = {
      ...fake,
      async warmUp() {
        calls.warmUp++
        await turns(5)
        throw missing
      },
      async embed(texts, options) {
        calls.embed++
        return fake.embed(texts, options)
      },
    }
    const { ingest, namespace } = pipelineOf({ embedder })
    await expect(ingest(many)).rejects.toBe(missing)
    expect(calls).toEqual({ warmUp: 1, embed: 0 })
    expect(namespace.counts().documents).toBe(0)
    // Nothing was wrong with the documents.
    expect([...namespace.failures()]).toEqual([])
  })

  it('ends the run whatever its load fails with', async () => {
    const away = new RagError('PROVIDER', 'The hub is away.', { retryable: true })
    const embedder: Embedder = { ...createFakeEmbedder(), warmUp: () => Promise.reject(away) }
    await expect(pipelineOf({ embedder }).ingest(many)).rejects.toBe(away)
  })

  it.each(['MISSING_PEER', 'INTEGRITY', 'UNSUPPORTED', 'BAD_OPTION', 'NOT_FOUND'] as const)(
    'ends the run when a call fails with %s',
    async (code) => {
      const error = new RagError(code, 'Broken.')
      const embedder: Embedder = { ...createFakeEmbedder(), embed: () => Promise.reject(error) }
      await expect(pipelineOf({ embedder }).ingest(many)).rejects.toBe(error)
    },
  )

  it('is tried again by the next run', async () => {
    let isThere = false
    const embedder: Embedder = {
      ...createFakeEmbedder(),
      async warmUp() {
        if (!isThere) throw missing
      },
    }
    const { ingest } = pipelineOf({ embedder })
    await expect(ingest(many)).rejects.toBe(missing)
    isThere = true
    expect(await ingest(many)).toMatchObject({ documents: 300 })
  })

  it('is not loaded when nothing is to be embedded', async () => {
    const { ingest, tools } = pipelineOf({ embedder: createFakeEmbedder() })
    await ingest(many)
    const broken: Embedder = { ...createFakeEmbedder(), warmUp: () => Promise.reject(missing) }
    const passages = createPassageEmbedder(broken, { defaultCalls: atOnce, recorder, now, memory })
    const again = pipelineOf({ embedder: broken, namespace: tools.namespace })
    expect(await again.ingest(many)).toMatchObject({ unchanged: 300 })
    await reembedDocuments({ ...tools, passages }, new AbortController().signal)
  })

  it('with one document fails that one alone, not those whose texts shared its call', async () => {
    const fake = createFakeEmbedder()
    let calls = 0
    const embedder: Embedder = {
      ...fake,
      capabilities: { fitted: false, batchSize: 50 },
      async embed(texts, options) {
        calls++
        if (texts.some((text) => text.includes('Document 7 '))) throw new RagError('PROVIDER', 'Too odd.')
        return fake.embed(texts, options)
      },
    }
    expect(await pipelineOf({ embedder }).ingest(many)).toMatchObject({
      documents: 299,
      failed: [{ source: 'memory:7', error: { code: 'PROVIDER' } }],
    })
    // A call in 25 documents, and one for each of those that shared the one that failed.
    expect(calls).toBeLessThan(300)
  })

  it('is told when nobody waits for a call any more, and not before', async () => {
    const fake = createFakeEmbedder()
    const signals: AbortSignal[] = []
    const embedder: Embedder = {
      ...fake,
      capabilities: { fitted: false, batchSize: 50, concurrency: 1 },
      async embed(texts, options) {
        signals.push(options.signal as AbortSignal)
        await turns(50)
        return fake.embed(texts, options)
      },
    }
    const pipeline = pipelineOf({ embedder })
    const controller = new AbortController()
    const aborted = pipeline.ingest([documentOf('a', 2)], controller.signal)
    const others = pipeline.ingest([documentOf('b', 2)])
    await turns(20)
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    expect(signals.map((signal) => signal.aborted)).toEqual([false])
    expect(await others).toMatchObject({ documents: 1 })
    const last = new AbortController()
    const alone = pipeline.ingest([documentOf('c', 2)], last.signal)
    await turns(20)
    last.abort(new Error('enough'))
    await expect(alone).rejects.toThrow('enough')
    expect(signals.map((signal) => signal.aborted)).toEqual([false, true])
  })
})

describe('chunks that cannot be embedded', () => {
  const failing = (error: (text: string) => Error | undefined) => {
    const texts: string[] = []
    const fake = createFakeEmbedder({ failure: (text) => error(text) })
    const embedder: Embedder = {
      ...fake,
      async embed(given, options) {
        texts.push(...given)
        return fake.embed(given, options)
      },
    }
    return { embedder, texts }
  }
  const odd = (text: string) => (text.includes('line 3.') ? new Error('odd') : undefined)

  it('are counted and named in the report, and found by their words', async () => {
    const { embedder } = failing(odd)
    const pipeline = pipelineOf({ embedder })
    const report = await pipeline.ingest([documentOf('a', 5), documentOf('b', 2), documentOf('c', 90)])
    expect(report).toMatchObject({ documents: 3, failed: [], unembedded: 2 })
    expect(report.embeddingFailures).toEqual([
      { source: 'memory:a', chunks: 1, error: expect.objectContaining({ code: 'PROVIDER' }) },
      { source: 'memory:c', chunks: 1, error: expect.objectContaining({ code: 'PROVIDER' }) },
    ])
    expect(report.embeddingFailures[0]?.error.cause).toMatchObject({ message: 'odd' })
  })

  it('are not tried again where the reason stays', async () => {
    const { embedder, texts } = failing(odd)
    const { ingest } = pipelineOf({ embedder })
    await ingest([documentOf('a', 5)])
    expect(await ingest([documentOf('a', 5)])).toMatchObject({ unchanged: 1, unembedded: 0 })
    expect(texts.length).toBe(5)
  })

  it('are tried again, they alone, where the reason may pass', async () => {
    let away = true
    const { embedder, texts } = failing((text) =>
      away && /line [35]\./.test(text) ? new RagError('PROVIDER', 'Away.', { retryable: true }) : undefined,
    )
    const { ingest, namespace } = pipelineOf({ embedder })
    expect(await ingest([documentOf('a', 8)])).toMatchObject({ documents: 1, unembedded: 2 })
    const { generation } = namespace.get('a') ?? {}
    // No better than what is stored: it is not stored again.
    expect(await ingest([documentOf('a', 8)])).toMatchObject({ unchanged: 1, unembedded: 2 })
    expect(namespace.get('a')?.generation).toBe(generation)
    away = false
    texts.length = 0
    expect(await ingest([documentOf('a', 8)])).toMatchObject({ documents: 1, unembedded: 0 })
    expect(texts).toEqual(['Document a has line 3.', 'Document a has line 5.'])
    expect(await ingest([documentOf('a', 8)])).toMatchObject({ unchanged: 1 })
    await expectTrueVectors(namespace, embedder)
  })

  it('are tried again by reindex, they alone', async () => {
    let away = true
    const { embedder, texts } = failing((text) =>
      away && text.includes('line 3.') ? new RagError('TIMEOUT', 'Slow.', { retryable: true }) : undefined,
    )
    const { ingest, namespace, tools } = pipelineOf({ embedder })
    await ingest([documentOf('a', 8), documentOf('b', 2)])
    away = false
    texts.length = 0
    const passages = createPassageEmbedder(embedder, { defaultCalls: atOnce, recorder, now, memory })
    await reembedDocuments({ ...tools, passages }, new AbortController().signal)
    expect(texts).toEqual(['Document a has line 3.'])
    await expectTrueVectors(namespace, embedder)
  })

  it('because there is nothing to embed are no failures', async () => {
    const { embedder } = failing(() => undefined)
    const report = await pipelineOf({ embedder }).ingest([{ id: 'a', text: 'Text.\n \nText again.' }])
    expect(report).toMatchObject({ chunks: 3, unembedded: 0, embeddingFailures: [] })
  })

  it('are named for 100 documents at most, and counted for all', async () => {
    const { embedder } = failing(() => new Error('never'))
    const report = await pipelineOf({ embedder }).ingest(Array.from({ length: 130 }, (_, i) => documentOf(`${i}`, 2)))
    expect(report.unembedded).toBe(260)
    expect(report.embeddingFailures.length).toBe(100)
  })
})

describe('reindex beside other writers', () => {
  it('does not bring back what was removed, nor what was replaced, while it worked', async () => {
    const namespace = createMemoryStore().namespace('')
    const before = pipelineOf({ namespace })
    await before.ingest([documentOf('kept', 2), documentOf('removed', 2), documentOf('replaced', 2)])
    let answer: () => void = () => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const fake = createFakeEmbedder()
    const slow: Embedder = {
      ...fake,
      capabilities: { fitted: false, batchSize: 32, concurrency: 4 },
      async embed(texts, options) {
        await answered
        return fake.embed(texts, options)
      },
    }
    const passages = createPassageEmbedder(slow, { defaultCalls: atOnce, recorder, now, memory })
    const reembedded = reembedDocuments({ ...before.tools, passages }, new AbortController().signal)
    await turns(50)
    await namespace.remove(['removed'])
    // From another process, which does not wait for ours.
    const other = pipelineOf({ namespace, embedder: fake })
    await other.ingest([documentOf('replaced', 3)])
    answer()
    await reembedded
    expect([...namespace.list()].map(({ id, chunks }) => [id, chunks])).toEqual([
      ['kept', 2],
      ['replaced', 3],
    ])
    await expectTrueVectors(namespace, fake)
  })

  it('lets an ingest of the same document in this process come after it', async () => {
    const pipeline = pipelineOf({})
    await pipeline.ingest([documentOf('a', 2)])
    const embedder = twoLanes()
    const passages = createPassageEmbedder(embedder, { defaultCalls: atOnce, recorder, now, memory })
    const tools = { ...pipeline.tools, passages }
    const reembedded = reembedDocuments(tools, new AbortController().signal)
    await turns(5)
    const later = pipelineOf({ namespace: pipeline.namespace, embedder })
    const ingested = (async () => {
      Object.assign(later.tools, { lastWrites: tools.lastWrites })
      return later.ingest([documentOf('a', 3)])
    })()
    await Promise.all([reembedded, ingested])
    expect(pipeline.namespace.get('a')?.chunks).toBe(3)
  })
})
