import { describe, expect, it } from 'vitest'
import { Breaker } from '../../../src/util/breaker.js'

function openBreaker() {
  let now = 0
  const breaker = new Breaker({ failures: 3, leastMs: 1_000, mostMs: 4_000 }, { now: () => now })
  const pass = (ms: number) => {
    now += ms
  }
  return { breaker, pass }
}

describe('a breaker', () => {
  it('opens after failures in a row, and lets one call through when its time is over', () => {
    const { breaker, pass } = openBreaker()
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    breaker.failed()
    expect(breaker.admit()).toBe(true)
    breaker.failed()
    expect([breaker.isOpen, breaker.admit(), breaker.waitMs]).toEqual([true, false, 1_000])
    pass(1_000)
    expect([breaker.admit(), breaker.admit()]).toEqual([true, false])
    breaker.succeeded()
    expect([breaker.isOpen, breaker.admit(), breaker.openForMs]).toEqual([false, true, 0])
  })

  it('stays open longer each time that call fails, and tells for how long it was', () => {
    const { breaker, pass } = openBreaker()
    for (let failure = 0; failure < 3; failure++) breaker.failed()
    for (const waitMs of [1_000, 2_000, 4_000, 4_000]) {
      expect(breaker.waitMs).toBe(waitMs)
      pass(waitMs - 1)
      expect(breaker.admit()).toBe(false)
      pass(1)
      expect(breaker.admit()).toBe(true)
      breaker.failed()
    }
    expect(breaker.openForMs).toBe(11_000)
  })

  it('lets the next call through when that call ended without a verdict', () => {
    const { breaker, pass } = openBreaker()
    for (let failure = 0; failure < 3; failure++) breaker.failed()
    pass(1_000)
    expect(breaker.admit()).toBe(true)
    breaker.abandoned()
    expect([breaker.admit(), breaker.admit()]).toEqual([true, false])
  })
})
