import { describe, expect, it } from 'vitest'
import { memoizeAsync } from '../../../src/util/memoize-async.js'

describe('memoizeAsync', () => {
  it('runs once for callers that come together and for callers that come later', async () => {
    let runs = 0
    const get = memoizeAsync(async () => ++runs)
    expect(await Promise.all([get(), get()])).toEqual([1, 1])
    expect(await get()).toBe(1)
  })

  it('does nothing before the first call', () => {
    let runs = 0
    memoizeAsync(async () => ++runs)
    expect(runs).toBe(0)
  })

  it('remembers undefined too', async () => {
    let runs = 0
    const get = memoizeAsync(async () => {
      runs++
    })
    await get()
    await get()
    expect(runs).toBe(1)
  })

  it('fails everyone who waits, then tries again', async () => {
    let runs = 0
    const get = memoizeAsync(async () => {
      if (++runs === 1) throw new Error('first')
      return runs
    })
    const together = await Promise.allSettled([get(), get()])
    expect(together.map((result) => result.status)).toEqual(['rejected', 'rejected'])
    expect(await get()).toBe(2)
  })

  it('turns what is thrown at once into a rejection that is forgotten', async () => {
    let runs = 0
    const get = memoizeAsync((): Promise<number> => {
      if (++runs === 1) throw new Error('at once')
      return Promise.resolve(runs)
    })
    await expect(get()).rejects.toThrow('at once')
    await expect(get()).resolves.toBe(2)
  })
})
