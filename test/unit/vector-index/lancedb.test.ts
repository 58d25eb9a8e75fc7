import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RagError } from '../../../src/core/errors.js'
import { RangeSet } from '../../../src/core/range-set.js'
import { randomNumbers } from '../../../src/testing/support.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'
import { joinedRanges } from '../../../src/vector-index/lance/search.js'
import { createLancedbIndex, type LancedbIndexOptions } from '../../../src/vector-index/lancedb.js'
import type { VectorIndex } from '../../../src/vector-index/types.js'
import { inSoak } from '../../lib/soak.js'

const dimensions = 16
const sizes = { tailRows: 500, indexRows: 500, maxRows: 4_000, scannedRows: 0 }
let root: string
let directory: string
let problems: RagError[]

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ufrag-lance-'))
  directory = join(root, `it's "here"; DROP`)
  problems = []
})
afterEach(async () => {
  await rm(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
})

function open(options: Partial<LancedbIndexOptions> = {}): Promise<VectorIndex> {
  const warn = (problem: RagError) => void problems.push(problem)
  return createLancedbIndex({ dimensions, fingerprint: 'test', directory, sizes, warn, ...options })
}

function vectorsOf(count: number, seed: number): Float32Array {
  const random = randomNumbers(seed)
  const vectors = Float32Array.from({ length: count * dimensions }, () => random() + random() - 1)
  for (let start = 0; start < vectors.length; start += dimensions) {
    const row = vectors.subarray(start, start + dimensions)
    const length = Math.hypot(...row)
    row.set(row.map((value) => value / length))
  }
  return vectors
}

async function publish(
  index: VectorIndex,
  { first, count, seed = 1, remove = [] }: { first: number; count: number; seed?: number; remove?: [number, number][] },
): Promise<void> {
  const update = index.update()
  update.remove(remove)
  const numbers = Array.from({ length: count }, (_, i) => first + i)
  await update.add(numbers, vectorsOf(count, seed))
  await update.publish(index.epoch + 1)
}

async function recall(index: VectorIndex, seed: number, allow?: RangeSet): Promise<number> {
  const queries = vectorsOf(20, seed)
  const options = { topK: 10, ...(allow === undefined ? {} : { allow }) }
  let found = 0
  for (let i = 0; i < 20; i++) {
    const query = queries.slice(i * dimensions, (i + 1) * dimensions)
    const truth = await index.search(query, { ...options, exact: true })
    const numbers = new Set(truth.map(({ number }) => number))
    const matches = await index.search(query, options)
    expect(matches.length).toBe(truth.length)
    found += matches.filter(({ number }) => numbers.has(number)).length
  }
  return found / 200
}

/** Waits for background work by what it leaves behind. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await isSo()); waited++) {
    if (waited > 2_000) throw new Error('It never came to that.')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const tablesIn = async (folder: string) => (await readdir(folder)).filter((name) => name.startsWith('rows-'))
const isIndexed = async (table: string) => (await readdir(join(directory, table))).includes('_indices')

describe('an index in LanceDB', () => {
  inSoak.each(['hnsw-sq', 'ivf-pq'] as const)(
    'of kind %s finds by it what a scan finds, also behind filters',
    async (kind) => {
      const index = await open({ index: kind, ...(kind === 'ivf-pq' ? { subVectors: 8 } : {}) })
      for (let part = 0; part < 4; part++) await publish(index, { first: part * 500, count: 500, seed: part })
      // Tables of one size are joined to one that is indexed.
      await until(() => index.stats().segments === 1)
      expect(await recall(index, 20)).toBeGreaterThan(0.95)
      expect(await recall(index, 21, RangeSet.from([[300, 1_500]]))).toBeGreaterThan(0.95)
      const many = Array.from({ length: 900 }, (_, i): [number, number] => [i * 2, i * 2 + 1])
      expect(await recall(index, 22, RangeSet.from(many))).toBeGreaterThan(0.95)
      await publish(index, {
        first: 0,
        count: 0,
        remove: [
          [100, 200],
          [900, 901],
        ],
      })
      const removed = await index.search(vectorsOf(1, 23), { topK: 2_000 })
      expect(removed).toHaveLength(1_899)
      expect(removed.some(({ number }) => number >= 100 && number < 200)).toBe(false)
      expect(await recall(index, 24)).toBeGreaterThan(0.95)
      await index.persist()
      const before = await index.search(vectorsOf(1, 25), { topK: 20 })
      await index.close()
      const again = await open({ index: kind, ...(kind === 'ivf-pq' ? { subVectors: 8 } : {}) })
      expect(again.epoch).toBe(5)
      expect(again.stats().vectors).toBe(1_899)
      expect(await again.search(vectorsOf(1, 25), { topK: 20 })).toEqual(before)
      const [table = ''] = await tablesIn(directory)
      expect(await isIndexed(table)).toBe(true)
      expect(problems).toEqual([])
      await again.close()
    },
  )

  it('begins where the last snapshot ended: tables that it does not name are as if they were not there', async () => {
    const index = await open()
    await publish(index, { first: 0, count: 700 })
    await index.persist()
    await publish(index, { first: 700, count: 600, remove: [[0, 10]] })
    await until(async () => (await tablesIn(directory)).length > 1)
    // As after a crash: nobody closes it before the other opens.
    const other = await open()
    expect(other.epoch).toBe(1)
    expect(other.stats().vectors).toBe(700)
    await publish(other, { first: 700, count: 600, remove: [[0, 10]] })
    expect(other.stats().vectors).toBe(1_290)
    await Promise.all([index.close(), other.close()])
    expect(problems).toEqual([])
  })

  inSoak('begins empty, and says why, where the snapshot is of other vectors, cut or missing', async () => {
    const index = await open()
    await publish(index, { first: 0, count: 600 })
    await index.persist()
    await index.close()
    const foreign = await open({ fingerprint: 'other' })
    expect([foreign.epoch, foreign.stats().vectors]).toEqual([0, 0])
    await foreign.close()
    expect(problems.map(({ code }) => code)).toEqual(['FINGERPRINT'])
    const [table = ''] = await tablesIn(directory)
    for (const file of await readdir(join(directory, table, 'data')))
      await truncate(join(directory, table, 'data', file), 100)
    problems = []
    const cut = await open()
    expect(cut.epoch).toBe(0)
    expect(problems).toHaveLength(1)
    await publish(cut, { first: 0, count: 600 })
    await cut.persist()
    await cut.close()
    const mended = await open()
    expect([mended.epoch, mended.stats().vectors]).toEqual([1, 600])
    await mended.close()
    await rm(join(directory, 'manifest.lance'), { recursive: true })
    const missing = await open()
    expect(missing.epoch).toBe(0)
    await missing.close()
  })

  it('begins again at epoch 0 when a table vanishes under its hands', async () => {
    const index = await open()
    await publish(index, { first: 0, count: 1_000 })
    await until(async () => index.stats().segments === 1 && isIndexed((await tablesIn(directory))[0] ?? ''))
    await index.persist()
    await index.close()
    const again = await open()
    const [table = ''] = await tablesIn(directory)
    await rm(join(directory, table), { recursive: true, maxRetries: 10, retryDelay: 50 })
    await expect(again.search(vectorsOf(1, 2), { topK: 5, exact: true })).rejects.toMatchObject({ code: 'INTEGRITY' })
    expect(again.epoch).toBe(0)
    await publish(again, { first: 0, count: 600 })
    expect(await again.search(vectorsOf(1, 2), { topK: 5 })).toHaveLength(5)
    await again.close()
  })

  inSoak('makes a new index when it is opened with other parameters', async () => {
    const index = await open()
    await publish(index, { first: 0, count: 1_000 })
    await until(async () => index.stats().segments === 1 && isIndexed((await tablesIn(directory))[0] ?? ''))
    await index.persist()
    await index.close()
    const other = await open({ M: 8 })
    expect(other.stats().vectors).toBe(1_000)
    expect(await recall(other, 3)).toBeGreaterThan(0.95)
    await other.close()
    expect(problems).toEqual([])
  })

  inSoak('leaves nothing behind without a folder, and reads without writing where it must', async () => {
    const before = (await readdir(tmpdir())).filter((name) => name.startsWith('ufrag-lance-'))
    const { directory: _, ...rest } = { dimensions, fingerprint: 'test', sizes, directory }
    const index = await createLancedbIndex(rest)
    await publish(index, { first: 0, count: 600 })
    await index.persist()
    await index.close()
    expect((await readdir(tmpdir())).filter((name) => name.startsWith('ufrag-lance-'))).toEqual(before)
    const written = await open()
    await publish(written, { first: 0, count: 600 })
    await written.persist()
    await written.close()
    const tables = await tablesIn(directory)
    const reader = await open({ readOnly: true })
    await publish(reader, { first: 600, count: 600 })
    expect(reader.stats().vectors).toBe(1_200)
    await expect(reader.persist()).rejects.toMatchObject({ code: 'READ_ONLY' })
    await reader.close()
    expect(await tablesIn(directory)).toEqual(tables)
  })

  inSoak('serves the whole library, from a place that stores share without meeting', async () => {
    const uri = join(root, 'elsewhere')
    const opened = (store: string) =>
      new UltraFastRAG({
        storage: join(root, store),
        embedder: 'hashing',
        vectorIndex: { kind: 'lancedb', uri: `${uri}/`, storageOptions: { secret: 'not in any error' } },
      })
    const ask = (rag: UltraFastRAG) => rag.retrieve('Which animal is grey?', { topK: 2 })
    const first = opened('first')
    await first.ingest([{ id: 'a', text: 'Elephants are grey. Flamingos are pink.' }])
    const answers = await ask(first)
    expect(answers.length).toBeGreaterThan(0)
    await first.close()
    const second = opened('second')
    expect(await ask(second)).toEqual([])
    await second.ingest([{ id: 'b', text: 'Whales are blue.' }])
    await second.close()
    const places = await readdir(uri)
    expect(places).toHaveLength(2)
    for (const place of places) {
      expect(await readdir(join(uri, place, '@root', 'vectors'))).toContain('manifest.lance')
    }
    const again = opened('first')
    expect(await ask(again)).toEqual(answers)
    expect((await again.stats()).indexes.vector).toMatchObject({ kind: 'lancedb', vectors: 1 })
    await again.close()
    expect(() => new UltraFastRAG({ vectorIndex: { kind: 'lancedb', uri } })).toThrow(/storage/)
  })

  inSoak('lets the process exit while it searches and while it is closed, and survives being killed', async () => {
    const index = await open()
    await publish(index, { first: 0, count: 1_000 })
    await index.persist()
    await index.close()
    for (const end of ['exit', 'close', 'kill'] as const) {
      const child = await asking(end)
      if (end === 'kill') {
        await new Promise((resolve) => setTimeout(resolve, 30))
        child.kill('SIGKILL')
      }
      const [code, signal] = await once(child, 'exit')
      expect([end, code ?? signal]).toEqual([end, end === 'kill' ? 'SIGKILL' : 0])
    }
    const after = await open()
    expect(after.stats().vectors).toBe(1_000)
    await after.close()
    expect(problems).toEqual([])
  })
})

/** A process that asks without end, until it is told what to do. */
async function asking(end: 'exit' | 'close' | 'kill'): Promise<ChildProcess> {
  const script = join(root, `${end}.mts`)
  const source = new URL('../../../src/vector-index/lancedb.ts', import.meta.url).href
  await writeFile(
    script,
    `import { createLancedbIndex } from ${JSON.stringify(source)}
    const index = await createLancedbIndex({ dimensions: ${dimensions}, fingerprint: 'test', directory: ${JSON.stringify(directory)}, sizes: ${JSON.stringify(sizes)} })
    const query = new Float32Array(${dimensions}).fill(0.25)
    const ask = () => index.search(query, { topK: 10, exact: true }).then(ask, () => {})
    for (let i = 0; i < 6; i++) void ask()
    await index.search(query, { topK: 10 })
    process.stdout.write('ready')
    setTimeout(async () => {
      if (${JSON.stringify(end)} === 'exit') process.exit(0)
      if (${JSON.stringify(end)} === 'close') await index.close()
    }, 50)
    `,
  )
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script], {
    cwd: fileURLToPath(new URL('../../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data')
  return child
}

describe('ranges of a condition', () => {
  it('stay as they are while they are few, and are joined where the gaps are smallest', () => {
    const random = randomNumbers(9)
    for (let round = 0; round < 50; round++) {
      const ranges: [number, number][] = []
      let next = 0
      for (let i = 0; i < 1 + Math.floor(random() * 400); i++) {
        const start = next + 1 + Math.floor(random() * 5)
        next = start + 1 + Math.floor(random() * 3)
        ranges.push([start, next])
      }
      const joined = joinedRanges(ranges)
      expect(joined.length).toBe(Math.min(64, ranges.length))
      for (const [start, end] of ranges) expect(joined.some(([a, b]) => a <= start && end <= b)).toBe(true)
      // The gaps that are left are no smaller than those that were closed.
      const gaps = (list: readonly (readonly [number, number])[]) =>
        list.slice(1).map(([start], i) => start - (list[i]?.[1] ?? 0))
      const left = gaps(joined)
      const least = gaps(ranges)
        .toSorted((a, b) => b - a)
        .slice(0, left.length)
      expect(left.toSorted((a, b) => b - a)).toEqual(least)
    }
  })
})
