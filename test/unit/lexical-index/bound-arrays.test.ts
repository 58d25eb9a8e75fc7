import { describe, expect, it } from 'vitest'
import { BoundArrays } from '../../../src/lexical-index/bound-arrays.js'

describe('arrays for bounds', () => {
  it('hold zeros, whatever the search before has left in them, also when it failed', async () => {
    const arrays = new BoundArrays()
    for (const sizes of [[3, 0, 2], [7], [2, 2], [5_000, 17], [90_000]]) {
      const used = arrays.while(sizes, async ({ arrays: own }) => {
        expect(own.map((array) => [...array])).toEqual(sizes.map((size) => new Array(size).fill(0)))
        for (const array of own) array.fill(5)
        if (sizes.length === 1) throw new Error('the search failed')
      })
      await (sizes.length === 1 ? expect(used).rejects.toThrow('failed') : used)
    }
  })

  it('are lent to two searches at a time and used again, and an index that has shrunk gives them back', async () => {
    const arrays = new BoundArrays()
    const buffers = new Set<ArrayBufferLike>()
    let inside = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 50 }, () =>
        arrays.while([500_000], async ({ arrays: [array] }) => {
          most = Math.max(most, ++inside)
          buffers.add((array as Float32Array).buffer)
          await new Promise((resolve) => setImmediate(resolve))
          inside--
        }),
      ),
    )
    expect([most, buffers.size]).toEqual([2, 2])
    expect(arrays.bytes).toBeGreaterThanOrEqual(2 * 500_000 * 4)
    for (let i = 0; i < 2; i++) await Promise.all([1, 2].map(() => arrays.while([10], async () => {})))
    expect(arrays.bytes).toBeLessThan(500_000)
  })
})
