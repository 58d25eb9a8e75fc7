import { setImmediate as nextLoopTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { abortable } from '../../../src/util/abort.js'
import { createTurns } from '../../../src/util/yield.js'

/** A clock that moves only when somebody computes, and the length of every stretch between two visits of the event loop. */
function createMachine(budgetMs: number) {
  let time = 0
  let loopTurn = 0
  let watching = true
  const stretches = new Map<number, number>()
  const watch = async (): Promise<void> => {
    for (; watching; loopTurn++) await nextLoopTurn()
  }
  const watcher = watch()
  return {
    turns: createTurns({ budgetMs, now: () => time }),
    compute: (ms: number): void => {
      time += ms
      stretches.set(loopTurn, (stretches.get(loopTurn) ?? 0) + ms)
    },
    stop: async (): Promise<number[]> => {
      watching = false
      await watcher
      return [...stretches.values()]
    },
  }
}

describe('createTurns', () => {
  it('lets callers that come together in one after another, in order, a budget at a time', async () => {
    const { turns, compute, stop } = createMachine(4)
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 100 }, async (_, caller) => {
        await turns.next()
        order.push(caller)
        compute(1)
      }),
    )
    expect(order).toEqual(Array.from({ length: 100 }, (_, caller) => caller))
    const stretches = await stop()
    expect(Math.max(...stretches)).toBeLessThanOrEqual(4)
    expect(stretches.length).toBeGreaterThanOrEqual(25)
  })

  it('counts the work of a caller that takes several awaits to begin', async () => {
    const { turns, compute, stop } = createMachine(4)
    const throughLayers = async (): Promise<void> => {
      await (async () => {
        await turns.next()
      })()
    }
    await Promise.all(
      Array.from({ length: 40 }, async () => {
        await throughLayers()
        await null
        compute(1)
      }),
    )
    expect(Math.max(...(await stop()))).toBeLessThanOrEqual(4)
  })

  it('lets callers that ask again and again take turns', async () => {
    const { turns, compute, stop } = createMachine(4)
    const order: string[] = []
    const work = async (name: string): Promise<void> => {
      for (let step = 0; step < 6; step++) {
        await turns.next()
        order.push(name)
        compute(1)
      }
    }
    await Promise.all([work('a'), work('b')])
    expect(order.join('')).toBe('abababababab')
    expect(Math.max(...(await stop()))).toBeLessThanOrEqual(4)
  })

  it('does not leave the loop turn while its budget lasts', async () => {
    const turns = createTurns({ budgetMs: 4, now: () => 0 })
    let loopTurned = false
    setImmediate(() => {
      loopTurned = true
    })
    for (let step = 0; step < 1_000; step++) await turns.next()
    expect(loopTurned).toBe(false)
  })

  it('grants one caller per loop turn when the budget is 0 or one caller overdraws it', async () => {
    for (const budgetMs of [0, 4]) {
      const { turns, compute, stop } = createMachine(budgetMs)
      await Promise.all(
        Array.from({ length: 10 }, async () => {
          await turns.next()
          compute(50)
        }),
      )
      expect(await stop()).toEqual(Array.from({ length: 10 }, () => 50))
    }
  })

  it('goes on when a caller fails or gives up', async () => {
    const { turns, stop } = createMachine(4)
    const controller = new AbortController()
    const failing = turns.next().then(() => {
      throw new Error('mine')
    })
    const leaving = abortable(turns.next(), controller.signal)
    const staying = turns.next()
    controller.abort(new Error('gone'))
    await expect(failing).rejects.toThrow('mine')
    await expect(leaving).rejects.toThrow('gone')
    await expect(staying).resolves.toBeUndefined()
    await stop()
  })

  it('serves ten thousand waiting callers with one clock reading and one promise each', async () => {
    let readings = 0
    const turns = createTurns({ budgetMs: 1, now: () => readings++ / 100 })
    await Promise.all(Array.from({ length: 10_000 }, () => turns.next()))
    expect(readings).toBeLessThan(11_000)
  })

  it('starts afresh after a rest', async () => {
    const { turns, compute, stop } = createMachine(4)
    await turns.next()
    compute(100)
    await nextLoopTurn()
    await nextLoopTurn()
    let granted = false
    void turns.next().then(() => {
      granted = true
    })
    await null
    expect(granted).toBe(true)
    await stop()
  })
})
