import assert from 'node:assert/strict'
import { RagError } from '../core/errors.js'
import { RangeSet } from '../core/range-set.js'
import type { VectorIndex, VectorMatch, VectorSearchOptions } from '../vector-index/types.js'
import {
  hasCode,
  itWith,
  type NotApplicable,
  nextLoopTurn,
  type RegisterTest,
  randomNumbers,
  rejectsWith,
  shuffled,
} from './support.js'

/** How the suite gets its vector indexes. */
export interface VectorIndexHarness {
  /** An empty index of this width. The suite closes it. */
  create(options: { readonly dimensions: number }): Promise<VectorIndex>
  /** For indexes that `persist()`: opens again what a closed index has left. */
  readonly reopen: ((closed: VectorIndex) => Promise<VectorIndex>) | NotApplicable
  /**
   * For indexes that are not exact: the least mean share of the true nearest among those found, over random vectors of 24
   * dimensions, from 0 to 1. Default 0.9. An index whose `capabilities.exact` is true must find them all.
   */
  readonly minRecall?: number
}

/**
 * What every {@link VectorIndex} must do. Call it inside a `describe` with the `it` of your test framework:
 * `vectorIndexConformance(it, { create: async (options) => createMyIndex(options), reopen: { skip: 'it lives in memory' } })`.
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
    assert.equal(index.epoch, 0)
    const { vectors, segments, bytes } = index.stats()
    assert.deepEqual([vectors, segments], [0, 0])
    assert.ok(bytes >= 0)
    assert.deepEqual(await index.search(Float32Array.of(1, 0, 0), { topK: 5 }), [])
    await change(index, { remove: [[0, 100]], add: [[], new Float32Array(0)] })
    assert.equal(index.stats().vectors, 0)
    await index.persist()
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
        await change(index, { remove: [[first, first + count]] })
        for (let number = first; number < first + count; number++) model.delete(number)
      } else {
        const numbers = shuffled(consecutive(first, count), step)
        const vectors = unitVectors(count, random)
        await change(index, { add: [numbers, vectors] })
        for (const [row, number] of numbers.entries()) model.set(number, vectors.slice(row * width, (row + 1) * width))
      }
      assert.equal(index.stats().vectors, model.size)
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
    await change(index, { add: [numbers.slice(0, 400), rows.subarray(0, 800)] })
    await change(index, { add: [numbers.slice(400), rows.subarray(800)] })
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
    await change(index, { add: [consecutive(10, 700), unitVectors(700, randomNumbers(3))] })
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
    await change(index, { add: [[7, 8], Float32Array.of(1, 0, 0, 1)] })
    await change(index, { add: [[7], Float32Array.of(0, 1)] })
    assert.equal(index.stats().vectors, 2)
    assert.deepEqual(rounded(await index.search(Float32Array.of(1, 0), { topK: 9 })), [
      { number: 7, score: 0 },
      { number: 8, score: 0 },
    ])
    assert.deepEqual(rounded(await index.search(Float32Array.of(0, 1), { topK: 9 })), [
      { number: 7, score: 1 },
      { number: 8, score: 1 },
    ])
    await change(index, { add: [[9, 7, 7], Float32Array.of(0, 0.5, 0, 0.25, 0, 0.75)] })
    assert.deepEqual(rounded(await index.search(Float32Array.of(0, 1), { topK: 9 })), [
      { number: 8, score: 1 },
      { number: 7, score: 0.75 },
      { number: 9, score: 0.5 },
    ])
  })

  withIndex('removes ranges that overlap, are empty or unknown, and takes the numbers again', 2, async (index) => {
    await change(index, { add: [consecutive(0, 6), Float32Array.of(1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0)] })
    const left = async () => (await index.search(Float32Array.of(1, 0), { topK: 9 })).map(({ number }) => number)
    await change(index, { remove: [] })
    await change(index, {
      remove: [
        [4, 9],
        [1, 3],
        [2, 3],
        [0, 0],
        [50, 1e15],
      ],
    })
    assert.deepEqual(await left(), [0, 3])
    assert.equal(index.stats().vectors, 2)
    await change(index, { add: [[2], Float32Array.of(1, 0)] })
    assert.deepEqual(await left(), [0, 2, 3])
    await change(index, { remove: [[0, Number.MAX_SAFE_INTEGER]] })
    assert.deepEqual(await left(), [])
    assert.equal(index.stats().vectors, 0)
  })

  withIndex('keeps numbers apart that differ beyond 32 bits', 2, async (index) => {
    const numbers = [5, 2 ** 31 + 5, 2 ** 32 + 5, 2 ** 52 + 5]
    await change(index, { add: [numbers, Float32Array.of(1, 0, 0.9, 0, 0.8, 0, 0.7, 0)] })
    const find = async (allow?: RangeSet) =>
      (await index.search(Float32Array.of(1, 0), { topK: 9, ...(allow === undefined ? {} : { allow }) })).map(
        ({ number }) => number,
      )
    assert.deepEqual(await find(), numbers)
    assert.deepEqual(await find(RangeSet.from([[2 ** 32, 2 ** 33]])), [2 ** 32 + 5])
    await change(index, { remove: [[2 ** 32 + 5, 2 ** 32 + 6]] })
    assert.deepEqual(await find(), [5, 2 ** 31 + 5, 2 ** 52 + 5])
  })

  withIndex('refuses unusable vectors before anything is changed', 2, async (index) => {
    await change(index, { add: [[0, 1], Float32Array.of(1, 0, 0.5, 0)] })
    const before = await index.search(Float32Array.of(1, 0), { topK: 9 })
    const update = index.update()
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      await rejectsWith(update.add([0, 9], Float32Array.of(0, 1, 1, bad)), 'BAD_INPUT')
      await rejectsWith(index.search(Float32Array.of(bad, 1), { topK: 1 }), 'BAD_INPUT')
    }
    for (const values of [0, 1, 3, 4]) await rejectsWith(update.add([9], new Float32Array(values)), 'BAD_INPUT')
    for (const values of [0, 1, 3]) {
      await rejectsWith(index.search(new Float32Array(values), { topK: 1 }), 'BAD_INPUT')
    }
    for (const bad of [-1, 1.5, Number.NaN, 2 ** 53]) {
      await rejectsWith(update.add([bad], Float32Array.of(1, 0)), 'BAD_INPUT')
    }
    for (const topK of [-1, 1.5, Number.NaN]) {
      await rejectsWith(index.search(Float32Array.of(1, 0), { topK }), 'BAD_OPTION')
    }
    await update.add([9], Float32Array.of(0.7, 0))
    assert.deepEqual(await index.search(Float32Array.of(1, 0), { topK: 9 }), before)
    await update.publish(7)
    assert.equal(index.stats().vectors, 3)
    assert.deepEqual(
      (await index.search(Float32Array.of(1, 0), { topK: 9 })).map(({ number }) => number),
      [0, 9, 1],
    )
  })

  withIndex('scores zero vectors 0, never NaN', 2, async (index) => {
    await change(index, { add: [[4, 2, 3], Float32Array.of(0, 0, 1, 0, -1, 0)] })
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
    const update = index.update()
    await update.add(numbers, vectors)
    vectors.fill(0)
    numbers.fill(9)
    await update.publish(1)
    assert.deepEqual(rounded(await index.search(Float32Array.of(1, 0), { topK: 1 })), [{ number: 1, score: 1 }])
  })

  withIndex('takes the steps of an update in their order, and goes on after one that failed', 2, async (index) => {
    const update = index.update()
    const steps = [
      update.add([1, 2], Float32Array.of(1, 0, 0.9, 0)),
      update.add([3], Float32Array.of(Number.NaN, 0)),
      update.remove([[1, 2]]),
      update.add([1], Float32Array.of(0.5, 0)),
      update.add([4], Float32Array.of(0.7, 0)),
      update.remove([[2, 3]]),
      update.publish(1),
    ]
    assert.deepEqual(
      (await Promise.allSettled(steps)).map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled'],
    )
    const found = await index.search(Float32Array.of(1, 0), { topK: 9 })
    assert.deepEqual(
      found.map(({ number }) => number),
      [4, 1],
    )
  })

  withIndex('shows what is staged at once with publish(), and what was aborted never', 2, async (index) => {
    const here = async () => (await index.search(Float32Array.of(1, 0), { topK: 9 })).map(({ number }) => number)
    await change(index, { add: [[1], Float32Array.of(1, 0)] })
    for (const [end, numbers] of [
      ['abort', [2, 3]],
      ['publish', [4, 5]],
    ] as const) {
      const update = index.update()
      update.remove([[1, 2]])
      await update.add(numbers, Float32Array.of(1, 0, 0.5, 0))
      await nextLoopTurn()
      assert.deepEqual(await here(), [1])
      assert.equal(index.stats().vectors, 1)
      if (end === 'publish') await update.publish(9)
      update.abort()
      update.abort()
    }
    assert.deepEqual(await here(), [4, 5])
    assert.equal(index.epoch, 9)
    await index.update().publish(12)
    assert.equal(index.epoch, 12)
    assert.deepEqual(await here(), [4, 5])
  })

  withIndex('has one update at a time, which takes nothing more when it has ended', 2, async (index) => {
    const update = index.update()
    assert.throws(() => index.update(), RagError.isInstance)
    await update.publish(1)
    const aborted = index.update()
    aborted.abort()
    for (const ended of [update, aborted]) {
      await assert.rejects(ended.add([1], Float32Array.of(1, 0)), RagError.isInstance)
      assert.throws(() => ended.remove([[0, 1]]), RagError.isInstance)
      await assert.rejects(ended.publish(2), RagError.isInstance)
    }
    // An update that follows at once is not touched by what the aborted one leaves behind.
    const abandoned = index.update()
    const adding = abandoned.add(consecutive(0, 2_000), new Float32Array(4_000).fill(0.5))
    abandoned.abort()
    await Promise.all([change(index, { add: [[7], Float32Array.of(1, 0)] }), Promise.allSettled([adding])])
    assert.deepEqual(rounded(await index.search(Float32Array.of(1, 0), { topK: 9 })), [{ number: 7, score: 1 }])
    assert.equal(index.epoch, 2)
  })

  withIndex('shows every search one epoch, never half an update', width, async (index) => {
    const generation = 120
    const vectors = unitVectors(generation, randomNumbers(10))
    const query = unitVectors(1, randomNumbers(11))
    await change(index, { add: [consecutive(generation, generation), vectors] })
    let done = false
    let searches = 0
    const searching = async () => {
      for (; !done; searches++) {
        const found = await index.search(query, { topK: 1_000 })
        assert.equal(found.length, generation)
        assert.equal(new Set(found.map(({ number }) => Math.floor(number / generation))).size, 1)
        await nextLoopTurn()
      }
    }
    const publishing = async () => {
      for (let epoch = 2; epoch < 14 && !done; epoch++) {
        const update = index.update()
        update.remove([[0, epoch * generation]])
        for (let part = 0; part < 3; part++) {
          const numbers = consecutive(epoch * generation + part * 40, 40)
          await update.add(numbers, vectors.subarray(part * 40 * width, (part + 1) * 40 * width))
        }
        await update.publish(epoch)
        await nextLoopTurn()
      }
    }
    const stop = () => {
      done = true
    }
    await Promise.all([searching().finally(stop), publishing().finally(stop)])
    assert.ok(searches > 0)
  })

  withIndex('gives searches true scores while vectors come and go', width, async (index) => {
    const vectors = unitVectors(2_000, randomNumbers(5))
    await change(index, { add: [consecutive(0, 1_000), vectors.subarray(0, 1_000 * width)] })
    const query = unitVectors(1, randomNumbers(6))
    const searches = consecutive(0, 8).map(() => index.search(query, { topK: 20 }))
    const changing = async () => {
      await change(index, { add: [consecutive(1_000, 1_000), vectors.subarray(1_000 * width)] })
      await change(index, { remove: [[0, 500]] })
      await change(index, { remove: [[1_500, 1_600]] })
    }
    const changes = changing()
    searches.push(...consecutive(0, 8).map(() => index.search(query, { topK: 20 })))
    const [answers] = await Promise.all([Promise.all(searches), changes])
    for (const found of answers) {
      assert.equal(found.length, 20)
      for (const { number, score } of found) {
        const row = vectors.subarray(number * width, (number + 1) * width)
        assert.ok(Math.abs(score - product(row, query)) < tolerance)
      }
    }
    assert.equal(index.stats().vectors, 1_400)
  })

  it('gives the same answer for the same vectors, whatever the order they came in', async () => {
    const vectors = unitVectors(900, randomNumbers(7))
    const query = unitVectors(1, randomNumbers(8))
    const answers: VectorMatch[][] = []
    for (const seed of [1, 2]) {
      const index = await harness.create({ dimensions: width })
      for (const number of seed === 1 ? consecutive(0, 900) : shuffled(consecutive(0, 900), 3)) {
        await change(index, { add: [[number], vectors.subarray(number * width, (number + 1) * width)] })
      }
      const found = await index.search(query, { topK: 10 })
      assert.deepEqual(await index.search(query, { topK: 10 }), found)
      if (index.capabilities.exact) answers.push(found)
      await index.close()
    }
    assert.deepEqual(answers[1], answers[0])
  })

  withIndex('counts its bytes: more with more vectors', 64, async (index) => {
    const empty = index.stats().bytes
    await change(index, { add: [consecutive(0, 2_000), new Float32Array(2_000 * 64).fill(0.125)] })
    const more = index.stats().bytes - empty
    // Product quantisation, the smallest that is in use, keeps about a byte for eight values.
    assert.ok(more >= 2_000 * 8, `${more} bytes for 2,000 vectors of 64 dimensions.`)
  })

  withIndex('gives up a search whose signal is aborted', 2, async (index) => {
    await change(index, { add: [[1], Float32Array.of(1, 0)] })
    const reason = new Error('enough')
    await assert.rejects(
      index.search(Float32Array.of(1, 0), { topK: 1, signal: AbortSignal.abort(reason) }),
      (error) => error === reason,
    )
  })

  it('answers many questions in one call as it answers each, where it offers to', async () => {
    const index = await harness.create({ dimensions: width })
    try {
      await change(index, { add: [consecutive(0, 500), unitVectors(500, randomNumbers(12))] })
      const queries = unitVectors(7, randomNumbers(13))
      const options = { topK: 5, allow: RangeSet.from([[50, 450]]) }
      const alone = await Promise.all(
        consecutive(0, 7).map((row) => index.search(queries.slice(row * width, (row + 1) * width), options)),
      )
      if (index.searchMany === undefined) return
      assert.deepEqual(await index.searchMany(queries, options), alone)
      assert.deepEqual(await index.searchMany(new Float32Array(0), options), [])
      await rejectsWith(index.searchMany(new Float32Array(width + 1), options), 'BAD_INPUT')
    } finally {
      await index.close()
    }
  })

  it('refuses everything after close(), which is safe before first use, twice and during a search', async () => {
    const unused = await harness.create({ dimensions: 2 })
    await Promise.all([unused.close(), unused.close()])
    await rejectsWith(unused.search(Float32Array.of(1, 0), { topK: 1 }), 'CLOSED')

    const index = await harness.create({ dimensions: width })
    const vectors = unitVectors(600, randomNumbers(9))
    await change(index, { add: [consecutive(0, 600), vectors] })
    const update = index.update()
    const running = [
      index.search(vectors.subarray(0, width), { topK: 1 }),
      update.add([600], vectors.subarray(0, width)),
      update.publish(2),
    ]
    const settled = Promise.allSettled(running)
    await index.close()
    await index.close()
    for (const result of await settled) {
      if (result.status === 'rejected') await rejectsWith(Promise.reject(result.reason), 'CLOSED')
    }
    await rejectsWith(index.search(vectors.subarray(0, width), { topK: 1 }), 'CLOSED')
    assert.throws(() => index.update(), hasCode('CLOSED'))
    assert.equal(index.stats().vectors, 0)
  })

  it('is at rest after settled(), where it has that, and finds what it found', async () => {
    const vectors = unitVectors(300, randomNumbers(16))
    const index = await harness.create({ dimensions: width })
    await change(index, { add: [consecutive(0, 300), vectors] })
    const query = vectors.slice(0, width)
    const before = await index.search(query, { topK: 1 })
    await index.settled?.()
    assert.equal(index.stats().building, false)
    assert.deepEqual(await index.search(query, { topK: 1 }), before)
    await index.close()
    await index.settled?.()
  })

  itWith(it, 'is after persist() what it was, and without it what it was before', harness.reopen, async (reopen) => {
    const vectors = unitVectors(1_000, randomNumbers(14))
    const queries = unitVectors(5, randomNumbers(15))
    let index = await harness.create({ dimensions: width })
    await change(index, { add: [consecutive(0, 700), vectors.subarray(0, 700 * width)] }, 3)
    await change(index, { remove: [[100, 300]], add: [consecutive(700, 300), vectors.subarray(700 * width)] }, 5)
    const ask = () =>
      Promise.all(
        consecutive(0, 5).map((row) => index.search(queries.slice(row * width, (row + 1) * width), { topK: 9 })),
      )
    // A graph that is being built may find others than the scan it takes the place of.
    await index.settled?.()
    const answers = await ask()
    await Promise.all([index.persist(), index.persist()])
    await index.persist()
    await index.close()

    index = await reopen(index)
    assert.equal(index.epoch, 5)
    assert.equal(index.stats().vectors, 800)
    assert.deepEqual(await ask(), answers)
    await change(index, { remove: [[0, 500]], add: [[2_000], queries.slice(0, width)] }, 8)
    assert.equal((await index.search(queries.slice(0, width), { topK: 1 }))[0]?.number, 2_000)
    assert.equal(index.stats().vectors, 501)
    await index.close()

    index = await reopen(index)
    assert.equal(index.epoch, 5)
    assert.deepEqual(await ask(), answers)
    await index.close()
  })
}

interface Change {
  readonly remove?: readonly (readonly [number, number])[]
  readonly add?: readonly [numbers: readonly number[], vectors: Float32Array]
}

/** One update: what is removed, then what is added. */
async function change(index: VectorIndex, { remove, add }: Change, epoch = index.epoch + 1): Promise<void> {
  const update = index.update()
  try {
    if (remove !== undefined) update.remove(remove)
    if (add !== undefined) await update.add(...add)
    await update.publish(epoch)
  } finally {
    update.abort()
  }
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
