import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RagError } from '../../../../src/core/errors.js'
import { openRemoteEmbedder } from '../../../../src/embed/remote/embedder.js'
import type { EmbeddingEndpoint } from '../../../../src/embed/remote/endpoint.js'
import { type RemoteEmbedderOptions, resolveSettings } from '../../../../src/embed/remote/settings.js'
import { randomNumbers } from '../../../../src/testing/support.js'
import { createFakeClock } from '../../../lib/fake-clock.js'

const dimensions = 4
const passage = { kind: 'passage' } as const

interface ServiceOptions {
  readonly seed?: number
  /** Texts it refuses, as do those that are with them. */
  readonly bad?: ReadonlySet<string>
  /** Texts it takes at once. */
  readonly mostItems?: number
  /** Share of calls that fail for no reason; never two in a row of the same beginning. */
  readonly flaky?: number
  /** Milliseconds a call takes at most. */
  readonly slow?: number
  /** Throws in place of an answer. */
  readonly failure?: (texts: readonly string[], call: number) => unknown
}

/** A service in a world with a time of its own, and an embedder over it. */
async function openService(service: ServiceOptions, options: RemoteEmbedderOptions = {}) {
  const { seed = 1, bad = new Set(), mostItems = Number.POSITIVE_INFINITY, flaky = 0, slow = 0, failure } = service
  const clock = createFakeClock()
  const random = randomNumbers(seed)
  const calls: { readonly at: number; readonly texts: readonly string[]; readonly kind: string }[] = []
  const failedLast = new Set<string>()
  const seen = { running: 0, most: 0 }
  const endpoint: EmbeddingEndpoint = {
    name: 'fake',
    model: 'fake-model',
    valuesPerCall: 1_000_000,
    secrets: [],
    async embed(texts, { kind, signal }) {
      const call = calls.push({ at: clock.now(), texts, kind }) - 1
      seen.most = Math.max(seen.most, ++seen.running)
      try {
        await clock.sleep(random() * slow, signal)
        const thrown = failure?.(texts, call)
        if (thrown !== undefined) throw thrown
        const [first = ''] = texts
        const isProbe = texts.length === 1 && first.startsWith('The quick')
        if (!isProbe && random() < flaky && !failedLast.has(first)) {
          failedLast.add(first)
          throw { status: [429, 500, 503, 408][Math.floor(random() * 4)] }
        }
        failedLast.delete(first)
        if (texts.length > mostItems || texts.some((text) => bad.has(text))) throw { status: 400 }
        return { rows: texts.map(vectorOf), tokens: texts.length }
      } finally {
        seen.running--
      }
    },
  }
  const settings = resolveSettings({ dimensions, ...options }, { maxItemsPerCall: 32, maxTokensPerCall: 10_000 })
  const embedder = await openRemoteEmbedder({
    id: 'fake',
    endpoint,
    settings,
    identity: 'fake-model',
    shaping: [],
    tools: { clock, random: randomNumbers(seed + 1) },
  })
  return { embedder, clock, calls, seen }
}

/** Of unit length, and the text's own: its number is in it. */
function vectorOf(text: string): number[] {
  const angle = Number(/\d+$/.exec(text)?.[0] ?? 0) / 1_000
  return [Math.cos(angle), Math.sin(angle), 0, 0]
}

function rowOf(vectors: Float32Array, row: number): number[] {
  return [...vectors.slice(row * dimensions, (row + 1) * dimensions)]
}

const textsOf = (count: number, name = 'text') => Array.from({ length: count }, (_, place) => `${name} ${place}`)

describe('an embedder over a service', () => {
  it('gives every text its own vector and fails those that are refused, whatever happens on the way', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.integer({ min: 1, max: 2 ** 31 }),
          count: fc.integer({ min: 0, max: 120 }),
          badPlaces: fc.uniqueArray(fc.integer({ min: 0, max: 119 }), { maxLength: 5 }),
          mostItems: fc.integer({ min: 1, max: 40 }),
          flaky: fc.constantFrom(0, 0.2, 0.5),
          maxConcurrency: fc.integer({ min: 1, max: 6 }),
          maxItemsPerCall: fc.integer({ min: 1, max: 32 }),
        }),
        async ({ seed, count, badPlaces, mostItems, flaky, maxConcurrency, maxItemsPerCall }) => {
          const texts = textsOf(count)
          const bad = new Set(badPlaces.filter((place) => place < count).map((place) => `text ${place}`))
          const { embedder, clock, calls, seen } = await openService(
            { seed, bad, mostItems, flaky, slow: 500 },
            { maxConcurrency, maxItemsPerCall },
          )
          const halves = [texts.slice(0, count / 2), texts.slice(count / 2)]
          const results = await clock.settle(Promise.all(halves.map((half) => embedder.embed(half, passage))))
          for (const [place, half] of halves.entries()) {
            const { vectors, failed } = results[place] as (typeof results)[number]
            expect(new Set(failed.map(({ index }) => half[index]))).toEqual(
              new Set(half.filter((text) => bad.has(text))),
            )
            expect(failed.every(({ error }) => RagError.isInstance(error, 'PROVIDER'))).toBe(true)
            for (const [row, text] of half.entries()) {
              const expected = bad.has(text) ? [0, 0, 0, 0] : [...Float32Array.from(vectorOf(text))]
              for (const [column, value] of rowOf(vectors, row).entries())
                expect(value).toBeCloseTo(expected[column]!, 6)
            }
          }
          expect(seen.most).toBeLessThanOrEqual(maxConcurrency)
          // A text is sent at most as often as there are halvings and attempts.
          const sent = new Map<string, number>()
          for (const { texts: together } of calls) for (const one of together) sent.set(one, (sent.get(one) ?? 0) + 1)
          for (const text of texts) expect(sent.get(text)).toBeLessThanOrEqual((Math.log2(32) + 2) * 2 + 5)
          const counted = embedder.stats?.()
          expect(counted).toMatchObject({ texts: count - bad.size, failed: bad.size, queued: 0, batches: calls.length })
          expect(clock.sleeping).toBe(0)
        },
      ),
      { seed: 1, numRuns: 60 },
    )
  })

  it('sends each text once when nothing goes wrong', async () => {
    const { embedder, clock, calls } = await openService({ slow: 100 }, { maxItemsPerCall: 10 })
    await clock.settle(embedder.embed(textsOf(95), passage))
    expect(calls.map(({ texts }) => texts.length).toSorted((a, b) => a - b)).toEqual([5, ...Array(9).fill(10)])
    expect(new Set(calls.flatMap(({ texts }) => texts)).size).toBe(95)
  })

  it('keeps to the rates with every attempt', async () => {
    const { embedder, clock, calls } = await openService(
      { flaky: 0.3, slow: 50 },
      { requestsPerMinute: 30, maxItemsPerCall: 1, maxConcurrency: 20 },
    )
    await clock.settle(embedder.embed(textsOf(100), passage))
    expect(calls.length).toBeGreaterThan(100)
    for (const { at } of calls) {
      expect(calls.filter((other) => other.at >= at && other.at < at + 60_000).length).toBeLessThanOrEqual(31)
    }
  })

  it('lets everybody wait when one is told to', async () => {
    const limited = { status: 429, headers: new Headers({ 'retry-after': '20' }) }
    const { embedder, clock, calls } = await openService(
      { failure: (_, call) => (call === 2 ? limited : undefined), slow: 10 },
      { maxItemsPerCall: 1, maxConcurrency: 3 },
    )
    await clock.settle(embedder.embed(textsOf(12), passage))
    const stopped = calls[2]?.at as number
    const inBetween = calls.filter(({ at }) => at > stopped + 20 && at < stopped + 20_000)
    expect(inBetween).toEqual([])
    expect(calls.length).toBe(13)
  })

  it('makes room for a question among passages', async () => {
    const { embedder, clock, calls } = await openService({ slow: 100 }, { maxItemsPerCall: 1, maxConcurrency: 2 })
    const passages = embedder.embed(textsOf(50), passage)
    await clock.pass(0)
    const question = embedder.embed(['question 7'], { kind: 'query' })
    await clock.settle(Promise.all([passages, question]))
    expect(calls.findIndex(({ kind }) => kind === 'query')).toBe(2)
  })

  it('stops sending when it is clear that nothing will succeed, and says why', async () => {
    const { embedder, clock, calls } = await openService(
      { failure: (_, call) => (call >= 3 ? { status: 401, code: 'expired_key' } : undefined), slow: 10 },
      { maxItemsPerCall: 1, maxConcurrency: 2 },
    )
    const work = embedder.embed(textsOf(100), passage)
    await expect(clock.settle(work)).rejects.toMatchObject({
      code: 'PROVIDER',
      data: { provider: 'fake', model: 'fake-model', status: 401, reason: 'expired_key' },
    })
    expect(calls.length).toBeLessThanOrEqual(5)
    expect(embedder.stats?.().queued).toBe(0)
    await clock.pass(60_000)
    expect(calls.length).toBeLessThanOrEqual(5)
  })

  it('rejects, rather than blaming texts, when the service stays away', async () => {
    const { embedder, clock, calls } = await openService(
      { failure: () => ({ status: 503 }) },
      { maxAttempts: 4, maxConcurrency: 1 },
    )
    await expect(clock.settle(embedder.embed(textsOf(64), passage))).rejects.toMatchObject({
      code: 'PROVIDER',
      retryable: true,
      data: { status: 503 },
    })
    expect(calls.length).toBe(5)
  })

  it('leaves other calls alone when one fails', async () => {
    const { embedder, clock } = await openService(
      { failure: (texts) => (texts.some((text) => text.startsWith('cursed')) ? { status: 404 } : undefined), slow: 50 },
      { maxItemsPerCall: 2, maxConcurrency: 3 },
    )
    const outcomes = await clock.settle(
      Promise.allSettled([embedder.embed(textsOf(30), passage), embedder.embed(textsOf(30, 'cursed'), passage)]),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  })

  it('counts the time in which calls ran, and their tokens', async () => {
    const { embedder, clock } = await openService({ slow: 0 }, { maxConcurrency: 5 })
    expect(embedder.stats?.()).toEqual({
      texts: 0,
      tokens: 0,
      failed: 0,
      batches: 0,
      paddingWaste: 0,
      queued: 0,
      busyMs: 0,
      devices: { fake: 1 },
      fallbacks: 0,
      retries: 0,
    })
    const { tokens } = await clock.settle(embedder.embed([...textsOf(10), ''], passage))
    expect(tokens).toBe(10)
    expect(embedder.stats?.()).toMatchObject({ texts: 10, tokens: 10, failed: 1, batches: 1, busyMs: 0 })

    const slow = await openService({ slow: 1_000, seed: 5 }, { maxConcurrency: 5, maxItemsPerCall: 2 })
    await slow.clock.settle(slow.embedder.embed(textsOf(10), passage))
    // All five ran together, so the time is that of the slowest.
    expect(slow.embedder.stats?.().busyMs).toBe(slow.clock.now())
  })
})
