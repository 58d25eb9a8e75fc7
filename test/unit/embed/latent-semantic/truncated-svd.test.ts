import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kernelBase64 } from '../../../../src/embed/latent-semantic/row-arena.js'
import { type SparseMatrix, transpose } from '../../../../src/embed/latent-semantic/sparse-matrix.js'
import { truncatedSvd } from '../../../../src/embed/latent-semantic/truncated-svd.js'
import { randomNumbers } from '../../../../src/util/random.js'
import { symmetricEigen } from '../../../../src/util/symmetric-eigen.js'

const source = new URL('../../../../src/embed/latent-semantic/combine-kernel.wat', import.meta.url)

describe('the kernel', () => {
  it('is compiled from the source beside it', async ({ skip }) => {
    const name = 'wabt'
    const wabt = await import(name).then(
      (module: { default: () => Promise<Wabt> }) => module.default(),
      () => undefined,
    )
    if (wabt === undefined) return skip('the package "wabt" is not installed')
    const module = wabt.parseWat('combine-kernel.wat', readFileSync(source, 'utf8'), { simd: true })
    expect(Buffer.from(module.toBinary({}).buffer).toString('base64')).toBe(kernelBase64)
  })

  it('gives the same bits as plain JavaScript', async () => {
    const matrix = randomMatrix({ rows: 90, columns: 70, filled: 0.2, seed: 3 })
    expect(await truncatedSvd(matrix, { rank: 20 })).toEqual(await truncatedSvd(matrix, { rank: 20, kernel: false }))
  })
})

describe('the truncated decomposition', () => {
  it('equals the exact one where it follows every direction', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          rows: fc.integer({ min: 1, max: 24 }),
          columns: fc.integer({ min: 1, max: 24 }),
          filled: fc.constantFrom(0.1, 0.5, 1),
          seed: fc.nat(1_000),
        }),
        async (shape) => {
          const matrix = randomMatrix(shape)
          const rank = 8
          const { basis, singularValues } = await truncatedSvd(matrix, { rank })
          const exact = exactValues(matrix)
          for (let i = 0; i < rank; i++) expect(singularValues[i]).toBeCloseTo(exact[i] ?? 0, 3)
          expectOrthonormal(basis, matrix.columns, singularValues)
          // A right singular vector is stretched by its singular value.
          for (let i = 0; i < rank; i++)
            expect(stretch(matrix, basis, rank, i)).toBeCloseTo(singularValues[i] as number, 3)
        },
      ),
      { seed: 1, numRuns: 60 },
    )
  })

  it('is near to the exact one where it follows a part of the directions', async () => {
    const matrix = decaying({ rows: 300, columns: 200, seed: 5 })
    const { basis, singularValues } = await truncatedSvd(matrix, { rank: 16 })
    const exact = exactValues(matrix)
    for (let i = 0; i < 16; i++) {
      expect(singularValues[i] as number).toBeLessThanOrEqual((exact[i] as number) * 1.001)
      expect(singularValues[i] as number).toBeGreaterThan((exact[i] as number) * 0.99)
    }
    expectOrthonormal(basis, 200, singularValues)
  })

  it('has zeros for directions that are not there', async () => {
    const row = [1, 2, 2]
    const matrix = fromRows([row, row, row, row])
    const { basis, singularValues } = await truncatedSvd(matrix, { rank: 2 })
    expect([...singularValues]).toEqual([expect.closeTo(6, 5), 0])
    expect([...basis].map(Math.abs)).toEqual([1, 2, 2].flatMap((value) => [expect.closeTo(value / 3, 5), 0]))
  })

  it('of a matrix of zeros, or of none, is zero', async () => {
    for (const matrix of [
      fromRows([
        [0, 0],
        [0, 0],
      ]),
      fromRows([[], []]),
      fromRows([]),
    ]) {
      const { basis, singularValues } = await truncatedSvd(matrix, { rank: 3 })
      expect([...basis, ...singularValues].every((value) => value === 0)).toBe(true)
    }
  })

  it('stops where the pause throws', async () => {
    const reason = new Error('enough')
    let pauses = 0
    const pause = async () => {
      if (++pauses === 3) throw reason
    }
    const matrix = randomMatrix({ rows: 30, columns: 30, filled: 0.5, seed: 1 })
    await expect(truncatedSvd(matrix, { rank: 4, pause })).rejects.toBe(reason)
  })
})

it('turning a matrix twice gives the same matrix', () => {
  const matrix = randomMatrix({ rows: 20, columns: 33, filled: 0.3, seed: 2 })
  expect(transpose(transpose(matrix))).toEqual(matrix)
})

interface Wabt {
  parseWat(name: string, source: string, features: object): { toBinary(options: object): { buffer: Uint8Array } }
}

function randomMatrix(options: { rows: number; columns: number; filled: number; seed: number }): SparseMatrix {
  const random = randomNumbers(options.seed)
  const value = () => (random() < options.filled ? random() * 2 - 1 : 0)
  return fromRows(Array.from({ length: options.rows }, () => Array.from({ length: options.columns }, value)))
}

/** Singular values that fall like those of texts do: slowly. */
function decaying({ rows, columns, seed }: { rows: number; columns: number; seed: number }): SparseMatrix {
  const random = randomNumbers(seed)
  const topics = Array.from({ length: 40 }, (_, i) => ({
    weight: 1 / (1 + i / 4),
    row: Array.from({ length: rows }, () => random() - 0.5),
    column: Array.from({ length: columns }, () => random() - 0.5),
  }))
  return fromRows(
    Array.from({ length: rows }, (_, r) =>
      Array.from({ length: columns }, (_, c) =>
        topics.reduce((sum, { weight, row, column }) => sum + weight * (row[r] as number) * (column[c] as number), 0),
      ),
    ),
  )
}

function fromRows(dense: readonly (readonly number[])[]): SparseMatrix {
  const starts = [0]
  const places: number[] = []
  const values: number[] = []
  for (const row of dense) {
    for (const [column, value] of row.entries()) {
      if (value === 0) continue
      places.push(column)
      values.push(value)
    }
    starts.push(places.length)
  }
  return {
    rows: dense.length,
    columns: dense[0]?.length ?? 0,
    starts: Uint32Array.from(starts),
    places: Uint32Array.from(places),
    values: Float32Array.from(values),
  }
}

/** From the eigenvalues of the Gram matrix, in double precision. */
function exactValues({ rows, columns, starts, places, values }: SparseMatrix): number[] {
  const gram = new Float64Array(columns * columns)
  for (let row = 0; row < rows; row++) {
    for (let i = starts[row] as number; i < (starts[row + 1] as number); i++) {
      for (let j = starts[row] as number; j < (starts[row + 1] as number); j++) {
        const place = (places[i] as number) * columns + (places[j] as number)
        gram[place] = (gram[place] as number) + (values[i] as number) * (values[j] as number)
      }
    }
  }
  return [...symmetricEigen(gram, { size: columns, count: 0 }).values].map((value) => Math.sqrt(Math.max(0, value)))
}

function expectOrthonormal(basis: Float32Array, columns: number, singularValues: Float64Array): void {
  const rank = singularValues.length
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j <= i; j++) {
      let product = 0
      for (let c = 0; c < columns; c++) product += (basis[c * rank + i] as number) * (basis[c * rank + j] as number)
      const isThere = (singularValues[i] as number) > 1e-2 && (singularValues[j] as number) > 1e-2
      if (isThere || i !== j) expect(product).toBeCloseTo(i === j ? 1 : 0, 2)
    }
  }
}

/** Length of the matrix times the vector in column `i`. */
function stretch({ rows, starts, places, values }: SparseMatrix, basis: Float32Array, rank: number, i: number): number {
  let squares = 0
  for (let row = 0; row < rows; row++) {
    let sum = 0
    for (let at = starts[row] as number; at < (starts[row + 1] as number); at++)
      sum += (values[at] as number) * (basis[(places[at] as number) * rank + i] as number)
    squares += sum * sum
  }
  return Math.sqrt(squares)
}
