import { describe, expect, it } from 'vitest'
import { RagError } from '../../../../src/core/errors.js'
import type { Logger } from '../../../../src/core/lifecycle.js'
import { TokenBudgets } from '../../../../src/embed/onnx/budgets.js'
import { EmbeddingCounters } from '../../../../src/embed/onnx/counters.js'
import { Scheduler, type SchedulerOptions } from '../../../../src/embed/onnx/scheduler.js'
import type { EmbedOptions } from '../../../../src/embed/types.js'
import { randomNumbers } from '../../../../src/testing/support.js'
import {
  dimensions,
  type LaneCall,
  numberedText,
  VirtualLane,
  type VirtualLaneOptions,
  VirtualTime,
  vectorOf,
} from './virtual-lanes.js'

const passage: EmbedOptions = { kind: 'passage' }
const crash = () => new RagError('WORKER', 'The thread died.', { retryable: true })
const noMemory = () => new RagError('LIMIT', 'No memory.', { data: { reason: 'memory' } })

function setUp(
  lanes: readonly Omit<VirtualLaneOptions, 'time'>[] = [{}, {}],
  options: Partial<SchedulerOptions & { readonly maxBatchTokens: number }> = {},
) {
  const time = new VirtualTime()
  const virtual = lanes.map((lane, place) => new VirtualLane({ device: `cpu:${place}`, ...lane, time }))
  const counters = new EmbeddingCounters(() => time.now)
  const scheduler = new Scheduler({
    lanes: virtual,
    dimensions,
    budgets: new TokenBudgets(options.maxBatchTokens ?? 1_024),
    maxRows: 256,
    deterministic: false,
    counters,
    now: () => time.now,
    ...options,
  })
  return {
    time,
    scheduler,
    lanes: virtual,
    stats: () => counters.stats(scheduler.queued),
    passes: (): LaneCall[] => virtual.flatMap(({ answered }) => answered.filter(({ phase }) => phase !== 'tokenize')),
    /** Embeds, and lets time pass until it is done. */
    async embed(texts: readonly string[], how: EmbedOptions = passage) {
      const result = scheduler.embed(texts, how)
      result.catch(() => {})
      await time.pass()
      return result
    },
  }
}

/** Lengths of texts, by what they are like. */
const corpora = {
  'well-cut chunks': (random: () => number) => Math.round(Math.min(160, Math.max(8, 100 + 25 * normal(random)))),
  'passages up to 512 tokens': (random: () => number) => (random() < 0.35 ? 512 : Math.round(10 + 500 * random())),
  'anything from a title to a page': (random: () => number) =>
    Math.round(Math.min(512, Math.max(5, Math.exp(4.3 + 0.9 * normal(random))))),
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

function textsOf(lengths: readonly number[], first = 0): string[] {
  return lengths.map((length, index) => numberedText(first + index, length))
}

/** Virtual milliseconds that lanes need for so many tokens when nothing is padding and no pass has a cost. */
function leastMs(tokens: number, lanes: readonly { readonly msPerToken?: number }[]): number {
  return tokens / lanes.reduce((sum, { msPerToken = 0.1 }) => sum + 1 / msPerToken, 0)
}

describe('scheduler, the work of it', () => {
  for (const [name, lengthOf] of Object.entries(corpora)) {
    it(`computes at most 1.5% padding, keeps both lanes busy to the end, and holds a bounded window: ${name}`, async () => {
      const { time, lanes, scheduler, stats } = setUp()
      const random = randomNumbers(1)
      const lengths = Array.from({ length: 4_000 }, () => lengthOf(random))
      const result = scheduler.embed(textsOf(lengths), passage)
      let held = 0
      await time.pass(() => {
        held = Math.max(held, scheduler.heldTokens)
      })
      const { tokens } = await result
      expect(tokens).toBe(lengths.reduce((sum, length) => sum + length))
      expect(stats().paddingWaste).toBeLessThan(0.015)
      for (const { busyMs } of lanes) expect(busyMs / time.now).toBeGreaterThan(0.99)
      expect(time.now / leastMs(tokens, [{}, {}])).toBeLessThan(1.05)
      // The window, and one more slice for each of the two calls of each lane.
      expect(held).toBeLessThan(128 * 1_024 + 4 * 33_000)
    })

    it(`does as well for callers that each bring two texts at a time: ${name}`, async () => {
      const { time, lanes, scheduler, stats } = setUp()
      const random = randomNumbers(2)
      let left = 4_000
      const callers = Array.from({ length: 128 }, async (_, caller) => {
        while ((left -= 2) >= 0) {
          await scheduler.embed(textsOf([lengthOf(random), lengthOf(random)], caller), passage)
        }
      })
      await time.pass()
      await Promise.all(callers)
      expect(stats().texts).toBe(4_000)
      expect(stats().paddingWaste).toBeLessThan(0.03)
      for (const { busyMs } of lanes) expect(busyMs / time.now).toBeGreaterThan(0.99)
    })
  }

  it('shares the work among lanes by their speed, and they end together', async () => {
    const speeds = [{ msPerToken: 0.05 }, { msPerToken: 0.1 }, { msPerToken: 0.4 }]
    const { time, lanes, embed, stats } = setUp(speeds)
    const random = randomNumbers(3)
    const { tokens } = await embed(textsOf(Array.from({ length: 3_000 }, () => 20 + Math.round(100 * random()))))
    for (const { busyMs } of lanes) expect(busyMs / time.now).toBeGreaterThan(0.96)
    expect(time.now / leastMs(tokens, speeds)).toBeLessThan(1.08)
    const { devices } = stats()
    expect(Object.values(devices).reduce((sum, share) => sum + share)).toBeCloseTo(1)
    expect(devices['cpu:0']).toBeGreaterThan(0.5)
    expect(devices['cpu:2']).toBeLessThan(0.12)
  })

  it('does not leave the end of a call to a lane that is much slower than the others', async () => {
    const { time, embed } = setUp([{ msPerToken: 0.001 }, { msPerToken: 10 }], { maxBatchTokens: 1_000 })
    await embed(textsOf(Array.from({ length: 3_000 }, () => 100)))
    const warm = time.now
    await embed(textsOf(Array.from({ length: 100 }, () => 100)))
    // The slow one would need 2,500 ms for a quarter of a pass.
    expect(time.now - warm).toBeLessThan(100)
  })

  it('divides what is less than a pass among idle lanes', async () => {
    const { embed, lanes } = setUp([{}, {}], { maxBatchTokens: 1_000 })
    await embed(textsOf(Array.from({ length: 40 }, () => 100)))
    const before = lanes.map(({ answered }) => answered.length)
    await embed(textsOf([100, 100, 100, 100, 100, 100]))
    const rows = lanes.map(
      ({ answered }, place) => answered.slice(before[place]).find(({ phase }) => phase === 'run')?.rows,
    )
    expect(rows).toEqual([3, 3])
  })

  it('leaves a short text for a pass of its own rather than pad it to a long one', async () => {
    const { embed, passes } = setUp([{}])
    await embed(textsOf([500, 12, 490, 10, 11]))
    expect(passes().map(({ numbers }) => numbers)).toEqual([
      [0, 2],
      [1, 4, 3],
    ])
  })

  it('lets no text wait for more than what came before it, however many follow that fit better', async () => {
    const { time, scheduler } = setUp([{}], { maxBatchTokens: 200 })
    const order: string[] = []
    const early = async (texts: readonly string[], name: string) => {
      await scheduler.embed(texts, passage)
      order.push(name)
    }
    const first = early(textsOf(Array.from({ length: 100 }, () => 20)), 'first')
    const odd = early([numberedText(1, 199), numberedText(2, 3)], 'odd')
    let followers = 0
    const flood = Array.from({ length: 50 }, async () => {
      await scheduler.embed([numberedText(3, 20)], passage)
      for (let turn = 0; turn < 40; turn++) {
        await scheduler.embed([numberedText(3, 20)], passage)
        if (!order.includes('odd')) followers++
      }
    })
    await time.pass()
    await Promise.all([first, odd, ...flood])
    expect(order).toEqual(['first', 'odd'])
    expect(followers).toBeLessThan(100)
  })

  it('gives a lane at most two calls at once, and the second only when it is worth a pass', async () => {
    const { time, scheduler, lanes } = setUp([{}], { maxBatchTokens: 100 })
    const first = scheduler.embed(textsOf(Array.from({ length: 50 }, () => 20)), passage)
    await time.pass()
    await first
    expect(lanes[0]?.mostPending).toBe(2)
    const { time: other, scheduler: quiet, lanes: one } = setUp([{}], { maxBatchTokens: 100 })
    const calls = Array.from({ length: 4 }, async (_, turn) => {
      await other.sleep(turn * 0.3)
      await quiet.embed([numberedText(turn, 8)], passage)
    })
    await other.pass()
    await Promise.all(calls)
    expect(one[0]?.answered.filter(({ phase }) => phase !== 'tokenize').map(({ rows }) => rows)).toEqual([1, 3])
  })

  it('sends a text that comes alone to a lane once, and texts that come together in one pass', async () => {
    const { embed, time, scheduler, lanes } = setUp([{}])
    expect([...(await embed([numberedText(7, 9)], { kind: 'query' })).vectors]).toEqual(
      vectorOf(numberedText(7, 9), 'query'),
    )
    expect(lanes[0]?.answered.map(({ phase }) => phase)).toEqual(['embed'])
    const calls = [1, 2, 3].map((number) => scheduler.embed([numberedText(number, 9)], passage))
    await time.pass()
    const rows = await Promise.all(calls)
    expect(rows.map(({ vectors }) => [...vectors])).toEqual(
      [1, 2, 3].map((number) => vectorOf(numberedText(number, 9), 'passage')),
    )
    expect(rows.map(({ tokens }) => tokens)).toEqual([9, 9, 9])
    expect(lanes[0]?.answered.slice(1).map(({ phase, rows }) => [phase, rows])).toEqual([
      ['tokenize', 3],
      ['run', 3],
    ])
  })

  it('runs every text by itself when it is to be deterministic', async () => {
    const { embed, passes, stats } = setUp([{}, {}], { deterministic: true })
    await embed(textsOf([9, 9, 9, 30, 12]))
    expect(passes().map(({ rows }) => rows)).toEqual([1, 1, 1, 1, 1])
    expect(stats().paddingWaste).toBe(0)
  })

  it('has no more rows in a pass than it may', async () => {
    const { embed, passes } = setUp([{}], { maxRows: 3 })
    await embed(textsOf([9, 9, 9, 9, 9, 9, 9]))
    expect(passes().map(({ rows }) => rows)).toEqual([3, 3, 1])
  })

  it('counts what it did, and what waits', async () => {
    const { time, scheduler, stats } = setUp([{ msPerToken: 1, msPerPass: 10, isUnusable: (number) => number === 4 }], {
      maxBatchTokens: 40,
    })
    const work = scheduler.embed(textsOf([20, 19, 30, 10, 30]), passage)
    const mid: unknown[] = []
    time.sleep(20).then(() => mid.push(stats().queued, stats().busyMs > 0))
    await time.pass()
    expect((await work).failed.map(({ index }) => index)).toEqual([4])
    expect(mid).toEqual([3, true])
    expect(stats()).toEqual({
      texts: 4,
      tokens: 109,
      failed: 1,
      batches: 4,
      paddingWaste: 1 - 109 / 110,
      queued: 0,
      busyMs: expect.closeTo(110 + 4 * 10, 5),
      batchMs: { p50: expect.closeTo(40, 5), p95: expect.closeTo(50, 5) },
      devices: { 'cpu:0': 1 },
      fallbacks: 0,
      retries: 0,
    })
  })
})

describe('scheduler, what callers do', () => {
  it('rejects an aborted call at once, drops its work and finishes that of others', async () => {
    const { time, scheduler, passes, lanes } = setUp([{}], { maxBatchTokens: 200 })
    const controller = new AbortController()
    const reason = new Error('enough')
    const dropped = scheduler.embed(textsOf(Array.from({ length: 400 }, () => 20)), {
      ...passage,
      signal: controller.signal,
    })
    const kept = scheduler.embed(textsOf([30, 31], 1_000), passage)
    let rejectedAt = 0
    dropped.catch(() => {
      rejectedAt = time.now
    })
    time.sleep(50).then(() => controller.abort(reason))
    await time.pass()
    await expect(dropped).rejects.toBe(reason)
    expect(rejectedAt).toBe(50)
    expect((await kept).failed).toEqual([])
    // Of 40 passes those that were begun by then, and the one for the other call.
    expect(passes().length).toBeLessThan(5)
    expect(lanes[0]?.pending).toBe(0)
    expect([scheduler.queued, scheduler.heldTokens]).toEqual([0, 0])
  })

  it('refuses a call that is aborted already, and what is not a text, without asking a lane', async () => {
    const { embed, lanes } = setUp()
    const reason = new Error('no')
    await expect(embed(['a'], { ...passage, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(embed(['a', undefined as never, 'b'])).rejects.toMatchObject({ code: 'BAD_INPUT', data: { index: 1 } })
    expect((await embed([])).vectors).toHaveLength(0)
    expect(lanes.map(({ loads }) => loads)).toEqual([0, 0])
  })

  it('embeds the texts as they were when it was called', async () => {
    const { time, scheduler } = setUp()
    const texts = [numberedText(1, 5), numberedText(2, 6)]
    const result = scheduler.embed(texts, passage)
    texts[1] = 'changed'
    await time.pass()
    expect([...(await result).vectors]).toEqual([
      ...vectorOf(numberedText(1, 5), 'passage'),
      ...vectorOf(numberedText(2, 6), 'passage'),
    ])
  })

  it('closes when the passes under way have ended: what they complete is given, what waits is CLOSED', async () => {
    const { time, scheduler, passes } = setUp([{}], { maxBatchTokens: 100 })
    const running = scheduler.embed([numberedText(1, 90)], passage)
    await time.pass()
    await running
    const short = scheduler.embed([numberedText(2, 90)], passage)
    const long = scheduler.embed(textsOf(Array.from({ length: 100 }, () => 20)), passage)
    let closed = -1
    long.catch(() => {})
    time.sleep(5).then(async () => {
      await Promise.all([scheduler.close(), scheduler.close()])
      closed = time.now
    })
    await time.pass()
    await expect(long).rejects.toMatchObject({ code: 'CLOSED' })
    expect((await short).failed).toEqual([])
    expect(closed).toBe(time.now)
    expect(passes().length).toBeLessThanOrEqual(3)
    await expect(scheduler.embed(['a'], passage)).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(scheduler.load()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('closes before first use and asks nothing of a lane', async () => {
    const { scheduler, lanes } = setUp()
    await scheduler.close()
    expect(lanes.map(({ loads }) => loads)).toEqual([0, 0])
  })
})

describe('scheduler, what lanes do', () => {
  it('loads a lane only when there is work for it, or when it is told to', async () => {
    const { embed, lanes, scheduler, time } = setUp([{ msPerLoad: 100 }, { msPerLoad: 100 }, { msPerLoad: 100 }])
    await embed([numberedText(1, 20)])
    expect(lanes.map(({ loads }) => loads)).toEqual([1, 0, 0])
    await embed(textsOf([400, 400]))
    expect(lanes.map(({ loads }) => loads)).toEqual([1, 1, 0])
    await Promise.all([scheduler.load(), scheduler.load(), time.pass()])
    expect(lanes.map(({ loads }) => loads)).toEqual([1, 1, 1])
  })

  it('shares one load among callers that come at once', async () => {
    const { time, scheduler, lanes } = setUp([{ msPerLoad: 100 }])
    const calls = Promise.all([scheduler.load(), scheduler.load(), scheduler.embed(['1'], passage)])
    await time.pass()
    await calls
    expect(lanes[0]?.loads).toBe(1)
  })

  it('fails every waiting call with the error of the load, and tries again with the next', async () => {
    const missing = new RagError('MISSING_PEER', 'Not there.')
    let broken = true
    const fail = (call: LaneCall | 'load') => (call === 'load' && broken ? missing : undefined)
    const { time, scheduler, lanes, embed } = setUp([{ fail }, { fail }])
    const calls = [1, 2].map((number) => scheduler.embed([numberedText(number, 5)], passage))
    const outcomes = Promise.allSettled([...calls, scheduler.load()])
    await time.pass()
    for (const outcome of await outcomes) expect(outcome).toEqual({ status: 'rejected', reason: missing })
    broken = false
    expect((await embed([numberedText(1, 5)])).failed).toEqual([])
    expect(lanes.map(({ loads }) => loads)).toEqual([2, 1])
  })

  it('goes on without a lane that cannot be loaded, says so, and tries it again when there is work anew', async () => {
    let broken = true
    const fail = (call: LaneCall | 'load') => (call === 'load' && broken ? noMemory() : undefined)
    const warnings: unknown[] = []
    const logger = { warn: (message: string, data: unknown) => warnings.push([message, data]) } as unknown as Logger
    const { embed, lanes } = setUp([{ fail }, {}], { logger })
    const lengths = Array.from({ length: 40 }, () => 100)
    expect((await embed(textsOf(lengths))).failed).toEqual([])
    expect(lanes.map(({ answered }) => answered.length > 0)).toEqual([false, true])
    expect(warnings).toEqual([
      [expect.stringContaining('could not be loaded'), { device: 'cpu:0', reason: 'No memory.' }],
    ])
    broken = false
    expect((await embed(textsOf(lengths))).failed).toEqual([])
    expect(lanes.map(({ answered }) => answered.length > 0)).toEqual([true, true])
  })

  it('tries the work of a lane that died once more, on any lane', async () => {
    let deaths = 0
    const fail = (call: LaneCall | 'load') =>
      call !== 'load' && call.phase === 'run' && deaths++ === 0 ? crash() : undefined
    const { embed, stats } = setUp([{ fail }, {}])
    const result = await embed(textsOf(Array.from({ length: 60 }, () => 50)))
    expect(result.failed).toEqual([])
    expect(stats().retries).toBeGreaterThan(0)
    expect(stats().texts).toBe(60)
  })

  it('fails only the texts of a pass that kills lanes twice, not those that waited behind it', async () => {
    const fail = (call: LaneCall | 'load') =>
      call !== 'load' && call.phase === 'run' && call.numbers.includes(17) ? crash() : undefined
    const { embed, lanes } = setUp([{ fail }], { maxBatchTokens: 100 })
    const { failed } = await embed(textsOf(Array.from({ length: 200 }, () => 20)))
    expect(failed).toHaveLength(5)
    expect(failed.map(({ index }) => index)).toContain(17)
    for (const { error } of failed) expect(RagError.isInstance(error, 'WORKER')).toBe(true)
    expect(lanes[0]?.failed.filter(({ call }) => call.numbers.includes(17))).toHaveLength(2)
  })

  it('halves what a device has no memory for, and gives that device less from then on', async () => {
    const fail = (call: LaneCall | 'load') =>
      call !== 'load' && call.phase === 'run' && call.paddedTokens > 300 ? noMemory() : undefined
    const { embed, lanes, stats } = setUp([{ fail, device: 'gpu:0' }], { maxBatchTokens: 1_000 })
    const lengths = [...Array.from({ length: 100 }, () => 50), 400]
    const { failed } = await embed(textsOf(lengths))
    expect(failed.map(({ index, error }) => [index, RagError.isInstance(error, 'LIMIT')])).toEqual([[100, true]])
    const refused = lanes[0]?.failed.length ?? 0
    expect(refused).toBeLessThan(8)
    expect(stats().texts).toBe(100)
    await embed(textsOf(Array.from({ length: 100 }, () => 50)))
    expect(lanes[0]?.failed).toHaveLength(refused)
  })

  it('lets one text that makes passes fail be alone in it', async () => {
    const bad = new Error('bad')
    const fail = (call: LaneCall | 'load') =>
      call !== 'load' && call.phase === 'run' && call.numbers.includes(3) ? bad : undefined
    const { embed } = setUp([{ fail }])
    const { failed, vectors } = await embed(textsOf([9, 9, 9, 9, 9, 9]))
    expect(failed).toEqual([{ index: 3, error: bad }])
    expect([...vectors.subarray(3 * dimensions, 4 * dimensions)]).toEqual([0, 0, 0])
  })

  it('lets one text that no tokenizer can take be alone in it', async () => {
    const bad = new Error('bad')
    const fail = (call: LaneCall | 'load') =>
      call !== 'load' && call.phase === 'tokenize' && call.numbers.includes(3) ? bad : undefined
    const { embed } = setUp([{ fail }])
    const { failed } = await embed(textsOf([9, 9, 9, 9, 9, 9]))
    expect(failed).toEqual([{ index: 3, error: bad }])
  })

  it('fails texts for which the model gives nothing usable, and texts without tokens', async () => {
    const { embed, lanes } = setUp([{ isUnusable: (number) => number === 1 }])
    const [lane] = lanes as [VirtualLane]
    const tokenize = lane.tokenize.bind(lane)
    lane.tokenize = async (texts, options) => {
      const { ids, offsets } = await tokenize(texts, options)
      return {
        ids: ids.subarray(0, offsets[texts.length - 1]),
        offsets: offsets.with(texts.length, offsets[texts.length - 1] as number),
      }
    }
    const { failed } = await embed(textsOf([9, 9, 9]))
    expect(failed.map(({ index, error }) => [index, (error as RagError).code])).toEqual([
      [1, 'PROVIDER'],
      [2, 'EMPTY'],
    ])
  })

  it('believes no answer of a wrong shape', async () => {
    const { embed, lanes } = setUp([{}])
    const [lane] = lanes as [VirtualLane]
    lane.run = async () => ({ vectors: new Float32Array(7), unusable: [] })
    const wrong = await embed(textsOf([9, 9, 9]))
    expect(wrong.failed.map(({ error }) => (error as RagError).code)).toEqual(['INTEGRITY', 'INTEGRITY', 'INTEGRITY'])
    lane.tokenize = async () => ({ ids: new Int32Array(9), offsets: new Int32Array(2) })
    const short = await embed(textsOf([9, 9, 9]))
    expect(short.failed.map(({ error }) => (error as RagError).code)).not.toContain(undefined)
  })
})
