import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../../src/util/clock.js'
import { waitAtMost } from '../../../src/util/wait-at-most.js'

describe('waitAtMost', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('ends with the promise, however that ends, and leaves no timer behind', async () => {
    await waitAtMost(Promise.resolve(1), 1_000, systemClock)
    await expect(waitAtMost(Promise.reject(new Error('bad')), 1_000, systemClock)).rejects.toThrow('bad')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('ends when the time is over', async () => {
    let ended = false
    const waiting = waitAtMost(new Promise(() => {}), 1_000, systemClock).then(() => {
      ended = true
    })
    await vi.advanceTimersByTimeAsync(999)
    expect(ended).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await waiting
    expect(ended).toBe(true)
  })
})
