import { describe, expect, it } from 'vitest'
import { fitPowerLaw } from '../../../bench/lib/power-law.js'

describe('a fitted power law', () => {
  it('is found again from points that lie on it', () => {
    const points = [1_000, 10_000, 100_000].map((x) => ({ x, y: 3 * x ** 0.7 }))
    const { exponent, factor } = fitPowerLaw(points)
    expect(exponent).toBeCloseTo(0.7, 10)
    expect(factor).toBeCloseTo(3, 8)
  })

  it('leaves out what has no logarithm, and is no number for less than two points', () => {
    expect(
      fitPowerLaw([
        { x: 1, y: 1 },
        { x: 2, y: 0 },
        { x: 4, y: 16 },
      ]).exponent,
    ).toBeCloseTo(2, 10)
    expect(fitPowerLaw([{ x: 1, y: 1 }]).exponent).toBeNaN()
  })
})
