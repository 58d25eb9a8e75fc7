import { describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { createPerformanceTracker } from '../../../src/performance/tracker.js'

/** A clock and a memory that tests move. */
function world() {
  const state = { now: 1000, heapUsed: 0, rss: 0 }
  const tracker = createPerformanceTracker({
    clock: () => state.now,
    memory: () => ({ heapUsed: state.heapUsed, rss: state.rss }),
  })
  return { state, tracker }
}

describe('createPerformanceTracker', () => {
  it('returns what a synchronous run returned and records its duration', () => {
    const { state, tracker } = world()
    const result = tracker.trackRun('query', () => {
      state.now += 5
      return 'answer'
    })
    expect(result).toBe('answer')
    expect(tracker.summary().runs.query).toMatchObject({ count: 1, meanMs: 5, totalMs: 5, stdMs: 0, errors: 0 })
  })

  it('records an asynchronous run when it settles', async () => {
    const { state, tracker } = world()
    const pending = tracker.trackRun('query', async () => {
      await Promise.resolve()
      state.now += 7
      return 42
    })
    expect(tracker.summary().runs).toEqual({})
    expect(await pending).toBe(42)
    expect(tracker.summary().runs.query?.maxMs).toBe(7)
  })

  it('counts and passes on what a run throws or rejects with, as the same object', async () => {
    const { tracker } = world()
    const thrown = new RagError('CLOSED', 'gone')
    const rejected = new TypeError('odd')
    expect(() =>
      tracker.trackRun('run', () => {
        throw thrown
      }),
    ).toThrow(thrown)
    await expect(tracker.trackRun('run', () => Promise.reject(rejected))).rejects.toBe(rejected)
    await expect(tracker.trackRun('run', () => Promise.reject(undefined))).rejects.toBe(undefined)
    expect(tracker.summary().runs.run).toMatchObject({
      count: 3,
      errors: 3,
      errorsByCode: { CLOSED: 1, TypeError: 1, undefined: 1 },
    })
  })

  it('measures mean, sample deviation, extremes and percentiles', () => {
    const { state, tracker } = world()
    for (const duration of [2, 4, 4, 4, 5, 5, 7, 9]) {
      tracker.trackRun('run', () => {
        state.now += duration
      })
    }
    const run = tracker.summary().runs.run
    expect(run).toMatchObject({ count: 8, meanMs: 5, minMs: 2, maxMs: 9, p50Ms: 4, p95Ms: 9 })
    expect(run?.stdMs).toBeCloseTo(Math.sqrt(32 / 7), 12)
  })

  it('measures memory after a run less memory before it, of either sign', () => {
    const { state, tracker } = world()
    tracker.trackRun('run', () => {
      state.heapUsed += 300
      state.rss += 1000
    })
    tracker.trackRun('run', () => {
      state.heapUsed -= 500
    })
    expect(tracker.summary().runs.run?.memory).toEqual({
      meanHeapDeltaBytes: -100,
      maxHeapDeltaBytes: 300,
      meanRssDeltaBytes: 500,
      maxRssDeltaBytes: 1000,
    })
  })

  it('keeps overlapping runs apart', async () => {
    const { state, tracker } = world()
    const ends: (() => void)[] = []
    const run = () => tracker.trackRun('run', () => new Promise<void>((resolve) => ends.push(resolve)))
    const first = run()
    state.now += 10
    const second = run()
    state.now += 1
    ends[1]?.()
    await second
    state.now += 9
    ends[0]?.()
    await first
    expect(tracker.summary().runs.run).toMatchObject({ count: 2, minMs: 1, maxMs: 20 })
  })

  it('turns cache counters into hit rates, also of a cache that never hit', () => {
    const { tracker } = world()
    for (let i = 0; i < 3; i++) tracker.count('cache.answer.hit')
    tracker.count('cache.answer.miss')
    tracker.count('cache.query.embedding.miss', 4)
    tracker.count('chunks', 12)
    const { caches, counters } = tracker.summary()
    expect(caches).toEqual({
      answer: { hits: 3, misses: 1, hitRate: 0.75, savedMs: 0 },
      'query.embedding': { hits: 0, misses: 4, hitRate: 0, savedMs: 0 },
    })
    expect(counters.chunks).toBe(12)
  })

  it('ignores durations that are none, as a recorder never throws', () => {
    const { tracker } = world()
    for (const duration of [Number.NaN, Number.POSITIVE_INFINITY, -1, 3]) tracker.stage('embed', duration)
    expect(tracker.summary().stages.embed).toMatchObject({ count: 1, meanMs: 3 })
  })

  it('shares one entry among names beyond a thousand', () => {
    const { tracker } = world()
    for (let name = 0; name < 1500; name++) tracker.stage(`stage ${name}`, 1)
    const { stages } = tracker.summary()
    expect(Object.keys(stages)).toHaveLength(1001)
    expect(stages['(other)']?.count).toBe(500)
  })

  it('takes names that objects treat specially', () => {
    const { tracker } = world()
    tracker.count('__proto__')
    tracker.stage('constructor', 1)
    expect(Object.keys(tracker.summary().counters)).toEqual(['__proto__'])
    expect(JSON.parse(JSON.stringify(tracker)).stages.constructor.count).toBe(1)
  })

  it('prints runs, stages, caches and counters as aligned tables', () => {
    const { state, tracker } = world()
    expect(tracker.toTable()).toBe('')
    tracker.trackRun('query', () => {
      state.now += 12.5
    })
    tracker.stage('lexical', 0.25)
    tracker.count('cache.answer.hit')
    const text = tracker.toTable()
    expect(text).toContain('query      1     12.5')
    expect(text).toContain('lexical      1    0.250')
    expect(text).toContain('100.0%')
    expect(text.split('\n\n')).toHaveLength(4)
  })

  it('forgets everything on reset, and still records a run under way', async () => {
    const { state, tracker } = world()
    let end = () => {}
    const pending = tracker.trackRun('run', () => new Promise<void>((resolve) => (end = resolve)))
    tracker.count('chunks')
    state.now += 4
    tracker.reset()
    expect(tracker.summary()).toMatchObject({ elapsedMs: 0, runs: {}, counters: {} })
    end()
    await pending
    expect(tracker.summary().runs.run?.totalMs).toBe(4)
  })

  it('works with the real clock and memory', () => {
    const tracker = createPerformanceTracker()
    tracker.trackRun('sum', () => Array.from({ length: 1000 }, (_, place) => place).reduce((a, b) => a + b))
    expect(tracker.summary().runs.sum?.meanMs).toBeGreaterThan(0)
  })

  it('shows what parts tell of themselves now, and goes on when one cannot', () => {
    const { tracker } = world()
    let queued = 3
    tracker.watch('embedder', () => ({ queued, paddingWaste: 0.0078125 }))
    tracker.watch('broken', () => {
      throw new Error('broken')
    })
    expect(tracker.summary().gauges).toEqual({ broken: {}, embedder: { queued: 3, paddingWaste: 0.0078125 } })
    queued = 0
    tracker.reset()
    expect(JSON.parse(JSON.stringify(tracker)).gauges.embedder.queued).toBe(0)
    expect(tracker.toTable()).toMatch(/^gauge +value\nembedder.queued +0\nembedder.paddingWaste +0.008$/m)
    tracker.watch('embedder', () => ({ queued: 7 }))
    expect(tracker.summary().gauges.embedder).toEqual({ queued: 7 })
  })
})
