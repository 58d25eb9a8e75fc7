import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { measureDrift } from '../../../../bench/lib/drift.js'
import { RagError } from '../../../../src/core/errors.js'
import type { Logger } from '../../../../src/core/lifecycle.js'
import type { Lane } from '../../../../src/embed/onnx/lane.js'
import { createOnnxEmbedder, type OnnxEmbedder, type OnnxEmbedderOptions } from '../../../../src/embed/onnx/onnx.js'
import { type LaneOptions, openLane } from '../../../../src/embed/onnx/open-lane.js'
import { randomNumbers, shuffled } from '../../../../src/testing/support.js'
import { modelFolder } from '../../../fixtures/models/model-folder.js'
import { commonWords } from '../../../fixtures/models/words.js'

const model = modelFolder({ weights: ['fp32', 'int8'] })
const passage = { kind: 'passage' } as const

const opened: OnnxEmbedder[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((embedder) => embedder.close()))
})

async function open(
  options: Partial<OnnxEmbedderOptions> = {},
  change: (lane: Lane, options: LaneOptions) => Lane = (lane) => lane,
) {
  const embedder = await createOnnxEmbedder(
    { model, device: 'cpu', ...options },
    { openLane: (how) => change(openLane(how), how) },
  )
  opened.push(embedder)
  return embedder
}

/** Passages of common words, of very different lengths. */
function passages(count: number, seed = 1): string[] {
  const random = randomNumbers(seed)
  return Array.from({ length: count }, () => {
    const words = 1 + Math.floor(random() ** 2 * 140)
    return Array.from({ length: words }, () => commonWords[Math.floor(random() * 500)]).join(' ')
  })
}

const rowOf = ({ dimensions }: OnnxEmbedder, vectors: Float32Array, row: number) => [
  ...vectors.subarray(row * dimensions, (row + 1) * dimensions),
]

/** What {@link open} gives each text by itself. */
async function alone(embedder: OnnxEmbedder, texts: readonly string[], kind: 'query' | 'passage' = 'passage') {
  const rows: number[][] = []
  for (const text of texts) rows.push([...(await embedder.embed([text], { kind })).vectors])
  return rows
}

describe('onnx embedder', () => {
  it('gives many calls at once the vectors of their own texts, in their order', async () => {
    const embedder = await open({ maxBatchTokens: 300 })
    const texts = passages(120)
    const expected = await alone(embedder, texts)
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, call) => {
        const kind = call % 3 === 0 ? ('query' as const) : ('passage' as const)
        return embedder.embed(texts.slice(call * 4, call * 4 + 4), { kind })
      }),
    )
    for (const [call, { vectors, failed }] of results.entries()) {
      expect(failed).toEqual([])
      for (let row = 0; row < 4; row++) {
        const other = expected[call * 4 + row] as number[]
        for (const [place, value] of rowOf(embedder, vectors, row).entries())
          expect(value).toBeCloseTo(other[place] as number, 5)
      }
    }
    const stats = embedder.stats?.()
    expect(stats).toMatchObject({ texts: 240, failed: 0, queued: 0, retries: 0, fallbacks: 0, devices: { 'cpu:0': 1 } })
    expect(stats?.batches).toBeLessThan(120 + 80)
  })

  it('gives a text the same bits whatever else is embedded, when it is deterministic', async () => {
    const embedder = await open({ quantization: 'int8', deterministic: true })
    const texts = passages(24, 2)
    const expected = await alone(embedder, texts)
    const composition = fc.array(fc.array(fc.integer({ min: 0, max: 23 }), { minLength: 1, maxLength: 24 }), {
      minLength: 1,
      maxLength: 4,
    })
    await fc.assert(
      fc.asyncProperty(composition, async (calls) => {
        const results = await Promise.all(
          calls.map((places) =>
            embedder.embed(
              places.map((place) => texts[place] as string),
              passage,
            ),
          ),
        )
        for (const [call, { vectors }] of results.entries()) {
          for (const [row, place] of (calls[call] as number[]).entries()) {
            expect(rowOf(embedder, vectors, row)).toEqual(expected[place])
          }
        }
      }),
      { seed: 1, numRuns: 12 },
    )
    // What the promise is worth: without it, int8 vectors do depend on their mates.
    const drifting = await open({ quantization: 'int8' })
    const drift = await measureDrift(drifting, texts)
    expect(drift.bitEqual).toBeLessThan(1)
    expect(drift.minCosine).toBeGreaterThan(0.999)
    expect(await measureDrift(embedder, texts)).toEqual({ texts: 24, minCosine: 1, bitEqual: 1 })
  })

  it('puts the prefix of the kind before each text', async () => {
    const plain = await open()
    const prefixed = await open({ queryPrefix: 'query: ', passagePrefix: 'passage: ' })
    const [text] = passages(1, 3) as [string]
    expect(await alone(prefixed, [text], 'query')).toEqual(await alone(plain, [`query: ${text}`]))
    expect(await alone(prefixed, [text])).toEqual(await alone(plain, [`passage: ${text}`]))
  })

  it('cuts vectors to the dimensions that were asked for, and scales them to length 1', async () => {
    const whole = await open()
    const cut = await open({ dimensions: 16 })
    const texts = passages(3, 4)
    const { vectors } = await cut.embed(texts, passage)
    expect([cut.dimensions, vectors.length]).toEqual([16, 48])
    for (const [row, vector] of (await alone(whole, texts)).entries()) {
      const length = Math.hypot(...vector.slice(0, 16))
      for (const [place, value] of rowOf(cut, vectors, row).entries())
        expect(value).toBeCloseTo((vector[place] as number) / length, 5)
    }
  })

  it('embeds questions on a thread of their own, opened for the first of them', async () => {
    const given: { readonly priority: string; calls: number }[] = []
    const embedder = await open({ workers: 2 }, (lane, { priority = 'low' }) => {
      const record = { priority, calls: 0 }
      given.push(record)
      const count = <Call extends (...parameters: never[]) => unknown>(call: Call) =>
        ((...parameters) => {
          record.calls++
          return call.apply(lane, parameters)
        }) as Call
      return Object.assign(lane, { embed: count(lane.embed), run: count(lane.run), load: count(lane.load) })
    })
    const questions = () => given.find(({ priority }) => priority === 'normal')
    await embedder.embed(passages(5), passage)
    expect([given.length, questions()?.calls]).toEqual([3, 0])
    await embedder.embed(['what is it'], { kind: 'query' })
    // It was loaded, and asked once.
    expect(questions()?.calls).toBe(2)
  })

  it('reports a text without usable vector, and embeds the others', async () => {
    const odd = modelFolder({ weights: ['fp32'], notFinite: ['fire'] })
    const embedder = await open({ model: odd })
    const { failed, vectors } = await embedder.embed(['the house', 'the fire', 'the water'], passage)
    expect(failed.map(({ index, error }) => [index, (error as RagError).code])).toEqual([[1, 'PROVIDER']])
    expect(rowOf(embedder, vectors, 1).every((value) => value === 0)).toBe(true)
    expect((await embedder.embed(['fire'], { kind: 'query' })).failed).toHaveLength(1)
  })

  it('loses nothing when threads die', async () => {
    const random = randomNumbers(5)
    let deaths = 0
    const embedder = await open({ maxBatchTokens: 200 }, (lane) => {
      const run = lane.run.bind(lane)
      return Object.assign(lane, {
        run: async (...parameters: Parameters<Lane['run']>) => {
          const result = await run(...parameters)
          if (deaths < 8 && random() < 0.2) {
            deaths++
            throw new RagError('WORKER', 'The thread died.', { retryable: true })
          }
          return result
        },
      })
    })
    const texts = passages(200, 6)
    const { vectors, failed } = await embedder.embed(texts, passage)
    const lost = new Set(failed.map(({ index }) => index))
    for (const { error } of failed) expect(RagError.isInstance(error, 'WORKER')).toBe(true)
    const expected = await alone(await open(), texts)
    for (const [row, vector] of expected.entries()) {
      const found = rowOf(embedder, vectors, row)
      if (lost.has(row)) expect(found.every((value) => value === 0)).toBe(true)
      else for (const [place, value] of found.entries()) expect(value).toBeCloseTo(vector[place] as number, 5)
    }
    expect(deaths).toBe(8)
    expect(embedder.stats?.().retries).toBeGreaterThan(0)
  })

  it('fails a call with the error of the load, and loads again for the next', async () => {
    let broken = true
    const missing = new RagError('MISSING_PEER', 'Not installed.')
    const embedder = await open({}, (lane) => {
      const load = lane.load.bind(lane)
      return Object.assign(lane, { load: (signal?: AbortSignal) => (broken ? Promise.reject(missing) : load(signal)) })
    })
    await expect(embedder.embed(['a', 'b'], passage)).rejects.toBe(missing)
    await expect(embedder.embed(['a'], { kind: 'query' })).rejects.toBe(missing)
    await expect(embedder.warmUp?.()).rejects.toBe(missing)
    broken = false
    expect((await embedder.embed(['a', 'b'], passage)).failed).toEqual([])
  })

  it('warms up once for all who ask, and lets one of them go', async () => {
    let loads = 0
    const embedder = await open({ workers: 2 }, (lane) => {
      const load = lane.load.bind(lane)
      return Object.assign(lane, {
        load: (signal?: AbortSignal) => {
          loads++
          return load(signal)
        },
      })
    })
    const reason = new Error('no patience')
    const controller = new AbortController()
    const impatient = embedder.warmUp?.({ signal: controller.signal })
    controller.abort(reason)
    await Promise.all([expect(impatient).rejects.toBe(reason), embedder.warmUp?.(), embedder.warmUp?.()])
    expect(loads).toBe(3)
    await embedder.embed(passages(50), passage)
    expect(loads).toBe(3)
  })

  it('rejects an aborted call at once and goes on with others, call after call', async () => {
    const embedder = await open({ maxBatchTokens: 200 })
    const texts = passages(60, 7)
    const expected = await alone(embedder, texts.slice(0, 3))
    for (let turn = 0; turn < 10; turn++) {
      const controller = new AbortController()
      const dropped = embedder.embed(texts, { ...passage, signal: controller.signal })
      const kept = embedder.embed(texts.slice(0, 3), passage)
      setTimeout(() => controller.abort(turn), turn * 2)
      await dropped.then(
        ({ failed }) => expect(failed).toEqual([]),
        (reason) => expect(reason).toBe(turn),
      )
      const { vectors } = await kept
      for (const [row, vector] of expected.entries()) {
        for (const [place, value] of rowOf(embedder, vectors, row).entries())
          expect(value).toBeCloseTo(vector[place] as number, 5)
      }
    }
    expect(embedder.stats?.().queued).toBe(0)
  })

  it('tells with one warning that a device was given up, and runs on the CPU', async () => {
    const warnings: { readonly message: string; readonly data: unknown }[] = []
    const logger = { warn: (message: string, data: unknown) => warnings.push({ message, data }) } as unknown as Logger
    const embedder = await open({ device: ['coreml', 'coreml'], logger })
    await embedder.warmUp?.()
    expect((await embedder.embed(passages(4), passage)).failed).toEqual([])
    expect(warnings).toHaveLength(1)
    expect(warnings[0]?.data).toMatchObject({ device: 'cpu:0', failed: [{ device: 'coreml:0' }] })
    expect(embedder.stats?.()).toMatchObject({ fallbacks: 1, devices: { 'cpu:0': 1 } })
  })

  it('has a fingerprint of whatever changes its vectors, and of nothing else', async () => {
    const variants: Partial<OnnxEmbedderOptions>[] = [
      {},
      { quantization: 'int8' },
      { deterministic: true },
      { dimensions: 32 },
      { pooling: 'cls' },
      { queryPrefix: 'q ' },
      { passagePrefix: 'p ' },
      { maxTokens: 64 },
      { model: modelFolder({ weights: ['fp32', 'int8'], seed: 2 }) },
    ]
    const fingerprints = await Promise.all(variants.map(async (variant) => (await open(variant)).fingerprint))
    expect(new Set(fingerprints).size).toBe(variants.length)
    const same = await open({ workers: 1, threads: 2, batchSize: 8, maxBatchTokens: 512, device: 'auto' })
    expect(same.fingerprint).toBe(fingerprints[0])
  })

  it('refuses options that it cannot follow, before anything is opened', async () => {
    const bad: Partial<OnnxEmbedderOptions>[] = [
      { dimensions: 1_000 },
      { dimensions: 0 },
      { workers: 0 },
      { threads: 1.5 },
      { maxBatchTokens: -1 },
      { batchSize: Number.NaN },
      { device: 'gpu' },
      { device: [] },
      { device: ['cpu', 'cpu'], workers: 3 },
      { maxTokens: 100_000 },
    ]
    for (const options of bad)
      await expect(open(options), JSON.stringify(options)).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await expect(open({ model: './no/such/folder' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('tunes itself, and gives the same vectors as before', async () => {
    const embedder = await open({ workers: 1 })
    const texts = passages(20, 8)
    const before = await embedder.embed(texts, passage)
    const { table, best } = await embedder.autoTune({ sample: shuffled(texts, 1) })
    expect(Object.keys(best)).toEqual(['cpu'])
    expect(table.map(({ maxBatchTokens }) => maxBatchTokens)).toContain(best.cpu?.maxBatchTokens)
    for (const { tokensPerSecond } of table) expect(tokensPerSecond).toBeGreaterThan(0)
    const after = await embedder.embed(texts, passage)
    for (const [place, value] of after.vectors.entries()) expect(value).toBeCloseTo(before.vectors[place] as number, 5)
    // Tuning is not counted.
    expect(embedder.stats?.().texts).toBe(40)
  })

  it('closes at once before first use, twice, and in the middle of work', async () => {
    const unused = await open()
    await Promise.all([unused.close(), unused.close()])
    await expect(unused.embed(['a'], passage)).rejects.toMatchObject({ code: 'CLOSED' })
    const busy = await open({ maxBatchTokens: 100 })
    const work = busy.embed(passages(500), passage)
    const question = busy.embed(['what'], { kind: 'query' })
    const outcomes = Promise.allSettled([work, question])
    await new Promise((resolve) => setTimeout(resolve, 30))
    await Promise.all([busy.close(), busy.close()])
    for (const outcome of await outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'CLOSED' })
      else expect(outcome.value.failed).toEqual([])
    }
    await expect(busy.embed(['a'], { kind: 'query' })).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(busy.warmUp?.()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it.each([
    ['with an open embedder', ''],
    [
      'in the middle of work',
      "void embedder.embed(Array(200).fill('some words to embed'), { kind: 'passage' }).catch(() => {}); process.exit(0)",
    ],
    ['after close()', 'await embedder.close()'],
  ])('lets the process end by itself %s, saying nothing', async (_, body) => {
    const source = fileURLToPath(new URL('../../../../src/embed/onnx/onnx.ts', import.meta.url))
    const script = `
      const { createOnnxEmbedder } = await import(${JSON.stringify(source)})
      const embedder = await createOnnxEmbedder({ model: ${JSON.stringify(model)}, device: 'cpu' })
      await embedder.embed(['some words'], { kind: 'passage' })
      await embedder.embed(['some words'], { kind: 'query' })
      ${body}`
    const run = promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script])
    expect(await run).toEqual({ stdout: '', stderr: '' })
  })
})
