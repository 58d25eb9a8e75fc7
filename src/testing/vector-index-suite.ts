import assert from 'node:assert/strict'
import { RangeSet } from '../core/range-set.js'
import type { VectorIndex, VectorMatch, VectorSearchOptions } from '../vector-index/types.js'
import { type RegisterTest, randomNumbers, rejectsWith, shuffled } from './support.js'

/** How the suite gets its vector indexes. */
export interface VectorIndexHarness {
  /** An empty index of this width. The suite closes it. */
  create(options: { readonly dimensions: number }): Promise<VectorIndex>
  /**
   * For indexes that are not exact: the least mean share of the true nearest among those found, over random vectors of 24
   * dimensions, from 0 to 1. Default 0.9. An index whose `capabilities.exact` is true must find them all.
   */
  readonly minRecall?: number
}

/**
 * What every {@link VectorIndex} must do. Call it inside a `describe` with the `it` of your test framework:
 * `vectorIndexConformance(it, { create: async ({ dimensions }) => createFlatIndex({ dimensions }) })`.
 */
export function vectorIndexConformance(it: RegisterTest, harness: VectorIndexHarness): void {
  const { minRecall = 0.9 } = harness
  const withIndex = (name: string, dimensions: number, run: (index: VectorIndex) => Promise<void>) =>
    it(name, async () => {
      const index = await harness.create({ dimensions })
      try {
        await run(index)
      } finally {
        await index.close()
      }
    })

  withIndex('is empty at first', 3, async (index) => {
    assert.ok(index.id.length > 0)
    assert.equal(index.dimensions, 3)
    assert.equal(typeof index.capabilities.exact, 'boolean')
    assert.equal(index.size, 0)
    assert.ok(index.bytes >= 0)
    assert.deepEqual(await index.search(Float32Array.of(1, 0, 0), { topK: 5 }), [])
    await index.remove([[0, 100]])
    await index.add([], new Float32Array(0))
    assert.equal(index.size, 0)
  })

  withIndex('finds what a plain scan finds, through additions, replacements and removals', width, async (index) => {
    const random = randomNumbers(1)
    const pick = (below: number) => Math.floor(random() * below)
    const model = new Map<number, Float32Array>()
    const recalls: number[] = []
    for (let step = 0; step < 24; step++) {
      const first = pick(1_500)
      const count = 1 + pick(250)
      if (step % 4 === 3) {
        await index.remove([[first, first + count]])
        for (let number = first; number < first + count; number++) model.delete(number)
      } else {
        const numbers = shuffled(consecutive(first, count), step)
        const vectors = unitVectors(count, random)
        await index.add(numbers, vectors)
        for (const [row, number] of numbers.entries()) model.set(number, vectors.slice(row * width, (row + 1) * width))
      }
      assert.equal(index.size, model.size)
      const allow = RangeSet.from([
        [first, first + 400],
        [900, 901],
      ])
      for (const restriction of [{}, { allow }]) {
        const query = unitVectors(1, random)
        recalls.push(await compare(index, model, query, { topK: 10, ...restriction }))
      }
    }
    const mean = recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length
    assert.ok(index.capabilities.exact ? mean === 1 : mean >= minRecall, `The recall is ${mean}.`)
  })

  withIndex('orders equal scores by number, whatever the order they came in', 2, async (index) => {
    const numbers = shuffled(consecutive(0, 1_000), 2)
    const rows = Float32Array.from({ length: 2_000 }, (_, place) => 1 - (place % 2))
    await index.add(numbers.slice(0, 400), rows.subarray(0, 800))
    await index.add(numbers.slice(400), rows.subarray(800))
    const found = await index.search(Float32Array.of(1, 0), { topK: 50 })
    const order = found.map(({ number }) => number)
    assert.equal(order.length, 50)
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    )
    if (index.capabilities.exact) assert.deepEqual(order, consecutive(0, 50))
  })

  withIndex('finds as many as are asked for and there, and nothing that is not allowed', width, async (index) => {
    await index.add(consecutive(10, 700), unitVectors(700, randomNumbers(3)))
    const query = unitVectors(1, randomNumbers(4))
    const everyTenth = consecutive(0, 100).map((place): [number, number] => [place * 10, place * 10 + 1])
    const one = (await index.search(query, { topK: 700 })).at(-1)?.number ?? Number.NaN
    for (const [ranges, allowed] of [
      [[], 0],
      [everyTenth, 70],
      [[[one, one + 1]], 1],
      [[[0, 10]], 0],
      [[[710, 1e15]], 0],
      [[[0, 20]], 10],
      [[[700, 2 ** 40]], 10],
      [[[0, 1e15]], 700],
    ] as [[number, number][], number][]) {
      const allow = RangeSet.from(ranges)
      for (const topK of [0, 1, 5, 69, 70, 1_000, 1e9]) {
        const found = await index.search(query, { topK, allow })
        assert.equal(found.length, Math.min(topK, allowed))
        assert.equal(new Set(found.map(({ number }) => number)).size, found.length)
        for (const { number } of found) assert.ok(allow.has(number) && number >= 10 && number < 710)
      }
    }
    assert.equal((await index.search(query, { topK: 1e9 })).length, 700)
    assert.deepEqual(await index.search(query, { topK: 0 }), [])
  })

  withIndex('replaces a number that comes again', 2, async (index) => {
    await index.add([7, 8], Float32Array.of(1, 0, 0, 1))
    await index.add([7], Float32Array.of(0, 1))
    assert.equal(index.size, 2)
    assert.deepEqual(rounded(await index.search(Float32Array.of(1, 0), { topK: 9 })), [
      { number: 7, score: 0 },
      { number: 8, score: 0 },
    ])
    assert.deepEqual(rounded(await index.search(Float32Array.of(0, 1), { topK: 9 })), [
      { number: 7, score: 1 },
      { number: 8, score: 1 },
    ])
  })

  withIndex('removes ranges that overlap, are empty or unknown, and takes the numbers again', 2, async (index) => {
    await index.add(consecutive(0, 6), Float32Array.of(1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0))
    const left = async () => (await index.search(Float32Array.of(1, 0), { topK: 9 })).map(({ number }) => number)
    await index.remove([])
    await index.remove([
      [4, 9],
      [1, 3],
      [2, 3],
      [0, 0],
      [50, 1e15],
    ])
    assert.deepEqual(await left(), [0, 3])
    assert.equal(index.size, 2)
    await index.add([2], Float32Array.of(1, 0))
    assert.deepEqual(await left(), [0, 2, 3])
    await index.remove([[0, Number.MAX_SAFE_INTEGER]])
    assert.deepEqual(await left(), [])
    assert.equal(index.size, 0)
  })

  withIndex('keeps numbers apart that differ beyond 32 bits', 2, async (index) => {
    const numbers = [5, 2 ** 31 + 5, 2 ** 32 + 5, 2 ** 52 + 5]
    await index.add(numbers, Float32Array.of(1, 0, 0.9, 0, 0.8, 0, 0.7, 0))
    const find = async (allow?: RangeSet) =>
      (await index.search(Float32Array.of(1, 0), { topK: 9, ...(allow === undefined ? {} : { allow }) })).map(
        ({ number }) => number,
      )
    assert.deepEqual(await find(), numbers)
    assert.deepEqual(await find(RangeSet.from([[2 ** 32, 2 ** 33]])), [2 ** 32 + 5])
    await index.remove([[2 ** 32 + 5, 2 ** 32 + 6]])
    assert.deepEqual(await find(), [5, 2 ** 31 + 5, 2 ** 52 + 5])
  })

  withIndex('refuses unusable vectors before anything is changed', 2, async (index) => {
    await index.add([0, 1], Float32Array.of(1, 0, 0.5, 0))
    const before = await index.search(Float32Array.of(1, 0), { topK: 9 })
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      await rejectsWith(index.add([0, 9], Float32Array.of(0, 1, 1, bad)), 'BAD_INPUT')
      await rejectsWith(index.search(Float32Array.of(bad, 1), { topK: 1 }), 'BAD_INPUT')
    }
    for (const values of [0, 1, 3, 4]) await rejectsWith(index.add([9], new Float32Array(values)), 'BAD_INPUT')
    for (const values of [0, 1, 3]) {
      await rejectsWith(index.search(new Float32Array(values), { topK: 1 }), 'BAD_INPUT')
    }
    assert.equal(index.size, 2)
    assert.deepEqual(await index.search(Float32Array.of(1, 0), { topK: 9 }), before)
    await index.add([9], Float32Array.of(0.7, 0))
    assert.equal(index.size, 3)
  })

  withIndex('scores zero vectors 0, never NaN', 2, async (index) => {
    await index.add([4, 2, 3], Float32Array.of(0, 0, 1, 0, -1, 0))
    assert.deepEqual(rounded(await index.search(Float32Array.of(1, 0), { topK: 9 })), [
      { number: 2, score: 1 },
      { number: 4, score: 0 },
      { number: 3, score: -1 },
    ])
    assert.deepEqual(
      rounded(await index.search(Float32Array.of(0, 0), { topK: 9 })),
      [2, 3, 4].map((number) => ({ number, score: 0 })),
    )
  })

  withIndex('keeps its own copy of what it was given', 2, async (index) => {
    const vectors = Float32Array.of(1, 0, 0, 1)
    const numbers = [1, 2]
    await index.add(numbers, vectors)
    vectors.fill(0)
    numbers.fill(9)
    assert.deepEqual(rounded(await index.search(Float32Array.of(1, 0), { topK: 1 })), [{ number: 1, score: 1 }])
  })

  withIndex('takes calls that come at once, in their order, and goes on after one that failed', 2, async (index) => {
    const results = await Promise.allSettled([
      index.add([1, 2], Float32Array.of(1, 0, 0.9, 0)),
      index.add([3], Float32Array.of(Number.NaN, 0)),
      index.remove([[1, 2]]),
      index.add([1], Float32Array.of(0.5, 0)),
      index.add([4], Float32Array.of(0.7, 0)),
      index.remove([[2, 3]]),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled'],
    )
    const found = await index.search(Float32Array.of(1, 0), { topK: 9 })
    assert.deepEqual(
      found.map(({ number }) => number),
      [4, 1],
    )
  })

  withIndex('gives searches true scores while vectors come and go', width, async (index) => {
    const vectors = unitVectors(2_000, randomNumbers(5))
    await index.add(consecutive(0, 1_000), vectors.subarray(0, 1_000 * width))
    const query = unitVectors(1, randomNumbers(6))
    const searches = consecutive(0, 8).map(() => index.search(query, { topK: 20 }))
    const changes = [
      index.add(consecutive(1_000, 1_000), vectors.subarray(1_000 * width)),
      index.remove([[0, 500]]),
      index.remove([[1_500, 1_600]]),
    ]
    searches.push(...consecutive(0, 8).map(() => index.search(query, { topK: 20 })))
    const [answers] = await Promise.all([Promise.all(searches), Promise.all(changes)])
    for (const found of answers) {
      assert.equal(found.length, 20)
      for (const { number, score } of found) {
        const row = vectors.subarray(number * width, (number + 1) * width)
        assert.ok(Math.abs(score - product(row, query)) < tolerance)
      }
    }
    assert.equal(index.size, 1_400)
  })

  it('gives the same answer for the same vectors, whatever the order they came in', async () => {
    const vectors = unitVectors(900, randomNumbers(7))
    const query = unitVectors(1, randomNumbers(8))
    const answers: VectorMatch[][] = []
    for (const seed of [1, 2]) {
      const index = await harness.create({ dimensions: width })
      for (const number of seed === 1 ? consecutive(0, 900) : shuffled(consecutive(0, 900), 3)) {
        await index.add([number], vectors.subarray(number * width, (number + 1) * width))
      }
      const found = await index.search(query, { topK: 10 })
      assert.deepEqual(await index.search(query, { topK: 10 }), found)
      if (index.capabilities.exact) answers.push(found)
      await index.close()
    }
    assert.deepEqual(answers[1], answers[0])
  })

  withIndex('counts its bytes: more with more vectors', 64, async (index) => {
    const empty = index.bytes
    await index.add(consecutive(0, 2_000), new Float32Array(2_000 * 64).fill(0.125))
    // Product quantisation, the smallest that is in use, keeps about a byte for eight values.
    assert.ok(index.bytes - empty >= 2_000 * 8, `${index.bytes - empty} bytes for 2,000 vectors of 64 dimensions.`)
  })

  it('refuses everything after close(), which is safe before first use, twice and during a search', async () => {
    const unused = await harness.create({ dimensions: 2 })
    await Promise.all([unused.close(), unused.close()])
    await rejectsWith(unused.search(Float32Array.of(1, 0), { topK: 1 }), 'CLOSED')

    const index = await harness.create({ dimensions: width })
    const vectors = unitVectors(600, randomNumbers(9))
    await index.add(consecutive(0, 600), vectors)
    const running = [
      index.search(vectors.subarray(0, width), { topK: 1 }),
      index.add([600], vectors.subarray(0, width)),
    ]
    const settled = Promise.allSettled(running)
    await index.close()
    await index.close()
    for (const result of await settled) {
      if (result.status === 'rejected') await rejectsWith(Promise.reject(result.reason), 'CLOSED')
    }
    await rejectsWith(index.search(vectors.subarray(0, width), { topK: 1 }), 'CLOSED')
    await rejectsWith(index.add([1], vectors.subarray(0, width)), 'CLOSED')
    await rejectsWith(index.remove([[0, 1]]), 'CLOSED')
    assert.equal(index.size, 0)
  })
}

/** Dimensions of random vectors: no multiple of what SIMD code likes. */
const width = 23
/** What single precision may add to a score of unit vectors. */
const tolerance = 1e-5

/** Checks all that holds for inexact indexes too, and returns the share of the true nearest that was found. */
async function compare(
  index: VectorIndex,
  model: ReadonlyMap<number, Float32Array>,
  query: Float32Array,
  options: VectorSearchOptions,
): Promise<number> {
  const expected = [...model]
    .filter(([number]) => options.allow?.has(number) ?? true)
    .map(([number, row]) => ({ number, score: product(row, query) }))
    .sort((a, b) => b.score - a.score || a.number - b.number)
    .slice(0, options.topK)
  const found = await index.search(query, options)
  assert.equal(found.length, expected.length)
  for (const [rank, { number, score }] of found.entries()) {
    assert.ok(options.allow?.has(number) ?? true)
    assert.ok(Math.abs(score - product(model.get(number) ?? new Float32Array(width), query)) < tolerance)
    assert.ok(rank === 0 || score <= (found[rank - 1] as VectorMatch).score)
  }
  if (expected.length === 0) return 1
  // By score, because two vectors may be equally near but for rounding.
  const least = (expected.at(-1) as VectorMatch).score - tolerance
  const numbers = new Set(found.filter(({ score }) => score >= least).map(({ number }) => number))
  return numbers.size / expected.length
}

function product(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, place) => sum + value * (b[place] as number), 0)
}

function unitVectors(count: number, random: () => number): Float32Array {
  const vectors = Float32Array.from({ length: count * width }, () => random() - 0.5)
  for (let start = 0; start < vectors.length; start += width) {
    const row = vectors.subarray(start, start + width)
    const length = Math.hypot(...row)
    row.set(row.map((value) => value / length))
  }
  return vectors
}

function consecutive(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, place) => first + place)
}

/** Scores to five places, and 0 for -0. */
function rounded(matches: readonly VectorMatch[]): VectorMatch[] {
  return matches.map(({ number, score }) => ({ number, score: Math.round(score * 1e5) / 1e5 + 0 }))
}
