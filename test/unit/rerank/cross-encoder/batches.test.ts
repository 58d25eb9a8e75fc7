import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RagError } from '../../../../src/core/errors.js'
import type { TokenizedPairs } from '../../../../src/models/types.js'
import { runInBatches } from '../../../../src/rerank/cross-encoder/batches.js'

/** Row `i` is filled with `i`. */
function pairsOf(lengths: readonly number[]): TokenizedPairs {
  const offsets = Int32Array.from([0, ...lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b, 0))])
  const ids = Int32Array.from(lengths.flatMap((length, row) => new Array(length).fill(row)))
  return { ids, offsets, seconds: Int32Array.from(lengths, (length) => Math.floor(length / 2)) }
}

const never = new AbortController().signal
const sizesOf = ({ offsets }: TokenizedPairs) =>
  Array.from({ length: offsets.length - 1 }, (_, row) => (offsets[row + 1] as number) - (offsets[row] as number))

describe('batches of pairs', () => {
  it('hold every row once, within the budget, longest first, and give each row its own value', async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(lengths, fc.integer({ min: 1, max: 200 }), async (all, maxTokens) => {
        const seen: number[] = []
        const values = await runInBatches(pairsOf(all), { maxTokens, signal: never }, async (batch) => {
          const sizes = sizesOf(batch)
          expect(sizes.length === 1 || sizes.length * Math.max(...sizes) <= maxTokens).toBe(true)
          expect(sizes).toEqual([...sizes].sort((a, b) => b - a))
          seen.push(...sizes)
          expect([...batch.seconds]).toEqual(sizes.map((size) => Math.floor(size / 2)))
          return Float32Array.from(sizes, (_, row) => batch.ids[batch.offsets[row] as number] as number)
        })
        expect([...values]).toEqual([...all.keys()])
        expect(seen).toEqual([...all].sort((a, b) => b - a))
      }),
    )
  })

  it('are halved where the memory does not suffice, until one row is too large', async () => {
    const memory = new RagError('LIMIT', 'no memory', { data: { reason: 'memory' } })
    const sizes: number[] = []
    const run = (most: number) => async (batch: TokenizedPairs) => {
      const rows = sizesOf(batch)
      sizes.push(rows.length)
      if (rows.length > most) throw memory
      return new Float32Array(rows.length)
    }
    await runInBatches(pairsOf(new Array(16).fill(10)), { maxTokens: 160, signal: never }, run(4))
    expect(sizes).toEqual([16, 8, 4, 4, 4, 4])
    const limits = { maxTokens: 160, signal: never }
    await expect(runInBatches(pairsOf([10, 10]), limits, run(0))).rejects.toBe(memory)
  })

  it('end between two passes when nobody waits any more', async () => {
    const controller = new AbortController()
    let passes = 0
    const running = runInBatches(pairsOf([5, 5, 5]), { maxTokens: 5, signal: controller.signal }, async () => {
      passes++
      controller.abort(new Error('enough'))
      return new Float32Array(1)
    })
    await expect(running).rejects.toThrow('enough')
    expect(passes).toBe(1)
  })
})
