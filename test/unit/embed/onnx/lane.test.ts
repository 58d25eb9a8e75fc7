import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { env, type FeatureExtractionPipeline, pipeline } from '@huggingface/transformers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Lane } from '../../../../src/embed/onnx/lane.js'
import { type LaneOptions, openLane } from '../../../../src/embed/onnx/open-lane.js'
import type { EmbeddingModel } from '../../../../src/models/types.js'
import type { Device } from '../../../../src/onnx/devices.js'
import type { ModelFolderOptions } from '../../../fixtures/models/model-folder.js'
import { embeddingModel } from '../../../lib/embedding-model.js'

const cpu: Device = { kind: 'cpu', index: 0 }
/** Of another system than this one. */
const absent: Device = { kind: process.platform === 'darwin' ? 'dml' : 'coreml', index: 0 }
const lanes: Lane[] = []

afterEach(async () => {
  await Promise.all(lanes.splice(0).map((lane) => lane.close()))
})

function lane(model: EmbeddingModel, options: Partial<LaneOptions> = {}): Lane {
  const made = openLane({ model, devices: [cpu], threads: 1, ...options })
  lanes.push(made)
  return made
}

const rowsOf = (vectors: Float32Array, dimensions: number): Float32Array[] =>
  Array.from({ length: vectors.length / dimensions }, (_, row) =>
    vectors.subarray(row * dimensions, (row + 1) * dimensions),
  )

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a, (value, i) => value * (b[i] as number)).reduce((sum, value) => sum + value, 0)

const maxTokens = 64
const texts = [
  'The river rises in the hills and runs through the old town.',
  'a',
  '',
  ' \n\t ',
  'x'.repeat(10_000),
  'the '.repeat(500),
  'lone \ud800 surrogates \udc00 here \ud83d',
  'Größe, naïve, Ωμέγα, 東京 and \u{1f600}\u200d\u{1f680}',
  'control \u0000\u0001\u007f characters',
  '[SEP] and [MASK] written in a text',
]

describe.each([
  { pooling: 'mean', weights: 'fp32', dtype: 'fp32' },
  { pooling: 'cls', weights: 'fp32', dtype: 'fp32' },
  { pooling: 'mean', weights: 'int8', dtype: 'q8' },
  { pooling: 'cls', weights: 'int8', dtype: 'q8' },
] as const)('vectors ($weights, $pooling)', ({ pooling, weights, dtype }) => {
  const options: ModelFolderOptions = { pooling, weights: [weights], maxTokens }
  let model: EmbeddingModel
  let extract: FeatureExtractionPipeline

  beforeAll(async () => {
    model = embeddingModel(options, { prefixes: { query: 'query: ', passage: '' } })
    env.allowRemoteModels = false
    env.localModelPath = '/'
    extract = await pipeline('feature-extraction', model.directory, { dtype })
  })
  afterAll(() => extract.dispose())

  // It drops the closing special token of a text that it cuts, which the model was never trained to see: what is cut here is given to
  // it as long as it may be.
  const reference = async (text: string) =>
    (await extract(text.replace(/^(the ){100,}/, 'the '.repeat(maxTokens - 2)), { pooling, normalize: true }))
      .data as Float32Array

  it('of a text alone equal those of transformers.js, truncated, empty and odd texts included', async () => {
    const ours = lane(model)
    for (const text of texts) {
      const { vectors, unusable } = await ours.embed([text], { kind: 'passage' })
      expect(unusable).toEqual([])
      const expected = await reference(text)
      expect(vectors).toHaveLength(expected.length)
      if (weights === 'int8') expect(dot(vectors, expected)).toBeGreaterThan(1 - 1e-3)
      else
        for (const [i, value] of expected.entries()) expect(Math.abs((vectors[i] as number) - value)).toBeLessThan(1e-5)
    }
  })

  it('of questions have their prefix', async () => {
    const { vectors } = await lane(model).embed(['which river?'], { kind: 'query' })
    expect(dot(vectors, await reference('query: which river?'))).toBeGreaterThan(1 - 1e-3)
    expect(dot(vectors, await reference('which river?'))).toBeLessThan(1 - 1e-3)
  })

  it.runIf(weights === 'fp32')('of a padded batch equal those of each text alone', async () => {
    const ours = lane(model)
    const batch = await ours.tokenize(texts, { kind: 'passage' })
    expect(batch.offsets.at(-1)).toBe(batch.ids.length)
    const { vectors } = await ours.run(batch)
    for (const [row, vector] of rowsOf(vectors, model.dimensions).entries()) {
      const expected = await reference(texts[row] as string)
      for (const [i, value] of expected.entries()) expect(Math.abs((vector[i] as number) - value)).toBeLessThan(1e-5)
    }
  })
})

describe('a model', () => {
  it('that pools by the last token gives the vector of the last one', async () => {
    const [mean, last] = (['mean', 'last-token'] as const).map((pooling) => embeddingModel({}, { pooling }))
    env.allowRemoteModels = false
    env.localModelPath = '/'
    const extract = await pipeline('feature-extraction', (mean as EmbeddingModel).directory, { dtype: 'fp32' })
    const batch = ['a short one', 'and one that is quite a bit longer than the other']
    const ours = lane(last as EmbeddingModel)
    const { vectors } = await ours.run(await ours.tokenize(batch, { kind: 'passage' }))
    for (const [row, vector] of rowsOf(vectors, (last as EmbeddingModel).dimensions).entries()) {
      const { data, dims } = await extract(batch[row] as string)
      const [, tokens = 0, hidden = 0] = dims
      const expected = (data as Float32Array).slice((tokens - 1) * hidden)
      const length = Math.hypot(...expected)
      for (const [i, value] of expected.entries()) expect(vector[i]).toBeCloseTo(value / length, 5)
    }
    await extract.dispose()
  })

  it('that pools in its graph gives the same as pooling here', async () => {
    const batch = ['one text', 'and another, longer text', '']
    const [here, there] = await Promise.all(
      (['tokens', 'sentence'] as const).map((output) =>
        lane(embeddingModel({ output })).embed(batch, { kind: 'passage' }),
      ),
    )
    for (const [i, value] of (here?.vectors ?? []).entries()) expect(there?.vectors[i]).toBeCloseTo(value, 5)
  })

  it('in 16 bits, or in blocks of 4, is near to the one in 32', async () => {
    const vectorsOf = async (weights: 'fp32' | 'fp16' | 'int4') =>
      (await lane(embeddingModel({ weights: [weights] })).embed(['the same text'], { kind: 'passage' })).vectors
    const [full, half, blocks] = await Promise.all((['fp32', 'fp16', 'int4'] as const).map(vectorsOf))
    expect(dot(full as Float32Array, half as Float32Array)).toBeGreaterThan(0.9999)
    expect(dot(full as Float32Array, blocks as Float32Array)).toBeGreaterThan(0.97)
  })

  it('without token types, with weights in a second file, works', async () => {
    const model = embeddingModel({ tokenTypes: false, externalData: true })
    expect((await lane(model).embed(['text'], { kind: 'query' })).unusable).toEqual([])
  })

  it('can be cut to its first dimensions, of unit length again', async () => {
    const model = embeddingModel()
    const [whole, cut] = await Promise.all(
      [model.dimensions, 8].map((dimensions) => lane(model, { dimensions }).embed(['some text'], { kind: 'passage' })),
    )
    const first = (whole?.vectors ?? new Float32Array()).slice(0, 8)
    const length = Math.hypot(...first)
    expect(cut?.vectors).toHaveLength(8)
    for (const [i, value] of first.entries()) expect(cut?.vectors[i]).toBeCloseTo(value / length, 6)
  })
})

describe('a text that a model cannot embed', () => {
  it('fails alone', async () => {
    const model = embeddingModel({ notFinite: ['river'] })
    const batch = ['the old town', 'the river', 'the hills', 'a river again']
    const { vectors, unusable } = await lane(model).embed(batch, { kind: 'passage' })
    expect(unusable).toEqual([1, 3])
    const rows = rowsOf(vectors, model.dimensions)
    for (const [row, vector] of rows.entries()) {
      expect(Math.hypot(...vector)).toBeCloseTo(unusable.includes(row) ? 0 : 1, 5)
    }
    const alone = await lane(embeddingModel()).embed(['the hills'], { kind: 'passage' })
    expect(dot(rows[2] as Float32Array, alone.vectors)).toBeCloseTo(1, 5)
  })
})

describe('calls', () => {
  it('are answered in their order, however many wait, and are counted', async () => {
    const ours = lane(embeddingModel())
    const done: number[] = []
    const calls = Array.from({ length: 20 }, async (_, i) => {
      await ours.embed([`text ${i}`], { kind: 'query' })
      done.push(i)
    })
    expect(ours.pending).toBe(20)
    await Promise.all(calls)
    expect(done).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect(ours.pending).toBe(0)
  })

  it('leave the arrays of their caller alone, also those that are part of a larger one', async () => {
    const ours = lane(embeddingModel())
    const whole = Int32Array.of(99, 2, 50, 51, 3, 99)
    const batch = { ids: whole.subarray(1, 5), offsets: Int32Array.of(0, 4) }
    const first = await ours.run(batch)
    expect([...whole]).toEqual([99, 2, 50, 51, 3, 99])
    expect(await ours.run({ ids: batch.ids.slice(), offsets: batch.offsets })).toEqual(first)
  })

  it('that are aborted reject at once with the reason; the others are served', async () => {
    const ours = lane(embeddingModel())
    await ours.load()
    const controllers = Array.from({ length: 6 }, () => new AbortController())
    const calls = controllers.map(({ signal }, i) => ours.embed([`text ${i}`], { kind: 'passage', signal }))
    for (const i of [0, 1, 4]) controllers[i]?.abort(new Error(`not ${i}`))
    const settled = await Promise.allSettled(calls)
    expect(settled.map(({ status }) => status)).toEqual(
      [0, 1, 2, 3, 4, 5].map((i) => ([0, 1, 4].includes(i) ? 'rejected' : 'fulfilled')),
    )
    expect(settled[4]).toMatchObject({ reason: { message: 'not 4' } })
    const before = AbortSignal.abort(new Error('before'))
    await expect(ours.embed(['text'], { kind: 'query', signal: before })).rejects.toThrow('before')
    await expect(ours.load(before)).rejects.toThrow('before')
    expect(ours.pending).toBe(0)
  })

  it('that wait for a load can be aborted without ending it for the others', async () => {
    const ours = lane(embeddingModel())
    const controller = new AbortController()
    const aborted = ours.embed(['text'], { kind: 'query', signal: controller.signal })
    const other = ours.embed(['text'], { kind: 'query' })
    controller.abort(new Error('not needed'))
    await expect(aborted).rejects.toThrow('not needed')
    expect((await other).unusable).toEqual([])
  })

  it('fail with PROVIDER when the model does, and the lane goes on', async () => {
    const ours = lane(embeddingModel({ maxTokens: 32, positions: 32 }))
    const tooLong = { ids: new Int32Array(40).fill(5), offsets: Int32Array.of(0, 40) }
    await expect(ours.run(tooLong)).rejects.toMatchObject({ code: 'PROVIDER', data: { device: 'cpu:0' } })
    const unknownToken = { ids: Int32Array.of(2, 999_999_999, 3), offsets: Int32Array.of(0, 3) }
    await expect(ours.run(unknownToken)).rejects.toMatchObject({ code: 'PROVIDER' })
    expect((await ours.embed(['text'], { kind: 'query' })).unusable).toEqual([])
  })

  it('after closing are CLOSED; closing is safe twice, and before first use', async () => {
    const ours = lane(embeddingModel())
    const running = Promise.allSettled([ours.embed(['text'], { kind: 'query' })])
    await Promise.all([ours.close(), ours.close()])
    expect(await running).toMatchObject([{ reason: { code: 'CLOSED' } }])
    await expect(ours.embed(['text'], { kind: 'query' })).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(ours.load()).rejects.toMatchObject({ code: 'CLOSED' })
    await lane(embeddingModel()).close()
  })
})

describe('a thread that dies', () => {
  const threads: Worker[] = []
  const remember = (thread: Worker) => threads.push(thread)

  beforeEach(() => {
    threads.length = 0
    process.on('worker', remember)
  })
  afterEach(() => {
    process.off('worker', remember)
  })

  it('takes its calls with it, to be tried again, and is replaced', async () => {
    const ours = lane(embeddingModel())
    const report = await ours.load()
    const calls = [ours.tokenize(['text'], { kind: 'passage' }), ours.embed(['text'], { kind: 'query' })]
    const settled = Promise.allSettled(calls)
    // Before it has begun with them: inside the runtime no thread may be ended.
    await threads[0]?.terminate()
    expect(await settled).toMatchObject([
      { reason: { code: 'WORKER', retryable: true } },
      { reason: { code: 'WORKER', retryable: true } },
    ])
    expect(ours.pending).toBe(0)
    expect((await ours.embed(['text'], { kind: 'query' })).unusable).toEqual([])
    expect(threads).toHaveLength(2)
    // It has loaded again, and says so.
    expect(await ours.load()).toEqual(report)
    expect(await ours.load()).not.toBe(report)
  })

  it('while nothing is asked of it is not noticed', async () => {
    const ours = lane(embeddingModel())
    const { vectors } = await ours.embed(['text'], { kind: 'query' })
    await threads[0]?.terminate()
    expect((await ours.embed(['text'], { kind: 'query' })).vectors).toEqual(vectors)
  })
})

describe('loading', () => {
  it('happens once for all, and tells where the model runs', async () => {
    const ours = lane(embeddingModel())
    expect(ours.device).toBe('cpu:0')
    const reports = await Promise.all([ours.load(), ours.load(), ours.load()])
    expect(reports[0]).toEqual({ device: 'cpu:0', fallbacks: [] })
    expect(new Set(reports).size).toBe(1)
  })

  it('falls to the next device, and says which failed and why', async () => {
    const ours = lane(embeddingModel(), {
      devices: [{ kind: 'cuda', index: 63 }, absent, cpu],
    })
    expect(ours.device).toBe('cuda:63')
    const { device, fallbacks } = await ours.load()
    expect(device).toBe('cpu:0')
    expect(ours.device).toBe('cpu:0')
    expect(fallbacks.map(({ device }) => device)).toEqual(['cuda:63', `${absent.kind}:0`])
    for (const { reason } of fallbacks) expect(reason).not.toBe('')
    expect((await ours.embed(['text'], { kind: 'query' })).unusable).toEqual([])
  })

  it('is tried again after it failed, with the file that is there by then', async () => {
    const sound = embeddingModel()
    const folder = mkdtempSync(join(tmpdir(), 'ufrag-lane-'))
    try {
      const weights = join(folder, 'model.onnx')
      const ours = lane({ ...sound, weights })
      await expect(ours.embed(['text'], { kind: 'query' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
      const bytes = readFileSync(sound.weights)
      writeFileSync(weights, bytes.subarray(0, bytes.length / 2))
      const both = await Promise.allSettled([ours.load(), ours.embed(['text'], { kind: 'query' })])
      for (const result of both) {
        expect(result).toMatchObject({ reason: { code: 'INTEGRITY', data: { file: weights } } })
      }
      writeFileSync(weights, bytes)
      expect((await ours.embed(['text'], { kind: 'query' })).unusable).toEqual([])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('refuses weights that are not those the settings describe', async () => {
    const { weights } = embeddingModel({ hidden: 48 })
    await expect(lane({ ...embeddingModel(), weights }).load()).rejects.toMatchObject({
      code: 'INTEGRITY',
      data: { file: weights },
    })
  })
})
