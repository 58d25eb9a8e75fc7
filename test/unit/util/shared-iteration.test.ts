import { describe, expect, it } from 'vitest'
import { SharedIteration } from '../../../src/util/shared-iteration.js'

/** Counts up to a number; what happened to each run of it. */
function setUp({ upTo = 3, failAt = Number.POSITIVE_INFINITY } = {}) {
  const runs: { signal: AbortSignal; given: number; ended: boolean }[] = []
  const sharing = new SharedIteration<number>()
  async function* count(signal: AbortSignal) {
    const run = { signal, given: 0, ended: false }
    runs.push(run)
    try {
      while (run.given < upTo) {
        await new Promise(setImmediate)
        if (run.given === failAt) throw new Error('broken')
        yield ++run.given
      }
    } finally {
      run.ended = true
    }
  }
  return { runs, read: (key: string, signal?: AbortSignal) => sharing.read(key, count, signal) }
}

async function all(values: AsyncIterable<number>): Promise<number[]> {
  const list: number[] = []
  for await (const value of values) list.push(value)
  return list
}

describe('shared iteration', () => {
  it('reads the source once for a hundred readers, and again for the next', async () => {
    const { read, runs } = setUp()
    const results = await Promise.all(Array.from({ length: 100 }, () => all(read('a'))))
    expect(new Set(results.map(String))).toEqual(new Set(['1,2,3']))
    expect(runs).toHaveLength(1)
    expect(await all(read('a'))).toEqual([1, 2, 3])
    expect(runs).toHaveLength(2)
  })

  it('keeps sources of other keys apart', async () => {
    const { read, runs } = setUp()
    await Promise.all([all(read('a')), all(read('b'))])
    expect(runs).toHaveLength(2)
  })

  it('gives a latecomer what came before', async () => {
    const { read, runs } = setUp()
    const first = read('a')
    await first.next()
    await first.next()
    expect(await all(read('a'))).toEqual([1, 2, 3])
    expect(await all(first)).toEqual([3])
    expect(runs).toHaveLength(1)
  })

  it('asks the source for no more than its fastest reader wants', async () => {
    const { read, runs } = setUp({ upTo: 1000 })
    const slow = read('a')
    const fast = read('a')
    for (let i = 0; i < 5; i++) await fast.next()
    await slow.next()
    expect(runs[0]?.given).toBe(5)
    await Promise.all([slow.return(undefined), fast.return(undefined)])
  })

  it('lets one reader leave, and another be aborted, without the others noticing', async () => {
    const { read, runs } = setUp({ upTo: 5 })
    const impatient = new AbortController()
    const [leaving, aborted, staying] = [read('a'), read('a', impatient.signal), read('a')]
    await Promise.all([leaving.next(), aborted.next(), staying.next()])
    await leaving.return(undefined)
    const next = aborted.next()
    impatient.abort('enough')
    await expect(next).rejects.toBe('enough')
    expect(await all(staying)).toEqual([2, 3, 4, 5])
    expect(runs[0]?.signal.aborted).toBe(false)
  })

  it('aborts and ends the source when nobody reads it, and begins anew', async () => {
    const { read, runs } = setUp({ upTo: 5 })
    const readers = [read('a'), read('a')]
    await Promise.all(readers.map((reader) => reader.next()))
    await readers[0]?.return(undefined)
    expect(runs[0]?.signal.aborted).toBe(false)
    await readers[1]?.return(undefined)
    await new Promise(setImmediate)
    expect(runs[0]).toMatchObject({ ended: true, signal: { aborted: true } })
    expect(await all(read('a'))).toEqual([1, 2, 3, 4, 5])
    expect(runs).toHaveLength(2)
  })

  it('throws what the source throws at every reader, and tries again for the next', async () => {
    const { read, runs } = setUp({ failAt: 2 })
    const slow = read('a')
    await slow.next()
    const results = await Promise.allSettled([all(read('a')), all(read('a'))])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await expect(all(slow)).rejects.toThrow('broken')
    await expect(all(read('a'))).rejects.toThrow('broken')
    expect(runs).toHaveLength(2)
  })

  it('refuses a signal that has fired before anything is begun', async () => {
    const { read, runs } = setUp()
    await expect(all(read('a', AbortSignal.abort('no')))).rejects.toBe('no')
    expect(runs).toHaveLength(0)
  })
})
