import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { createReducedEmbedder } from '../../../src/embed/reduced.js'
import type { Embedder, Reduction } from '../../../src/embed/types.js'
import { fitPca, UltraFastRAG } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'
import { randomNumbers } from '../../../src/testing/support.js'

const dimensions = 8
const failing = (code: string) => expect.objectContaining({ code })

/** An embedder that gives the vectors it is made of; a vector of zeros is a text it cannot embed. */
function saying(...rows: readonly (readonly number[])[]): Embedder {
  return {
    ...createFakeEmbedder({ dimensions }),
    fingerprint: 'saying/1',
    async embed(texts) {
      const vectors = Float32Array.from(rows.slice(0, texts.length).flat())
      const failed = rows.flatMap((row, index) => (row.every((value) => value === 0) ? [{ index, error: 'zero' }] : []))
      return { vectors, failed, tokens: 3 }
    },
  }
}

const rowsOf = async (embedder: Embedder, count: number) => {
  const { vectors, failed } = await embedder.embed(Array(count).fill('x'), { kind: 'passage' })
  const rows = Array.from({ length: count }, (_, i) => [
    ...vectors.subarray(i * embedder.dimensions, (i + 1) * embedder.dimensions),
  ])
  return { rows, failed }
}

const rounded = (row: readonly number[] | undefined) => row?.map((value) => Number(value.toFixed(5)))

describe('a reduced embedder', () => {
  it('keeps the first values and scales them to length 1', async () => {
    const embedder = createReducedEmbedder(saying([3, 4, 9, 9, 9, 9, 9, 9], [0, 0, 0, 0, 1, 0, 0, 0]), {
      kind: 'cut',
      dimensions: 2,
    })
    expect(embedder).toMatchObject({ dimensions: 2, fingerprint: 'saying/1|cut/2' })
    const { rows, failed } = await rowsOf(embedder, 2)
    expect(rounded(rows[0])).toEqual([0.6, 0.8])
    expect(failed).toEqual([{ index: 1, error: failing('EMPTY') }])
    expect(rows[1]).toEqual([0, 0])
  })

  it('keeps exactly the largest values, equals from the left', async () => {
    const embedder = createReducedEmbedder(saying([1, -3, 2, 2, -2, 0, 0, 1]), { kind: 'sparsify', topK: 3 })
    expect(embedder.dimensions).toBe(8)
    const length = Math.hypot(3, 2, 2)
    const { rows } = await rowsOf(embedder, 1)
    expect(rounded(rows[0])).toEqual(rounded([0, -3 / length, 2 / length, 2 / length, 0, 0, 0, 0]))
  })

  it('keeps as many values as it is told, the largest, whatever the vector', async () => {
    const vector = fc.array(fc.float({ min: -2, max: 2, noNaN: true }).map(Math.fround), { minLength: 8, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(vector, fc.integer({ min: 1, max: 8 }), async (values, topK) => {
        fc.pre(values.some((value) => Math.abs(value) > 1e-3))
        const { rows } = await rowsOf(createReducedEmbedder(saying(values), { kind: 'sparsify', topK }), 1)
        const row = rows[0] as number[]
        const kept = row.flatMap((value, i) => (value === 0 ? [] : [i]))
        expect(kept.length).toBeLessThanOrEqual(topK)
        expect(Math.hypot(...row)).toBeCloseTo(1, 5)
        const least = Math.min(...kept.map((i) => Math.abs(values[i] as number)))
        for (const [i, value] of values.entries()) {
          if (!kept.includes(i) && value !== 0 && kept.length === topK)
            expect(Math.abs(value)).toBeLessThanOrEqual(least)
        }
      }),
      { numRuns: 300, seed: 2 },
    )
  })

  it('passes on what could not be embedded', async () => {
    const embedder = createReducedEmbedder(saying([0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]), {
      kind: 'cut',
      dimensions: 4,
    })
    const { rows, failed } = await rowsOf(embedder, 2)
    expect(failed).toEqual([{ index: 0, error: 'zero' }])
    expect(rows[0]).toEqual([0, 0, 0, 0])
  })

  it.each<Reduction>([
    { kind: 'cut', dimensions: 9 },
    { kind: 'sparsify', topK: 0 },
    { kind: 'pca', basis: { from: 9, dimensions: 1, values: new Float32Array(18) } },
  ])('refuses %o', (reduction) => {
    expect(() => createReducedEmbedder(saying([]), reduction)).toThrow(failing('BAD_OPTION'))
  })
})

describe('fitPca', () => {
  /** Vectors that vary along two directions only, about a mean. */
  function flatSample(count: number): Float32Array {
    const random = randomNumbers(3)
    const rows = Array.from({ length: count }, () => {
      const [a, b] = [random() - 0.5, (random() - 0.5) / 4]
      return [a + b, a - b, 0.3, 0, 0, 0, b, 0]
    })
    return Float32Array.from(rows.flat())
  }

  it('finds the directions in which vectors differ, so that nothing is lost of those', async () => {
    const sample = flatSample(200)
    const { basis, explainedVariance } = await fitPca(sample, { from: dimensions, dimensions: 2 })
    expect(explainedVariance).toBeCloseTo(1, 6)
    const rows = Array.from({ length: 20 }, (_, i) => [...sample.subarray(i * dimensions, (i + 1) * dimensions)])
    const embedder = createReducedEmbedder(saying(...rows), { kind: 'pca', basis })
    const reduced = (await rowsOf(embedder, 20)).rows
    // Angles about the mean stay what they were.
    const mean = [...basis.values.subarray(0, dimensions)]
    const cosine = (a: readonly number[], b: readonly number[]) =>
      a.reduce((sum, value, i) => sum + value * (b[i] as number), 0) / Math.hypot(...a) / Math.hypot(...b)
    const centred = rows.map((row) => row.map((value, i) => value - (mean[i] as number)))
    for (let i = 1; i < 20; i++) {
      const before = cosine(centred[0] as number[], centred[i] as number[])
      expect(cosine(reduced[0] as number[], reduced[i] as number[])).toBeCloseTo(before, 4)
    }
  })

  it('gives the same basis every time, and another fingerprint for another', async () => {
    const [one, same, other] = await Promise.all([
      fitPca(flatSample(50), { from: dimensions, dimensions: 2 }),
      fitPca(flatSample(50), { from: dimensions, dimensions: 2 }),
      fitPca(flatSample(60), { from: dimensions, dimensions: 2 }),
    ])
    expect(same.basis.values).toEqual(one.basis.values)
    const fingerprints = [one, same, other].map(
      ({ basis }) => createReducedEmbedder(saying([]), { kind: 'pca', basis }).fingerprint,
    )
    expect(new Set(fingerprints).size).toBe(2)
  })

  it('refuses sizes and vectors that cannot be used', async () => {
    await expect(fitPca(new Float32Array(16), { from: 8, dimensions: 9 })).rejects.toEqual(failing('BAD_OPTION'))
    await expect(fitPca(new Float32Array(15), { from: 8, dimensions: 2 })).rejects.toEqual(failing('BAD_INPUT'))
    await expect(fitPca(new Float32Array(16).fill(Number.NaN), { from: 8, dimensions: 2 })).rejects.toEqual(
      failing('BAD_INPUT'),
    )
    await expect(fitPca([] as never, { from: 8, dimensions: 2 })).rejects.toEqual(failing('BAD_INPUT'))
    const reason = new Error('enough')
    const ended = fitPca(new Float32Array(16), { from: 8, dimensions: 2, signal: AbortSignal.abort(reason) })
    await expect(ended).rejects.toBe(reason)
  })
})

describe('the option reduction', () => {
  const opened: UltraFastRAG[] = []
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((rag) => rag.close()))
  })

  it.each<Reduction>([
    { kind: 'cut', dimensions: 16 },
    { kind: 'sparsify', topK: 8 },
  ])('stores and searches reduced vectors: %o', async (reduction) => {
    const rag = new UltraFastRAG({ embedder: { kind: 'hashing', dimensions: 64 }, reduction })
    opened.push(rag)
    await rag.ingest(
      Array.from({ length: 20 }, (_, i) => ({ id: `d${i}`, text: `Word${i} of a text about number ${i}.` })),
    )
    const [hit] = await rag.retrieve('Word7 of a text about number 7.')
    expect(hit).toMatchObject({ chunk: { documentId: 'd7' }, scores: { vector: expect.closeTo(1, 4) } })
    expect((await rag.stats()).indexes.vector?.vectors).toBe(20)
  })

  it.each([
    [{ embedder: false, reduction: { kind: 'cut', dimensions: 2 } }],
    [{ reduction: { kind: 'cut', dimensions: 2 } }],
    [{ embedder: 'hashing', reduction: { kind: 'cut' } }],
    [{ embedder: 'hashing', reduction: { kind: 'cut', dimensions: 0 } }],
    [{ embedder: 'hashing', reduction: { kind: 'shrink' } }],
    [{ embedder: 'hashing', reduction: { kind: 'pca', basis: { from: 2, dimensions: 1, values: [1, 2] } } }],
    [{ embedder: 'hashing', reduction: { kind: 'sparsify', topK: 2, dimensions: 2 } }],
  ])('refuses %o', (options) => {
    expect(() => new UltraFastRAG(options as never)).toThrow(failing('BAD_OPTION'))
  })

  it('tells when more values are wanted than there are, with the first call', async () => {
    const rag = new UltraFastRAG({
      embedder: { kind: 'hashing', dimensions: 8 },
      reduction: { kind: 'cut', dimensions: 9 },
    })
    opened.push(rag)
    await expect(rag.ingest([{ id: 'a', text: 'A.' }])).rejects.toEqual(failing('BAD_OPTION'))
  })
})
