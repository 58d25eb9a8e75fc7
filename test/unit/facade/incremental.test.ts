import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { createHashingEmbedder } from '../../../src/embed/hashing.js'
import {
  type DocumentFailure,
  type Embedder,
  type Metadata,
  type MetadataValue,
  UltraFastRAG,
  type UltraFastRAGOptions,
} from '../../../src/index.js'

const opened: UltraFastRAG[] = []
const folders: string[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function open(options: UltraFastRAGOptions = {}): UltraFastRAG {
  const rag = new UltraFastRAG({ embedder: false, ...options })
  opened.push(rag)
  return rag
}

function makeFolder(files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) write(folder, name, text)
  return folder
}

/** Files that were written long ago: their times tell whether they change. */
function write(folder: string, name: string, text: string, time = new Date(1_700_000_000_000)): void {
  const path = join(folder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  utimesSync(path, time, time)
}

async function idsOf(rag: UltraFastRAG): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of rag.documents()) ids.push(id)
  return ids
}

async function failuresOf(rag: UltraFastRAG): Promise<DocumentFailure[]> {
  const failures: DocumentFailure[] = []
  for await (const failure of rag.failures()) failures.push(failure)
  return failures
}

const corrupt = '%PDF-1.7\nThis is no PDF at all.'

describe('documents that fail', () => {
  it('are left out after three attempts, across restarts, until they are asked for', async () => {
    const root = makeFolder({ 'bad.pdf': corrupt, 'good.txt': 'All is well.' })
    const storage = makeFolder()
    for (const attempts of [1, 2, 3]) {
      const rag = open({ root, storage })
      const report = await rag.ingest(['.'])
      expect(report.failed.map(({ source, error }) => [source, error.code])).toEqual([['bad.pdf', 'CORRUPT']])
      expect(report.quarantined).toEqual([])
      expect(await failuresOf(rag)).toMatchObject([
        { id: 'bad.pdf', source: 'bad.pdf', code: 'CORRUPT', attempts, quarantined: attempts === 3 },
      ])
      await rag.close()
    }
    const rag = open({ root, storage })
    const stages: string[] = []
    const onProgress = ({ stage, source }: { stage: string; source: string }) => void stages.push(`${stage} ${source}`)
    const report = await rag.ingest(['.'], { onProgress })
    expect(report).toMatchObject({ unchanged: 1, failed: [], quarantined: [{ id: 'bad.pdf', attempts: 3 }] })
    expect(stages.sort()).toEqual(['quarantined bad.pdf', 'unchanged good.txt'])
    expect((await rag.ingest(['.'], { retry: true })).failed).toHaveLength(1)
    expect(await failuresOf(rag)).toMatchObject([{ attempts: 4, quarantined: true }])
    await expect(rag.ingestDocument('bad.pdf')).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  it('are tried by themselves when they have changed, and forgotten when they succeed', async () => {
    const root = makeFolder({ 'a.txt': ' ' })
    const rag = open({ root })
    for (let attempt = 0; attempt < 3; attempt++) await rag.ingest(['.'])
    expect((await rag.ingest(['.'])).quarantined).toHaveLength(1)
    write(root, 'a.txt', '  ')
    expect(await rag.ingest(['.'])).toMatchObject({ quarantined: [], failed: [{ source: 'a.txt' }] })
    expect(await failuresOf(rag)).toMatchObject([{ attempts: 1, quarantined: false }])
    write(root, 'a.txt', 'A text at last.')
    expect(await rag.ingest(['.'])).toMatchObject({ documents: 1, failed: [] })
    expect(await failuresOf(rag)).toEqual([])
  })

  it('are tried again with other limits', async () => {
    const root = makeFolder({ 'a.pdf': corrupt })
    const storage = makeFolder()
    const first = open({ root, storage })
    for (let attempt = 0; attempt < 3; attempt++) await first.ingest(['.'])
    await first.close()
    const second = open({ root, storage, limits: { maxFileBytes: 1_000_000 } })
    expect(await second.ingest(['.'])).toMatchObject({ quarantined: [], failed: [{ source: 'a.pdf' }] })
    expect(await failuresOf(second)).toMatchObject([{ attempts: 1 }])
  })

  it('keep the version that is stored, and are no failures any more when that is what the file holds again', async () => {
    const root = makeFolder({ 'a.txt': 'Sound.' })
    const rag = open({ root })
    await rag.ingest(['.'])
    write(root, 'a.txt', '', new Date(1_700_000_001_000))
    expect((await rag.ingest(['.'])).failed).toMatchObject([{ error: { code: 'EMPTY' } }])
    expect(await idsOf(rag)).toEqual(['a.txt'])
    expect(await failuresOf(rag)).toMatchObject([{ id: 'a.txt', code: 'EMPTY' }])
    write(root, 'a.txt', 'Sound.', new Date(1_700_000_002_000))
    expect(await rag.ingest(['.'])).toMatchObject({ unchanged: 1, failed: [] })
    expect(await failuresOf(rag)).toEqual([])
  })

  it('are not blamed for a service that is down', async () => {
    const root = makeFolder({ 'a.txt': 'One.', 'b.txt': 'Two.' })
    const sound = createHashingEmbedder({ dimensions: 64 })
    let isDown = true
    const embedder: Embedder = {
      ...sound,
      async embed(texts, options) {
        if (isDown) throw new Error('connect ECONNREFUSED')
        return sound.embed(texts, options)
      },
    }
    const rag = open({ root, embedder })
    for (let attempt = 0; attempt < 4; attempt++) expect((await rag.ingest(['.'])).failed).toHaveLength(2)
    expect(await failuresOf(rag)).toMatchObject([
      { attempts: 0, quarantined: false },
      { attempts: 0, quarantined: false },
    ])
    isDown = false
    expect(await rag.ingest(['.'])).toMatchObject({ documents: 2, failed: [], quarantined: [] })
    expect(await failuresOf(rag)).toEqual([])
  })

  it('are not blamed for an abort', async () => {
    const root = makeFolder({ 'a.txt': 'One.' })
    const rag = open({
      root,
      embedder: { ...createHashingEmbedder({ dimensions: 64 }), embed: () => new Promise(() => {}) },
    })
    const controller = new AbortController()
    const running = rag.ingest(['.'], { signal: controller.signal })
    setTimeout(() => controller.abort(new Error('enough')), 50)
    await expect(running).rejects.toThrow('enough')
    expect(await failuresOf(rag)).toEqual([])
  })

  it('are never left out when they are in memory', async () => {
    const rag = open()
    for (let attempt = 1; attempt <= 4; attempt++) {
      expect((await rag.ingest([{ id: 'x', text: ' ' }])).failed).toHaveLength(1)
      expect(await failuresOf(rag)).toMatchObject([{ id: 'x', attempts: attempt, quarantined: false }])
    }
  })
})

describe('files that changed', () => {
  it('are noticed though size and time are the same, when they had been read right after they were written', async () => {
    const now = new Date()
    const root = makeFolder()
    write(root, 'a.txt', 'A canary sings.', now)
    const rag = open({ root })
    await rag.ingest(['.'])
    write(root, 'a.txt', 'A canary sinks.', now)
    expect(await rag.ingest(['.'])).toMatchObject({ documents: 1, unchanged: 0 })
  })

  it('are read once, and not again, when only their time has changed', async () => {
    const root = makeFolder({ 'a.txt': 'A canary sings.' })
    const rag = open({ root })
    await rag.ingest(['.'])
    const later = new Date(1_700_000_009_000)
    write(root, 'a.txt', 'A canary sings.', later)
    expect(await rag.ingest(['.'])).toMatchObject({ documents: 0, unchanged: 1 })
    // Whoever looked at the content would notice.
    write(root, 'a.txt', 'A canary sinks.', later)
    expect(await rag.ingest(['.'])).toMatchObject({ documents: 0, unchanged: 1 })
    expect(await rag.ingest(['.'], { verify: 'hash' })).toMatchObject({ documents: 1 })
  })

  it('cost a stat when they are named with metadata, too', async () => {
    const root = makeFolder({ 'a.txt': 'A canary sings.' })
    const rag = open({ root })
    const input = { path: 'a.txt', metadata: { year: 2024 } }
    await rag.ingest([input])
    const { mtime } = statSync(join(root, 'a.txt'))
    write(root, 'a.txt', 'A canary sinks.', mtime)
    expect(await rag.ingest([input])).toMatchObject({ unchanged: 1 })
    expect(await rag.ingest([{ ...input, metadata: { year: 2025 } }])).toMatchObject({ documents: 1 })
    expect(await rag.ingest([{ path: 'a.txt', mediaType: 'text/markdown', metadata: { year: 2025 } }])).toMatchObject({
      documents: 1,
    })
  })

  it('embed what is new, and nothing again', async () => {
    const sound = createHashingEmbedder({ dimensions: 64 })
    const embedded: string[] = []
    const embedder: Embedder = {
      ...sound,
      async embed(texts, options) {
        embedded.push(...texts)
        return sound.embed(texts, options)
      },
    }
    const sentence = (n: number, word = 'plain') =>
      `Sentence number ${n} is ${word}, ${'and so on and on '.repeat(12)}.`
    const sentences = Array.from({ length: 60 }, (_, n) => sentence(n))
    const root = makeFolder({ 'a.txt': sentences.join('\n\n'), 'b.txt': sentence(61) })
    const rag = open({ root, embedder, cacheEmbeddings: false })
    const { chunks } = await rag.ingest(['.'])
    expect(embedded).toHaveLength(chunks)
    embedded.length = 0
    sentences[30] = sentence(30, 'changed')
    write(root, 'a.txt', sentences.join('\n\n'))
    expect(await rag.ingest(['.'])).toMatchObject({ documents: 1, unchanged: 1 })
    expect(embedded.join(' ')).toContain('Sentence number 30 is changed')
    expect(embedded.length).toBeLessThan(4)
    embedded.length = 0
    expect(await rag.ingest(['.'], { verify: 'hash' })).toMatchObject({ documents: 0, unchanged: 2 })
    expect(embedded).toEqual([])
  })
})

describe('metadata', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  const scalar = fc.oneof(fc.string({ maxLength: 4 }), fc.integer(), fc.boolean(), fc.constant(null))
  const { value } = fc.letrec<{ value: MetadataValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      scalar,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 3 }),
    ),
  }))
  const metadata = fc.dictionary(key, value, { maxKeys: 4 }) as fc.Arbitrary<Metadata>

  it('is noticed when it changes, however deep, and not when its keys come in another order', async () => {
    const rag = open()
    await fc.assert(
      fc.asyncProperty(metadata, metadata, async (first, second) => {
        await rag.ingest([{ id: 'x', text: 'The same text.', metadata: first }])
        const isSame = canonical(first) === canonical(second)
        const report = await rag.ingest([{ id: 'x', text: 'The same text.', metadata: second }])
        expect([report.documents, report.unchanged]).toEqual(isSame ? [0, 1] : [1, 0])
        const again = await rag.ingest([{ id: 'x', text: 'The same text.', metadata: reversed(second) as Metadata }])
        expect([again.documents, again.unchanged]).toEqual([0, 1])
      }),
      { numRuns: 60, seed: 5 },
    )
  })

  it('is noticed when one leaf of it changes', async () => {
    const rag = open()
    await fc.assert(
      fc.asyncProperty(metadata, fc.nat(), async (first, place) => {
        const changed = changeLeaf(first, place) as Metadata
        await rag.ingest([{ id: 'x', text: 'The same text.', metadata: first }])
        const report = await rag.ingest([{ id: 'x', text: 'The same text.', metadata: changed }])
        expect(report).toMatchObject({ documents: 1, unchanged: 0 })
      }),
      { numRuns: 40, seed: 6 },
    )
  })
})

/** A plain notation of a value, whatever the order of its keys. */
function canonical(value: MetadataValue): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value as Metadata).map(([key, inner]) => `${key}:${canonical(inner)}`)
  return `{${entries.sort().join()}}`
}

function reversed(value: MetadataValue): MetadataValue {
  if (Array.isArray(value)) return value.map(reversed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value as Metadata)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  )
}

/** Goes down, child by child, and puts something else in the place of what it ends at. */
function changeLeaf(value: MetadataValue, place: number): MetadataValue {
  if (typeof value !== 'object' || value === null) return 'something else altogether'
  const entries = Object.entries(value)
  if (entries.length === 0) return Array.isArray(value) ? ['new'] : { new: true }
  const at = place % entries.length
  const changed = entries.map(
    ([key, inner], index) => [key, index === at ? changeLeaf(inner, place >> 2) : inner] as const,
  )
  return Array.isArray(value) ? changed.map(([, inner]) => inner) : Object.fromEntries(changed)
}

describe('sync', () => {
  const files = { 'docs/a.txt': 'Ants.', 'docs/b.txt': 'Bees.', 'docs/deep/c.txt': 'Cats.', 'other/d.txt': 'Dogs.' }

  it('removes what is gone from the folders that were given, once, and nothing else', async () => {
    const root = makeFolder(files)
    const rag = open({ root, storage: makeFolder() })
    await rag.ingest(['docs', 'other'])
    await rag.ingest([
      { id: 'docs/in-memory.txt', text: 'A text under the name of a file that never was.' },
      { path: 'docs/b.txt', id: 'docs/named.txt' },
    ])
    rmSync(join(root, 'docs/deep'), { recursive: true })
    rmSync(join(root, 'docs/b.txt'))
    rmSync(join(root, 'other/d.txt'))
    expect(await rag.ingest(['docs'])).toMatchObject({ removed: 0, unchanged: 1 })
    const stages: string[] = []
    const report = await rag.ingest(['docs'], {
      sync: true,
      onProgress: ({ removed, source, stage }) => void stages.push(`${stage} ${source} ${removed}`),
    })
    expect(report).toMatchObject({ removed: 2, synced: true, unchanged: 1 })
    expect(stages).toEqual(['unchanged docs/a.txt 0', 'removed docs/b.txt 1', 'removed docs/deep/c.txt 2'])
    expect(await idsOf(rag)).toEqual(['docs/a.txt', 'docs/in-memory.txt', 'docs/named.txt', 'other/d.txt'])
    expect((await rag.retrieve('cats')).map(({ chunk }) => chunk.documentId)).not.toContain('docs/deep/c.txt')
    expect(await rag.ingest(['.'], { sync: true })).toMatchObject({ removed: 1 })
    expect(await rag.ingest(['.'], { sync: true })).toMatchObject({ removed: 0 })
  })

  it('keeps what is there under another folder, a hidden file that was named, and what a folder of the same beginning holds', async () => {
    const root = makeFolder({ ...files, 'docs2/e.txt': 'Eels.', 'docs/.hidden.txt': 'Hidden.' })
    const rag = open({ root })
    await rag.ingest(['docs', 'docs2', 'docs/.hidden.txt'])
    rmSync(join(root, 'docs2/e.txt'))
    expect(await rag.ingest(['docs'], { sync: true })).toMatchObject({ removed: 0 })
    expect(await idsOf(rag)).toContain('docs/.hidden.txt')
    expect(await idsOf(rag)).toContain('docs2/e.txt')
  })

  it('removes nothing when a folder cannot be listed', async () => {
    const root = makeFolder(files)
    const rag = open({ root })
    await rag.ingest(['.'])
    rmSync(join(root, 'docs/a.txt'))
    renameSync(join(root, 'other'), join(root, 'elsewhere'))
    const report = await rag.ingest(['docs', 'other'], { sync: true })
    expect(report).toMatchObject({ removed: 0, synced: false, failed: [{ source: 'other' }] })
    expect(await idsOf(rag)).toHaveLength(4)
    expect(await rag.ingest(['docs'], { sync: true })).toMatchObject({ removed: 1, synced: true })
  })

  it('follows files that were renamed, and what was replaced by a folder', async () => {
    const root = makeFolder(files)
    const rag = open({ root })
    await rag.ingest(['.'])
    renameSync(join(root, 'docs/a.txt'), join(root, 'docs/z.txt'))
    rmSync(join(root, 'docs/b.txt'))
    write(root, 'docs/b.txt/now-a-folder.txt', 'Bears.')
    expect(await rag.ingest(['.'], { sync: true })).toMatchObject({ documents: 2, removed: 2 })
    expect(await idsOf(rag)).toEqual(['docs/b.txt/now-a-folder.txt', 'docs/deep/c.txt', 'docs/z.txt', 'other/d.txt'])
  })

  it('works where the folder lies outside of the root, or around it', async () => {
    const outside = makeFolder(files)
    const rag = open({ root: join(outside, 'docs') })
    await rag.ingest([outside])
    expect(await idsOf(rag)).toEqual([join(outside, 'other/d.txt'), 'a.txt', 'b.txt', 'deep/c.txt'])
    rmSync(join(outside, 'docs/a.txt'))
    rmSync(join(outside, 'other/d.txt'))
    expect(await rag.ingest([join(outside, 'other')], { sync: true })).toMatchObject({ removed: 1 })
    expect(await rag.ingest([outside], { sync: true })).toMatchObject({ removed: 1 })
    expect(await idsOf(rag)).toEqual(['b.txt', 'deep/c.txt'])
  })

  it('forgets the failures of files that are gone', async () => {
    const root = makeFolder({ 'a.pdf': corrupt, 'b.txt': 'Bees.' })
    const rag = open({ root })
    await rag.ingest(['.'])
    expect(await failuresOf(rag)).toHaveLength(1)
    rmSync(join(root, 'a.pdf'))
    expect(await rag.ingest(['.'], { sync: true })).toMatchObject({ removed: 0, failed: [] })
    expect(await failuresOf(rag)).toEqual([])
  })

  it('refuses options that are neither true nor false', async () => {
    const rag = open()
    await expect(rag.ingest([], { sync: 'yes' as never })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await expect(rag.ingest([], { retry: 1 as never })).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })
})

describe('maxMemoryMb', () => {
  it('that is less than the process has slows an ingest down and loses nothing', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`${i}.txt`, `Fact ${i} is true. `.repeat(200)]),
    )
    const rag = open({ root: makeFolder(files), maxMemoryMb: 128, embedder: { kind: 'hashing' } })
    const held = Buffer.alloc(128 << 20, 1)
    expect(await rag.ingest(['.'])).toMatchObject({ documents: 40, failed: [], unembedded: 0 })
    expect(held.length).toBe(128 << 20)
    const { gauges } = rag.tracker.summary()
    expect(gauges.memory).toMatchObject({ maxBytes: 128 << 20 })
    expect(gauges.memory?.pressure).toBeGreaterThan(1)
    expect(gauges.memory?.halved).toBeGreaterThan(0)
  })

  it.each([0, 127, 1.5, '512', Number.NaN])('of %s is refused', (maxMemoryMb) => {
    expect(() => new UltraFastRAG({ maxMemoryMb: maxMemoryMb as never })).toThrow(/maxMemoryMb/)
  })
})
