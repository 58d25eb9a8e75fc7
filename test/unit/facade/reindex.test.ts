import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type Embedder, UltraFastRAG } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'
import { inSoak } from '../../lib/soak.js'

const opened: UltraFastRAG[] = []
const folders: string[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function open(storage: string, embedder: Embedder | false): UltraFastRAG {
  const rag = new UltraFastRAG({ storage, embedder })
  opened.push(rag)
  return rag
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-'))
  folders.push(folder)
  return folder
}

/** An embedder of another fingerprint that embeds so many passages and then waits to be let go on. */
function halting(after: number) {
  const inner = createFakeEmbedder({ dimensions: 32 })
  let passages = 0
  let letGo = () => {}
  const gate = new Promise<void>((resolve) => {
    letGo = resolve
  })
  let tellHalted = () => {}
  const halted = new Promise<void>((resolve) => {
    tellHalted = resolve
  })
  const embedder: Embedder = {
    ...inner,
    fingerprint: 'halting/1',
    capabilities: { fitted: false, batchSize: 1, concurrency: 1 },
    async embed(texts, options) {
      if (options.kind === 'passage') {
        if (passages >= after) {
          tellHalted()
          await gate
          options.signal?.throwIfAborted()
        }
        passages += texts.length
      }
      return inner.embed(texts, options)
    },
  }
  return { embedder, halted, letGo, passages: () => passages }
}

const documents = Array.from({ length: 30 }, (_, i) => ({ id: `d${i}`, text: `Word${i} is one of many words.` }))

describe('reindex() with another embedder', () => {
  it.each([
    ['made by another', createFakeEmbedder()],
    ['missing', false as const],
  ])('answers by words while vectors that are %s are made, then by both', async (_why, before) => {
    const storage = makeFolder()
    const old = open(storage, before)
    await old.ingest(documents)
    await old.close()

    const { embedder, halted, letGo } = halting(10)
    const rag = open(storage, embedder)
    await expect(rag.retrieve('word7')).rejects.toMatchObject({ code: 'FINGERPRINT' })
    const reindexing = rag.reindex()
    await halted
    const [hit] = await rag.retrieve('word7')
    expect(hit?.chunk.documentId).toBe('d7')
    expect(hit?.scores.vector).toBeUndefined()
    const { vectors } = await embedder.embed(['word7'], { kind: 'query' })
    expect((await rag.retrieve({ text: 'word7', vector: vectors }))[0]?.chunk.documentId).toBe('d7')
    await expect(rag.retrieve({ vector: vectors })).rejects.toMatchObject({ code: 'FINGERPRINT', retryable: true })
    const batch = await rag.retrieveBatch(['word3', 'word5'])
    expect(batch.map(([first]) => first?.chunk.documentId)).toEqual(['d3', 'd5'])
    const ingesting = rag.ingest([{ id: 'new', text: 'Brandnew words.' }])
    letGo()
    await Promise.all([reindexing, ingesting])
    expect((await rag.retrieve({ vector: vectors }, { topK: 40 })).length).toBe(31)
    expect((await rag.retrieve('brandnew'))[0]?.scores).toMatchObject({
      lexical: expect.any(Number),
      vector: expect.any(Number),
    })
    expect((await rag.stats()).indexes.vector?.vectors).toBe(31)
  })

  inSoak('goes on where it was interrupted', async () => {
    const storage = makeFolder()
    const old = open(storage, createFakeEmbedder())
    await old.ingest(documents)
    await old.close()

    const first = halting(12)
    const interrupted = open(storage, first.embedder)
    const controller = new AbortController()
    const reindexing = interrupted.reindex({ signal: controller.signal })
    await first.halted
    const reason = new Error('enough')
    controller.abort(reason)
    first.letGo()
    await expect(reindexing).rejects.toBe(reason)
    await interrupted.close()

    const second = halting(Number.POSITIVE_INFINITY)
    const rag = open(storage, second.embedder)
    await rag.reindex()
    expect(second.passages()).toBeGreaterThan(0)
    expect(second.passages()).toBeLessThanOrEqual(30 - 10)
    expect((await rag.stats()).indexes.vector?.vectors).toBe(30)
  })

  it('keeps searching by vectors where they are its own', async () => {
    const storage = makeFolder()
    const rag = open(storage, createFakeEmbedder())
    await rag.ingest(documents)
    const reindexing = rag.reindex()
    for (let i = 0; i < 10; i++) expect((await rag.retrieve(`word${i}`))[0]?.scores.vector).toBeDefined()
    await reindexing
  })
})
