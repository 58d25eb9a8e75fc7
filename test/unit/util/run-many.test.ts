import { describe, expect, it } from 'vitest'
import { Gate } from '../../../src/util/gate.js'
import { runMany } from '../../../src/util/run-many.js'

const turn = () => new Promise((resolve) => setImmediate(resolve))

function admitting(count: number) {
  const gate = new Gate(count)
  return {
    gate,
    admit: async () => {
      await gate.enter(1)
      return () => gate.leave(1)
    },
  }
}

describe('running many', () => {
  it('begins in order, as many at once as are admitted, and waits for all', async () => {
    const { admit, gate } = admitting(3)
    const begun: number[] = []
    let most = 0
    let ended = 0
    await runMany(
      Array.from({ length: 20 }, (_, i) => i),
      async (item) => {
        begun.push(item)
        most = Math.max(most, gate.inside)
        await turn()
        ended++
      },
      { admit, onFailure: () => expect.unreachable() },
    )
    expect(begun).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect([most, ended, gate.inside]).toEqual([3, 20, 0])
  })

  it('tells of the first failure at once, begins no more, and throws it when the others have ended', async () => {
    const { admit, gate } = admitting(4)
    const failures: unknown[] = []
    const begun: number[] = []
    const ended: number[] = []
    const running = runMany(
      Array.from({ length: 50 }, (_, i) => i),
      async (item) => {
        begun.push(item)
        await turn()
        if (item >= 1 && item <= 2) throw new Error(`task ${item}`)
        for (let i = 0; i < 10; i++) await turn()
        ended.push(item)
      },
      { admit, onFailure: (error) => failures.push(error) },
    )
    await expect(running).rejects.toThrow('task 1')
    expect(failures).toEqual([new Error('task 1')])
    expect(begun.length).toBeLessThan(8)
    expect(ended.length).toBe(begun.length - 2)
    expect(gate.inside).toBe(0)
  })

  it('does what has begun when the items fail', async () => {
    const { admit } = admitting(10)
    const ended: number[] = []
    const items = (function* () {
      yield 1
      yield 2
      throw new Error('items')
    })()
    const running = runMany(
      items,
      async (item) => {
        await turn()
        ended.push(item)
      },
      { admit, onFailure: () => expect.unreachable() },
    )
    await expect(running).rejects.toThrow('items')
    expect(ended).toEqual([1, 2])
  })
})
