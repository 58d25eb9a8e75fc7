import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Distribution } from '../../../src/util/distribution.js'

function summarise(values: readonly number[]) {
  const distribution = new Distribution()
  for (const value of values) distribution.add(value)
  return distribution.summary()
}

/** Two passes, sorted array: slow and obviously right. */
function oracle(values: readonly number[]) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  const sorted = [...values].sort((a, b) => a - b)
  const rank = (share: number) => sorted[Math.max(1, Math.ceil(share * values.length)) - 1] as number
  return { mean, std: values.length < 2 ? 0 : Math.sqrt(variance), p50: rank(0.5), p95: rank(0.95), p99: rank(0.99) }
}

const durations = fc.double({ min: 0, max: 1e7, noNaN: true })

describe('Distribution', () => {
  it('is all zero before the first value', () => {
    expect(Object.values(summarise([])).every((value) => value === 0)).toBe(true)
  })

  it('agrees exactly with the slow version up to 256 values', () => {
    fc.assert(
      fc.property(fc.array(durations, { minLength: 1, maxLength: 256 }), (values) => {
        const seen = summarise(values)
        const right = oracle(values)
        expect([seen.p50, seen.p95, seen.p99]).toEqual([right.p50, right.p95, right.p99])
        expect([seen.min, seen.max, seen.count]).toEqual([Math.min(...values), Math.max(...values), values.length])
        expect(seen.mean).toBeCloseTo(right.mean, 5)
        expect(seen.std).toBeCloseTo(right.std, 3)
      }),
      { seed: 11 },
    )
  })

  it('keeps percentiles within 1% beyond, over nine orders of magnitude', () => {
    const exponents = fc.double({ min: -4, max: 5, noNaN: true })
    fc.assert(
      fc.property(fc.array(exponents, { minLength: 257, maxLength: 3000 }), (powers) => {
        const values = powers.map((power) => 10 ** power)
        const seen = summarise(values)
        const right = oracle(values)
        for (const key of ['p50', 'p95', 'p99'] as const) {
          expect(Math.abs(seen[key] - right[key])).toBeLessThanOrEqual(right[key] * 0.0101)
        }
      }),
      { seed: 12, numRuns: 40 },
    )
  })

  it('does not lose the deviation of large values that lie close together', () => {
    const values = Array.from({ length: 1000 }, (_, place) => 1e9 + (place % 3))
    expect(summarise(values).std).toBeCloseTo(oracle(values.map((value) => value - 1e9)).std, 6)
  })

  it('handles zeros and values beyond its buckets', () => {
    const seen = summarise([...Array(500).fill(0), ...Array(500).fill(1e12)])
    expect([seen.min, seen.p95, seen.p99, seen.max]).toEqual([0, 1e12, 1e12, 1e12])
    expect(seen.p50).toBeLessThan(1.1e-6)
  })
})
