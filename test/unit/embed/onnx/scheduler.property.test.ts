import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RagError } from '../../../../src/core/errors.js'
import { TokenBudgets } from '../../../../src/embed/onnx/budgets.js'
import { EmbeddingCounters } from '../../../../src/embed/onnx/counters.js'
import { Scheduler } from '../../../../src/embed/onnx/scheduler.js'
import type { Embeddings } from '../../../../src/embed/types.js'
import { randomNumbers } from '../../../../src/testing/support.js'
import { dimensions, type LaneCall, numberedText, VirtualLane, VirtualTime, vectorOf } from './virtual-lanes.js'

const poison = new Error('poison')
const crash = () => new RagError('WORKER', 'The thread died.', { retryable: true })
const isDeath = (error: unknown) => RagError.isInstance(error, 'WORKER')
const noMemory = () => new RagError('LIMIT', 'No memory.', { data: { reason: 'memory' } })

const scenario = fc.record({
  seed: fc.integer(),
  calls: fc.array(
    fc.record({
      lengths: fc.array(fc.integer({ min: 2, max: 70 }), { minLength: 0, maxLength: 60 }),
      kind: fc.constantFrom('query' as const, 'passage' as const),
      at: fc.integer({ min: 0, max: 60 }),
      abortAfter: fc.option(fc.integer({ min: 0, max: 80 })),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  lanes: fc.array(
    fc.record({ msPerToken: fc.constantFrom(0.01, 0.1, 0.5), device: fc.constantFrom('cpu:0', 'gpu:1') }),
    {
      minLength: 1,
      maxLength: 4,
    },
  ),
  maxBatchTokens: fc.integer({ min: 1, max: 300 }),
  maxRows: fc.integer({ min: 1, max: 12 }),
  deterministic: fc.boolean(),
  /** Share of calls of lanes that kill them, of texts that make a call fail, of texts without usable vector. */
  crashes: fc.constantFrom(0, 0, 0.05, 0.5),
  poisonous: fc.constantFrom(0, 0, 0.1),
  unusable: fc.constantFrom(0, 0, 0.1),
  /** Padded tokens a device has memory for. */
  memory: fc.constantFrom(Number.POSITIVE_INFINITY, 150, 50),
})

describe('scheduler, whatever happens', () => {
  it('gives every text its vector once and in its place, or the error that belongs to it', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const time = new VirtualTime()
        const random = randomNumbers(given.seed)
        const isAmong = (share: number) => {
          const salt = given.seed * share
          return (number: number) => randomNumbers(number * 7_919 + salt)() < share
        }
        const isPoisonous = isAmong(given.poisonous)
        const isUnusable = isAmong(given.unusable)
        const fail = (call: LaneCall | 'load') => {
          if (call === 'load') return undefined
          if (random() < given.crashes) return crash()
          if (call.phase !== 'tokenize' && call.paddedTokens > given.memory) return noMemory()
          return call.numbers.some(isPoisonous) ? poison : undefined
        }
        const lanes = given.lanes.map((lane) => new VirtualLane({ ...lane, time, fail, isUnusable, msPerLoad: 1 }))
        const budgets = new TokenBudgets(given.maxBatchTokens)
        const counters = new EmbeddingCounters(() => time.now)
        const scheduler = new Scheduler({ ...given, lanes, dimensions, budgets, counters, now: () => time.now })

        let settled = 0
        const outcomes = given.calls.map(async ({ lengths, kind, at, abortAfter }, place) => {
          const texts = lengths.map((length, index) => numberedText(place * 1_000 + index, length))
          const controller = new AbortController()
          await time.sleep(at)
          if (abortAfter !== null) time.sleep(abortAfter).then(() => controller.abort(place))
          const outcome: { result?: Embeddings; reason?: unknown } = {}
          await scheduler.embed(texts, { kind, signal: controller.signal }).then(
            (result) => {
              outcome.result = result
            },
            (reason) => {
              outcome.reason = reason
            },
          )
          settled++
          return { ...outcome, texts, kind, place, aborted: controller.signal.aborted }
        })
        await time.pass(() => {
          for (const lane of lanes) expect(lane.mostPending).toBeLessThanOrEqual(2)
        })

        expect(settled).toBe(given.calls.length)
        const done = await Promise.all(outcomes)
        const passes = lanes.flatMap(({ answered }) => answered).filter(({ phase }) => phase !== 'tokenize')
        const failures = lanes.flatMap((lane) => lane.failed)
        for (const { result, reason, texts, kind, place, aborted } of done) {
          if (result === undefined) {
            expect([reason, aborted]).toEqual([place, true])
            continue
          }
          const errors = new Map(result.failed.map(({ index, error }) => [index, error]))
          expect([...errors.keys()]).toEqual([...errors.keys()].toSorted((a, b) => a - b))
          let tokens = 0
          for (const [index, text] of texts.entries()) {
            const number = place * 1_000 + index
            const row = [...result.vectors.subarray(index * dimensions, (index + 1) * dimensions)]
            const times = passes.filter(({ numbers }) => numbers.includes(number)).length
            const error = errors.get(index)
            if (error === undefined) {
              expect(row).toEqual(vectorOf(text, kind))
              expect(times).toBe(1)
              expect(isPoisonous(number)).toBe(false)
              tokens += text.split(' ').length + 1
              continue
            }
            expect(row).toEqual([0, 0, 0])
            if (error === poison) expect(isPoisonous(number)).toBe(true)
            else if (RagError.isInstance(error, 'LIMIT'))
              expect(text.split(' ').length + 1).toBeGreaterThan(given.memory)
            else if (RagError.isInstance(error, 'PROVIDER')) expect([isUnusable(number), times]).toEqual([true, 1])
            else {
              expect(isDeath(error)).toBe(true)
              const deaths = failures.filter(({ call, error }) => call.numbers.includes(number) && isDeath(error))
              expect(deaths.length).toBeGreaterThanOrEqual(2)
            }
          }
          expect(result.tokens).toBe(tokens)
        }
        for (const { rows, paddedTokens } of passes) {
          expect(rows).toBeLessThanOrEqual(given.deterministic ? 1 : given.maxRows)
          if (rows > 1) expect(paddedTokens).toBeLessThanOrEqual(given.maxBatchTokens)
        }
        expect([scheduler.queued, scheduler.heldTokens]).toEqual([0, 0])
        const stats = counters.stats(scheduler.queued)
        expect(stats.batches).toBe(passes.length)
        await scheduler.close()
      }),
      { seed: 1, numRuns: 150 },
    )
  }, 120_000)
})
