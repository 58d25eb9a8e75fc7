import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { randomNumbers } from '../../../src/testing/support.js'
import { symmetricEigen } from '../../../src/util/symmetric-eigen.js'

/** Of a list of rows, symmetric. */
function solve(rows: readonly (readonly number[])[], count = rows.length) {
  const size = rows.length
  const { values, vectors } = symmetricEigen(Float64Array.from(rows.flat()), { size, count })
  const list = Array.from({ length: count }, (_, i) => [...vectors.subarray(i * size, (i + 1) * size)])
  return { values: [...values], vectors: list }
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0)
}

/** The definition: A v = l v, and vectors of length 1 that are orthogonal to each other. */
function check(rows: readonly (readonly number[])[]): void {
  const { values, vectors } = solve(rows)
  const scale = Math.max(1e-300, ...rows.flat().map(Math.abs)) * rows.length
  for (const [i, vector] of vectors.entries()) {
    for (const [k, row] of rows.entries()) {
      expect(Math.abs(dot(row, vector) - values[i]! * vector[k]!) / scale).toBeLessThan(1e-13)
    }
    for (const [j, other] of vectors.entries()) {
      expect(Math.abs(dot(vector, other) - (i === j ? 1 : 0))).toBeLessThan(1e-12)
    }
    if (i > 0) expect(values[i]).toBeLessThanOrEqual(values[i - 1]!)
  }
}

describe('eigenvalues and eigenvectors of a symmetric matrix', () => {
  it('are those of small matrices whose answer is known', () => {
    expect(solve([[3]])).toEqual({ values: [3], vectors: [[1]] })
    const { values, vectors } = solve([
      [2, 1],
      [1, 2],
    ])
    expect(values[0]).toBeCloseTo(3, 14)
    expect(values[1]).toBeCloseTo(1, 14)
    expect(vectors[0]![0]).toBeCloseTo(Math.SQRT1_2, 14)
    expect(vectors[0]![1]).toBeCloseTo(Math.SQRT1_2, 14)
    expect(
      solve([
        [1, 0, 0],
        [0, 9, 0],
        [0, 0, 4],
      ]).values,
    ).toEqual([9, 4, 1])
    // 2 - 2 cos(k pi / (n + 1)): the second difference.
    const size = 12
    const chain = Array.from({ length: size }, (_, i) =>
      Array.from({ length: size }, (_, j) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0)),
    )
    for (const [i, value] of solve(chain).values.entries()) {
      expect(value).toBeCloseTo(2 - 2 * Math.cos(((size - i) * Math.PI) / (size + 1)), 12)
    }
  })

  it('satisfy their definition, whatever the matrix', () => {
    const value = fc.oneof(
      fc.double({ min: -1, max: 1, noNaN: true }),
      fc.constantFrom(0, 0, 1, -1, 1e-200, 1e-9, 1e9, 1e150),
    )
    const matrix = fc
      .integer({ min: 1, max: 12 })
      .chain((size) =>
        fc
          .array(value, { minLength: size * size, maxLength: size * size })
          .map((values) =>
            Array.from({ length: size }, (_, i) =>
              Array.from({ length: size }, (_, j) => values[Math.max(i, j) * size + Math.min(i, j)]!),
            ),
          ),
      )
    fc.assert(fc.property(matrix, check), { numRuns: 500, seed: 7 })
  })

  it('satisfy it where many are equal, zero or nearly so', () => {
    const random = randomNumbers(8)
    const vectors = Array.from({ length: 3 }, () => Array.from({ length: 40 }, () => random() - 0.5))
    const rank3 = Array.from({ length: 40 }, (_, i) =>
      Array.from({ length: 40 }, (_, j) => vectors.reduce((sum, vector) => sum + vector[i]! * vector[j]!, 0)),
    )
    check(rank3)
    expect(
      solve(rank3)
        .values.slice(3)
        .every((value) => Math.abs(value) < 1e-12),
    ).toBe(true)
    check(Array.from({ length: 20 }, () => Array(20).fill(1)))
    check(Array.from({ length: 20 }, () => Array(20).fill(0)))
    check(Array.from({ length: 30 }, (_, i) => Array.from({ length: 30 }, (_, j) => 1 / (i + j + 1))))
  })

  it('come with as many vectors as were asked for, the same bits every time', () => {
    const random = randomNumbers(9)
    const rows = Array.from({ length: 30 }, () => Array(30).fill(0))
    for (let i = 0; i < 30; i++) for (let j = 0; j <= i; j++) rows[i]![j] = rows[j]![i] = random() - 0.5
    const all = solve(rows)
    const few = solve(rows, 4)
    expect(few.values).toEqual(all.values)
    expect(few.vectors).toEqual(all.vectors.slice(0, 4))
    for (const vector of all.vectors) expect(Math.max(...vector)).toBe(Math.max(...vector.map(Math.abs)))
  })

  it('are refused of a matrix with values that are not finite', () => {
    expect(() => solve([[Number.NaN]])).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }))
    expect(() =>
      solve([
        [1, Infinity],
        [Infinity, 1],
      ]),
    ).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }))
  })
})
