import { describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { benchmark } from '../../../src/performance/benchmark.js'

describe('benchmark', () => {
  it('times the iterations and leaves the warm-up out', async () => {
    let now = 0
    const durations = [100, 100, 1, 2, 3, 4]
    const result = await benchmark(
      async () => {
        now += durations.shift() ?? Number.NaN
      },
      { iterations: 4, warmup: 2, clock: () => now },
    )
    expect(result).toEqual({ meanMs: 2.5, stdMs: Math.sqrt(5 / 3), minMs: 1, maxMs: 4, p50Ms: 2, p95Ms: 4 })
  })

  it('runs one call at a time', async () => {
    let running = 0
    await benchmark(async () => {
      expect(++running).toBe(1)
      await new Promise((resolve) => setImmediate(resolve))
      running--
    })
  })

  it('rejects with the reason of the signal between calls', async () => {
    const controller = new AbortController()
    let calls = 0
    const stopped = benchmark(() => ++calls === 3 && controller.abort('enough'), {
      iterations: 100,
      warmup: 0,
      signal: controller.signal,
    })
    await expect(stopped).rejects.toBe('enough')
    expect(calls).toBe(3)
  })

  it('passes on what the function throws', async () => {
    await expect(benchmark(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
  })

  it.each([{ iterations: 0 }, { iterations: 1.5 }, { warmup: -1 }, { warmup: Number.NaN }])(
    'refuses %j',
    async (options) => {
      const failure = await benchmark(() => {}, options).catch((error: unknown) => error)
      expect(RagError.isInstance(failure, 'BAD_OPTION')).toBe(true)
    },
  )
})
