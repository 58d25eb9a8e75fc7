import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Keyv from 'keyv'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Cache, type Embedder, UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ufrag-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const documents = Array.from({ length: 20 }, (_, place) => ({ id: `${place}`, text: `The river ${place} is long.` }))

/** Ingests, asks, and tells how many texts the embedder saw of each kind. */
async function run(options: UltraFastRAGOptions, questions = ['river 3', 'river 3']) {
  const seen = { passage: 0, query: 0 }
  const fake = createFakeEmbedder()
  const embedder: Embedder = {
    ...fake,
    embed: (texts, how) => {
      seen[how.kind] += texts.length
      return fake.embed(texts, how)
    },
  }
  const rag = new UltraFastRAG({ embedder, cacheQueries: false, ...options })
  const report = await rag.ingest(documents)
  const hits = []
  for (const question of questions) hits.push(await rag.retrieve(question))
  const { caches } = rag.tracker.summary()
  await rag.close()
  return { seen, report, hits, caches }
}

describe('vectors are kept by their texts', () => {
  it('for the same question in memory, and counted', async () => {
    const { seen, hits, caches } = await run({})
    expect(seen).toEqual({ passage: 20, query: 1 })
    expect(hits[1]).toEqual(hits[0])
    expect(caches.embeddings).toMatchObject({ hits: 1, misses: 21 })
  })

  it('in the storage folder, and found when the documents were removed', async () => {
    const storage = join(folder, 'store')
    const first = await run({ storage })
    expect(first.seen).toEqual({ passage: 20, query: 1 })
    const rag = new UltraFastRAG({ storage, embedder: createFakeEmbedder() })
    await rag.remove({ documentId: documents.map(({ id }) => id) })
    await rag.close()
    const second = await run({ storage })
    expect(second.seen).toEqual({ passage: 0, query: 0 })
    expect(second.report).toMatchObject({ documents: 20, failed: [] })
    expect(second.hits[0]?.[0]?.chunk).toEqual(first.hits[0]?.[0]?.chunk)
    expect(second.hits[0]?.[0]?.scores.vector).toBe(first.hits[0]?.[0]?.scores.vector)
  })

  it('in a folder that several stores share', async () => {
    const cache = { kind: 'disk', directory: join(folder, 'cache') } as const
    await run({ storage: join(folder, 'one'), cache })
    expect((await run({ storage: join(folder, 'other'), cache })).seen).toEqual({ passage: 0, query: 0 })
    expect((await run({ cache })).seen).toEqual({ passage: 0, query: 0 })
  })

  it('in whatever a Keyv speaks to', async () => {
    const keyv = new Keyv({ throwOnErrors: true })
    await run({ cache: { kind: 'keyv', keyv } })
    expect((await run({ cache: { kind: 'keyv', keyv } })).seen).toEqual({ passage: 0, query: 0 })
  })

  it('but not when that is turned off', async () => {
    expect((await run({ cacheEmbeddings: false })).seen).toEqual({ passage: 20, query: 2 })
    expect((await run({ cache: false })).seen).toEqual({ passage: 20, query: 2 })
  })

  it('and a cache that fails, or hangs, costs nobody an answer', async () => {
    const broken = (call: () => Promise<never>): Cache => ({
      id: 'broken',
      capabilities: { shared: true, persistent: true },
      get: call,
      set: call,
      delete: call,
      clear: call,
      close: call,
    })
    for (const call of [() => Promise.reject(new Error('gone')), () => new Promise<never>(() => {})]) {
      const { report, hits } = await run({ cache: broken(call) })
      expect(report).toMatchObject({ documents: 20, failed: [] })
      expect(hits[0]?.[0]?.chunk.documentId).toBe('3')
    }
  })
})
