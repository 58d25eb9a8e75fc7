import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { RangeSet } from '../../../src/core/range-set.js'
import { randomNumbers, shuffled } from '../../../src/testing/support.js'
import { createFlatIndex } from '../../../src/vector-index/flat.js'
import type { VectorIndex, VectorMatch } from '../../../src/vector-index/types.js'

/** An empty one. */
function makeFlat(options: { readonly dimensions: number; readonly accelerate?: boolean }): VectorIndex {
  return createFlatIndex({ ...options, fingerprint: 'test' })
}

/** Adds vectors with consecutive numbers in an update of their own. */
async function filled(index: VectorIndex, count: number, vectors: Float32Array, first = 0): Promise<VectorIndex> {
  await add(
    index,
    Array.from({ length: count }, (_, i) => first + i),
    vectors,
  )
  return index
}

async function add(index: VectorIndex, numbers: readonly number[], vectors: Float32Array): Promise<void> {
  const update = index.update()
  try {
    await update.add(numbers, vectors)
    await update.publish(index.epoch + 1)
  } finally {
    update.abort()
  }
}

async function remove(index: VectorIndex, ...ranges: [number, number][]): Promise<void> {
  const update = index.update()
  update.remove(ranges)
  await update.publish(index.epoch + 1)
}

/** Scores by a plain sum in double precision; the slow, obviously right version of a search. */
function oracle(
  rows: ReadonlyMap<number, Float32Array>,
  query: Float32Array,
  topK: number,
  allow?: RangeSet,
): VectorMatch[] {
  return [...rows]
    .filter(([number]) => allow?.has(number) ?? true)
    .map(([number, row]) => ({ number, score: row.reduce((sum, value, i) => sum + value * (query[i] as number), 0) }))
    .sort((a, b) => b.score - a.score || a.number - b.number)
    .slice(0, topK)
}

function expectLike(found: readonly VectorMatch[], wanted: readonly VectorMatch[]): void {
  expect(found.map(({ number }) => number)).toEqual(wanted.map(({ number }) => number))
  for (const [i, { score }] of found.entries()) expect(score).toBeCloseTo((wanted[i] as VectorMatch).score, 6)
}

function randomVectors(count: number, dimensions: number, seed: number): Float32Array {
  const random = randomNumbers(seed)
  const vectors = Float32Array.from({ length: count * dimensions }, () => random() - 0.5)
  for (let start = 0; start < vectors.length; start += dimensions) {
    const length = Math.hypot(...vectors.subarray(start, start + dimensions))
    for (let i = start; i < start + dimensions; i++) vectors[i] = (vectors[i] as number) / length
  }
  return vectors
}

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return RagError.isInstance(error) ? error.code : String(error)
}

/** Its types come with the DOM library only. */
const wasm = (globalThis as unknown as { WebAssembly: { Memory: new (limits: object) => object } }).WebAssembly
const refusing = function refusing(): never {
  throw new RangeError('refused')
}

describe('the flat vector index', () => {
  it.each([1, 2, 3, 15, 16, 17, 100, 384, 1_031, 4_096])(
    'gives the same with and without acceleration in %i dimensions',
    async (dimensions) => {
      const vectors = randomVectors(600, dimensions, dimensions)
      const fast = await filled(makeFlat({ dimensions }), 600, vectors)
      const plain = await filled(makeFlat({ dimensions, accelerate: false }), 600, vectors)
      expect(fast.stats().bytes).toBeGreaterThan(plain.stats().bytes)
      for (let i = 0; i < 10; i++) {
        const query = randomVectors(1, dimensions, 9_000 + i)
        expect(await fast.search(query, { topK: 10 })).toEqual(await plain.search(query, { topK: 10 }))
      }
    },
  )

  it.each([2, 3, 10, 700])(
    'finds the same where a filter leaves one vector of %i, wherever they lie',
    async (every) => {
      const [dimensions, count] = [24, 4_000]
      const vectors = randomVectors(count, dimensions, every)
      const rows = new Map(
        Array.from({ length: count }, (_, i) => [i * 3, vectors.subarray(i * dimensions, (i + 1) * dimensions)]),
      )
      const index = makeFlat({ dimensions })
      // In another order than that of the numbers, so that neighbours lie in distant rows.
      const numbers = shuffled([...rows.keys()], 5)
      for (let from = 0; from < count; from += 500) {
        const some = numbers.slice(from, from + 500)
        await add(index, some, Float32Array.from(some.flatMap((number) => [...(rows.get(number) as Float32Array)])))
      }
      const random = randomNumbers(every)
      const chosen = [...rows.keys()].filter(() => random() < 1 / every)
      // Beginning before a number or with it, ending with it or behind it.
      const allow = RangeSet.from(
        chosen.map((number) => [number - Math.floor(random() * 2), number + 1 + Math.floor(random() * 2)]),
      )
      for (let start = 0; start < 5 * dimensions; start += dimensions) {
        const query = randomVectors(5, dimensions, 9).subarray(start, start + dimensions)
        expectLike(await index.search(query, { topK: 20, allow }), oracle(rows, query, 20, allow))
      }
      await index.close()
    },
  )

  it('finds what a plain sum over random additions, replacements and removals finds', async () => {
    const dimensions = 8
    const command = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant('add' as const),
          first: fc.nat(2_000),
          count: fc.integer({ min: 1, max: 400 }),
          seed: fc.nat(),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('remove' as const),
          first: fc.nat(2_000),
          count: fc.integer({ min: 0, max: 900 }),
          seed: fc.nat(),
        }),
      },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 12 }), fc.nat(), async (commands, seed) => {
        const index = makeFlat({ dimensions })
        const rows = new Map<number, Float32Array>()
        for (const { kind, first, count, seed } of commands) {
          if (kind === 'remove') {
            await remove(index, [first, first + count])
            for (let i = 0; i < count; i++) rows.delete(first + i)
            continue
          }
          const vectors = randomVectors(count, dimensions, seed)
          await filled(index, count, vectors, first)
          for (let i = 0; i < count; i++) rows.set(first + i, vectors.subarray(i * dimensions, (i + 1) * dimensions))
        }
        expect(index.stats().vectors).toBe(rows.size)
        const query = randomVectors(1, dimensions, seed)
        const allow = RangeSet.from([
          [seed % 900, (seed % 900) + 700],
          [1_800, 1_801],
        ])
        expectLike(await index.search(query, { topK: 7 }), oracle(rows, query, 7))
        expectLike(await index.search(query, { topK: 7, allow }), oracle(rows, query, 7, allow))
      }),
      { numRuns: 60, seed: 11 },
    )
  })

  it('is exact for vectors of very different lengths, tiny, huge, zero and equal ones', async () => {
    const dimensions = 20
    const random = randomNumbers(5)
    const scales = [0, 1e-44, 1e-30, 1, 1, 1, 1e18, 3e38]
    const vectors = Float32Array.from({ length: 1_000 * dimensions }, (_, i) => {
      const scale = scales[Math.floor(i / dimensions) % scales.length] as number
      return (random() - 0.5) * scale
    })
    vectors.copyWithin(900 * dimensions, 0, 100 * dimensions)
    const fast = await filled(makeFlat({ dimensions }), 1_000, vectors)
    const plain = await filled(makeFlat({ dimensions, accelerate: false }), 1_000, vectors)
    for (const scale of scales) {
      const query = Float32Array.from({ length: dimensions }, () => (random() - 0.5) * scale)
      const found = await fast.search(query, { topK: 50 })
      expect(found).toEqual(await plain.search(query, { topK: 50 }))
      expect(found.every(({ score }) => Number.isFinite(score))).toBe(true)
    }
  })

  it('refuses unusable vectors before anything is changed', async () => {
    const index = await filled(makeFlat({ dimensions: 2 }), 3, Float32Array.of(1, 0, 0, 1, 1, 0))
    const { bytes } = index.stats()
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(await codeOf(add(index, [0, 9], Float32Array.of(0, 0, 1, bad)))).toBe('BAD_INPUT')
      expect(await codeOf(index.search(Float32Array.of(1, bad), { topK: 1 }))).toBe('BAD_INPUT')
    }
    expect(await codeOf(add(index, [9], Float32Array.of(1)))).toBe('BAD_INPUT')
    expect(await codeOf(add(index, [-1], Float32Array.of(1, 0)))).toBe('BAD_INPUT')
    expect(await codeOf(add(index, [1.5], Float32Array.of(1, 0)))).toBe('BAD_INPUT')
    expect(await codeOf(index.search(Float32Array.of(1), { topK: 1 }))).toBe('BAD_INPUT')
    for (const topK of [-1, 1.5, Number.NaN])
      expect(await codeOf(index.search(Float32Array.of(1, 0), { topK }))).toBe('BAD_OPTION')
    expect([index.stats().vectors, index.stats().bytes]).toEqual([3, bytes])
    expect(await index.search(Float32Array.of(1, 0), { topK: 1 })).toEqual([{ number: 0, score: 1 }])
  })

  it('keeps the last of a number that comes twice in one call', async () => {
    const index = makeFlat({ dimensions: 1 })
    await add(index, [4, 4], Float32Array.of(0.25, 0.5))
    expect(await index.search(Float32Array.of(1), { topK: 5 })).toEqual([{ number: 4, score: 0.5 }])
  })

  it('shows a search the vectors that were there when it began', async () => {
    const dimensions = 64
    const index = await filled(
      makeFlat({ dimensions, accelerate: false }),
      20_000,
      randomVectors(20_000, dimensions, 3),
    )
    const query = randomVectors(1, dimensions, 4)
    const before = await index.search(query, { topK: 20 })
    const searching = Promise.all([index.search(query, { topK: 20 }), index.search(query, { topK: 20 })])
    const changing = filled(index, 20_000, new Float32Array(20_000 * dimensions)).then(() => remove(index, [0, 20_000]))
    expect(await searching).toEqual([before, before])
    await changing
    expect(await index.search(query, { topK: 20 })).toEqual([])
  })

  it('is not disturbed when the caller uses the query array again', async () => {
    const index = await filled(makeFlat({ dimensions: 2 }), 2, Float32Array.of(1, 0, 0, 1))
    const query = Float32Array.of(1, 0)
    const searching = index.search(query, { topK: 1 })
    query.set([0, 1])
    expect((await searching)[0]?.number).toBe(0)
  })

  it('gives memory back when vectors are removed, and does not grow under replacement', async () => {
    const dimensions = 64
    const index = makeFlat({ dimensions })
    const empty = index.stats().bytes
    await filled(index, 4_000, randomVectors(4_000, dimensions, 1))
    const full = index.stats().bytes
    for (let round = 0; round < 6; round++) await filled(index, 4_000, randomVectors(4_000, dimensions, round))
    await remove(index, [1, 3_999])
    expect(index.stats().bytes).toBeLessThan(full / 20)
    expect(index.stats().vectors).toBe(2)
    await remove(index, [0, 1e15])
    expect(index.stats().bytes).toBeLessThan(empty + 300 * dimensions * 4)
  })

  it.each<[string, () => unknown]>([
    ['there is no WebAssembly', () => undefined],
    ['its SIMD instructions are refused', () => ({ ...wasm, Module: refusing })],
    ['its memory is refused', () => ({ ...wasm, Memory: refusing })],
    [
      'its memory cannot grow',
      () => ({
        ...wasm,
        Memory: function Memory(limits: object) {
          return Object.assign(new wasm.Memory(limits), { grow: refusing })
        },
      }),
    ],
  ])('finds the same when %s', async (_name, stub) => {
    const vectors = randomVectors(3_000, 64, 8)
    const plain = await filled(makeFlat({ dimensions: 64, accelerate: false }), 3_000, vectors)
    vi.stubGlobal('WebAssembly', stub())
    vi.resetModules()
    try {
      const fresh = await import('../../../src/vector-index/flat.js')
      const index = await filled(fresh.createFlatIndex({ dimensions: 64, fingerprint: 'test' }), 3_000, vectors)
      const query = vectors.subarray(64, 128)
      expect(await index.search(query, { topK: 10 })).toEqual(await plain.search(query, { topK: 10 }))
      expect(index.stats().bytes).toBe(plain.stats().bytes)
    } finally {
      vi.unstubAllGlobals()
    }
  })

  it('refuses dimensions out of range', () => {
    for (const dimensions of [0, -1, 1.5, Number.NaN, 65_537]) {
      expect(() => makeFlat({ dimensions })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    }
  })
})
