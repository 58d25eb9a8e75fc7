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
    await inLanes(items(), 3, async (item) => {
      most = Math.max(most, ++running)
      expect(taken - done.length).toBeLessThanOrEqual(3)
      for (let turn = 0; turn < item % 4; turn++) await nextLoopTurn()
      running--
      done.push(item)
    })
    expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect(most).toBe(3)
  })

  it('takes no further item once one has failed', async () => {
    const begun: number[] = []
    const failure = new Error('third')
    const work = inLanes(Array(100).keys(), 2, async (item) => {
      begun.push(item)
      await nextLoopTurn()
      if (item === 2) throw failure
    })
    await expect(work).rejects.toBe(failure)
    await nextLoopTurn()
    await nextLoopTurn()
    expect(begun.length).toBeLessThanOrEqual(5)
  })

  it('has nothing to do with no items', async () => {
    await inLanes([], 4, () => Promise.reject(new Error('never')))
  })
})
