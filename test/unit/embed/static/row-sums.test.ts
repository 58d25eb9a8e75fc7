import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRowSums, kernelBase64 } from '../../../../src/embed/static/row-sums.js'
import {
  createRowWriter,
  createSharedRows,
  layoutOf,
  type RowPrecision,
  type SharedRows,
  slotCount,
} from '../../../../src/embed/static/shared-rows.js'
import { randomNumbers } from '../../../../src/testing/support.js'

const precisions: readonly RowPrecision[] = ['fp32', 'int8']

function filled(shape: { count: number; dimensions: number; precision: RowPrecision }, seed: number): SharedRows {
  const table = createSharedRows(shape)
  const random = randomNumbers(seed)
  const write = createRowWriter(table)
  for (let row = 0; row < shape.count; row++) {
    const size = 10 ** (random() * 8 - 4)
    write(
      row,
      Float32Array.from({ length: shape.dimensions }, () => (random() - 0.5) * size),
      0,
      random() + 0.5,
    )
  }
  return table
}

/** The same numbers where no kernel can reach them. */
function withoutKernel(table: SharedRows): SharedRows {
  return { ...table, memory: undefined }
}

function sum(table: SharedRows, ids: readonly number[]): Float32Array {
  const target = new Float32Array(table.dimensions + 4).fill(7)
  createRowSums(table)(Int32Array.from([-1, ...ids, -1]), 1, ids.length + 1, target, 2)
  expect([...target.subarray(0, 2), ...target.subarray(-2)]).toEqual([7, 7, 7, 7])
  return target.slice(2, -2)
}

describe('sums of rows', () => {
  it('are compiled from the source beside them', async ({ skip }) => {
    const name = 'wabt'
    const wabt = await import(name).then(
      (module: { default: () => Promise<Wabt> }) => module.default(),
      () => undefined,
    )
    if (wabt === undefined) return skip('the package "wabt" is not installed')
    const source = readFileSync(new URL('../../../../src/embed/static/row-kernel.wat', import.meta.url), 'utf8')
    const { buffer } = wabt.parseWat('row-kernel.wat', source, { simd: true, threads: true }).toBinary({})
    expect(Buffer.from(buffer).toString('base64')).toBe(kernelBase64)
  })

  for (const precision of precisions) {
    it(`have the same bits with and without the kernel (${precision})`, () => {
      const shape = fc.record({
        count: fc.integer({ min: 1, max: 40 }),
        dimensions: fc.integer({ min: 1, max: 70 }),
        seed: fc.nat(),
      })
      fc.assert(
        fc.property(shape, fc.array(fc.nat(), { maxLength: 1_600 }), ({ count, dimensions, seed }, numbers) => {
          const table = filled({ count, dimensions, precision }, seed)
          expect(table.memory).toBeDefined()
          const ids = numbers.map((number) => number % count)
          expect(sum(table, ids)).toEqual(sum(withoutKernel(table), ids))
        }),
        { numRuns: 200, seed: 4 },
      )
    })
  }

  it('are those of the definition, up to rounding', () => {
    const random = randomNumbers(5)
    const [count, dimensions] = [50, 33]
    const rows = Array.from({ length: count }, () => Float32Array.from({ length: dimensions }, () => random() - 0.5))
    const ids = Array.from({ length: 700 }, () => Math.floor(random() * count))
    const expected = rows[0]!.map((_, i) => ids.reduce((total, id) => total + rows[id]![i]!, 0))
    for (const [precision, tolerance] of [
      ['fp32', 1e-4],
      ['int8', 0.6],
    ] as const) {
      const table = createSharedRows({ count, dimensions, precision })
      const write = createRowWriter(table)
      for (const [row, values] of rows.entries()) write(row, values, 0, 1)
      for (const [i, value] of sum(table, ids).entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(tolerance)
    }
  })

  it('keep of each int8 value all but half a step', () => {
    const values = Float32Array.from({ length: 300 }, (_, i) => Math.sin(i) * 10)
    const table = createSharedRows({ count: 2, dimensions: 300, precision: 'int8' })
    const write = createRowWriter(table)
    write(1, values, 0, 2)
    const step = (10 * 2) / 127
    for (const [i, value] of sum(table, [1]).entries()) {
      expect(Math.abs(value - values[i]! * 2)).toBeLessThanOrEqual(step / 2 + 1e-5)
    }
    expect(sum(table, [0])).toEqual(new Float32Array(300))
  })

  it('are zero of no rows', () => {
    for (const precision of precisions) {
      expect(sum(filled({ count: 3, dimensions: 5, precision }, 1), [])).toEqual(new Float32Array(5))
    }
  })

  it('refuse rows that do not exist, and leave their slot to the next', () => {
    for (const precision of precisions) {
      const table = filled({ count: 3, dimensions: 5, precision }, 1)
      for (const wrong of [3, -1, 2 ** 31 - 1]) {
        for (const one of [table, withoutKernel(table)]) {
          expect(() => sum(one, [0, wrong])).toThrow(expect.objectContaining({ code: 'INTEGRITY' }))
        }
      }
      const flags = new Int32Array(table.buffer, layoutOf(table).flags, slotCount)
      expect([...flags]).toEqual(Array(slotCount).fill(0))
    }
  })

  it('go on, with the same bits, when threads that were ended have kept slots', () => {
    const table = filled({ count: 9, dimensions: 40, precision: 'fp32' }, 6)
    const expected = sum(table, [1, 2, 8])
    const flags = new Int32Array(table.buffer, layoutOf(table).flags, slotCount)
    flags.fill(1, 0, 3)
    expect(sum(table, [1, 2, 8])).toEqual(expected)
    flags.fill(1)
    expect(sum(table, [1, 2, 8])).toEqual(expected)
    expect([...flags]).toEqual(Array(slotCount).fill(1))
  })
})

interface Wabt {
  parseWat(name: string, source: string, features: object): { toBinary(options: object): { buffer: Uint8Array } }
}
