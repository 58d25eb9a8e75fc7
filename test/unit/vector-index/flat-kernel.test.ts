import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kernelBase64, QuantisedRows } from '../../../src/vector-index/flat-kernel.js'

describe('the coarse scan', () => {
  it('is compiled from the source beside it', async ({ skip }) => {
    const name = 'wabt'
    const wabt = await import(name).then(
      (module: { default: () => Promise<Wabt> }) => module.default(),
      () => undefined,
    )
    if (wabt === undefined) return skip('the package "wabt" is not installed')
    const source = readFileSync(new URL('../../../src/vector-index/flat-kernel.wat', import.meta.url), 'utf8')
    const { buffer } = wabt.parseWat('flat-kernel.wat', source, { simd: true }).toBinary({})
    expect(Buffer.from(buffer).toString('base64')).toBe(kernelBase64)
  })

  it('gives intervals that hold the true inner product, whatever the vectors', () => {
    const value = fc.oneof(
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, 1, -1),
      fc.float({ min: -1, max: 1, noNaN: true }),
    )
    const vectors = fc.integer({ min: 1, max: 70 }).chain((dimensions) => {
      const vector = fc
        .array(value, { minLength: dimensions, maxLength: dimensions })
        .map((values) => Float32Array.from(values))
      return fc.record({ query: vector, rows: fc.array(vector, { minLength: 1, maxLength: 8 }) })
    })
    fc.assert(
      fc.property(vectors, ({ query, rows }) => {
        const quantised = QuantisedRows.create(query.length)
        if (quantised === undefined) throw new Error('This machine has no WebAssembly SIMD.')
        for (const row of rows) quantised.append(row, 0)
        const asked = quantised.quantise(query)
        const sums = [...quantised.scan(asked, 0, rows.length)]
        for (const [i, row] of rows.entries()) {
          const truth = row.reduce((sum, value, j) => sum + value * (query[j] as number), 0)
          const estimate = quantised.estimate(asked, i, sums[i] as number)
          expect(Math.abs(truth - estimate)).toBeLessThanOrEqual(quantised.uncertainty(asked, i))
        }
      }),
      { numRuns: 2_000, seed: 3 },
    )
  })

  it('does not overflow where all values are largest', () => {
    for (const dimensions of [384, 4_096, 65_536]) {
      const quantised = QuantisedRows.create(dimensions)
      const ones = new Float32Array(dimensions).fill(1)
      quantised?.append(ones, 0)
      const asked = quantised?.quantise(ones)
      if (quantised === undefined || asked === undefined) throw new Error('This machine has no WebAssembly SIMD.')
      expect(quantised.estimate(asked, 0, quantised.scan(asked, 0, 1)[0] as number)).toBeCloseTo(dimensions, 3)
    }
  })
})

interface Wabt {
  parseWat(
    name: string,
    source: string,
    features: { readonly simd: boolean },
  ): { toBinary(options: object): { readonly buffer: Uint8Array } }
}
