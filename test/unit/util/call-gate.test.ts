import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CallGate, type GateOptions } from '../../../src/util/call-gate.js'
import { createFakeClock } from '../../lib/fake-clock.js'

function openGate(options: Partial<GateOptions> = {}) {
  const clock = createFakeClock()
  const gate = new CallGate({
    requestsPerMinute: Number.POSITIVE_INFINITY,
    tokensPerMinute: Number.POSITIVE_INFINITY,
    delayMs: 0,
    clock,
    ...options,
  })
  const starts: { readonly at: number; readonly tokens: number; readonly name: number }[] = []
  const pass = async (name: number, call: { tokens?: number; isUrgent?: boolean; signal?: AbortSignal } = {}) => {
    const { tokens = 1, isUrgent = false } = call
    await gate.pass({ tokens, isUrgent, signal: call.signal ?? new AbortController().signal })
    starts.push({ at: clock.now(), tokens, name })
  }
  return { clock, gate, pass, starts }
}

const numbers = (count: number) => Array.from({ length: count }, (_, place) => place)

describe('the gate', () => {
  it('lets everybody in at once when there is no limit', async () => {
    const { clock, pass, starts } = openGate()
    await Promise.all(numbers(100).map((name) => pass(name)))
    expect(starts.map(({ name }) => name)).toEqual(numbers(100))
    expect(clock.sleeps).toEqual([])
  })

  it('starts no more calls in any minute than allowed, and no fewer than it could', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 80 }), async (perMinute, count) => {
        const { clock, pass, starts } = openGate({ requestsPerMinute: perMinute })
        await clock.settle(Promise.all(numbers(count).map((name) => pass(name))))
        const burst = Math.max(1, perMinute / 60)
        for (const [place, { at }] of starts.entries()) {
          const inMinute = starts.slice(place).filter((other) => other.at < at + 60_000)
          expect(inMinute.length).toBeLessThanOrEqual(perMinute + burst)
        }
        // Each wait is rounded up to a millisecond.
        const least = (Math.max(0, count - Math.floor(burst)) / perMinute) * 60_000
        expect(starts.at(-1)?.at).toBeLessThanOrEqual(least + count)
      }),
      { seed: 1, numRuns: 40 },
    )
  })

  it('starts no more tokens in any minute than allowed and one call, however large calls are', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5_000 }),
        fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 30 }),
        async (perMinute, sizes) => {
          const { clock, pass, starts } = openGate({ tokensPerMinute: perMinute })
          await clock.settle(Promise.all(sizes.map((tokens, name) => pass(name, { tokens }))))
          expect(starts.map(({ name }) => name)).toEqual(numbers(sizes.length))
          for (const [place, { at, tokens: first }] of starts.entries()) {
            const others = starts.slice(place + 1).filter((other) => other.at < at + 60_000)
            const tokens = others.slice(0, -1).reduce((sum, other) => sum + other.tokens, first)
            expect(tokens).toBeLessThanOrEqual(perMinute + Math.max(1, perMinute / 60) + first)
          }
        },
      ),
      { seed: 1, numRuns: 40 },
    )
  })

  it('keeps a distance between starts', async () => {
    const { clock, pass, starts } = openGate({ delayMs: 250 })
    await clock.settle(Promise.all(numbers(5).map((name) => pass(name))))
    expect(starts.map(({ at }) => at)).toEqual([0, 250, 500, 750, 1_000])
  })

  it('takes back what a call was estimated to cost too much, and takes what it cost more', async () => {
    const { clock, gate, pass, starts } = openGate({ tokensPerMinute: 60 })
    await pass(0, { tokens: 31 })
    gate.settle(31, 11)
    await clock.settle(pass(1, { tokens: 1 }))
    expect(starts[1]?.at).toBe(11_000)
    gate.settle(1, 21)
    await clock.settle(pass(2, { tokens: 1 }))
    expect(starts[2]?.at).toBe(11_000 + 21_000)
  })

  it('lets the urgent in first, whoever waits already', async () => {
    const { clock, pass, starts } = openGate({ delayMs: 100 })
    const work = [0, 1, 2].map((name) => pass(name))
    const urgent = [10, 11].map((name) => pass(name, { isUrgent: true }))
    await clock.settle(Promise.all([...work, ...urgent]))
    expect(starts.map(({ name }) => name)).toEqual([0, 10, 11, 1, 2])
  })

  it('lets nobody in while it is paused', async () => {
    const { clock, gate, pass, starts } = openGate()
    await pass(0)
    gate.pause(5_000)
    gate.pause(1_000)
    await clock.settle(Promise.all([pass(1), pass(2, { isUrgent: true })]))
    expect(starts.map(({ at, name }) => [name, at])).toEqual([
      [0, 0],
      [2, 5_000],
      [1, 5_000],
    ])
  })

  it('forgets who is aborted, wakes who comes next, and sleeps no more when nobody waits', async () => {
    const { clock, pass, starts } = openGate({ tokensPerMinute: 60 })
    const controller = new AbortController()
    const reason = new Error('enough')
    await pass(0, { tokens: 101 })
    const large = pass(1, { tokens: 50, signal: controller.signal })
    const small = pass(2, { tokens: 1 })
    await clock.pass(10)
    controller.abort(reason)
    await expect(large).rejects.toBe(reason)
    await clock.settle(small)
    expect(starts.map(({ name }) => name)).toEqual([0, 2])

    const other = new AbortController()
    const last = pass(3, { signal: other.signal })
    await clock.pass(1)
    expect(clock.sleeping).toBe(1)
    other.abort(reason)
    await expect(last).rejects.toBe(reason)
    await clock.pass(0)
    expect(clock.sleeping).toBe(0)
    await expect(pass(4, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})
