import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type Filter, UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'
import { inSoak } from '../../lib/soak.js'

const opened: UltraFastRAG[] = []
const folders: string[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function open(options: UltraFastRAGOptions): UltraFastRAG {
  const rag = new UltraFastRAG(options)
  opened.push(rag)
  return rag
}

const colours = ['red', 'green', 'blue']
const document = (i: number, generation = 0) => ({
  id: `d${i}`,
  title: `Number ${i}`,
  text: `A ${colours[i % 3]} ball of generation ${generation}.`,
  metadata: { i, colour: colours[i % 3] as string, generation, even: i % 2 === 0 },
})

const found = async (rag: UltraFastRAG, filter: Filter, topK = 100) =>
  (await rag.retrieve('a ball of generation', { filter, topK })).map(({ chunk }) => chunk.documentId).sort()

describe.each(['memory', 'disk'] as const)('a filter over documents in %s', (kind) => {
  const options = (): UltraFastRAGOptions => {
    if (kind === 'memory') return { embedder: createFakeEmbedder() }
    const storage = mkdtempSync(join(tmpdir(), 'ufrag-'))
    folders.push(storage)
    return { embedder: createFakeEmbedder(), storage }
  }

  it('finds as many hits as are wanted where there are as many, however few are allowed', async () => {
    const rag = open(options())
    await rag.ingest(Array.from({ length: 300 }, (_, i) => document(i)))
    expect(await found(rag, { i: { $gte: 150, $lt: 160 } })).toEqual(
      Array.from({ length: 10 }, (_, i) => `d${150 + i}`),
    )
    expect(await found(rag, { i: 77 })).toEqual(['d77'])
    expect((await found(rag, { even: true }, 120)).length).toBe(120)
    expect(await found(rag, { nowhere: { $exists: true } })).toEqual([])
    expect((await found(rag, { nowhere: { $exists: false } }, 300)).length).toBe(300)
    expect(await found(rag, { $title: 'Number 5' })).toEqual(['d5'])
    expect((await found(rag, {}, 300)).length).toBe(300)
  })

  it('sees at once what was ingested, replaced and removed, in columns that were there before', async () => {
    const rag = open(options())
    await rag.ingest([document(0), document(1), document(2)])
    expect(await found(rag, { generation: 0 })).toEqual(['d0', 'd1', 'd2'])
    await rag.ingest([document(1, 1), document(3, 1)])
    expect(await found(rag, { generation: 0 })).toEqual(['d0', 'd2'])
    expect(await found(rag, { generation: 1, colour: { $in: ['green', 'red'] } })).toEqual(['d1', 'd3'])
    expect(await rag.remove({ filter: { generation: 1, colour: 'green' } })).toBe(1)
    expect(await found(rag, { generation: 1 })).toEqual(['d3'])
    const { metadata } = (await rag.stats()).indexes
    expect(metadata).toMatchObject({ rows: 3, columns: 2 })
    expect(metadata.bytes).toBeGreaterThan(0)
  })

  it('tests chunks that bring metadata of their own one by one', async () => {
    const rag = open(options())
    const chunks = [
      { text: 'A ball of generation one.', metadata: { part: 1 } },
      { text: 'A ball of generation two.' },
      { text: 'A ball of generation three.', metadata: { part: 3, colour: 'white' } },
    ]
    await rag.ingest([document(0), { id: 'own', metadata: { colour: 'black' }, chunks }])
    const ordinals = async (filter: Filter) =>
      (await rag.retrieve('a ball of generation', { filter })).map(({ chunk }) => chunk.ordinal).sort()
    expect(await ordinals({ $id: 'own' })).toEqual([0, 1, 2])
    expect(await ordinals({ part: { $exists: true } })).toEqual([0, 2])
    expect(await ordinals({ colour: 'black' })).toEqual([0, 1])
    expect(await ordinals({ $id: 'own', part: { $ne: 1 } })).toEqual([1, 2])
  })

  inSoak('answers while documents come and go, never with one that is not allowed', async () => {
    const rag = open(options())
    await rag.ingest(Array.from({ length: 40 }, (_, i) => document(i)))
    const writing = (async () => {
      for (let generation = 1; generation <= 5; generation++) {
        await rag.ingest(Array.from({ length: 20 }, (_, i) => document(i * 2, generation)))
        await rag.remove({ documentId: `d${generation * 2 + 1}` })
      }
    })()
    let asked = 0
    const reading = async (filter: Filter, allowed: (metadata: { [key: string]: unknown }) => boolean) => {
      for (let i = 0; i < 30; i++, asked++) {
        for (const { chunk } of await rag.retrieve('a ball of generation', { filter, topK: 50 })) {
          expect(allowed(chunk.metadata)).toBe(true)
        }
      }
    }
    await Promise.all([
      writing,
      reading({ even: true, colour: 'red' }, ({ even, colour }) => even === true && colour === 'red'),
      reading({ generation: { $gte: 2 } }, ({ generation }) => (generation as number) >= 2),
      reading({ $not: { i: { $lt: 10 } } }, ({ i }) => (i as number) >= 10),
    ])
    expect(asked).toBe(90)
    expect(await found(rag, { even: true })).toEqual(Array.from({ length: 20 }, (_, i) => `d${i * 2}`).sort())
    expect(await found(rag, { generation: 5 })).toEqual(await found(rag, { even: true }))
    expect((await found(rag, { even: false })).length).toBe(15)
  })
})

describe('a filter of more paths than are held in memory', () => {
  it('is tested against the documents', async () => {
    const rag = open({ embedder: false })
    const many = (value: number) => Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, value]))
    await rag.ingest([
      { id: 'a', text: 'A ball of generation.', metadata: many(1) },
      { id: 'b', text: 'A ball of generation.', metadata: { ...many(1), k77: 2 } },
    ])
    expect(await found(rag, many(1))).toEqual(['a'])
    expect((await rag.stats()).indexes.metadata).toEqual({ rows: 0, columns: 0, bytes: 0 })
    // Sixty at a time, the columns used last stay.
    for (let i = 0; i < 100; i += 20) expect(await found(rag, { [`k${i}`]: 1, [`k${i + 7}`]: 1 })).toEqual(['a', 'b'])
    for (let i = 0; i < 100; i++) expect(await found(rag, { [`k${i}`]: 1 })).toEqual(i === 77 ? ['a'] : ['a', 'b'])
    expect((await rag.stats()).indexes.metadata.columns).toBe(64)
  })
})

describe('a filter in another process’s store', () => {
  it('follows what the other wrote', async () => {
    const storage = mkdtempSync(join(tmpdir(), 'ufrag-'))
    folders.push(storage)
    const [one, other] = [open({ embedder: false, storage }), open({ embedder: false, storage })]
    await one.ingest([document(0), document(1)])
    expect(await found(other, { even: true })).toEqual(['d0'])
    await one.ingest([document(2), document(0, 1)])
    expect(await found(other, { even: true })).toEqual(['d0', 'd2'])
    expect(await found(other, { even: true, generation: 1 })).toEqual(['d0'])
  })
})
