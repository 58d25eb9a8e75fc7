import { describe, expect, it } from 'vitest'
import { Gate } from '../../../src/util/gate.js'
import { createMemoryBudget, defaultMaxMemoryBytes } from '../../../src/util/memory-budget.js'

describe('a memory budget', () => {
  it('halves the share while memory is short, and doubles it when there is plenty, a step for each look', () => {
    let usedBytes = 0
    let time = 0
    const budget = createMemoryBudget({ maxBytes: 1_000, usedBytes: () => usedBytes, now: () => time })
    const shareAt = (used: number): number => {
      usedBytes = used
      time += 100
      return budget.share()
    }
    expect([0, 890, 901, 950, 2_000, 901, 901, 800, 751].map(shareAt)).toEqual([
      1,
      1,
      1 / 2,
      1 / 4,
      1 / 8,
      1 / 16,
      1 / 16,
      1 / 16,
      1 / 16,
    ])
    expect([749, 899, 100, 0, 0, 0].map(shareAt)).toEqual([1 / 8, 1 / 8, 1 / 4, 1 / 2, 1, 1])
    expect(budget.report()).toEqual({ usedBytes: 0, maxBytes: 1_000, pressure: 0, share: 1, halved: 4 })
  })

  it('looks at most ten times a second', () => {
    let looks = 0
    let time = 0
    const budget = createMemoryBudget({ maxBytes: 1, usedBytes: () => 0 * ++looks, now: () => time })
    for (; time < 1_000; time++) budget.share()
    expect(looks).toBe(10)
  })

  it('reads what this process holds', () => {
    const budget = createMemoryBudget({ maxBytes: defaultMaxMemoryBytes() })
    budget.share()
    expect(budget.report().usedBytes).toBeGreaterThan(2 ** 20)
    expect(budget.report().pressure).toBeLessThan(1)
    expect(defaultMaxMemoryBytes()).toBeGreaterThan(2 ** 26)
  })

  it('makes a gate narrower, through which one always gets', async () => {
    let share = 1
    const gate = new Gate(8, () => share)
    await gate.enter(4)
    share = 1 / 2
    let entered = false
    const second = gate.enter(100).then(() => {
      entered = true
    })
    await new Promise(setImmediate)
    expect(entered).toBe(false)
    share = 1 / 16
    gate.leave(4)
    await second
    expect(gate.inside).toBe(100)
  })
})
