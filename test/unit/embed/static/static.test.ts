import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createStaticEmbedder, type StaticEmbedderOptions } from '../../../../src/embed/static.js'
import type { Embedder } from '../../../../src/embed/types.js'
import { nextLoopTurn, randomNumbers } from '../../../../src/testing/support.js'
import { inSoak } from '../../../lib/soak.js'
import {
  createModelFolders,
  plainVectors,
  type RawTensor,
  randomMatrix,
  safetensors,
  staticTokens,
  tokenizerFile,
} from '../../../lib/static-models.js'
import { anyText } from '../../../lib/texts.js'

const folders = createModelFolders()
const count = staticTokens.length
const dimensions = 24
const matrix = randomMatrix(count, dimensions, 1)
const tokenizer = tokenizerFile()
const passage = { kind: 'passage' } as const

const f32 = (values: Float32Array, columns: number): RawTensor => ({
  type: 'F32',
  shape: [values.length / columns, columns],
  values,
})
const rowOf = (id: number) => matrix.subarray(id * dimensions, (id + 1) * dimensions)

let model2vec: string
let sentenceTransformers: string
beforeAll(() => {
  const modules = [{ type: 'sentence_transformers.models.StaticEmbedding', path: '0_StaticEmbedding' }]
  model2vec = folders.write({
    'tokenizer.json': tokenizer,
    'config.json': '{"normalize":true}',
    'model.safetensors': safetensors({ embeddings: f32(matrix, dimensions) }),
  })
  sentenceTransformers = folders.write({
    'modules.json': JSON.stringify(modules),
    '0_StaticEmbedding/tokenizer.json': tokenizer,
    '0_StaticEmbedding/model.safetensors': safetensors({ 'embedding.weight': f32(matrix, dimensions) }),
  })
})
afterAll(() => folders.remove())

const opened: Embedder[] = []
async function open(options: StaticEmbedderOptions): Promise<Embedder> {
  const embedder = await createStaticEmbedder({ workers: 2, ...options })
  opened.push(embedder)
  return embedder
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((embedder) => embedder.close()))
})

async function vectorsOf(embedder: Embedder, texts: readonly string[]): Promise<(number[] | undefined)[]> {
  const { vectors, failed } = await embedder.embed(texts, passage)
  const missing = new Set(failed.map(({ index }) => index))
  return texts.map((_, place) => {
    const row = [...vectors.subarray(place * embedder.dimensions, (place + 1) * embedder.dimensions)]
    if (!missing.has(place)) return row
    expect(row.every((value) => value === 0)).toBe(true)
    return undefined
  })
}

function cosine(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0)
}

/** Nothing but rounding lies between them. */
function expectSame(actual: readonly (number[] | undefined)[], expected: readonly (number[] | undefined)[]): void {
  for (const [i, vector] of expected.entries()) {
    if (vector === undefined) expect(actual[i], `text ${i}`).toBeUndefined()
    else {
      expect(actual[i], `text ${i}`).toBeDefined()
      for (const [j, value] of vector.entries()) expect(Math.abs(actual[i]![j]! - value)).toBeLessThan(2e-6)
    }
  }
}

/** Prose of common words, names that nobody knows, and characters of all kinds. */
function seededTexts(amount: number, seed: number): string[] {
  const random = randomNumbers(seed)
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item
  const whole = staticTokens.filter((token) => !token.startsWith('##') && !token.startsWith('['))
  const strange = ['☃', '\u{1F600}', 'ﬀ', '\uD800', 'zzyzx', '[UNK]', '\u0000', '\n', 'É', '漢字', '…']
  return Array.from({ length: amount }, () =>
    Array.from({ length: Math.floor(random() ** 2 * 120) }, () => (random() < 0.1 ? pick(strange) : pick(whole))).join(
      random() < 0.9 ? ' ' : '',
    ),
  )
}

describe('the static embedder', () => {
  it('gives the vectors of the plain definition, in threads and without, in both formats', async () => {
    const texts = seededTexts(600, 2)
    for (const [format, model] of [
      ['model2vec', model2vec],
      ['sentence-transformers', sentenceTransformers],
    ] as const) {
      const plain = plainVectors({ tokenizer, row: rowOf, format })
      const expected = texts.map(plain)
      expect(expected.filter((vector) => vector === undefined).length).toBeGreaterThan(5)
      const embedder = await open({ model })
      expectSame(await vectorsOf(embedder, texts), expected)
      const few = texts.slice(0, 100)
      const alone = await Promise.all(few.map((text) => vectorsOf(embedder, [text])))
      expectSame(alone.flat(), expected.slice(0, 100))
    }
  })

  it('gives them for any text there is', async () => {
    const embedder = await open({ model: model2vec })
    const plain = plainVectors({ tokenizer, row: rowOf, format: 'model2vec' })
    await fc.assert(
      fc.asyncProperty(fc.array(anyText, { minLength: 1, maxLength: 12 }), async (texts) => {
        expectSame(await vectorsOf(embedder, texts), texts.map(plain))
      }),
      { numRuns: 150, seed: 3 },
    )
  })

  it('gives the same bits alone, among others, in a thread and in another embedder', async () => {
    const embedder = await open({ model: model2vec })
    const other = await open({ model: model2vec, workers: 1 })
    const texts = seededTexts(900, 4)
    const together = await vectorsOf(embedder, texts)
    expect(await vectorsOf(other, texts.toReversed())).toEqual(together.toReversed())
    for (const place of [0, 7, 899]) expect(await vectorsOf(other, [texts[place]!])).toEqual([together[place]])
  })

  it('keeps rows in 8 bits at a cosine above 0.9999', async () => {
    const texts = seededTexts(300, 5)
    const [exact, coarse] = await Promise.all([
      open({ model: model2vec }).then((embedder) => vectorsOf(embedder, texts)),
      open({ model: model2vec, quantization: 'int8' }).then((embedder) => vectorsOf(embedder, texts)),
    ])
    for (const [i, vector] of exact.entries()) {
      if (vector === undefined) expect(coarse[i]).toBeUndefined()
      else expect(cosine(vector, coarse[i]!)).toBeGreaterThan(0.9999)
    }
    expect(coarse).not.toEqual(exact)
  })

  it('cuts vectors to their first values and brings them to length 1 again', async () => {
    const texts = seededTexts(40, 6)
    const whole = await vectorsOf(await open({ model: model2vec }), texts)
    const cut = await vectorsOf(await open({ model: model2vec, dimensions: 7 }), texts)
    const expected = whole.map((vector) => {
      const first = vector?.slice(0, 7)
      return first?.map((value) => value / Math.hypot(...first))
    })
    expectSame(cut, expected)
  })

  it('reads every type of matrix that models come in', async () => {
    const texts = seededTexts(40, 7)
    const halves = Uint16Array.from(matrix, toHalf)
    const brains = new Uint16Array(matrix.length)
    const bits = new Uint32Array(matrix.buffer)
    for (let i = 0; i < bits.length; i++) brains[i] = bits[i]! >>> 16
    const bytes = Int8Array.from(matrix, (value) => Math.round(value * 127))
    const shape = [count, dimensions]
    const tensors: readonly (readonly [RawTensor, tolerance: number])[] = [
      [{ type: 'F64', shape, values: Float64Array.from(matrix) }, 1e-6],
      [{ type: 'F16', shape, values: halves }, 1e-3],
      [{ type: 'BF16', shape, values: brains }, 1e-2],
      [{ type: 'I8', shape, values: bytes }, 1e-2],
    ]
    const plain = plainVectors({ tokenizer, row: rowOf, format: 'model2vec' })
    for (const [embeddings, tolerance] of tensors) {
      const model = folders.write({ 'tokenizer.json': tokenizer, 'model.safetensors': safetensors({ embeddings }) })
      for (const [i, vector] of (await vectorsOf(await open({ model }), texts)).entries()) {
        const expected = plain(texts[i]!)
        if (expected === undefined) expect(vector).toBeUndefined()
        else expect(1 - cosine(vector!, expected)).toBeLessThan(tolerance ** 2 + 1e-6)
      }
    }
  })

  it('multiplies rows by the weights of their tokens, and shares rows as the mapping says', async () => {
    const random = randomNumbers(8)
    const rows = 50
    const small = randomMatrix(rows, dimensions, 9)
    const mapping = BigInt64Array.from({ length: count }, () => BigInt(Math.floor(random() * rows)))
    const weights = Float64Array.from({ length: count }, () => random() + 0.1)
    const model = folders.write({
      'tokenizer.json': tokenizer,
      'model.safetensors': safetensors({
        embeddings: f32(small, dimensions),
        mapping: { type: 'I64', shape: [count], values: mapping },
        weights: { type: 'F64', shape: [count], values: weights },
      }),
    })
    const row = (id: number) => {
      const start = Number(mapping[id]) * dimensions
      return Array.from(small.subarray(start, start + dimensions), (value) => value * weights[id]!)
    }
    const texts = seededTexts(200, 10)
    const expected = texts.map(plainVectors({ tokenizer, row, format: 'model2vec' }))
    expectSame(await vectorsOf(await open({ model }), texts), expected)
    const coarse = await vectorsOf(await open({ model, quantization: 'int8' }), texts)
    for (const [i, vector] of expected.entries()) {
      if (vector !== undefined) expect(cosine(vector, coarse[i]!)).toBeGreaterThan(0.9999)
    }
  })

  inSoak('cuts long texts where the project of the format does, or where it is told', async () => {
    const texts = [
      ...seededTexts(3, 11).map((text) => `${text} the `.repeat(100)),
      'a ☃ '.repeat(3_000),
      `${'\u{1F600}'.repeat(2_000)} the end`,
      `${'☃'.repeat(30)} the end of all`,
    ]
    for (const maxTokens of [undefined, 1, 3, 40]) {
      const limit = maxTokens === undefined ? {} : { maxTokens }
      for (const [format, model] of [
        ['model2vec', model2vec],
        ['sentence-transformers', sentenceTransformers],
      ] as const) {
        const expected = texts.map(plainVectors({ tokenizer, row: rowOf, format, ...limit }))
        const embedder = await open({ model, ...limit })
        // Sums of thousands of rows, in single precision.
        for (const [i, vector] of (await vectorsOf(embedder, texts)).entries()) {
          if (expected[i] === undefined) expect(vector).toBeUndefined()
          else expect(cosine(vector!, expected[i])).toBeGreaterThan(1 - 1e-5)
        }
      }
    }
  })

  it('reports texts without a known token as EMPTY, and counts the tokens of the others', async () => {
    for (const model of [model2vec, sentenceTransformers]) {
      const embedder = await open({ model })
      const texts = ['', 'the end', ' \n', '☃ ☃', 'the']
      const { failed, tokens } = await embedder.embed(texts, passage)
      expect(failed.map(({ index }) => index)).toEqual([0, 2, 3])
      for (const { error } of failed) expect(error).toMatchObject({ code: 'EMPTY' })
      expect(tokens).toBe(3)
    }
  })

  it('lets unknown tokens count where the model was trained with them', async () => {
    const texts = ['the ☃ end', 'the end']
    const [dropped, without] = await vectorsOf(await open({ model: model2vec }), texts)
    expect(dropped).toEqual(without)
    const [counted, plain] = await vectorsOf(await open({ model: sentenceTransformers }), texts)
    expect(cosine(counted!, plain!)).toBeLessThan(0.999)
  })
})

describe('the fingerprint of the static embedder', () => {
  const print = async (options: StaticEmbedderOptions) => (await open(options)).fingerprint

  it('is that of the content, not of the place', async () => {
    const files = {
      'tokenizer.json': tokenizer,
      'model.safetensors': safetensors({ embeddings: f32(matrix, dimensions) }),
    }
    expect(await print({ model: folders.write(files) })).toBe(await print({ model: model2vec }))
    expect(await print({ model: model2vec, workers: 1 })).toBe(await print({ model: model2vec }))
  })

  it('changes with all that changes vectors', async () => {
    const changed = matrix.slice()
    changed[5] = 0.25
    const files = { 'model.safetensors': safetensors({ embeddings: f32(matrix, dimensions) }) }
    const prints = await Promise.all([
      print({ model: model2vec }),
      print({ model: model2vec, dimensions: 8 }),
      print({ model: model2vec, quantization: 'int8' }),
      print({ model: model2vec, maxTokens: 100 }),
      print({ model: sentenceTransformers }),
      print({ model: folders.write({ ...files, 'tokenizer.json': tokenizerFile(staticTokens.toReversed()) }) }),
      print({
        model: folders.write({
          'tokenizer.json': tokenizer,
          'model.safetensors': safetensors({ embeddings: f32(changed, dimensions) }),
        }),
      }),
    ])
    expect(new Set(prints).size).toBe(prints.length)
  })
})

describe('a static model that cannot be used', () => {
  const refusals: readonly (readonly [what: string, files: () => Record<string, string | Uint8Array>, code: string])[] =
    [
      ['has no weights', () => ({ 'tokenizer.json': tokenizer, 'config.json': '{}' }), 'NOT_FOUND'],
      ['has no tokenizer', () => ({ 'model.safetensors': weights(matrix, dimensions) }), 'NOT_FOUND'],
      [
        'has weights that are cut off',
        () => ({ ...sound(), 'model.safetensors': weights(matrix, dimensions).subarray(0, -1) }),
        'INTEGRITY',
      ],
      [
        'has other tensors',
        () => ({ ...sound(), 'model.safetensors': safetensors({ 'encoder.layer.0': f32(matrix, dimensions) }) }),
        'UNSUPPORTED',
      ],
      ['is a transformer', () => ({ ...sound(), 'modules.json': modules('Transformer', 'Pooling') }), 'UNSUPPORTED'],
      [
        'has a layer after the mean',
        () => ({ ...sound(), 'modules.json': modules('StaticEmbedding', 'Dense') }),
        'UNSUPPORTED',
      ],
      ['has a list of modules that is not JSON', () => ({ ...sound(), 'modules.json': '[{' }), 'INTEGRITY'],
      [
        'has a list for a matrix',
        () => ({
          ...sound(),
          'model.safetensors': safetensors({ embeddings: { type: 'F32', shape: [matrix.length], values: matrix } }),
        }),
        'INTEGRITY',
      ],
      [
        'has an empty matrix',
        () => ({
          ...sound(),
          'model.safetensors': safetensors({ embeddings: { type: 'F32', shape: [0, 4], values: new Float32Array(0) } }),
        }),
        'INTEGRITY',
      ],
      [
        'has rows of impossible width',
        () => ({ ...sound(), 'model.safetensors': weights(new Float32Array(70_000), 70_000) }),
        'INTEGRITY',
      ],
      [
        'has weights for fewer tokens',
        () => ({
          ...sound(),
          'model.safetensors': safetensors({
            embeddings: f32(matrix, dimensions),
            weights: { type: 'F32', shape: [3], values: new Float32Array(3) },
          }),
        }),
        'INTEGRITY',
      ],
      [
        'has a mapping of two dimensions',
        () => ({
          ...sound(),
          'model.safetensors': safetensors({
            embeddings: f32(matrix, dimensions),
            mapping: { type: 'I32', shape: [1, 3], values: new Int32Array(3) },
          }),
        }),
        'INTEGRITY',
      ],
    ]
  for (const [what, files, code] of refusals) {
    it(`is refused at once when it ${what}`, async () => {
      await expect(open({ model: folders.write(files()) })).rejects.toMatchObject({ code })
    })
  }

  const failures: readonly (readonly [what: string, files: () => Record<string, string | Uint8Array>, code: string])[] =
    [
      [
        'has fewer rows than tokens',
        () => ({ ...sound(), 'model.safetensors': weights(matrix.subarray(dimensions), dimensions) }),
        'INTEGRITY',
      ],
      [
        'has values that are not finite',
        () => ({ ...sound(), 'model.safetensors': weights(matrix.with(dimensions * 3, Number.NaN), dimensions) }),
        'INTEGRITY',
      ],
      [
        'has weights that are not finite',
        () => ({
          ...sound(),
          'model.safetensors': safetensors({
            embeddings: f32(matrix, dimensions),
            weights: { type: 'F32', shape: [count], values: new Float32Array(count).fill(Infinity) },
          }),
        }),
        'INTEGRITY',
      ],
      [
        'maps a token to no row',
        () => ({
          ...sound(),
          'model.safetensors': safetensors({
            embeddings: f32(matrix, dimensions),
            mapping: { type: 'I32', shape: [count], values: new Int32Array(count).fill(count) },
          }),
        }),
        'INTEGRITY',
      ],
      [
        'has rows of a type that is no number',
        () => ({
          ...sound(),
          'model.safetensors': safetensors({
            embeddings: { type: 'BOOL', shape: [count, 2], values: new Uint8Array(count * 2) },
          }),
        }),
        'UNSUPPORTED',
      ],
      ['has a tokenizer that is not JSON', () => ({ ...sound(), 'tokenizer.json': '{' }), 'INTEGRITY'],
    ]
  for (const [what, files, code] of failures) {
    it(`fails every call when it ${what}`, async () => {
      const embedder = await open({ model: folders.write(files()) })
      await expect(embedder.embed(['the end'], passage)).rejects.toMatchObject({ code })
    })
  }

  it('can be mended: a failed load is forgotten', async () => {
    const model = folders.write(sound())
    const embedder = await open({ model })
    writeFileSync(join(model, 'model.safetensors'), weights(matrix.with(9, Number.NaN), dimensions))
    await expect(embedder.embed(['the end'], passage)).rejects.toMatchObject({ code: 'INTEGRITY' })
    writeFileSync(join(model, 'model.safetensors'), weights(matrix, dimensions))
    expect((await embedder.embed(['the end'], passage)).failed).toEqual([])
  })

  it('is told from impossible options', async () => {
    const wrong: readonly Partial<StaticEmbedderOptions>[] = [
      { dimensions: dimensions + 1 },
      { dimensions: 0 },
      { dimensions: 1.5 },
      { workers: 0 },
      { workers: Number.NaN },
      { maxTokens: 0 },
    ]
    for (const options of wrong) {
      await expect(open({ model: model2vec, ...options })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    }
    await expect(open({ model: '/nowhere/at/all' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('is replaced by a finer one when there is none of its precision, with one warning', async () => {
    const warnings: string[] = []
    const logger = { debug() {}, info() {}, error() {}, warn: (message: string) => void warnings.push(message) }
    const int4 = await open({ model: model2vec, quantization: 'int4', logger })
    const int8 = await open({ model: model2vec, quantization: 'int8', logger })
    expect(int4.fingerprint).toBe(int8.fingerprint)
    expect(warnings.length).toBe(1)
    expect(warnings[0]).toContain('int8')
  })
})

describe('the threads of the static embedder', () => {
  const started: Worker[] = []
  const remember = (worker: Worker) => void started.push(worker)
  beforeAll(() => void process.on('worker', remember))
  afterAll(() => void process.off('worker', remember))
  afterEach(() => void started.splice(0))

  const many = seededTexts(6_000, 12)

  it('are not used for questions, which need the matrix only', async () => {
    const embedder = await open({ model: model2vec })
    await embedder.warmUp?.()
    const before = started.length
    expect(before).toBe(1)
    await Promise.all(started.map((worker) => worker.terminate()))
    expect((await embedder.embed(['the end'], { kind: 'query' })).failed).toEqual([])
    expect(started.length).toBe(before)
  })

  it('are as many as were asked for, and started when they are needed', async () => {
    const embedder = await open({ model: model2vec, workers: 3 })
    expect(started.length).toBe(0)
    await embedder.embed(many, passage)
    expect(started.length).toBe(3)
  })

  it('are replaced when they die; what they were at is done again', async () => {
    const embedder = await open({ model: model2vec })
    const expected = await vectorsOf(embedder, many)
    const work = embedder.embed(many, passage)
    await nextLoopTurn()
    void started[0]?.terminate()
    const { vectors, failed } = await work
    const rows = many.map((_, i) => [...vectors.subarray(i * dimensions, (i + 1) * dimensions)])
    expect(failed.map(({ error }) => error)).toEqual(failed.map(() => expect.objectContaining({ code: 'EMPTY' })))
    for (const [i, vector] of expected.entries()) if (vector !== undefined) expect(rows[i]).toEqual(vector)
    expect(embedder.stats?.().retries).toBeGreaterThan(0)
  })

  it('that always die fail their texts, with what happened', async () => {
    const embedder = await open({ model: model2vec })
    await embedder.warmUp?.()
    const kill = (worker: Worker) => void worker.terminate()
    process.on('worker', kill)
    try {
      for (const worker of started) void worker.terminate()
      const { failed, vectors } = await embedder.embed(many, passage)
      expect(failed.map(({ index }) => index)).toEqual([...many.keys()])
      expect(failed[0]?.error).toMatchObject({ code: 'WORKER' })
      expect(vectors.every((value) => value === 0)).toBe(true)
    } finally {
      process.off('worker', kill)
    }
    expect((await embedder.embed(many, passage)).failed.length).toBeLessThan(many.length)
  })

  it('stop for the call that was aborted, and go on for others', async () => {
    const embedder = await open({ model: model2vec })
    await embedder.warmUp?.()
    const controller = new AbortController()
    const reason = new Error('enough')
    const aborted = embedder.embed([...many, ...many, ...many], { ...passage, signal: controller.signal })
    const other = embedder.embed(many, passage)
    controller.abort(reason)
    await expect(aborted).rejects.toBe(reason)
    expect((await other).vectors.length).toBe(many.length * dimensions)
    expect(embedder.stats?.().queued).toBe(0)
  })

  it('end with the embedder: calls that run or come later are CLOSED', async () => {
    const embedder = await open({ model: model2vec })
    await embedder.warmUp?.()
    const running = expect(embedder.embed(many, passage)).rejects.toMatchObject({ code: 'CLOSED' })
    await embedder.close()
    await running
    await expect(embedder.embed(['the'], passage)).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(embedder.warmUp?.()).rejects.toMatchObject({ code: 'CLOSED' })
    await embedder.close()
  })

  it('end also when the embedder is closed while it loads', async () => {
    const embedder = await open({ model: model2vec })
    const loading = expect(embedder.embed(['the'], passage)).rejects.toMatchObject({ code: 'CLOSED' })
    await embedder.close()
    await loading
  })
})

describe('calls of the static embedder', () => {
  it('share one load, and the loop: thousands of questions at once let others have their turn', async () => {
    const embedder = await open({ model: model2vec })
    let turns = 0
    let done = false
    const count = async () => {
      for (; !done; turns++) await nextLoopTurn()
    }
    await Promise.all([embedder.warmUp?.(), embedder.warmUp?.()])
    const counting = count()
    await Promise.all(Array.from({ length: 5_000 }, () => embedder.embed(['the end of all time'], { kind: 'query' })))
    done = true
    await counting
    expect(turns).toBeGreaterThan(3)
  })

  it('are counted', async () => {
    const embedder = await open({ model: model2vec })
    await embedder.embed(['the end', '☃'], passage)
    await embedder.embed([], passage)
    await embedder.embed(Array(1_000).fill('the end'), passage)
    const { busyMs, ...rest } = embedder.stats!()
    expect(rest).toEqual({
      texts: 1_001,
      tokens: 2_002,
      failed: 1,
      batches: 3,
      paddingWaste: 0,
      queued: 0,
      devices: { 'cpu:0': 1 },
      fallbacks: 0,
      retries: 0,
    })
    expect(busyMs).toBeGreaterThan(0)
  })
})

function sound(): Record<string, string | Uint8Array> {
  return { 'tokenizer.json': tokenizer, 'model.safetensors': weights(matrix, dimensions) }
}

function weights(values: Float32Array, columns: number): Uint8Array {
  return safetensors({ embeddings: f32(values, columns) })
}

function modules(...types: readonly string[]): string {
  return JSON.stringify(types.map((type, idx) => ({ idx, type: `sentence_transformers.models.${type}` })))
}

/** To the nearest; for values of the size of weights. */
function toHalf(value: number): number {
  const sign = value < 0 ? 0x8000 : 0
  const size = Math.abs(value)
  if (size < 2 ** -14) return sign | Math.round(size * 2 ** 24)
  const exponent = Math.floor(Math.log2(size))
  return sign + ((exponent + 15) << 10) + Math.round((size / 2 ** exponent - 1) * 1_024)
}
