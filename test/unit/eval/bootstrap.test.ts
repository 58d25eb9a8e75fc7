import { describe, expect, it } from 'vitest'
import { pairedBootstrap } from '../../../src/eval/bootstrap.js'
import { randomNumbers } from '../../../src/util/random.js'

/** Values in [0, 1), and the same with `gain` added to each and noise around it. */
function twoSystems(questions: number, { gain, noise, seed }: { gain: number; noise: number; seed: number }) {
  const random = randomNumbers(seed)
  const baseline = Array.from({ length: questions }, random)
  return { baseline, candidate: baseline.map((value) => value + gain + (random() - 0.5) * noise) }
}

describe('the paired bootstrap', () => {
  it('holds the mean of the differences, within an interval as wide as theory says', () => {
    const { baseline, candidate } = twoSystems(400, { gain: 0.05, noise: 0.4, seed: 1 })
    const { difference, low, high, pValue } = pairedBootstrap(baseline, candidate)
    const differences = candidate.map((value, i) => value - (baseline[i] as number))
    const mean = differences.reduce((a, b) => a + b) / 400
    const deviation = Math.sqrt(differences.reduce((sum, one) => sum + (one - mean) ** 2, 0) / 399)
    expect(difference).toBeCloseTo(mean, 12)
    expect(low).toBeCloseTo(mean - 1.96 * (deviation / 20), 2)
    expect(high).toBeCloseTo(mean + 1.96 * (deviation / 20), 2)
    expect(pValue).toBeLessThan(0.001)
  })

  it('finds nothing where there is nothing, about as often as its confidence says', () => {
    const rejected = Array.from({ length: 200 }, (_, seed) => {
      const { baseline, candidate } = twoSystems(60, { gain: 0, noise: 0.5, seed: 100 + seed })
      return pairedBootstrap(baseline, candidate, { samples: 400 }).pValue < 0.05
    })
    const share = rejected.filter(Boolean).length / 200
    expect(share).toBeGreaterThan(0.005)
    expect(share).toBeLessThan(0.12)
  })

  it('is the same for the same seed, and turned round for systems that change places', () => {
    const { baseline, candidate } = twoSystems(50, { gain: 0.02, noise: 0.3, seed: 3 })
    const once = pairedBootstrap(baseline, candidate, { seed: 7 })
    expect(pairedBootstrap(baseline, candidate, { seed: 7 })).toEqual(once)
    expect(pairedBootstrap(baseline, candidate, { seed: 8 })).not.toEqual(once)
    expect(pairedBootstrap(candidate, baseline, { seed: 7 }).difference).toBeCloseTo(-once.difference, 12)
  })

  it('says that equal systems are equal', () => {
    expect(pairedBootstrap([0.5, 0.1, 0.9], [0.5, 0.1, 0.9])).toEqual({ difference: 0, low: 0, high: 0, pValue: 1 })
  })

  it('refuses lists that do not belong together, values that are none, and options out of range', () => {
    const code = (run: () => unknown) => {
      try {
        return run()
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(code(() => pairedBootstrap([1], [1, 2]))).toBe('BAD_INPUT')
    expect(code(() => pairedBootstrap([], []))).toBe('BAD_INPUT')
    expect(code(() => pairedBootstrap([1, Number.NaN], [1, 2]))).toBe('BAD_INPUT')
    expect(code(() => pairedBootstrap([1], [1], { samples: 99 }))).toBe('BAD_OPTION')
    expect(code(() => pairedBootstrap([1], [1], { confidence: 1 }))).toBe('BAD_OPTION')
  })
})
