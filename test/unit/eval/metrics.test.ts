import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  averagePrecision,
  type Judgements,
  mean,
  ndcg,
  precision,
  recall,
  reciprocalRank,
} from '../../../src/eval/metrics.js'

const judged = (grades: Readonly<Record<string, number>>): Judgements => new Map(Object.entries(grades))

describe('by hand', () => {
  // Places 1, 3 and 6 are relevant; one relevant document is not found at all.
  const ranked = ['a', 'x', 'b', 'y', 'z', 'c']
  const relevant = judged({ a: 3, b: 1, c: 2, d: 1, x: 0 })
  const log = Math.log2

  it('nDCG divides the discounted gains by those of the best order', () => {
    const gained = 3 / log(2) + 1 / log(4) + 2 / log(7)
    const best = 3 / log(2) + 2 / log(3) + 1 / log(4) + 1 / log(5)
    expect(ndcg(ranked, relevant)).toBeCloseTo(gained / best, 12)
    expect(ndcg(ranked, relevant, { k: 3 })).toBeCloseTo((3 + 1 / log(4)) / (3 + 2 / log(3) + 1 / log(4)), 12)
  })

  it('nDCG with exponential gains takes 2^grade - 1', () => {
    const gained = 7 / log(2) + 1 / log(4) + 3 / log(7)
    const best = 7 / log(2) + 3 / log(3) + 1 / log(4) + 1 / log(5)
    expect(ndcg(ranked, relevant, { gains: 'exponential' })).toBeCloseTo(gained / best, 12)
  })

  it('recall, precision, reciprocal rank and average precision', () => {
    expect(recall(ranked, relevant, { k: 3 })).toBe(2 / 4)
    expect(recall(ranked, relevant, { k: 3, capped: true })).toBe(2 / 3)
    expect(precision(ranked, relevant)).toBe(3 / 10)
    expect(precision(ranked, relevant, { k: Number.POSITIVE_INFINITY })).toBe(3 / 6)
    expect(reciprocalRank(['x', 'y', 'b'], relevant)).toBe(1 / 3)
    expect(reciprocalRank(['x', 'y', 'b'], relevant, { k: 2 })).toBe(0)
    expect(averagePrecision(ranked, relevant)).toBeCloseTo((1 / 1 + 2 / 3 + 3 / 6) / 4, 12)
  })

  it('of grades that are all 1, as they mostly are', () => {
    const order = ['n1', 'r1', 'r2', 'n2', 'r3']
    const grades = judged({ r1: 1, r2: 1, r3: 1 })
    expect(ndcg(order, grades)).toBeCloseTo((1 / log(3) + 1 / log(4) + 1 / log(6)) / (1 + 1 / log(3) + 1 / log(4)), 12)
    expect(averagePrecision(order, grades)).toBeCloseTo((1 / 2 + 2 / 3 + 3 / 5) / 3, 12)
    expect(precision(order, grades, { k: 5 })).toBe(0.6)
  })
})

describe('edges', () => {
  const measures = { ndcg, recall, precision, reciprocalRank, averagePrecision }

  it.each(Object.entries(measures))('%s is 0 without relevant documents, and of an empty ranking', (_, measure) => {
    expect(measure(['a'], new Map())).toBe(0)
    expect(measure(['a'], judged({ a: 0, b: -1 }))).toBe(0)
    expect(measure([], judged({ a: 1 }))).toBe(0)
  })

  it.each(Object.entries(measures))('%s gives an id that comes again no place', (_, measure) => {
    const relevant = judged({ a: 1, b: 2 })
    expect(measure(['a', 'a', 'a', 'b'], relevant, { k: 3 })).toBe(measure(['a', 'b'], relevant, { k: 3 }))
  })

  it.each([0, -1, 1.5, Number.NaN])('k of %d is refused', (k) => {
    for (const measure of Object.values(measures)) {
      expect(() => measure(['a'], judged({ a: 1 }), { k })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    }
  })

  it('the mean of nothing is 0', () => {
    expect(mean([])).toBe(0)
    expect(mean(Float64Array.of(1, 2, 6))).toBe(3)
  })
})

describe('for any ranking', () => {
  const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  const rankings = fc.shuffledSubarray(ids)
  const grades = fc.dictionary(fc.constantFrom(...ids), fc.integer({ min: 0, max: 3 })).map(judged)
  const depth = fc.integer({ min: 1, max: 9 })

  it('every measure lies between 0 and 1, and is 1 for the best order', () => {
    fc.assert(
      fc.property(rankings, grades, depth, (ranked, relevant, k) => {
        const best = [...relevant].filter(([, grade]) => grade > 0).sort(([, a], [, b]) => b - a)
        const order = best.map(([id]) => id)
        for (const gains of ['linear', 'exponential'] as const) {
          const value = ndcg(ranked, relevant, { k, gains })
          expect(value).toBeGreaterThanOrEqual(0)
          expect(value).toBeLessThanOrEqual(1 + 1e-12)
          if (order.length > 0) expect(ndcg(order, relevant, { k, gains })).toBeCloseTo(1, 12)
        }
        if (order.length > 0) {
          expect(recall(order, relevant, { k, capped: true })).toBe(1)
          expect(averagePrecision(order, relevant, { k: 8 })).toBeCloseTo(1, 12)
          expect(reciprocalRank(order, relevant, { k })).toBe(1)
        }
      }),
    )
  })

  it('a relevant document that moves up never lowers a measure', () => {
    fc.assert(
      fc.property(rankings, grades, fc.nat(7), (ranked, relevant, at) => {
        const place = Math.min(at, ranked.length - 1)
        const id = ranked[place]
        if (
          id === undefined ||
          place < 1 ||
          (relevant.get(id) ?? 0) <= (relevant.get(ranked[place - 1] as string) ?? 0)
        )
          return
        const moved = [...ranked]
        ;[moved[place - 1], moved[place]] = [id, ranked[place - 1] as string]
        for (const measure of [ndcg, averagePrecision, reciprocalRank]) {
          expect(measure(moved, relevant)).toBeGreaterThanOrEqual(measure(ranked, relevant) - 1e-12)
        }
      }),
    )
  })
})
