import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { randomNumbers } from '../../../src/testing/support.js'
import { systemClock } from '../../../src/util/clock.js'
import { retry } from '../../../src/util/retry.js'
import { retryAfterMs } from '../../../src/util/retry-after.js'
import { createFakeClock } from '../../lib/fake-clock.js'

const always = () => ({ afterMs: 0 })

/** Fails so many times, then succeeds; counts. */
function flaky(failures: number) {
  const calls: number[] = []
  const run = async (attempt: number) => {
    calls.push(attempt)
    if (calls.length <= failures) throw new Error(`attempt ${attempt}`)
    return 'done'
  }
  return { run, calls }
}

describe('retry', () => {
  it('returns what the first attempt returns, without waiting', async () => {
    const clock = createFakeClock()
    const { run, calls } = flaky(0)
    expect(await retry(run, { attempts: 3, again: always, clock })).toBe('done')
    expect(calls).toEqual([1])
    expect(clock.sleeps).toEqual([])
  })

  it('goes on until an attempt succeeds', async () => {
    const clock = createFakeClock()
    const { run, calls } = flaky(3)
    expect(await clock.settle(retry(run, { attempts: 5, again: always, clock }))).toBe('done')
    expect(calls).toEqual([1, 2, 3, 4])
  })

  it('gives up with the last error after its attempts, and does not ask whether to go on then', async () => {
    const clock = createFakeClock()
    const { run, calls } = flaky(9)
    const asked: string[] = []
    const again = (error: unknown) => {
      asked.push((error as Error).message)
      return { afterMs: 0 }
    }
    await expect(clock.settle(retry(run, { attempts: 3, again, clock }))).rejects.toThrow('attempt 3')
    expect(calls).toEqual([1, 2, 3])
    expect(asked).toEqual(['attempt 1', 'attempt 2'])
  })

  it('does not repeat what is not worth it', async () => {
    const { run, calls } = flaky(9)
    await expect(retry(run, { attempts: 3, again: () => false })).rejects.toThrow('attempt 1')
    expect(calls).toEqual([1])
  })

  it('waits a random time up to a limit that doubles and is itself limited', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), fc.integer({ min: 1, max: 9 }), async (seed, failures) => {
        const clock = createFakeClock()
        const random = randomNumbers(seed)
        const expected = randomNumbers(seed)
        const options = { attempts: 10, again: always, baseDelayMs: 100, maxDelayMs: 1_000, clock, random }
        await clock.settle(retry(flaky(failures).run, options))
        expect(clock.sleeps).toEqual(
          Array.from({ length: failures }, (_, wait) => expected() * Math.min(1_000, 100 * 2 ** wait)),
        )
      }),
      { numRuns: 30, seed: 1 },
    )
  })

  it('waits at least as long as the other side asked for', async () => {
    const clock = createFakeClock()
    const again = () => ({ afterMs: 5_000 })
    const waits: number[] = []
    const onRetry = (_: unknown, delayMs: number) => waits.push(delayMs)
    await clock.settle(retry(flaky(4).run, { attempts: 5, again, baseDelayMs: 100, clock, onRetry }))
    expect(waits.every((wait) => wait >= 5_000 && wait < 5_000 + 800)).toBe(true)
    expect(waits).toEqual(clock.sleeps)
  })

  it('starts nothing when it was aborted before', async () => {
    const { run, calls } = flaky(0)
    const reason = new Error('enough')
    await expect(retry(run, { attempts: 3, again: always, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(calls).toEqual([])
  })

  it('ends its wait with the reason when it is aborted, and leaves no timer behind', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const { run, calls } = flaky(9)
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    const slow = { attempts: 3, again: () => ({ afterMs: 3_600_000 }), signal: controller.signal, clock: systemClock }
    const work = retry(run, slow)
    await new Promise(setImmediate)
    expect(timers()).toBe(before + 1)
    controller.abort(reason)
    await expect(work).rejects.toBe(reason)
    expect(timers()).toBe(before)
    expect(calls).toEqual([1])
  })

  it('does not repeat what failed because it was aborted', async () => {
    const controller = new AbortController()
    const calls: number[] = []
    const run = async (attempt: number) => {
      calls.push(attempt)
      controller.abort(new Error('enough'))
      throw new Error('interrupted')
    }
    const work = retry(run, { attempts: 3, again: always, signal: controller.signal })
    await expect(work).rejects.toThrow('interrupted')
    expect(calls).toEqual([1])
  })
})

describe('the wait that an HTTP answer asks for', () => {
  const date = Date.UTC(2026, 10, 21, 12, 0, 0)
  const asked = (headers: Record<string, string>) => retryAfterMs((name) => headers[name], date)

  it.each([
    [{ 'retry-after': '7' }, 7_000],
    [{ 'retry-after': ' 0.5 ' }, 500],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': 'Sat, 21 Nov 2026 12:00:09 GMT' }, 9_000],
    [{ 'retry-after': 'Sat, 21 Nov 2026 11:59:00 GMT' }, 0],
    [{ 'retry-after-ms': '250', 'retry-after': '7' }, 250],
    [{ 'retry-after-ms': 'soon', 'retry-after': '7' }, 7_000],
    [{ 'retry-after': '-3' }, 0],
    [{ 'retry-after': 'soon' }, 0],
    [{ 'retry-after': '' }, 0],
    [{}, 0],
  ])('of %j is %d ms', (headers, expected) => {
    expect(asked(headers as Record<string, string>)).toBe(expected)
  })
})
