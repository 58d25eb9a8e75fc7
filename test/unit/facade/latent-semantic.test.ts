import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { randomNumbers } from '../../../src/util/random.js'
import { inSoak } from '../../lib/soak.js'

const opened: UltraFastRAG[] = []
const folders: string[] = []
const warnings: string[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
  warnings.length = 0
})

const ignore = () => {}
const logger = { debug: ignore, info: ignore, warn: (message: string) => void warnings.push(message), error: ignore }

function open(options: UltraFastRAGOptions = {}): UltraFastRAG {
  const rag = new UltraFastRAG({ logger, ...options })
  opened.push(rag)
  return rag
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-latent-'))
  folders.push(folder)
  return folder
}

/** Three topics of thirty words each. */
const topics = [
  'telescope galaxy orbit comet lens',
  'flour oven yeast crust dough',
  'judge verdict appeal jury trial',
].map((words) =>
  words.split(' ').flatMap((word) => ['', 'bok', 'dak', 'fim', 'gup', 'kot'].map((end) => `${word}${end}`)),
)

/** Documents of one chunk each, about one of the topics: some words of it, never all. */
function documents(count: number, { from = 0 } = {}) {
  const random = randomNumbers(from + 1)
  return Array.from({ length: count }, (_, i) => {
    const words = topics[i % topics.length] as string[]
    const picked = Array.from({ length: 6 }, () => words[Math.floor(random() * words.length)])
    return { id: `d${from + i}`, text: `Note ${from + i}: ${picked.join(' ')}.` }
  })
}

const fitOf = async (rag: UltraFastRAG) => (await rag.stats()).indexes.fit
const vectorsOf = async (rag: UltraFastRAG) => (await rag.stats()).indexes.vector?.vectors

describe('without any option', () => {
  inSoak('words alone are searched below 200 chunks, and stats() says so', async () => {
    const rag = open()
    expect(await fitOf(rag)).toEqual({ state: 'too-few-chunks', leastChunks: 200 })
    await rag.ingest(documents(199))
    expect(await fitOf(rag)).toEqual({ state: 'too-few-chunks', leastChunks: 200 })
    expect((await rag.stats()).indexes).not.toHaveProperty('vector')
    expect((await rag.retrieve('telescope'))[0]?.scores).not.toHaveProperty('vector')
  })

  it('from 200 chunks on a passage is found by words that it does not have', async () => {
    const rag = open()
    await rag.ingest(documents(210))
    expect(await fitOf(rag)).toMatchObject({ state: 'fitted', corpusChunks: 210, weights: { document: 1, vector: 1 } })
    expect(await vectorsOf(rag)).toBe(210)
    await rag.ingest([{ id: 'hidden', text: 'A comet with a long orbit: cometbok, orbitdak, cometfim.' }])
    const hits = await rag.retrieve('telescope galaxy lens', { topK: 300 })
    const hit = hits.find(({ chunk }) => chunk.documentId === 'hidden')
    expect(hit?.scores.vector).toBeGreaterThan(0.2)
    expect(hit?.scores).not.toHaveProperty('lexical')
    const others = hits.filter(({ chunk }) => /verdict|jury|oven|yeast/.test(chunk.text))
    expect(Math.max(...others.map(({ scores }) => scores.vector ?? 0))).toBeLessThan(hit?.scores.vector as number)
  })

  it('a question without a known word finds nothing', async () => {
    const rag = open()
    await rag.ingest(documents(210))
    expect(await rag.retrieve('quux')).toEqual([])
    expect((await rag.query('quux?')).outcome).toBe('no-answer')
  })

  it('small growth is folded in, and twice the corpus is fitted anew', async () => {
    const rag = open()
    await rag.ingest(documents(210))
    await rag.ingest(documents(100, { from: 1_000 }))
    expect(await fitOf(rag)).toMatchObject({ corpusChunks: 210 })
    expect(await vectorsOf(rag)).toBe(310)
    await rag.ingest(documents(110, { from: 2_000 }))
    expect(await fitOf(rag)).toMatchObject({ corpusChunks: 420 })
    expect(await vectorsOf(rag)).toBe(420)
    expect(rag.tracker.summary().stages['index.fit']?.count).toBe(2)
  })

  inSoak('removal to below 200 chunks ends the fit, and growth begins another', async () => {
    const rag = open()
    await rag.ingest(documents(210))
    await rag.remove({ documentId: documents(20).map(({ id }) => id) })
    expect(await fitOf(rag)).toEqual({ state: 'too-few-chunks', leastChunks: 200 })
    expect((await rag.retrieve('telescope'))[0]?.scores).not.toHaveProperty('vector')
    await rag.ingest(documents(20))
    expect(await fitOf(rag)).toMatchObject({ state: 'fitted', corpusChunks: 210 })
  })

  it('every namespace has a fit of its own', async () => {
    const rag = open()
    await rag.namespace('a').ingest(documents(210))
    await rag.namespace('b').ingest(documents(5))
    expect((await rag.namespace('a').stats()).indexes.fit).toMatchObject({ state: 'fitted' })
    expect((await rag.namespace('b').stats()).indexes.fit).toMatchObject({ state: 'too-few-chunks' })
  })

  inSoak('questions are answered while a fit replaces another', async () => {
    const rag = open()
    await rag.ingest(documents(210))
    let done = false
    const growing = rag.ingest(documents(220, { from: 1_000 })).finally(() => {
      done = true
    })
    let asked = 0
    for (; !done || asked === 0; asked++) {
      const hits = await rag.retrieve('telescope galaxy')
      expect(hits.length).toBe(5)
      // Of what has just come the words are known first.
      expect(hits.some(({ scores }) => scores.vector !== undefined)).toBe(true)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await growing
    expect(await fitOf(rag)).toMatchObject({ corpusChunks: 430 })
  })

  it('close() ends a fit that runs, and nobody is told of a failure', async () => {
    const rag = open()
    const ingested = rag.ingest(documents(3_000)).catch((error: unknown) => error)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await rag.close()
    expect(await ingested).toMatchObject({ code: 'CLOSED' })
    expect(warnings).toEqual([])
  })

  it('reindex() fits anew', async () => {
    const rag = open()
    await rag.ingest(documents(210))
    await rag.reindex()
    expect(rag.tracker.summary().stages['index.fit']?.count).toBe(2)
    expect(await vectorsOf(rag)).toBe(210)
  })

  inSoak('documents without a common word are left to the words, with a warning', async () => {
    const rag = open()
    await rag.ingest(Array.from({ length: 210 }, (_, i) => ({ id: `${i}`, text: `${'abcdefghijkl'[i % 12]}${i}` })))
    expect(await fitOf(rag)).toEqual({ state: 'failed', leastChunks: 200 })
    expect(warnings).toEqual([expect.stringContaining('nothing to learn from')])
    expect((await rag.retrieve('a12')).length).toBe(1)
    await rag.ingest(documents(20))
    expect(rag.tracker.summary().stages['index.fit']).toBeUndefined()
    await rag.ingest(documents(220, { from: 1_000 }))
    expect(await fitOf(rag)).toMatchObject({ state: 'fitted' })
  })

  it('fusion, dimensions and the weight of the document are what the caller says', async () => {
    const rag = open({
      embedder: { kind: 'latent-semantic', dimensions: 8 },
      fusion: { kind: 'weighted', weights: { lexical: 0, vector: 1 } },
    })
    await rag.ingest(documents(210))
    expect((await rag.stats()).embedder).toMatchObject({ id: 'latent-semantic', dimensions: 8 })
    const [hit] = await rag.retrieve('telescope')
    expect(hit?.scores.fused).toBe(1)
  })

  it('embedder: false is words alone, whatever the size', async () => {
    const rag = open({ embedder: false })
    await rag.ingest(documents(210))
    expect((await rag.stats()).indexes).not.toHaveProperty('fit')
    expect((await rag.retrieve('telescope'))[0]?.scores).not.toHaveProperty('vector')
  })
})

describe('in a folder', () => {
  const fitFile = (storage: string) => join(storage, 'indexes', '@root', 'fit')

  async function filled(storage: string): Promise<void> {
    const rag = open({ storage })
    await rag.ingest(documents(210))
    await rag.close()
  }

  it('what was fitted is there after opening again, and hits are the same', async () => {
    const storage = makeFolder()
    const rag = open({ storage })
    await rag.ingest(documents(210))
    const before = await rag.retrieve('telescope galaxy')
    await rag.close()
    const again = open({ storage })
    await again.warmUp()
    expect(await again.retrieve('telescope galaxy')).toEqual(before)
    expect(again.tracker.summary().stages['index.fit']).toBeUndefined()
    expect(warnings).toEqual([])
  })

  inSoak('what is damaged there is fitted anew, with a warning', async () => {
    const storage = makeFolder()
    await filled(storage)
    const path = fitFile(storage)
    writeFileSync(path, readFileSync(path).fill(7, 500, 600))
    const rag = open({ storage })
    await rag.warmUp()
    expect(await fitOf(rag)).toMatchObject({ state: 'fitted' })
    expect(warnings).toEqual([expect.stringContaining('damaged')])
    await rag.close()
    await open({ storage }).warmUp()
    expect(warnings.length).toBe(1)
  })

  inSoak('what is missing there is fitted anew in the background of questions', async () => {
    const storage = makeFolder()
    await filled(storage)
    rmSync(fitFile(storage))
    const rag = open({ storage })
    expect((await rag.retrieve('telescope')).length).toBe(5)
    while ((await fitOf(rag))?.state !== 'fitted') await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await rag.retrieve('telescope'))[0]?.scores).toHaveProperty('vector')
    await rag.close()
    expect(existsSync(fitFile(storage))).toBe(true)
  })

  inSoak('other options fit anew', async () => {
    const storage = makeFolder()
    await filled(storage)
    const rag = open({ storage, embedder: { kind: 'latent-semantic', dimensions: 16 } })
    await rag.warmUp()
    expect((await rag.stats()).embedder).toMatchObject({ dimensions: 16 })
  })

  inSoak('only the vectors of the last fit are kept', async () => {
    const storage = makeFolder()
    await filled(storage)
    const rag = open({ storage })
    await rag.ingest(documents(300, { from: 1_000 }))
    await rag.close()
    const names = readdirSync(join(storage, 'indexes', '@root'))
    expect(names.filter((name) => name.startsWith('vectors-')).length).toBeLessThanOrEqual(1)
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  inSoak('a store opened read-only is searched with what was fitted, and nothing is written', async () => {
    const storage = makeFolder()
    await filled(storage)
    const path = fitFile(storage)
    const before = readFileSync(path)
    const reader = open({ storage, readOnly: true })
    await reader.warmUp()
    expect((await reader.retrieve('telescope'))[0]?.scores).toHaveProperty('vector')
    await reader.close()
    expect(readFileSync(path).equals(before)).toBe(true)
    rmSync(path)
    const alone = open({ storage, readOnly: true })
    await alone.warmUp()
    expect((await alone.retrieve('telescope'))[0]?.scores).toHaveProperty('vector')
    await alone.close()
    expect(existsSync(path)).toBe(false)
  })

  inSoak('another reader takes over what was fitted meanwhile', async () => {
    const storage = makeFolder()
    const writer = open({ storage })
    await writer.ingest(documents(50))
    const reader = open({ storage })
    expect((await reader.retrieve('telescope'))[0]?.scores).not.toHaveProperty('vector')
    await writer.ingest(documents(210))
    const fitted = (await writer.stats()).embedder?.fingerprint
    await reader.warmUp()
    expect((await reader.stats()).embedder?.fingerprint).toBe(fitted)
    expect(reader.tracker.summary().stages['index.fit']).toBeUndefined()
    expect(await reader.retrieve('telescope galaxy')).toEqual(await writer.retrieve('telescope galaxy'))
  })
})
