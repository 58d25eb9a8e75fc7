import { describe, expect, it } from 'vitest'
import { poolRows } from '../../../../src/embed/onnx/pooling.js'
import type { Pooling } from '../../../../src/models/types.js'
import { fromHalfFloats } from '../../../../src/onnx/float-data.js'
import { randomNumbers } from '../../../../src/testing/support.js'
import { toFloat16 } from '../../../fixtures/models/number-formats.js'

const offsetsOf = (lengths: readonly number[]) =>
  Int32Array.from([0, ...lengths.map((_, row) => lengths.slice(0, row + 1).reduce((sum, length) => sum + length, 0))])

/** The definition, one value at a time. */
function oracle(tokens: readonly (readonly number[])[], pooling: Pooling, dimensions: number): number[] {
  const pooled = {
    mean: () => tokens[0]?.map((_, i) => tokens.reduce((sum, token) => sum + (token[i] as number), 0) / tokens.length),
    cls: () => tokens[0],
    'last-token': () => tokens.at(-1),
    none: () => tokens[0],
  }[pooling]()
  const kept = (pooled ?? []).slice(0, dimensions)
  const length = Math.hypot(...kept)
  return kept.map((value) => value / length)
}

describe('pooling', () => {
  it.each(['mean', 'cls', 'last-token', 'none'] as const)(
    'gives what its definition says, whatever fills the rows (%s)',
    (pooling) => {
      const random = randomNumbers(7)
      for (let round = 0; round < 60; round++) {
        const hidden = 1 + Math.floor(random() * 9)
        const dimensions = 1 + Math.floor(random() * hidden)
        const lengths = Array.from({ length: 1 + Math.floor(random() * 5) }, () => 1 + Math.floor(random() * 11))
        const sequence = pooling === 'none' ? 1 : Math.max(...lengths) + Math.floor(random() * 3)
        const values = Float32Array.from({ length: lengths.length * sequence * hidden }, () => random() - 0.5)
        const rows = lengths.map((length, row) =>
          Array.from({ length: pooling === 'none' ? 1 : length }, (_, token) => {
            const start = (row * sequence + token) * hidden
            return [...values.subarray(start, start + hidden)]
          }),
        )
        // Filling must not matter.
        for (const [row, length] of lengths.entries()) {
          if (pooling !== 'none') values.fill(1e30, (row * sequence + length) * hidden, (row + 1) * sequence * hidden)
        }
        const { vectors, unusable } = poolRows(
          { values, sequence, hidden },
          { pooling, offsets: offsetsOf(lengths), dimensions },
        )
        const expected = rows.flatMap((tokens) => oracle(tokens, pooling, dimensions))
        expect(unusable).toEqual([])
        expect(vectors).toHaveLength(expected.length)
        for (const [i, value] of expected.entries()) expect(vectors[i]).toBeCloseTo(value, 6)
      }
    },
  )

  it('gives a row the same bits whatever is beside it and behind it', () => {
    const random = randomNumbers(9)
    const [length, hidden] = [11, 5]
    const row = Array.from({ length: length * hidden }, () => random() - 0.5)
    const alone = poolRows(
      { values: Float32Array.from(row), sequence: length, hidden },
      { pooling: 'mean', offsets: offsetsOf([length]), dimensions: hidden },
    )
    const beside = Float32Array.from([...new Array(20 * hidden).fill(3), ...row, ...new Array(9 * hidden).fill(7)])
    const together = poolRows(
      { values: beside, sequence: 20, hidden },
      { pooling: 'mean', offsets: offsetsOf([20, length]), dimensions: hidden },
    )
    expect([...together.vectors.subarray(hidden)]).toEqual([...alone.vectors])
  })

  it('reports rows of zeros, of values that are not finite and of no tokens, and spares the others', () => {
    const values = Float32Array.of(3, 4, 0, 0, Number.NaN, 1, Number.POSITIVE_INFINITY, 1, 5, 5, -1, 1, 1, -1)
    const lengths = [1, 1, 1, 1, 0, 1, 1]
    const { vectors, unusable } = poolRows(
      { values, sequence: 1, hidden: 2 },
      { pooling: 'mean', offsets: offsetsOf(lengths), dimensions: 2 },
    )
    expect(unusable).toEqual([1, 2, 3, 4])
    const half = Math.fround(Math.SQRT1_2)
    expect([...vectors]).toEqual([Math.fround(0.6), Math.fround(0.8), 0, 0, 0, 0, 0, 0, 0, 0, -half, half, half, -half])
  })

  it('takes no notice of a value that is not finite behind the dimensions that are kept', () => {
    const { vectors, unusable } = poolRows(
      { values: Float32Array.of(3, 4, Number.NaN), sequence: 1, hidden: 3 },
      { pooling: 'cls', offsets: offsetsOf([1]), dimensions: 2 },
    )
    expect(unusable).toEqual([])
    expect(vectors).toHaveLength(2)
  })
})

describe('16-bit floats', () => {
  it('are read as what they are, all of them', () => {
    const known: readonly (readonly [number, number])[] = [
      [0x0000, 0],
      [0x8000, -0],
      [0x3c00, 1],
      [0xc000, -2],
      [0x7bff, 65504],
      [0x0400, 2 ** -14],
      [0x0001, 2 ** -24],
      [0x3555, 0.333251953125],
      [0x7c00, Number.POSITIVE_INFINITY],
      [0xfc00, Number.NEGATIVE_INFINITY],
      [0x7e00, Number.NaN],
    ]
    expect([...fromHalfFloats(Uint16Array.from(known, ([bits]) => bits))]).toEqual(known.map(([, value]) => value))
    const all = Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits)
    const back = toFloat16(fromHalfFloats(all))
    const numbers = all.filter((bits) => (bits & 0x7fff) <= 0x7c00)
    expect(back.filter((_, bits) => (bits & 0x7fff) <= 0x7c00)).toEqual(numbers)
  })
})
