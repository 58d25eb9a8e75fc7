import type { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openRerankingModel } from '../../../../src/models/describe.js'
import { createScorer, type Scorer, type ScorerOptions } from '../../../../src/rerank/cross-encoder/scorer.js'
import { modelFolder } from '../../../fixtures/models/model-folder.js'

const scorers: Scorer[] = []
afterAll(() => Promise.all(scorers.map((scorer) => scorer.close())))

async function open(options: Partial<ScorerOptions> = {}): Promise<Scorer> {
  const model = await openRerankingModel({ model: modelFolder({ output: 'logit', weights: ['fp32'] }) })
  const devices = [{ kind: 'cpu', index: 0 }] as const
  const all = {
    model,
    devices,
    workers: 1,
    threads: 1,
    maxBatchTokens: undefined,
    prepacking: undefined,
    logger: undefined,
  }
  const scorer = createScorer({ ...all, ...options })
  scorers.push(scorer)
  return scorer
}

const passages = ['the river', 'a fox in the wood', 'bread and water', 'the sea', 'two towers', 'one']

describe('a scorer', () => {
  const threads: Worker[] = []
  const remember = (thread: Worker) => threads.push(thread)
  beforeEach(() => {
    threads.length = 0
    process.on('worker', remember)
  })
  afterEach(() => {
    process.off('worker', remember)
  })

  it('starts no thread before it is asked, and as many as it may have', async () => {
    const scorer = await open({ workers: 3 })
    expect(threads).toHaveLength(0)
    await scorer.score('what', passages, undefined)
    expect(threads).toHaveLength(3)
    await scorer.score('what', passages, undefined)
    expect(threads).toHaveLength(3)
  })

  it('goes on when a thread dies, with the one that takes its place', async () => {
    const scorer = await open()
    const expected = await scorer.score('what', passages, undefined)
    const asked = scorer.score('what', passages, undefined)
    await threads[0]?.terminate()
    expect(await asked).toEqual(expected)
    expect(threads).toHaveLength(2)
  })

  it('shares passages among threads, and puts the scores in their order', async () => {
    const alone = await (await open()).score('what', passages, undefined)
    const shared = await (await open({ workers: 4 })).score('what', passages, undefined)
    for (const [place, logit] of shared.entries()) expect(logit).toBeCloseTo(alone[place] as number, 5)
    expect((await (await open({ workers: 4 })).score('what', [], undefined)).length).toBe(0)
  })

  it('lets a question with many passages and one with few take turns', async () => {
    const scorer = await open()
    await scorer.load(undefined)
    const order: string[] = []
    const many = scorer.score('what', new Array(300).fill('word '.repeat(20)), undefined).then(() => order.push('many'))
    await scorer.score('what', passages, undefined).then(() => order.push('few'))
    await many
    expect(order).toEqual(['few', 'many'])
  })

  it('tells once which device could not be used', async () => {
    const told: unknown[] = []
    const ignore = () => {}
    const logger = { debug: ignore, info: ignore, error: ignore, warn: (_: string, data: unknown) => told.push(data) }
    const absent = { kind: process.platform === 'darwin' ? 'dml' : 'coreml', index: 0 } as const
    const scorer = await open({ devices: [absent, { kind: 'cpu', index: 0 }], workers: 2, logger })
    await Promise.all([scorer.score('what', passages, undefined), scorer.load(undefined)])
    expect(told).toMatchObject([{ device: 'cpu:0', failed: [{ device: `${absent.kind}:0` }] }])
  })

  it('lets an aborted question go at once, and serves the next', async () => {
    const scorer = await open()
    await scorer.load(undefined)
    const reason = new Error('enough')
    const controller = new AbortController()
    const long = scorer.score('what', new Array(400).fill('word '.repeat(100)), controller.signal)
    setTimeout(() => controller.abort(reason), 5)
    await expect(long).rejects.toBe(reason)
    expect((await scorer.score('what', passages, undefined)).every(Number.isFinite)).toBe(true)
    expect(threads).toHaveLength(1)
  })
})
