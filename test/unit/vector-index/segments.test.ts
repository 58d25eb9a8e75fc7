import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RagError } from '../../../src/core/errors.js'
import { RangeSet } from '../../../src/core/range-set.js'
import { randomNumbers } from '../../../src/testing/support.js'
import { createHnswlibIndex } from '../../../src/vector-index/hnswlib.js'
import { createFileStorage } from '../../../src/vector-index/segments/file-storage.js'
import type { FileSegment } from '../../../src/vector-index/segments/files.js'
import type { VectorIndex, VectorIndexOptions, VectorMatch } from '../../../src/vector-index/types.js'
import { createUsearchIndex, type UsearchIndexOptions } from '../../../src/vector-index/usearch.js'

const dimensions = 16
/** Small, and graphs are searched whatever that costs. */
const sizes = { tailRows: 200, graphRows: 500, maxRows: 2_000, rowsPerCandidate: 0.01 }
let root: string
let directory: string
let problems: RagError[]

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ufrag-segments-'))
  directory = join(root, 'index')
  problems = []
})
afterEach(async () => {
  await rm(root, { recursive: true, force: true })
})

function open(options: Partial<UsearchIndexOptions> = {}): Promise<VectorIndex> {
  const warn = (problem: RagError) => void problems.push(problem)
  return createUsearchIndex({ dimensions, fingerprint: 'test', directory, sizes, warn, ...options })
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
  const vectors = vectorsOf(count, seed)
  for (let start = 0; start < count; start += 100) {
    const end = Math.min(count, start + 100)
    const numbers = Array.from({ length: end - start }, (_, i) => first + start + i)
    await update.add(numbers, vectors.subarray(start * dimensions, end * dimensions))
  }
  await update.publish(index.epoch + 1)
}

const graphsIn = async (folder: string) => (await readdir(folder)).filter((name) => name.startsWith('graph-'))

/** Waits for background work by what it leaves behind. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await isSo()); waited++) {
    if (waited > 1_000) throw new Error('It never came to that.')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function recall(index: VectorIndex, seed: number, allow?: RangeSet): Promise<number> {
  const queries = vectorsOf(20, seed)
  const options = { topK: 10, ...(allow === undefined ? {} : { allow }) }
  let found = 0
  for (let i = 0; i < 20; i++) {
    const query = queries.slice(i * dimensions, (i + 1) * dimensions)
    const truth = await index.search(query, { ...options, exact: true })
    const numbers = new Set(truth.map(({ number }) => number))
    found += (await index.search(query, options)).filter(({ number }) => numbers.has(number)).length
  }
  return found / 200
}

const kinds: [string, (options: VectorIndexOptions) => Promise<VectorIndex>][] = [
  ['usearch f16', (options) => createUsearchIndex({ ...options, sizes, efSearch: 8 })],
  ['usearch f32', (options) => createUsearchIndex({ ...options, sizes, efSearch: 8, quantization: 'f32' })],
  ['usearch i8', (options) => createUsearchIndex({ ...options, sizes, efSearch: 8, quantization: 'i8' })],
  ['hnswlib', (options) => createHnswlibIndex({ ...options, sizes, efSearch: 8 })],
]

describe('an index of segments', () => {
  it('tells whether graphs are built in the background', async () => {
    const index = await open()
    expect(index.stats().building).toBe(false)
    await publish(index, { first: 0, count: 1_500 })
    expect([index.stats().building, await graphsIn(directory)]).toEqual([true, []])
    await index.settled?.()
    expect(index.stats()).toMatchObject({ building: false, segments: 2 })
    expect(await graphsIn(directory)).toHaveLength(1)
    await index.settled?.()
    await index.close()
    await index.settled?.()
  })

  it('tells when a graph was built, and writes meanwhile what there is', async () => {
    let improved = 0
    const slow = { M: 32, efConstruction: 400, sizes: { ...sizes, maxRows: 10_000 } }
    const index = await open({ ...slow, improved: () => improved++ })
    await publish(index, { first: 0, count: 4_950 })
    await index.persist()
    expect([improved, index.stats().building]).toEqual([0, true])
    const copy = join(root, 'copy')
    await cp(directory, copy, { recursive: true })
    await index.settled?.()
    expect([improved, index.stats().segments]).toEqual([1, 2])
    await index.close()
    const other = await open({ ...slow, directory: copy })
    expect(other.stats().vectors).toBe(4_950)
    await other.close()
    expect(problems).toEqual([])
  })

  it.each([
    ['in use is damage', true, 1],
    ['that was replaced while it was looked for is none', false, 0],
  ])('a file that is gone and %s', async (_what, isInUse, expected) => {
    const index = await open()
    await publish(index, { first: 0, count: 450 })
    await index.persist()
    await index.close()
    let living: readonly FileSegment[] = []
    let begunAgain = 0
    const storage = createFileStorage(
      { dimensions, fingerprint: 'test', directory, graph: undefined, sizes },
      {
        living: () => {
          const now = living
          if (!isInUse) living = []
          return now
        },
        exchange: () => {},
        workSoon: () => {},
        startAgain: () => void begunAgain++,
        warn: () => {},
      },
    )
    const snapshot = await storage.read()
    const [first] = snapshot?.views ?? []
    living = first === undefined ? [] : [first.segment]
    for (const { segment } of snapshot?.views ?? []) await rm(segment.rows.path)
    await storage.verify()
    expect(begunAgain).toBe(expected)
    await storage.stop()
  })

  it('does not ask to be written where another process writes, too', async () => {
    let improved = 0
    const ours = await open({ improved: () => improved++ })
    const other = await open()
    await publish(ours, { first: 0, count: 1_500 })
    await ours.settled?.()
    expect(improved).toBe(1)
    await ours.persist()
    await publish(ours, { first: 1_500, count: 500 })
    await ours.settled?.()
    expect(improved).toBe(2)
    await publish(other, { first: 0, count: 300 })
    await other.persist()
    await publish(ours, { first: 2_000, count: 1_500 })
    await ours.settled?.()
    expect(improved).toBe(2)
    await Promise.all([ours.close(), other.close()])
  })

  it.each(kinds)('of %s joins segments into graphs, and finds with them what a scan finds', async (_name, create) => {
    const warn = (problem: RagError) => void problems.push(problem)
    const index = await create({ dimensions, fingerprint: 'test', directory, warn })
    await publish(index, { first: 0, count: 1_500 })
    const areThere = (graphs: number, segments: number) =>
      until(async () => (await graphsIn(directory)).length === graphs && index.stats().segments === segments)
    // Seven segments of 200 rows become one with a graph; 100 rows stay in memory.
    await areThere(1, 2)
    expect(await recall(index, 2)).toBeGreaterThan(0.93)
    // More rows: the graph is gone on with.
    await publish(index, { first: 1_500, count: 500, seed: 3, remove: [[10, 60]] })
    await areThere(1, 1)
    expect(index.stats().vectors).toBe(1_950)
    expect(await recall(index, 4)).toBeGreaterThan(0.93)
    expect(await recall(index, 5, RangeSet.from([[0, 1_200]]))).toBeGreaterThan(0.93)
    // It is full: a second one begins.
    await publish(index, { first: 2_000, count: 1_000, seed: 6 })
    await areThere(2, 2)
    expect(await recall(index, 7)).toBeGreaterThan(0.93)
    // What much was removed from is written anew.
    const before = await readdir(directory)
    await publish(index, { first: 4_000, count: 0, remove: [[0, 1_000]] })
    expect(index.stats().vectors).toBe(2_000)
    await until(async () => (await readdir(directory)).some((name) => !before.includes(name)))
    await areThere(2, 2)
    expect(await recall(index, 8)).toBeGreaterThan(0.93)
    expect(problems).toEqual([])
    await index.close()
  })

  it('scores with the full vectors, to the last bit', async () => {
    const index = await open()
    await publish(index, { first: 0, count: 900 })
    const query = vectorsOf(1, 9)
    const before = await index.search(query, { topK: 10, exact: true })
    await until(async () => (await graphsIn(directory)).length > 0 && index.stats().segments === 2)
    expect(await index.search(query, { topK: 10, exact: true })).toEqual(before)
    await index.close()
  })

  it('opens with the graphs it was closed with, and answers the same', async () => {
    const index = await open()
    await publish(index, { first: 0, count: 1_450 })
    await until(async () => index.stats().segments === 2 && (await graphsIn(directory)).length === 1)
    await publish(index, { first: 2_000, count: 30, seed: 2, remove: [[7, 9]] })
    const answers = await ask(index)
    await index.persist()
    await index.close()
    const files = await readdir(directory)
    const again = await open({ readOnly: true })
    expect(again.epoch).toBe(2)
    expect(again.stats()).toMatchObject({ vectors: 1_478, segments: 2 })
    expect(await ask(again)).toEqual(answers)
    await again.close()
    expect(await readdir(directory)).toEqual(files)
    expect(problems).toEqual([])
  })

  it('leaves nothing behind when it lives in memory, and nothing unsaved when it does not', async () => {
    const here = await open()
    await publish(here, { first: 0, count: 600 })
    await here.persist()
    const saved = await readdir(directory)
    await publish(here, { first: 600, count: 900 })
    await here.close()
    const left = (await readdir(directory)).filter((name) => !saved.includes(name))
    expect(left.filter((name) => name.startsWith('rows-') || name.startsWith('graph-'))).toEqual([])
    expect((await open().then(async (index) => [index.epoch, await index.close()]))[0]).toBe(1)
  })

  it('is empty, with a reason, when the vectors are those of another embedder, or the width is another', async () => {
    await closedWithGraph()
    for (const options of [{ fingerprint: 'other' }, { dimensions: 8 }]) {
      problems = []
      const index = await open(options)
      expect(index.epoch).toBe(0)
      expect(problems.map(({ code }) => code)).toEqual(['FINGERPRINT'])
      await index.close()
    }
  })

  it('builds a graph again that is missing, cut, changed or made otherwise, and searches exactly meanwhile', async () => {
    await closedWithGraph()
    const [graph] = await graphsIn(directory)
    const damages: [string, (path: string) => Promise<void>][] = [
      ['missing', (path) => rm(path)],
      ['cut', (path) => truncate(path, 1_000)],
      ['empty', (path) => truncate(path, 0)],
      ['flipped, its size and time kept', (path) => flip(path, true)],
      ['flipped', (path) => flip(path, false)],
    ]
    for (const [what, damage] of damages) {
      problems = []
      const folder = join(root, what)
      await cp(directory, folder, { recursive: true, preserveTimestamps: true })
      await damage(join(folder, graph as string))
      const index = await open({ directory: folder })
      expect(index.epoch, what).toBe(1)
      expect(await exactNumbers(index), what).toEqual(await exactNumbers(index, true))
      await until(async () => problems.length > 0)
      await until(async () => (await graphsIn(folder)).some((name) => name !== graph))
      expect(
        problems.map(({ code }) => code),
        what,
      ).toEqual(['INTEGRITY'])
      await index.close()
    }
    problems = []
    const other = await open({ M: 8 })
    expect(other.epoch).toBe(1)
    await until(async () => (await graphsIn(directory)).length === 2)
    await other.close()
    expect(problems).toEqual([])
  })

  it('begins again when rows are missing, cut or changed, at once or as soon as it is seen', async () => {
    await closedWithGraph()
    const [rows] = (await readdir(directory)).filter((name) => name.startsWith('rows-'))
    const damages: [string, (path: string) => Promise<void>][] = [
      ['missing', (path) => rm(path)],
      ['cut', (path) => truncate(path, 1_000)],
      ['flipped', (path) => flip(path, false)],
      ['flipped, its size and time kept', (path) => flip(path, true)],
    ]
    for (const [what, damage] of damages) {
      problems = []
      const folder = join(root, what)
      await cp(directory, folder, { recursive: true, preserveTimestamps: true })
      await damage(join(folder, rows as string))
      const index = await open({ directory: folder })
      await until(() => index.epoch === 0)
      expect(index.stats().vectors, what).toBe(0)
      expect(
        problems.map(({ code }) => code),
        what,
      ).toEqual(['INTEGRITY'])
      // Filled again it is what it was.
      await publish(index, { first: 0, count: 900 })
      await index.persist()
      await index.close()
      problems = []
      const again = await open({ directory: folder })
      expect([again.epoch, again.stats().vectors, problems.length]).toEqual([1, 900, 0])
      await again.close()
    }
  })

  it('refuses a list of segments of which any bit is flipped', async () => {
    await closedWithGraph()
    const manifest = await readFile(join(directory, 'manifest'))
    const random = randomNumbers(3)
    for (let round = 0; round < 30; round++) {
      problems = []
      const bytes = Buffer.from(manifest)
      const place = Math.floor(random() * bytes.length)
      bytes[place] = (bytes[place] as number) ^ (1 << Math.floor(random() * 8))
      await writeFile(join(directory, 'manifest'), bytes)
      const index = await open()
      expect([index.epoch, problems.length]).toEqual([0, 1])
      await index.close()
    }
  })

  it('finds the same as an exact reference through any history, filters and reopening included', async () => {
    const command = fc.record({
      kind: fc.constantFrom('add', 'add', 'add', 'remove', 'reopen', 'crash'),
      first: fc.nat(1_200),
      count: fc.integer({ min: 1, max: 350 }),
      seed: fc.nat(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 3, maxLength: 9 }), async (commands) => {
        const folder = await mkdtemp(join(root, 'history-'))
        let index = await open({ directory: folder })
        let model = new Map<number, Float32Array>()
        let saved = new Map<number, Float32Array>()
        for (const { kind, first, count, seed } of commands) {
          if (kind === 'add') {
            await publish(index, { first, count, seed })
            const vectors = vectorsOf(count, seed)
            for (let i = 0; i < count; i++) model.set(first + i, vectors.subarray(i * dimensions, (i + 1) * dimensions))
          } else if (kind === 'remove') {
            await publish(index, { first, count: 0, remove: [[first, first + count]] })
            for (let i = 0; i < count; i++) model.delete(first + i)
          } else {
            if (kind === 'reopen') {
              await index.persist()
              saved = new Map(model)
            } else model = new Map(saved)
            await index.close()
            index = await open({ directory: folder })
          }
          expect(index.stats().vectors).toBe(model.size)
          const allow = RangeSet.from([
            [seed % 900, (seed % 900) + 300],
            [1_400, 1_401],
          ])
          const query = vectorsOf(1, seed + 1)
          for (const options of [{ topK: 7 }, { topK: 7, allow }]) {
            const truth = reference(model, query, options)
            expectLike(await index.search(query, { ...options, exact: true }), truth)
            const found = await index.search(query, options)
            expect(found.length).toBe(truth.length)
            for (const { number, score } of found) {
              expect(options.allow?.has(number) ?? true).toBe(true)
              expect(score).toBeCloseTo(product(model.get(number) as Float32Array, query), 5)
            }
          }
        }
        await index.close()
        expect(problems).toEqual([])
      }),
      { numRuns: 12, seed: 5 },
    )
  })

  async function closedWithGraph(): Promise<void> {
    const index = await open()
    await publish(index, { first: 0, count: 900 })
    await until(async () => (await graphsIn(directory)).length === 1 && index.stats().segments === 2)
    await index.persist()
    await index.close()
  }
})

async function flip(path: string, keepTime: boolean): Promise<void> {
  const { atimeMs, mtimeMs } = await stat(path)
  const bytes = await readFile(path)
  const place = Math.floor(bytes.length * 0.6)
  bytes[place] = (bytes[place] as number) ^ 16
  await writeFile(path, bytes)
  if (keepTime) await utimes(path, atimeMs / 1_000, mtimeMs / 1_000)
}

async function ask(index: VectorIndex): Promise<VectorMatch[][]> {
  const queries = vectorsOf(5, 77)
  return Promise.all(
    [0, 1, 2, 3, 4].map((i) => index.search(queries.slice(i * dimensions, (i + 1) * dimensions), { topK: 8 })),
  )
}

async function exactNumbers(index: VectorIndex, exact = false): Promise<number[]> {
  const found = await index.search(vectorsOf(1, 78), { topK: 5, exact })
  return found.map(({ number }) => number)
}

function product(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0)
}

function reference(
  model: ReadonlyMap<number, Float32Array>,
  query: Float32Array,
  { topK, allow }: { topK: number; allow?: RangeSet },
): VectorMatch[] {
  return [...model]
    .filter(([number]) => allow?.has(number) ?? true)
    .map(([number, row]) => ({ number, score: product(row, query) }))
    .sort((a, b) => b.score - a.score || a.number - b.number)
    .slice(0, topK)
}

function expectLike(found: readonly VectorMatch[], wanted: readonly VectorMatch[]): void {
  expect(found.map(({ number }) => number)).toEqual(wanted.map(({ number }) => number))
  for (const [i, { score }] of found.entries()) expect(score).toBeCloseTo((wanted[i] as VectorMatch).score, 5)
}
