import { describe, expect, it } from 'vitest'
import { SingleFlight } from '../../../src/util/single-flight.js'

/** Work that ends when it is told to, and counts how often it was begun. */
function setUp() {
  const flights = new SingleFlight<string>()
  const begun: { resolve: (value: string) => void; reject: (error: unknown) => void; signal: AbortSignal }[] = []
  const compute = (signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      begun.push({ resolve, reject, signal })
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  return { flights, begun, run: (key: string, signal?: AbortSignal) => flights.run(key, compute, signal) }
}

describe('single flight', () => {
  it('computes once for a hundred callers at once, and again for the next', async () => {
    const { begun, run } = setUp()
    const calls = Array.from({ length: 100 }, () => run('a'))
    const other = run('b')
    expect(begun).toHaveLength(2)
    begun[0]?.resolve('first')
    begun[1]?.resolve('other')
    const results = await Promise.all(calls)
    expect(results.map(({ value }) => value)).toEqual(Array(100).fill('first'))
    expect(results.filter(({ shared }) => !shared)).toHaveLength(1)
    expect((await other).value).toBe('other')
    const next = run('a')
    expect(begun).toHaveLength(3)
    begun[2]?.resolve('second')
    expect(await next).toEqual({ value: 'second', shared: false })
  })

  it('rejects whoever aborts, and nobody else; the work goes on', async () => {
    const { begun, run } = setUp()
    const impatient = new AbortController()
    const calls = [run('a', impatient.signal), run('a')]
    const settled = Promise.allSettled(calls)
    impatient.abort('enough')
    await new Promise(setImmediate)
    expect(begun[0]?.signal.aborted).toBe(false)
    begun[0]?.resolve('done')
    expect(await settled).toEqual([
      { status: 'rejected', reason: 'enough' },
      { status: 'fulfilled', value: { value: 'done', shared: true } },
    ])
  })

  it('aborts the work when the last caller has gone, and begins anew for the next', async () => {
    const { begun, run } = setUp()
    const [first, second] = [new AbortController(), new AbortController()]
    const settled = Promise.allSettled([run('a', first.signal), run('a', second.signal)])
    first.abort(1)
    second.abort(2)
    expect((await settled).map((result) => result.status === 'rejected' && result.reason)).toEqual([1, 2])
    expect(begun[0]?.signal.aborted).toBe(true)
    const next = run('a')
    expect(begun[1]?.signal.aborted).toBe(false)
    begun[1]?.resolve('new')
    expect((await next).value).toBe('new')
  })

  it('fails all who wait, and keeps no failure', async () => {
    const { begun, run } = setUp()
    const settled = Promise.allSettled([run('a'), run('a')])
    begun[0]?.reject(new Error('broken'))
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    const next = run('a')
    begun[1]?.resolve('mended')
    expect((await next).value).toBe('mended')
  })

  it('begins nothing for a caller who has aborted already', async () => {
    const { begun, run } = setUp()
    await expect(run('a', AbortSignal.abort('late'))).rejects.toBe('late')
    expect(begun).toHaveLength(0)
  })
})
