import fc from 'fast-check'
import { expect, it, describe as suite } from 'vitest'
import { compare, describe, formatNumber, measure, processorTime, quantile } from '../../../bench/lib/measure.js'
import { formatTable } from '../../../src/util/table.js'

suite('quantile', () => {
  it('agrees with the worked example of R (type 7)', () => {
    expect(quantile([1, 2, 3, 4], 0.25)).toBe(1.75)
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5)
    expect(quantile([7], 0.99)).toBe(7)
  })

  it('is NaN without samples', () => {
    expect(quantile([], 0.5)).toBeNaN()
  })

  it('lies between the extremes, never falls with the share, and leaves its input alone', () => {
    const numbers = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1 })
    fc.assert(
      fc.property(
        numbers,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (samples, a, b) => {
          const copy = [...samples]
          const [low, high] = [quantile(samples, Math.min(a, b)), quantile(samples, Math.max(a, b))]
          expect(low).toBeLessThanOrEqual(high + 1e-6)
          expect(low).toBeGreaterThanOrEqual(Math.min(...samples) - 1e-6)
          expect(high).toBeLessThanOrEqual(Math.max(...samples) + 1e-6)
          expect(samples).toEqual(copy)
        },
      ),
      { seed: 7 },
    )
  })
})

suite('compare', () => {
  it('runs A B B A in every block after the warm-up', async () => {
    const order: string[] = []
    const contender = (name: string) => ({ name, run: () => order.push(name) })
    const [a, b] = await compare([contender('a'), contender('b')], { warmup: 1, blocks: 2, repetitions: 2 })
    expect(order.join('')).toBe(`ab${'aabbbbaa'.repeat(2)}`)
    expect(a?.ratio).toBe(1)
    expect(a?.times.count).toBe(8)
    expect(b?.blockRatios).toHaveLength(2)
  })

  it('counts by the clock it is given', async () => {
    let now = 0
    const steps = (name: string, length: number) => ({ name, run: () => (now += length) })
    const options = { warmup: 0, blocks: 2, repetitions: 3, clock: () => now }
    const [one, three] = await compare([steps('one', 1), steps('three', 3)], options)
    expect([one?.times.max, three?.times.min, three?.ratio]).toEqual([1, 3, 3])
  })

  it('passes on what a contender throws', async () => {
    const broken = { name: 'broken', run: () => Promise.reject(new Error('no')) }
    await expect(compare([broken], { warmup: 0, blocks: 1, repetitions: 1 })).rejects.toThrow('no')
  })
})

suite('processorTime', () => {
  it('is what the process has used, in milliseconds', () => {
    const used = () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    }
    const [before, now, after] = [used(), processorTime(), used()]
    expect(now).toBeGreaterThanOrEqual(before)
    expect(now).toBeLessThanOrEqual(after)
  })
})

suite('measure', () => {
  it('counts timed repetitions only', async () => {
    let calls = 0
    const times = await measure(() => calls++, { warmup: 3, repetitions: 5 })
    expect([calls, times.count]).toEqual([8, 5])
  })
})

suite('formatting', () => {
  it('keeps three significant digits without an exponent', () => {
    expect([0.01234, 1.234, 12.34, 123.4, 12345].map(formatNumber)).toEqual(['0.0123', '1.23', '12.3', '123', '12,345'])
  })

  it('aligns a table whose rows differ in length', () => {
    expect(formatTable([['name', 'ms'], ['a', 1.5], ['longer']])).toEqual([
      'name    ms',
      '------  ---',
      'a       1.5',
      'longer',
    ])
  })

  it('says nothing of an empty table', () => {
    expect(formatTable([])).toEqual([])
  })

  it('describes no samples as NaN instead of zero', () => {
    expect(describe([]).median).toBeNaN()
  })
})
