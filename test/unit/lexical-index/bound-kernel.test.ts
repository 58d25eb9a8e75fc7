import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { type BoundMemory, createBoundMemory, kernelBase64 } from '../../../src/lexical-index/bound-kernel.js'
import { wasm } from '../../../src/util/wasm.js'

/** A memory for these sizes with the kernel, and one without. */
function bothMemories(sizes: readonly number[]): BoundMemory[] {
  const withKernel = createBoundMemory(sizes)
  const broken = vi.spyOn(wasm, 'Memory').mockImplementation(function refuse() {
    throw new RangeError('no memory')
  })
  const plain = createBoundMemory(sizes)
  broken.mockRestore()
  expect(plain.constructor).not.toBe(withKernel.constructor)
  return [withKernel, plain]
}

describe('the kernel of bounds', () => {
  it('is compiled from the source beside it', async ({ skip }) => {
    const name = 'wabt'
    const wabt = await import(name).then(
      (module: { default: () => Promise<Wabt> }) => module.default(),
      () => undefined,
    )
    if (wabt === undefined) return skip('the package "wabt" is not installed')
    const source = readFileSync(new URL('../../../src/lexical-index/bound-kernel.wat', import.meta.url), 'utf8')
    const { buffer } = wabt.parseWat('bound-kernel.wat', source, { simd: true }).toBinary({})
    expect(Buffer.from(buffer).toString('base64')).toBe(kernelBase64)
  })

  it('adds, combines and finds what plain loops do, in arrays of any size', () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 0, max: 40 }), fc.constant(3_000))
    const seeds = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 80, maxLength: 80 })
    const scale = fc.float({ min: Math.fround(1e-6), max: 40, noNaN: true })
    fc.assert(
      fc.property(sizes, seeds, scale, scale, (counts, bytes, one, other) => {
        const [size] = counts
        const impacts = Uint8Array.from({ length: Math.ceil(size / 16) * 16 }, (_, i) => bytes[i] as number)
        const places = Uint32Array.from({ length: size }, (_, i) => (bytes[i] as number) % size)
        const results = bothMemories(counts).map((memory) => {
          const [bounds, empty, others] = memory.lend(counts) as [Float32Array, Float32Array, Float32Array]
          memory.add(empty, new Uint8Array(Math.ceil(empty.length / 16) * 16).fill(9), one)
          memory.add(
            others,
            new Uint8Array(3_008).map((_, i) => bytes[i % 80] as number),
            other,
          )
          // Every other bound stays zero.
          memory.add(
            bounds,
            impacts.map((impact, i) => (i % 2 === 0 ? impact : 0)),
            one,
          )
          memory.combine(bounds, { others, places, scale: other, otherScale: one })
          const found: number[] = []
          const threshold = bounds[0] as number
          for (let i = memory.next(bounds, 0, threshold); i < size; i = memory.next(bounds, i + 1, threshold))
            found.push(i)
          expect(found).toEqual([...bounds.keys()].filter((i) => (bounds[i] as number) > 0 && bounds[i]! >= threshold))
          expect(memory.next(bounds, 0, Number.NEGATIVE_INFINITY)).toBe(
            bounds.some((bound) => bound > 0) ? bounds.findIndex((bound) => bound > 0) : size,
          )
          return { bounds: [...bounds], empty: [...empty] }
        })
        const [kernel, plain] = results as [(typeof results)[0], (typeof results)[0]]
        expect(kernel.empty.length).toBe(counts[1])
        for (const [i, bound] of plain.bounds.entries())
          expect(Math.abs(bound - (kernel.bounds[i] as number))).toBeLessThanOrEqual(bound * 2 ** -21)
      }),
      { numRuns: 200, seed: 4 },
    )
  })

  it('lends zeros again, and nothing that does not fit', () => {
    for (const memory of bothMemories([3_000, 40])) {
      memory.add((memory.lend([3_000, 40]) as Float32Array[])[0] as Float32Array, new Uint8Array(3_008).fill(7), 1)
      expect(memory.lend([3_000, 40])?.map((array) => array.some((value) => value !== 0))).toEqual([false, false])
      expect(memory.lend([3_000, 3_000])).toBeUndefined()
      expect(memory.lend([])).toEqual([])
    }
  })
})

interface Wabt {
  parseWat(name: string, source: string, features: object): { toBinary(options: object): { buffer: Uint8Array } }
}
