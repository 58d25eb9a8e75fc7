import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { createCheckedEnricher } from '../../../src/enrich/checked.js'
import { createFunctionEnricher } from '../../../src/enrich/function.js'
import { createEnrichCalls, type EnrichLimits } from '../../../src/enrich/limited.js'
import { createThriftyEnricher } from '../../../src/enrich/thrifty.js'
import { enrichPassage } from '../../../src/testing/index.js'
import { randomNumbers } from '../../../src/util/random.js'
import { createFakeClock } from '../../lib/fake-clock.js'

const unlimited: EnrichLimits = {
  maxConcurrency: 5,
  requestsPerMinute: Number.POSITIVE_INFINITY,
  tokensPerMinute: Number.POSITIVE_INFINITY,
  delayMs: 0,
  timeoutMs: 60_000,
  maxAttempts: 5,
  maxRetryAfterMs: 60_000,
}

/** A service in a world with a time of its own: it takes `ms` for a passage, and throws what `failure` gives. */
function openService(
  options: {
    readonly limits?: Partial<EnrichLimits>
    readonly ms?: (call: number, running: number) => number
    readonly failure?: (text: string, call: number, now: number) => unknown
    readonly seed?: number
  } = {},
) {
  const clock = createFakeClock()
  const starts: { readonly at: number; readonly text: string }[] = []
  const seen = { running: 0, most: 0 }
  const service = createFunctionEnricher({
    async enrich({ text }, { signal }) {
      const call = starts.push({ at: clock.now(), text }) - 1
      seen.most = Math.max(seen.most, ++seen.running)
      try {
        await clock.sleep(options.ms?.(call, seen.running) ?? 10, signal)
        const thrown = options.failure?.(text, call, clock.now())
        if (thrown !== undefined) throw thrown
        return `about ${text}`
      } finally {
        seen.running--
      }
    },
  })
  const calls = createEnrichCalls(
    { ...unlimited, ...options.limits },
    { clock, random: randomNumbers(options.seed ?? 1) },
  )
  const enricher = createThriftyEnricher(calls.limit(createCheckedEnricher(service)), {
    cache: undefined,
    inTurn: calls.inTurn,
  })
  const enrich = (count: number, signal?: AbortSignal) =>
    enricher.enrich(
      Array.from({ length: count }, (_, place) => enrichPassage({ text: `passage ${place}` })),
      signal === undefined ? {} : { signal },
    )
  return { calls, clock, enrich, enricher, seen, starts }
}

describe('calls of enrichers', () => {
  it('keep within their number at once, their distance, and their number a minute, and are all made', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          count: fc.integer({ min: 1, max: 60 }),
          maxConcurrency: fc.integer({ min: 1, max: 8 }),
          delayMs: fc.constantFrom(0, 0, 50, 1_000),
          requestsPerMinute: fc.constantFrom(Number.POSITIVE_INFINITY, 30, 240),
          seed: fc.integer(),
        }),
        async ({ count, seed, ...limits }) => {
          const random = randomNumbers(seed)
          const { clock, enrich, seen, starts } = openService({ limits, ms: () => random() * 2_000 })
          const { failed, lines } = await clock.settle(enrich(count))
          expect(failed).toEqual([])
          expect(lines.flat()).toEqual(Array.from({ length: count }, (_, place) => `about passage ${place}`))
          expect(starts).toHaveLength(count)
          expect(seen.most).toBeLessThanOrEqual(limits.maxConcurrency)
          const { requestsPerMinute } = limits
          for (const [place, { at }] of starts.entries()) {
            const next = starts[place + 1]
            if (next !== undefined) expect(next.at - at).toBeGreaterThanOrEqual(limits.delayMs)
            const inMinute = starts.slice(place).filter((other) => other.at < at + 60_000)
            expect(inMinute.length).toBeLessThanOrEqual(requestsPerMinute + Math.max(1, requestsPerMinute / 60))
          }
        },
      ),
      { seed: 5, numRuns: 15 },
    )
  })

  it('make every passage either succeed or fail, once, whatever the service does', async () => {
    const failures = [
      undefined,
      undefined,
      { status: 429, headers: { 'retry-after': '2' } },
      { status: 500 },
      { status: 400 },
      Object.assign(new Error('x'), { code: 'ECONNRESET' }),
      new TypeError('a mistake'),
      new RagError('PROVIDER', 'away', { retryable: true }),
    ]
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 40 }), async (seed, count) => {
        const random = randomNumbers(seed)
        const failure = () => failures[Math.floor(random() * failures.length)]
        const { calls, clock, enrich, seen, starts } = openService({ failure, ms: () => random() * 500, seed })
        const { failed, lines } = await clock.settle(enrich(count))
        const places = failed.map(({ index }) => index)
        expect(new Set(places).size).toBe(places.length)
        for (let place = 0; place < count; place++)
          expect(lines[place]).toEqual(places.includes(place) ? [] : [`about passage ${place}`])
        for (const { error } of failed) {
          expect(RagError.isInstance(error)).toBe(true)
          expect(JSON.stringify(error)).not.toContain('passage 1')
          expect((error as RagError).cause).toBeUndefined()
        }
        expect(seen.running).toBe(0)
        expect(calls.counts.calls).toBe(starts.length)
        expect(starts.length).toBeLessThanOrEqual(count * unlimited.maxAttempts)
      }),
      { seed: 7, numRuns: 20 },
    )
  })

  it('all wait as long as one of them was asked to', async () => {
    const failure = (_text: string, call: number) =>
      call === 0 ? { status: 429, headers: { 'retry-after': '30' } } : undefined
    const { clock, enrich, starts } = openService({ failure, limits: { maxConcurrency: 1 } })
    const { failed } = await clock.settle(enrich(3))
    expect(failed).toEqual([])
    expect(starts[1]?.at).toBeGreaterThanOrEqual(30_000)
    expect(starts[1]?.at).toBeLessThan(31_000)
  })

  it('become fewer at once when there are too many, and more again', async () => {
    // The service stands three at once.
    let running = 0
    const widths: number[] = []
    const service = openService({
      limits: { maxConcurrency: 12 },
      ms: (_call, now) => {
        running = now
        widths.push(service.calls.width)
        return 100
      },
      failure: () => (running > 3 ? { status: 429 } : undefined),
    })
    const { failed } = await service.clock.settle(service.enrich(200))
    expect(failed.length).toBeLessThan(20)
    expect(Math.min(...widths)).toBeLessThanOrEqual(3)
    expect(service.seen.most).toBe(12)
    const late = widths.slice(-100)
    expect(Math.max(...late)).toBeLessThanOrEqual(6)
  })

  it('become fewer at once when answers take longer the more there are', async () => {
    const widths: number[] = []
    const service = openService({
      limits: { maxConcurrency: 32 },
      ms: (_call, running) => {
        widths.push(service.calls.width)
        return running <= 4 ? 200 : 200 * running
      },
    })
    await service.clock.settle(service.enrich(20)) // Learns how fast it is with few, too.
    await service.clock.settle(service.enrich(400))
    expect(Math.min(...widths)).toBeLessThan(16)
    expect(service.calls.counts.retries).toBe(0)
  })

  it('wait for a service that is away for a while, and lose nothing', async () => {
    const failure = (_text: string, _call: number, now: number) => (now < 20_000 ? { status: 503 } : undefined)
    const { clock, enrich, starts } = openService({ failure })
    const { failed } = await clock.settle(enrich(300))
    expect(failed.length).toBeLessThanOrEqual(5)
    // Not one for each passage: most waited.
    expect(starts.filter(({ at }) => at < 20_000).length).toBeLessThan(40)
  })

  it('fail at once when a service stays away, and find out when it is back', async () => {
    let isBack = false
    const { clock, enrich, starts } = openService({ failure: () => (isBack ? undefined : { status: 503 }) })
    const { failed } = await clock.settle(enrich(1_000))
    expect(failed).toHaveLength(1_000)
    expect(starts.length).toBeLessThan(60)
    expect(clock.now()).toBeLessThan(200_000)
    expect(failed[0]?.error).toMatchObject({ code: 'PROVIDER' })
    isBack = true
    await clock.pass(60_000)
    expect((await clock.settle(enrich(10))).failed).toEqual([])
  })

  it('do not go on when the key is wrong', async () => {
    const { clock, enrich, starts } = openService({ failure: () => ({ status: 401 }) })
    const { failed } = await clock.settle(enrich(500))
    expect(failed).toHaveLength(500)
    expect(starts.length).toBeLessThan(30)
    expect(failed[0]?.error).toMatchObject({ code: 'PROVIDER', data: { status: 401 } })
  })

  it('end at once when they are aborted, those that wait included, and leave nothing behind', async () => {
    const reason = new Error('enough')
    const controller = new AbortController()
    const { clock, enrich, seen, starts } = openService({ limits: { delayMs: 1_000 } })
    const enriching = enrich(100, controller.signal)
    enriching.catch(() => {})
    await clock.pass(2_500)
    controller.abort(reason)
    await expect(enriching).rejects.toBe(reason)
    await clock.pass(100_000)
    expect(starts).toHaveLength(3)
    expect(seen.running).toBe(0)
    expect(clock.sleeping).toBe(0)
    expect((await clock.settle(enrich(2))).failed).toEqual([])
  })
})
