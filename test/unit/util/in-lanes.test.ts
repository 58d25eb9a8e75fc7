import { describe, expect, it } from 'vitest'
import { nextLoopTurn } from '../../../src/testing/support.js'
import { inLanes } from '../../../src/util/in-lanes.js'

describe('work in lanes', () => {
  it('does every item once, as many at a time as there are lanes, and takes items when they are needed', async () => {
    let taken = 0
    let running = 0
    let most = 0
    const done: number[] = []
    function* items() {
      for (; taken < 20; taken++) yield taken
    }
    await inLanes(items(), { lanes: 3 }, async (item) => {
      most = Math.max(most, ++running)
      expect(taken - done.length).toBeLessThanOrEqual(3)
      for (let turn = 0; turn < item % 4; turn++) await nextLoopTurn()
      running--
      done.push(item)
    })
    expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect(most).toBe(3)
  })

  it('takes no further item once one has failed, and tells those that run', async () => {
    const begun: number[] = []
    const failure = new Error('third')
    const reasons: unknown[] = []
    const work = inLanes(Array(100).keys(), { lanes: 2 }, async (item, signal) => {
      begun.push(item)
      signal.addEventListener('abort', () => reasons.push(signal.reason))
      await nextLoopTurn()
      if (item === 2) throw failure
    })
    await expect(work).rejects.toBe(failure)
    await nextLoopTurn()
    await nextLoopTurn()
    expect(begun.length).toBeLessThanOrEqual(5)
    expect(reasons.length).toBeGreaterThan(0)
    expect(reasons.every((reason) => reason === failure)).toBe(true)
  })

  it('hands on the signal of the caller, and stops when it fires, without a warning of too many listeners', async () => {
    const warnings: string[] = []
    const warn = ({ name }: Error) => void warnings.push(name)
    process.on('warning', warn)
    const controller = new AbortController()
    const reason = new Error('enough')
    let begun = 0
    const work = inLanes(Array(1_000).keys(), { lanes: 50, signal: controller.signal }, async (_, signal) => {
      begun++
      signal.addEventListener('abort', () => {})
      await nextLoopTurn()
      if (begun >= 200) controller.abort(reason)
    })
    await expect(work).rejects.toBe(reason)
    await nextLoopTurn()
    process.off('warning', warn)
    expect(begun).toBeLessThan(300)
    expect(warnings).toEqual([])
  })

  it('takes from an async source what it needs, one at a time, and ends it', async () => {
    let ended = 0
    let asked = 0
    async function* items(count: number) {
      try {
        for (let item = 0; item < count; item++) {
          asked++
          await nextLoopTurn()
          yield item
        }
        if (count === 3) await new Promise(() => {})
      } finally {
        ended++
      }
    }
    const done: number[] = []
    await inLanes(items(20), { lanes: 3 }, async (item) => {
      expect(asked - done.length).toBeLessThanOrEqual(4)
      await nextLoopTurn()
      done.push(item)
    })
    expect(done).toEqual([...Array(20).keys()])
    await expect(inLanes(items(20), { lanes: 2 }, () => Promise.reject(new Error('down')))).rejects.toThrow('down')
    // One that will never give another item holds nobody up.
    const stuck = inLanes(items(3), { lanes: 2 }, async (item) => {
      if (item === 2) throw new Error('last')
    })
    await expect(stuck).rejects.toThrow('last')
    for (let turn = 0; turn < 4; turn++) await nextLoopTurn()
    expect(ended).toBe(2)
  })

  it('has nothing to do with no items', async () => {
    await inLanes([], { lanes: 4 }, () => Promise.reject(new Error('never')))
  })
})
