import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fuseByRank } from '../../../src/fusion/rrf.js'
import { fuseByScore } from '../../../src/fusion/weighted.js'

const match = (number: number, score: number) => ({ number, score })
const lexical = [match(3, 12), match(1, 6), match(2, 3)]
const vector = [match(2, 0.9), match(3, 0.5), match(7, -0.2)]

describe('reciprocal rank fusion', () => {
  it('adds weight / (60 + place) of every leg', () => {
    const fused = fuseByRank([
      { matches: lexical, weight: 1 },
      { matches: vector, weight: 2 },
    ])
    expect(fused).toEqual([match(2, 1 / 63 + 2 / 61), match(3, 1 / 61 + 2 / 62), match(7, 2 / 63), match(1, 1 / 62)])
  })

  it('counts a number that comes twice in a leg once, at its better place', () => {
    const twice = [match(5, 9), match(5, 8), match(6, 7)]
    expect(fuseByRank([{ matches: twice, weight: 1 }])).toEqual([match(5, 1 / 61), match(6, 1 / 62)])
  })

  it('refuses a k that is negative or no number', () => {
    for (const k of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => fuseByRank([], { k })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    }
  })
})

describe('weighted fusion', () => {
  it('scales each leg from its theoretical minimum to its best match', () => {
    const fused = fuseByScore([
      { matches: lexical, weight: 0.7, lowest: 0 },
      { matches: vector, weight: 0.3, lowest: -1 },
    ])
    const scores = new Map(fused.map(({ number, score }) => [number, score]))
    expect(fused.map(({ number }) => number)).toEqual([3, 2, 1, 7])
    expect(scores.get(3)).toBeCloseTo(0.7 + 0.3 * (1.5 / 1.9), 12)
    expect(scores.get(2)).toBeCloseTo(0.7 * 0.25 + 0.3, 12)
    expect(scores.get(1)).toBeCloseTo(0.7 * 0.5, 12)
    expect(scores.get(7)).toBeCloseTo(0.3 * (0.8 / 1.9), 12)
  })

  it('gives 0, not NaN, where all scores are the minimum, and never less where rounding went below it', () => {
    expect(fuseByScore([{ matches: [match(2, 0), match(1, 0)], weight: 1, lowest: 0 }])).toEqual([
      match(1, 0),
      match(2, 0),
    ])
    expect(fuseByScore([{ matches: [match(1, 1), match(2, -1.0000001)], weight: 1, lowest: -1 }])[1]).toEqual(
      match(2, 0),
    )
  })

  it('refuses scores and minima that are not finite', () => {
    const one = { weight: 1, lowest: 0 }
    for (const score of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => fuseByScore([{ ...one, matches: [match(1, score)] }])).toThrow(
        expect.objectContaining({ code: 'BAD_INPUT' }),
      )
    }
    expect(() => fuseByScore([{ matches: [], weight: 1, lowest: Number.NaN }])).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION' }),
    )
  })
})

describe.each([
  ['rank', (legs: readonly Leg[]) => fuseByRank(legs)],
  ['score', (legs: readonly Leg[]) => fuseByScore(legs.map((leg) => ({ ...leg, lowest: -1 })))],
])('fusion by %s', (_name, fuse) => {
  const leg = fc.record({
    weight: fc.constantFrom(0, 0.3, 1),
    matches: fc
      .array(fc.record({ number: fc.nat(30), score: fc.float({ min: -1, max: 1, noNaN: true }) }), { maxLength: 30 })
      .map((matches) => matches.sort((a, b) => b.score - a.score)),
  })

  it('takes a weight of 0 as nothing at all', () => {
    const silent = { matches: vector, weight: 0 }
    expect(fuse([{ matches: lexical, weight: 1 }, silent])).toEqual(fuse([{ matches: lexical, weight: 1 }]))
    expect(fuse([silent])).toEqual([])
  })

  it('keeps the order of the only leg that found something', () => {
    const fused = fuse([
      { matches: lexical, weight: 0.2 },
      { matches: [], weight: 0.8 },
    ])
    expect(fused.map(({ number }) => number)).toEqual([3, 1, 2])
  })

  it('is finite, free of duplicates, best first with ties by number, and blind to the order of the legs', () => {
    fc.assert(
      fc.property(fc.array(leg, { maxLength: 2 }), (legs) => {
        const fused = fuse(legs)
        expect(new Set(fused.map(({ number }) => number)).size).toBe(fused.length)
        expect(fused.every(({ score }) => Number.isFinite(score) && score >= 0)).toBe(true)
        const sorted = [...fused].sort((a, b) => b.score - a.score || a.number - b.number)
        expect(fused).toEqual(sorted)
        expect(fuse([...legs].reverse())).toEqual(fused)
      }),
      { seed: 5 },
    )
  })

  it('refuses weights that are negative or not finite', () => {
    for (const weight of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => fuse([{ matches: lexical, weight }])).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    }
  })
})

interface Leg {
  readonly weight: number
  readonly matches: readonly { readonly number: number; readonly score: number }[]
}
