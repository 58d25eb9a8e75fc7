import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Scored, TopK } from '../../../src/util/top-k.js'

/** Obviously right: sort everything, keep the first k. */
function sortAndSlice(entries: readonly Scored[], k: number): Scored[] {
  return [...entries].sort((a, b) => b.score - a.score || a.number - b.number).slice(0, k)
}

function collect(entries: readonly Scored[], k: number): TopK {
  const top = new TopK(k)
  for (const { score, number } of entries) top.push(score, number)
  return top
}

describe('TopK', () => {
  it('keeps what sorting keeps, ties by the smaller number', () => {
    // Few distinct scores, so that ties decide often.
    const entry = fc.record({ score: fc.integer({ min: -3, max: 3 }), number: fc.nat(1_000) })
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 400 }), fc.nat(300), (entries, k) => {
        expect(collect(entries, k).drain()).toEqual(sortAndSlice(entries, k))
      }),
      { seed: 1, numRuns: 300 },
    )
  })

  it('agrees with sorting on real scores, infinities and numbers beyond 32 bits', () => {
    const entry = fc.record({
      score: fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(Infinity, -Infinity)).map((score) => score + 0),
      number: fc.nat(Number.MAX_SAFE_INTEGER),
    })
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 200 }), fc.nat(50), (entries, k) => {
        expect(collect(entries, k).drain()).toEqual(sortAndSlice(entries, k))
      }),
      { seed: 2 },
    )
  })

  it('returns what there is when k exceeds the candidates, and reserves no room for the rest', () => {
    expect(collect([{ number: 7, score: 1 }], 1e12).drain()).toEqual([{ number: 7, score: 1 }])
  })

  it('keeps nothing when k is 0', () => {
    const top = collect([{ number: 1, score: 5 }], 0)
    expect(top.threshold).toBe(Infinity)
    expect(top.drain()).toEqual([])
  })

  it('never keeps NaN', () => {
    expect(collect([{ number: 1, score: Number.NaN }], 3).size).toBe(0)
  })

  it('tells the score a candidate must reach', () => {
    const top = new TopK(2)
    top.push(3, 0)
    expect(top.threshold).toBe(-Infinity)
    top.push(5, 1)
    expect(top.threshold).toBe(3)
    top.push(4, 2)
    expect(top.threshold).toBe(4)
  })

  it('is empty after drain and can be used again', () => {
    const top = collect([{ number: 1, score: 5 }], 2)
    top.drain()
    expect(top.size).toBe(0)
    top.push(2, 9)
    expect(top.drain()).toEqual([{ number: 9, score: 2 }])
  })
})
