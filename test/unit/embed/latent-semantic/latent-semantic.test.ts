import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { readBasis, writeBasis } from '../../../../src/embed/latent-semantic/basis.js'
import { CorpusFit } from '../../../../src/embed/latent-semantic/fit.js'
import { FoldIn } from '../../../../src/embed/latent-semantic/fold-in.js'
import { fillTable, findTerm, tableWords } from '../../../../src/embed/latent-semantic/term-table.js'
import { createLatentSemanticFitter } from '../../../../src/embed/latent-semantic.js'
import type { FittedEmbedder, SamplePart } from '../../../../src/embed/types.js'
import { createAnalyzers } from '../../../../src/text/analyzers.js'
import { randomNumbers } from '../../../../src/util/random.js'
import { symmetricEigen } from '../../../../src/util/symmetric-eigen.js'
import { dot } from '../../../../src/util/vector-math.js'
import { samplePart } from '../../../lib/sample-parts.js'

const fitter = createLatentSemanticFitter({ dimensions: 24, workers: 1 })
afterAll(() => fitter.close())

const corpus = { corpusChunks: 200, corpusDocuments: 100 }
async function* groups(sample: readonly SamplePart[]) {
  for (let from = 0; from < sample.length; from += 50) yield sample.slice(from, from + 50)
}
const learn = (sample: readonly SamplePart[]) => fitter.fit(groups(sample), corpus)

/** Each topic has twelve words; a document uses some of those of one topic. */
const topics = 6
const wordOf = (topic: number, i: number) => `topic${'abcdef'[topic]}word${'abcdefghijkl'[i]}`
function topicalSample(seed = 1): SamplePart[] {
  const random = randomNumbers(seed)
  return Array.from({ length: 120 }, (_, d) => {
    const words = () => Array.from({ length: 8 }, () => wordOf(d % topics, Math.floor(random() * 12))).join(' ')
    return samplePart([words(), words()], { title: `report ${d % 7}` })
  })
}

async function vectorOf(embedder: FittedEmbedder, text: string, kind: 'query' | 'passage' = 'query') {
  const { vectors, failed } = await embedder.embed([text], { kind })
  return failed.length > 0 ? undefined : vectors
}

const cosine = (a: Float32Array | undefined, b: Float32Array | undefined) => {
  if (a === undefined || b === undefined) throw new Error('There is no vector to compare.')
  return dot(a, 0, b, 0, a.length)
}

describe('a fitted embedder', () => {
  it('finds two words alike that stand in the same documents, and no others', async () => {
    const embedder = await learn(topicalSample())
    const [a, b, other] = await Promise.all(
      [wordOf(0, 0), wordOf(0, 7), wordOf(3, 2)].map((w) => vectorOf(embedder, w)),
    )
    expect(cosine(a, b)).toBeGreaterThan(0.8)
    expect(Math.abs(cosine(a, other))).toBeLessThan(0.2)
  })

  it('is the same every time, and through a snapshot', async () => {
    const [one, two] = [await learn(topicalSample()), await learn(topicalSample())]
    expect(two.fingerprint).toBe(one.fingerprint)
    expect(Buffer.from(two.snapshot()).equals(Buffer.from(one.snapshot()))).toBe(true)
    const restored = await fitter.restore(Uint8Array.from(one.snapshot()))
    expect(restored).toMatchObject({ fingerprint: one.fingerprint, corpusChunks: 200, weights: one.weights })
    const text = `${wordOf(1, 1)} ${wordOf(2, 2)}`
    expect(await vectorOf(restored, text)).toEqual(await vectorOf(one, text))
    expect((await learn(topicalSample(2))).fingerprint).not.toBe(one.fingerprint)
  })

  it('embeds a question and a passage of the same words alike', async () => {
    const embedder = await learn(topicalSample())
    const text = `${wordOf(1, 1)} ${wordOf(1, 4)} ${wordOf(4, 4)}`
    expect(cosine(await vectorOf(embedder, text), await vectorOf(embedder, text, 'passage'))).toBeCloseTo(1, 5)
  })

  it('knows nothing of words that the corpus does not have', async () => {
    const embedder = await learn(topicalSample())
    const { failed, vectors } = await embedder.embed(['quux', wordOf(0, 0), 'the of and'], { kind: 'query' })
    expect(failed.map(({ index, error }) => [index, (error as { code?: string }).code])).toEqual([
      [0, 'EMPTY'],
      [2, 'EMPTY'],
    ])
    expect(vectors.subarray(0, embedder.dimensions).every((value) => value === 0)).toBe(true)
  })

  it('gives every chunk of every part its row, with what stands around it', async () => {
    const embedder = await learn(topicalSample())
    const parts = [
      samplePart([wordOf(0, 0), 'quux', wordOf(0, 1)]),
      samplePart([`${wordOf(2, 0)} ${wordOf(2, 1)}`]),
      samplePart([wordOf(5, 0), wordOf(0, 0)]),
    ]
    const rows = await embedder.embedParts(parts, {})
    const { dimensions } = embedder
    expect(rows.map(({ length }) => length / dimensions)).toEqual([3, 1, 2])
    const row = (part: number, chunk: number) =>
      (rows[part] as Float32Array).slice(chunk * dimensions, (chunk + 1) * dimensions)
    expect(row(0, 1).every((value) => value === 0)).toBe(true)
    for (const [part, chunk] of [
      [0, 0],
      [0, 2],
      [1, 0],
      [2, 0],
      [2, 1],
    ] as const) {
      expect(Math.hypot(...row(part, chunk))).toBeCloseTo(1, 5)
    }
    // The same word, among its like and among others.
    const topic = await vectorOf(embedder, Array.from({ length: 12 }, (_, i) => wordOf(0, i)).join(' '))
    expect(cosine(row(0, 0), topic)).toBeGreaterThan(cosine(row(2, 1), topic))
  })

  it('takes a million words, and a text of other scripts', async () => {
    const sample = ['東京は日本の首都です', '東京は大きい都市です', 'Мама мыла раму', 'мама мыла окно'].map((text) =>
      samplePart([text]),
    )
    const embedder = await learn([...sample, ...topicalSample()])
    expect(cosine(await vectorOf(embedder, '東京の首都'), await vectorOf(embedder, '東京'))).toBeGreaterThan(0.5)
    expect(await vectorOf(embedder, 'мама')).toBeDefined()
    const million = Array.from({ length: 1_000_000 }, (_, i) => wordOf(i % topics, i % 12)).join(' ')
    expect(await vectorOf(embedder, million)).toBeDefined()
    expect(await vectorOf(embedder, million.slice(0, 2_000_000), 'passage')).toBeDefined()
  })

  it('weighs the words of the document and the vectors less where documents are long', async () => {
    const short = await fitter.fit(groups(topicalSample()), { corpusChunks: 300, corpusDocuments: 100 })
    const long = await fitter.fit(groups(topicalSample()), { corpusChunks: 8_000, corpusDocuments: 100 })
    expect(short.weights).toEqual({ document: 1, vector: 1 })
    expect(long.weights).toEqual({ document: expect.closeTo(0.473), vector: expect.closeTo(0.473) })
  })
})

describe('a fit', () => {
  it('of documents that are all alike gives them all one vector', async () => {
    const embedder = await learn(Array.from({ length: 50 }, () => samplePart(['alpha beta gamma'])))
    expect(cosine(await vectorOf(embedder, 'alpha'), await vectorOf(embedder, 'gamma beta'))).toBeCloseTo(1, 4)
  })

  it('of nothing, of one document, or of documents without a common word is EMPTY', async () => {
    const samples = [
      [],
      [samplePart([])],
      [samplePart(['alpha beta'])],
      ['alpha', 'beta'].map((text) => samplePart([text])),
    ]
    for (const sample of samples) await expect(learn(sample)).rejects.toMatchObject({ code: 'EMPTY' })
  })

  it('learns from the chunks that are in the sample only', async () => {
    const inside = topicalSample().map((part) => ({ ...part, to: 1 }))
    const outside = Array.from({ length: 9 }, () => ({ ...samplePart([wordOf(0, 0), 'hidden secret']), to: 1 }))
    const embedder = await learn([...inside, ...outside])
    expect(await vectorOf(embedder, 'hidden')).toBeUndefined()
  })

  it('reports bytes that are no piece', async () => {
    const part = { ...samplePart(['alpha']), pieces: [new Uint8Array([1, 2, 3, 4, 5])] }
    await expect(learn([part])).rejects.toMatchObject({ code: 'INTEGRITY' })
  })

  it('stops when it is aborted, before and meanwhile', async () => {
    const reason = new Error('enough')
    const options = { ...corpus, signal: AbortSignal.abort(reason) }
    await expect(fitter.fit(groups(topicalSample()), options)).rejects.toBe(reason)
    const controller = new AbortController()
    const running = fitter.fit(groups([...Array(40).keys()].flatMap(topicalSample)), {
      ...corpus,
      signal: controller.signal,
    })
    setTimeout(() => controller.abort(reason), 5)
    await expect(running).rejects.toBe(reason)
    expect((await learn(topicalSample())).dimensions).toBe(15)
  })

  it('refuses options out of range', () => {
    for (const options of [{ dimensions: 1 }, { dimensions: 1_025 }, { dimensions: 1.5 }, { workers: 0 }]) {
      expect(() => createLatentSemanticFitter(options)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    }
  })

  it('keeps fewer directions of a small corpus', async () => {
    const dimensions = async (count: number) => (await learn(topicalSample().slice(0, count))).dimensions
    expect(await Promise.all([12, 64, 96, 120].map(dimensions))).toEqual([8, 8, 12, 15])
    const many = await learn([topicalSample(), topicalSample(2), topicalSample(3)].flat())
    expect(many.dimensions).toBe(24)
  })

  it('folds a text of the sample in where the exact decomposition puts it', async () => {
    const sample = topicalSample().map((part) => ({ ...part, title: '', to: 1 }))
    const corpusFit = new CorpusFit({ analyzerFor: createAnalyzers(), pause: async () => {} })
    await corpusFit.add(sample)
    const foldIn = new FoldIn(await corpusFit.finish({ dimensions: 6, fingerprint: 'f', ...corpus }))
    const counts = sample.map((_, d) => wordsOf(d))
    const vectors = counts.map((words) => {
      const vector = new Float32Array(6)
      foldIn.text(words, vector, 0)
      return vector
    })
    const exact = exactCoordinates(
      counts.map((words) => weigh(words, counts)),
      6,
    )
    for (let i = 0; i < 40; i++) {
      const [a, b] = [i, (i * 7 + 3) % sample.length]
      expect(cosine(vectors[a], vectors[b])).toBeCloseTo(plainCosine(exact[a] as number[], exact[b] as number[]), 1)
    }
  })
})

describe('what was fitted', () => {
  it('is refused when a bit of it is not as it was, or bytes are missing', async () => {
    const bytes = Uint8Array.from((await learn(topicalSample())).snapshot())
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (place, change) => {
        const damaged = bytes.slice()
        damaged[place] = (damaged[place] as number) ^ change
        expect(() => readBasis(damaged)).toThrow(expect.objectContaining({ name: 'RagError' }))
        expect(() => readBasis(bytes.slice(0, place))).toThrow(expect.objectContaining({ code: 'INTEGRITY' }))
      }),
      { seed: 1, numRuns: 200 },
    )
    expect(readBasis(bytes).dimensions).toBe(15)
  })

  it('of other options is FINGERPRINT', async () => {
    const other = createLatentSemanticFitter({ dimensions: 8 })
    const snapshot = (await learn(topicalSample())).snapshot()
    await expect(other.restore(snapshot)).rejects.toMatchObject({ code: 'FINGERPRINT' })
    await other.close()
  })

  it('keeps terms, weights and rows', () => {
    const facts = { fingerprint: 'f', corpusChunks: 9, languages: ['english'], weights: { document: 1, vector: 1 } }
    const vectors = Float32Array.of(1, -0.5, 0, 0, 0.25, 0.125)
    const basis = writeBasis({ dimensions: 2, terms: ['a', 'b', 'c'], weights: [1, 2, 3], vectors, facts })
    const read = readBasis(Uint8Array.from(new Uint8Array(basis.buffer)))
    expect(read.facts).toEqual(facts)
    expect([...read.rows].map(Math.abs)).toEqual([127, 63, 0, 0, 127, 64])
    expect(['c', 'a', 'b', 'd'].map((term) => findTerm(read.terms, term))).toEqual([2, 0, 1, -1])
  })
})

it('a table of terms finds each term, and nothing else', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ unit: 'grapheme' }), { maxLength: 80 }), fc.string(), (terms, other) => {
      const slots = new Uint32Array(tableWords(terms.length))
      fillTable(slots, terms)
      expect(terms.map((term) => findTerm({ slots }, term))).toEqual([...terms.keys()])
      expect(findTerm({ slots }, other)).toBe(terms.indexOf(other))
    }),
    { seed: 1 },
  )
})

/** Words of document `d` of the sample without its title's, as the analyzer leaves them, with their counts. */
function wordsOf(d: number): [string, number][] {
  const random = randomNumbers(1)
  for (let skipped = 0; skipped < d * 16; skipped++) random()
  const counts = new Map<string, number>()
  for (let i = 0; i < 8; i++) {
    const word = wordOf(d % topics, Math.floor(random() * 12))
    counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  return [...counts]
}

type Weighed = ReadonlyMap<string, number>

function weigh(
  words: readonly (readonly [string, number])[],
  all: readonly (readonly (readonly [string, number])[])[],
): Weighed {
  const frequency = (word: string) => all.filter((one) => one.some(([other]) => other === word)).length
  return new Map(
    words.map(([word, count]) => [word, (1 + Math.log(count)) * Math.log((all.length + 1) / (frequency(word) + 0.5))]),
  )
}

/** Coordinates of texts along the first `rank` singular vectors, from the eigenvectors of their inner products. */
function exactCoordinates(texts: readonly Weighed[], rank: number): number[][] {
  const size = texts.length
  const length = (text: Weighed) => Math.sqrt([...text.values()].reduce((sum, value) => sum + value * value, 0))
  const product = (a: Weighed, b: Weighed) =>
    [...a].reduce((sum, [word, value]) => sum + value * (b.get(word) ?? 0), 0) / (length(a) * length(b))
  const gram = Float64Array.from({ length: size * size }, (_, i) =>
    product(texts[Math.floor(i / size)] as Weighed, texts[i % size] as Weighed),
  )
  const { values, vectors } = symmetricEigen(gram, { size, count: rank })
  return texts.map((_, text) =>
    Array.from({ length: rank }, (_, i) => Math.sqrt(values[i] as number) * (vectors[i * size + text] as number)),
  )
}

function plainCosine(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0) / (Math.hypot(...a) * Math.hypot(...b))
}
