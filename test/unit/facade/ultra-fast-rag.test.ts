import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createHashingEmbedder } from '../../../src/embed/hashing.js'
import { type AnswerEvent, type Hit, RagError, UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'

const opened: UltraFastRAG[] = []
const folders: string[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function open(options: UltraFastRAGOptions = {}): UltraFastRAG {
  const rag = new UltraFastRAG(options)
  opened.push(rag)
  return rag
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-'))
  folders.push(folder)
  return folder
}

const planets = [
  {
    id: 'mercury',
    text: 'Mercury is the planet nearest to the Sun. A year on Mercury takes 88 days.',
    metadata: { order: 1, moons: 0 },
  },
  {
    id: 'mars',
    text: 'Mars is called the red planet. It has two moons, Phobos and Deimos.',
    metadata: { order: 4, moons: 2 },
  },
  {
    id: 'jupiter',
    text: 'Jupiter is the largest planet. The Great Red Spot is a storm on Jupiter.',
    metadata: { order: 5, moons: 95 },
  },
]

async function collect<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const list: Value[] = []
  for await (const value of values) list.push(value)
  return list
}

const documentIds = (hits: readonly Hit[]) => hits.map(({ chunk }) => chunk.documentId)

/** Everything below holds for documents in memory and on disk. */
describe.each(['memory', 'disk'] as const)('with documents in %s', (kind) => {
  const storage = () => (kind === 'memory' ? {} : { storage: makeFolder() })

  it('answers from what was ingested, quoting and citing it', async () => {
    const rag = open(storage())
    const report = await rag.ingest(planets)
    expect(report).toMatchObject({ documents: 3, unchanged: 0, removed: 0, chunks: 3, failed: [] })
    const result = await rag.query('Which moons does Mars have?')
    expect(result.outcome).toBe('answered')
    expect(result.answer).toContain('It has two moons, Phobos and Deimos.')
    const citation = result.citations.find(({ quote }) => quote === 'It has two moons, Phobos and Deimos.')
    expect(citation?.documentId).toBe('mars')
    expect(planets[1]?.text.slice(citation?.span.start, citation?.span.end)).toBe(citation?.quote)
    expect(result.answer.slice(citation?.position.start, citation?.position.end)).toBe(`[${citation?.marker}]`)
    expect(result.timings.total).toBeGreaterThan(0)
  })

  it('says so when the documents do not answer', async () => {
    const rag = open(storage())
    expect(await rag.query('Which moons does Mars have?')).toMatchObject({
      outcome: 'no-answer',
      answer: '',
      sources: [],
    })
    await rag.ingest(planets)
    const result = await rag.query('How do I cancel my insurance contract?')
    expect(result).toMatchObject({ outcome: 'no-answer', answer: '', sources: [], citations: [] })
    expect(result.reason).toMatch(/3 documents were searched/)
  })

  it('streams status, sources, answer, citations and metadata, in this order', async () => {
    const rag = open(storage())
    await rag.ingest(planets)
    const events: AnswerEvent[] = []
    for await (const event of rag.stream('Which moons does Mars have?')) events.push(event)
    const types = events.map(({ type }) => type)
    expect(types[0]).toBe('status')
    expect(types.at(-1)).toBe('metadata')
    expect(types.indexOf('sources')).toBeLessThan(types.indexOf('answer-delta'))
    expect(types.indexOf('answer-delta')).toBeLessThan(types.indexOf('citation'))
    expect(events.filter(({ type }) => type === 'status')).toMatchObject([
      { stage: 'retrieve' },
      { stage: 'pack' },
      { stage: 'generate' },
    ])
  })

  it('replaces a document that comes again under its id, and skips one that has not changed', async () => {
    const rag = open(storage())
    await rag.ingest(planets)
    expect(await rag.ingest(planets)).toMatchObject({ documents: 0, unchanged: 3 })
    const changed = { ...planets[1], id: 'mars', text: 'Mars has a volcano named Olympus Mons.' }
    expect(await rag.ingest([planets[0] ?? changed, changed])).toMatchObject({ documents: 1, unchanged: 1 })
    expect(documentIds(await rag.retrieve('Phobos Deimos'))).not.toContain('mars')
    expect(documentIds(await rag.retrieve('volcano'))).toEqual(['mars'])
    expect(await rag.stats()).toMatchObject({ documents: 3, chunks: 3 })
  })

  it('tells unchanged files by their stamps, or by their content when asked to', async () => {
    const root = makeFolder()
    const file = join(root, 'a.txt')
    writeFileSync(file, 'A canary sings.')
    const stamp = new Date(1_700_000_000_000)
    utimesSync(file, stamp, stamp)
    const rag = open({ ...storage(), root })
    expect(await rag.ingest(['.'])).toMatchObject({ documents: 1 })
    // The same size, time and inode.
    writeFileSync(file, 'A canary sinks.')
    utimesSync(file, stamp, stamp)
    expect(await rag.ingest(['.'])).toMatchObject({ documents: 0, unchanged: 1 })
    expect(await rag.ingest(['.'], { verify: 'hash' })).toMatchObject({ documents: 1, unchanged: 0 })
    expect(await rag.ingest(['.'], { verify: 'hash' })).toMatchObject({ documents: 0, unchanged: 1 })
    expect((await rag.retrieve('canary'))[0]?.chunk.text).toBe('A canary sinks.')
    await expect(rag.ingest(['.'], { verify: 'sometimes' as never })).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })

  it('notices a change of metadata alone, at any depth', async () => {
    const rag = open(storage())
    const document = (page: number) => ({ id: 'a', text: 'Text.', metadata: { loc: { page } } })
    await rag.ingestDocument(document(1))
    expect(await rag.ingestDocument(document(1))).toMatchObject({ unchanged: 1 })
    expect(await rag.ingestDocument(document(2))).toMatchObject({ documents: 1 })
    expect((await rag.retrieve('text', { filter: { 'loc.page': 2 } })).length).toBe(1)
  })

  it('removes documents by id and by filter, from search and from lists', async () => {
    const rag = open(storage())
    await rag.ingest(planets)
    expect(await rag.remove({ documentId: ['mars', 'unknown'] })).toBe(1)
    expect(documentIds(await rag.retrieve('planet'))).not.toContain('mars')
    expect(await rag.remove({ filter: { moons: { $gt: 50 } } })).toBe(1)
    expect((await collect(rag.documents())).map(({ id }) => id)).toEqual(['mercury'])
    await expect(rag.remove({ filter: undefined as never })).rejects.toMatchObject({ code: 'BAD_FILTER' })
    expect((await rag.stats()).documents).toBe(1)
  })

  it('finds only what a filter allows, and never fewer than there are', async () => {
    const rag = open(storage())
    const documents = Array.from({ length: 300 }, (_, i) => ({
      id: `d${i}`,
      text: `Common words number ${i}.`,
      metadata: { i },
    }))
    await rag.ingest(documents)
    for (const [filter, count] of [
      [{ i: { $lt: 3 } }, 3],
      [{ i: { $gte: 100, $lt: 250 } }, 10],
      [{ $or: [{ i: 7 }, { i: 299 }] }, 2],
      [{ missing: 1 }, 0],
    ] as const) {
      const hits = await rag.retrieve('common words', { filter, topK: 10 })
      expect(hits).toHaveLength(count)
    }
    await expect(rag.retrieve('x', { filter: { i: { $like: 1 } } as never })).rejects.toMatchObject({
      code: 'BAD_FILTER',
    })
    expect((await collect(rag.documents({ filter: { i: { $lt: 5 } } }))).length).toBe(5)
    const all = (await collect(rag.documents())).map(({ id }) => id)
    for (const [after, from] of [
      [all[99] as string, 100],
      ['', 0],
      ['d1!', all.indexOf('d10')],
      [all[299] as string, 300],
    ] as const) {
      expect((await collect(rag.documents({ after }))).map(({ id }) => id)).toEqual(all.slice(from))
    }
    const some = await collect(rag.documents({ after: 'd100', filter: { i: { $in: [1, 100, 101, 99] } } }))
    expect(some.map(({ id }) => id)).toEqual(['d101', 'd99'])
    await expect(collect(rag.documents({ after: 1 as never }))).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })

  it('groups by document and limits the passages of one', async () => {
    const rag = open(storage())
    const long = Array.from(
      { length: 40 },
      (_, i) =>
        `Sentence ${i} about whales, which are large animals living in every ocean of the world, and other things besides.`,
    )
    await rag.ingest([
      { id: 'long', text: long.join(' ') },
      { id: 'short', text: 'Whales are mammals.' },
      { id: 'other', text: 'A whale song.' },
    ])
    const all = await rag.retrieve('whales', { topK: 10 })
    expect(all.filter(({ chunk }) => chunk.documentId === 'long').length).toBeGreaterThan(3)
    const grouped = await rag.retrieve('whales', { topK: 10, groupBy: 'document' })
    expect(documentIds(grouped).sort()).toEqual(['long', 'other', 'short'])
    const limited = await rag.retrieve('whales', { topK: 10, perDocument: 2 })
    expect(limited.filter(({ chunk }) => chunk.documentId === 'long')).toHaveLength(2)
  })

  it('keeps tenants apart, statistics included', async () => {
    const rag = open(storage())
    const [a, b] = [rag.namespace('a'), rag.namespace('B')]
    await Promise.all([
      a.ingest([{ id: 'x', text: 'The canary word is xylophone.' }]),
      b.ingest([{ id: 'x', text: 'Nothing to see.' }]),
    ])
    await rag.ingest(planets)
    expect((await a.retrieve('xylophone')).length).toBe(1)
    expect(await b.retrieve('xylophone canary')).toEqual([])
    expect(await rag.retrieve('xylophone canary')).toEqual([])
    expect((await b.stats()).documents).toBe(1)
    const before = (await b.retrieve('nothing'))[0]?.score
    await a.ingest(Array.from({ length: 50 }, (_, i) => ({ id: `n${i}`, text: 'nothing nothing' })))
    expect((await b.retrieve('nothing'))[0]?.score).toBe(before)
    expect(() => rag.namespace('../etc')).toThrow(RagError)
    expect(() => rag.namespace('')).toThrow(RagError)
  })

  it('lets the later of two calls with the same id win', async () => {
    const rag = open(storage())
    const calls = Array.from({ length: 30 }, (_, i) =>
      rag.ingestDocument({ id: 'same', text: `Version number v${i}.` }),
    )
    await Promise.all(calls)
    const [hit, ...others] = await rag.retrieve('version', { topK: 10 })
    expect(hit?.chunk.text).toBe('Version number v29.')
    expect(others).toEqual([])
    expect(await rag.stats()).toMatchObject({ documents: 1, chunks: 1 })
  })

  it('makes every committed document visible while the ingest goes on', async () => {
    const rag = open(storage())
    let release: () => void = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const run = rag.ingest(
      (async function* () {
        yield { id: 'early', text: 'An early bird.' }
        await held
        yield { id: 'late', text: 'A late bird.' }
      })(),
    )
    await expect.poll(async () => documentIds(await rag.retrieve('bird')), { timeout: 5000 }).toEqual(['early'])
    release()
    await run
    expect(documentIds(await rag.retrieve('bird')).sort()).toEqual(['early', 'late'])
  })

  it('searches words and meaning together, and brought vectors', async () => {
    const rag = open({ ...storage(), embedder: 'hashing' })
    await rag.ingest(planets)
    const [hit] = await rag.retrieve('red planet moons')
    expect(hit?.chunk.documentId).toBe('mars')
    expect(hit?.scores.lexical).toBeGreaterThan(0)
    expect(hit?.scores.vector).toBeGreaterThan(0)
    const embedder = createHashingEmbedder()
    const { vectors } = await embedder.embed(['completely different words'], { kind: 'passage' })
    await rag.ingestDocument({
      id: 'own',
      chunks: [
        { text: 'Alpha', vector: vectors },
        { text: 'Beta', metadata: { part: 2 } },
      ],
    })
    expect((await rag.retrieve({ vector: vectors }, { topK: 1 }))[0]?.chunk.text).toBe('Alpha')
    expect((await rag.retrieve('beta', { filter: { part: 2 } }))[0]?.chunk).toMatchObject({ text: 'Beta', ordinal: 1 })
    await expect(rag.ingestDocument({ id: 'bad', chunks: [{ text: 'x', vector: [1, 2] }] })).rejects.toMatchObject({
      code: 'BAD_INPUT',
    })
    await expect(rag.retrieve({ vector: new Float32Array(3) })).rejects.toMatchObject({ code: 'BAD_INPUT' })
  })

  it('stores the same texts with other vectors anew', async () => {
    const rag = open({ ...storage(), embedder: { kind: 'hashing', dimensions: 2 } })
    const ingest = (one: readonly number[], other: Float32Array) =>
      rag.ingest([
        {
          id: 'own',
          chunks: [
            { text: 'Alpha', vector: one },
            { text: 'Beta', vector: other },
          ],
        },
      ])
    const nearest = async () => (await rag.retrieve({ vector: Float32Array.of(1, 0) }, { topK: 1 }))[0]?.chunk.text
    expect(await ingest([1, 0], Float32Array.of(0, 1))).toMatchObject({ documents: 1, unchanged: 0 })
    expect(await nearest()).toBe('Alpha')
    expect(await ingest([1, 0], Float32Array.of(0, 1))).toMatchObject({ documents: 0, unchanged: 1 })
    expect(await ingest([0, 1], Float32Array.of(1, 0))).toMatchObject({ documents: 1, unchanged: 0 })
    expect(await nearest()).toBe('Beta')
  })

  it('answers many questions at once, in order', async () => {
    const rag = open(storage())
    await rag.ingest(planets)
    const results = await rag.queryBatch(['Which moons does Mars have?', 'What is the largest planet?', 'zzz'])
    expect(results.map(({ outcome }) => outcome)).toEqual(['answered', 'answered', 'no-answer'])
    expect(results[1]).toMatchObject({ answer: expect.stringContaining('Jupiter is the largest planet.') })
  })

  it('answers a thousand concurrent questions', async () => {
    const rag = open(storage())
    await rag.ingest(planets)
    const results = await Promise.all(Array.from({ length: 1000 }, () => rag.query('Which moons does Mars have?')))
    expect(new Set(results.map(({ answer }) => answer)).size).toBe(1)
    expect(results.every(({ outcome }) => outcome === 'answered')).toBe(true)
  })
})

describe('files', () => {
  it('are found in folders and by globs, with ids relative to the root', async () => {
    const root = makeFolder()
    mkdirSync(join(root, 'docs/deep'), { recursive: true })
    mkdirSync(join(root, 'docs/node_modules'))
    writeFileSync(join(root, 'docs/a.txt'), 'Apples are red.')
    writeFileSync(join(root, 'docs/deep/b.md'), '# Pears\n\nPears are green.')
    writeFileSync(join(root, 'docs/.hidden.txt'), 'Hidden.')
    writeFileSync(join(root, 'docs/node_modules/c.txt'), 'Module.')
    const rag = open({ root })
    expect(await rag.ingest(['docs'])).toMatchObject({ documents: 2, failed: [] })
    expect((await collect(rag.documents())).map(({ id }) => id)).toEqual(['docs/a.txt', 'docs/deep/b.md'])
    expect(await rag.ingest(['docs/**/*.md'])).toMatchObject({ documents: 0, unchanged: 1 })
    const [pear] = await rag.retrieve('pears')
    expect(pear?.chunk).toMatchObject({ title: 'Pears', headings: ['Pears'], text: 'Pears are green.' })
  })

  it('that links lead to outside of the root are left alone, walked over or named', async () => {
    const root = makeFolder()
    const outside = makeFolder()
    writeFileSync(join(outside, 'secret.txt'), 'Secret.')
    mkdirSync(join(root, 'docs'))
    symlinkSync(outside, join(root, 'docs/link'))
    symlinkSync(join(outside, 'secret.txt'), join(root, 'docs/secret.txt'))
    writeFileSync(join(root, 'docs/a.txt'), 'Open.')
    const rag = open({ root })
    expect(await rag.ingest(['docs'])).toMatchObject({ documents: 1 })
    const named = await rag.ingest(['docs/secret.txt', 'docs/link', 'docs/link/secret.txt'])
    expect(named.failed.map(({ error }) => error.code)).toEqual(['UNSUPPORTED', 'UNSUPPORTED', 'UNSUPPORTED'])
    const asObject = await rag.ingest([{ path: 'docs/secret.txt' }, { path: 'docs/link/secret.txt' }])
    expect(asObject.failed.map(({ error }) => error.code)).toEqual(['UNSUPPORTED', 'UNSUPPORTED'])
    const pattern = await rag.ingest(['docs/link/*.txt', 'docs/[l]ink/*.txt'])
    expect(pattern.failed.map(({ error }) => error.code)).toEqual(['UNSUPPORTED', 'NOT_FOUND'])
    expect(await rag.ingest(['docs/*.txt'])).toMatchObject({ documents: 0, unchanged: 1 })
    expect(await rag.retrieve('secret')).toEqual([])
    expect(await rag.ingest([join(outside, 'secret.txt')])).toMatchObject({ documents: 1 })
  })

  it('that fail are told by name and reason; the others are ingested', async () => {
    const root = makeFolder()
    writeFileSync(join(root, 'empty.txt'), '')
    writeFileSync(
      join(root, 'binary.bin'),
      Uint8Array.from({ length: 256 }, (_, i) => (i * 97) % 256),
    )
    writeFileSync(join(root, 'broken.pdf'), '%PDF-1.7 nothing else')
    writeFileSync(join(root, 'good.txt'), 'Good.')
    const rag = open({ root })
    const report = await rag.ingest([
      '.',
      'missing.txt',
      'https://example.com/a.pdf',
      { id: '', text: 'x' },
      {} as never,
    ])
    expect(report.documents).toBe(1)
    const codes = Object.fromEntries(report.failed.map(({ source, error }) => [source, error.code]))
    expect(codes).toMatchObject({
      'empty.txt': 'EMPTY',
      'binary.bin': 'UNSUPPORTED',
      'broken.pdf': 'CORRUPT',
      'missing.txt': 'NOT_FOUND',
      'https://example.com/a.pdf': 'UNSUPPORTED',
    })
    expect(report.failed.filter(({ error }) => error.code === 'BAD_INPUT')).toHaveLength(2)
    await expect(rag.ingestDocument('missing.txt')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('report progress with totals', async () => {
    const rag = open()
    const seen: number[] = []
    await rag.ingest(planets, {
      onProgress: ({ documentsDone, documentsTotal, stage }) => {
        if (stage === 'committed') seen.push(documentsDone / documentsTotal)
      },
    })
    expect(seen).toHaveLength(3)
    expect(seen.at(-1)).toBe(1)
  })
})

describe('persistence', () => {
  it('finds everything again after a restart, with the same scores', async () => {
    const storage = makeFolder()
    const first = open({ storage })
    await first.ingest(planets)
    await first.remove({ documentId: 'mercury' })
    const before = await first.retrieve('planet')
    await first.close()
    const second = open({ storage })
    expect(await second.retrieve('planet')).toEqual(before)
    expect(await second.ingest(planets)).toMatchObject({ documents: 1, unchanged: 2 })
  })

  it('refuses to write a store that was opened read-only, and reads it', async () => {
    const storage = makeFolder()
    const writer = open({ storage })
    await writer.ingest(planets)
    await writer.close()
    const reader = open({ storage, readOnly: true })
    expect(documentIds(await reader.retrieve('largest planet'))).toContain('jupiter')
    await expect(reader.ingest(planets)).rejects.toMatchObject({ code: 'READ_ONLY' })
    await expect(reader.remove({ documentId: 'mars' })).rejects.toMatchObject({ code: 'READ_ONLY' })
  })

  it('sees what another instance commits to the same folder', async () => {
    const storage = makeFolder()
    const [a, b] = [open({ storage }), open({ storage })]
    await a.ingest([planets[0] as (typeof planets)[0]])
    expect(documentIds(await b.retrieve('planet'))).toEqual(['mercury'])
    await b.ingest(planets)
    expect(documentIds(await a.retrieve('planet', { topK: 10 })).sort()).toEqual(['jupiter', 'mars', 'mercury'])
    await a.remove({ documentId: 'mars' })
    expect(documentIds(await b.retrieve('planet', { topK: 10 })).sort()).toEqual(['jupiter', 'mercury'])
  })

  it('refuses to mix vectors of two embedders, and mends it with reindex()', async () => {
    const storage = makeFolder()
    const first = open({ storage, embedder: { kind: 'hashing', dimensions: 64 } })
    await first.ingest(planets)
    await first.close()
    const second = open({ storage, embedder: { kind: 'hashing', dimensions: 128 } })
    await expect(second.retrieve('planet')).rejects.toMatchObject({
      code: 'FINGERPRINT',
      hint: expect.stringContaining('reindex()'),
    })
    await expect(second.ingest([{ id: 'new', text: 'New.' }])).rejects.toMatchObject({ code: 'FINGERPRINT' })
    await second.reindex()
    const [hit] = await second.retrieve('red planet')
    expect(hit?.scores.vector).toBeGreaterThan(0)
    expect(await second.stats()).toMatchObject({ documents: 3, indexes: { vector: { vectors: 3 } } })
  })
})

describe('cancellation', () => {
  it('rejects with the signal’s reason and keeps what was committed', async () => {
    const rag = open()
    const controller = new AbortController()
    const endless = (async function* () {
      for (let i = 0; ; i++) yield { id: `d${i}`, text: `Document ${i}.` }
    })()
    const run = rag.ingest(endless, {
      signal: controller.signal,
      onProgress: ({ documentsDone }) => documentsDone === 5 && controller.abort(new Error('enough')),
    })
    await expect(run).rejects.toThrow('enough')
    expect((await rag.stats()).documents).toBeGreaterThanOrEqual(5)
    await expect(rag.query('x', { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before')
  })

  it('ends with DEADLINE when time is over, also while a model is silent', async () => {
    const silent = async function* (_prompt: unknown, { signal }: { signal?: AbortSignal }) {
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      yield ''
    }
    const rag = open({ llm: silent })
    await rag.ingest(planets)
    await expect(rag.query('Which moons does Mars have?', { deadlineMs: 50 })).rejects.toMatchObject({
      code: 'DEADLINE',
    })
    await expect(rag.retrieve('planet', { deadlineMs: 0 })).rejects.toMatchObject({ code: 'DEADLINE' })
  })
})

describe('lifecycle', () => {
  it('closes twice, before first use, and during an ingest', async () => {
    const idle = open()
    await idle.close()
    await idle.close()
    const rag = open()
    const run = rag.ingest(Array.from({ length: 500 }, (_, i) => ({ id: `d${i}`, text: `Document ${i}.` })))
    const settled = Promise.allSettled([run])
    await rag.close()
    const [result] = await settled
    if (result?.status === 'rejected') expect(result.reason).toMatchObject({ code: 'CLOSED' })
    await expect(rag.ingest(planets)).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(rag.query('x')).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('checks options when it is made', () => {
    const misspelt = () => new UltraFastRAG({ chunkSise: 3 } as never)
    expect(misspelt).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', hint: expect.stringContaining('chunkSize') }),
    )
    expect(() => new UltraFastRAG({ topK: 0 })).toThrow(RagError)
  })

  it('checks arguments before any work', async () => {
    const rag = open()
    await expect(rag.retrieve('x', { topK: 1e9 })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await expect(rag.query('x'.repeat(1 << 20))).rejects.toMatchObject({ code: 'LIMIT' })
    await expect(rag.query(' ')).rejects.toMatchObject({ code: 'BAD_INPUT' })
    expect(await rag.retrieve('')).toEqual([])
  })
})

describe('a model of your own', () => {
  it('gets the sources and is cited; numbers it invents are removed and counted', async () => {
    const rag = open({
      llm: async function* (prompt) {
        expect(prompt.sources[0]?.text).toContain('Phobos')
        yield 'Two: Phobos and Dei'
        yield 'mos [1'
        yield '] and a third one [9].'
      },
    })
    await rag.ingest(planets)
    const events = await collect(rag.stream('Which moons does Mars have?'))
    const answer = events.flatMap((event) => (event.type === 'answer-delta' ? [event.text] : [])).join('')
    expect(answer).toBe('Two: Phobos and Deimos [1] and a third one.')
    expect(events.at(-1)).toMatchObject({ type: 'metadata', inventedCitations: 1, model: 'function' })
  })

  it('that fails makes the query fail with its error', async () => {
    const rag = open({
      // biome-ignore lint/correctness/useYield: it fails before it has anything to say.
      llm: async function* () {
        throw new Error('no model today')
      },
    })
    await rag.ingest(planets)
    await expect(rag.query('Which moons does Mars have?')).rejects.toThrow('no model today')
  })
})
