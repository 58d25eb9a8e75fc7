import { describe, expect, it } from 'vitest'
import { CallWindow } from '../../../src/util/call-window.js'

/** Calls that end when they are told to, and note when they begin. */
function calls() {
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const call = (name: string) => () =>
    new Promise<string>((resolve) => {
      begun.push(name)
      ends.set(name, () => resolve(name))
    })
  const end = async (name: string) => {
    ends.get(name)?.()
    await settled()
  }
  return { begun, call, end }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('the window', () => {
  it('slides: the next begins as soon as any ends', async () => {
    const window = new CallWindow(2)
    const queue = window.open({ isUrgent: false })
    const { begun, call, end } = calls()
    const results = ['a', 'b', 'c', 'd'].map((name) => queue.run(call(name)))
    await settled()
    expect(begun).toEqual(['a', 'b'])
    await end('b')
    expect(begun).toEqual(['a', 'b', 'c'])
    await end('c')
    expect(begun).toEqual(['a', 'b', 'c', 'd'])
    await end('a')
    await end('d')
    expect(await Promise.all(results)).toEqual(['a', 'b', 'c', 'd'])
  })

  it('lets questions overtake, and orders take turns', async () => {
    const window = new CallWindow(1)
    const { begun, call, end } = calls()
    const large = window.open({ isUrgent: false })
    const small = window.open({ isUrgent: false })
    const question = window.open({ isUrgent: true })
    for (const name of ['l1', 'l2', 'l3', 'l4']) void large.run(call(name))
    for (const name of ['s1', 's2']) void small.run(call(name))
    await settled()
    void question.run(call('q'))
    for (let place = 0; place < 7; place++) await end(begun[place] as string)
    expect(begun).toEqual(['l1', 'q', 's1', 'l2', 's2', 'l3', 'l4'])
  })

  it('forgets what is dropped, and keeps its places for others', async () => {
    const window = new CallWindow(1)
    const { begun, call, end } = calls()
    const dropped = window.open({ isUrgent: false })
    const other = window.open({ isUrgent: false })
    for (const name of ['a', 'b', 'c']) void dropped.run(call(name))
    await settled()
    void other.run(call('o'))
    dropped.drop()
    await end('a')
    expect(begun).toEqual(['a', 'o'])
    await end('o')
    void dropped.run(call('d'))
    await settled()
    expect(begun).toEqual(['a', 'o', 'd'])
  })

  it('rejects with what a call throws, and goes on', async () => {
    const window = new CallWindow(1)
    const queue = window.open({ isUrgent: false })
    const failure = new Error('no')
    const failing = queue.run(async () => {
      throw failure
    })
    const next = queue.run(async () => 'next')
    await expect(failing).rejects.toBe(failure)
    expect(await next).toBe('next')
  })

  it('halves once for all calls that were too many together, and grows by one after a round without', async () => {
    const window = new CallWindow(8)
    const before = window.narrowings
    for (let call = 0; call < 8; call++) window.narrow(before)
    expect(window.width).toBe(4)
    window.narrow(window.narrowings)
    expect(window.width).toBe(2)
    window.widen()
    expect(window.width).toBe(2)
    window.widen()
    expect(window.width).toBe(3)
    for (let call = 0; call < 1_000; call++) window.widen()
    expect(window.width).toBe(8)
    for (let call = 0; call < 9; call++) window.narrow(window.narrowings)
    expect(window.width).toBe(1)
  })

  it('runs no more at once than it is wide now', async () => {
    const window = new CallWindow(4)
    const queue = window.open({ isUrgent: false })
    const { begun, call, end } = calls()
    for (let name = 0; name < 8; name++) void queue.run(call(String(name)))
    await settled()
    expect(begun.length).toBe(4)
    window.narrow(window.narrowings)
    await end('0')
    await end('1')
    expect(begun.length).toBe(4)
    await end('2')
    expect(begun.length).toBe(5)
  })
})
