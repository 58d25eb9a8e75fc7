import { UltraFastRAG } from 'ultrafast-rag'
import { describe, expect, it } from 'vitest'

describe('ten thousand queries at once', () => {
  it('are all answered, in bounded memory', async () => {
    const rag = new UltraFastRAG({ maxQueuedQueries: 10_000 })
    try {
      await rag.ingest(
        Array.from({ length: 2_000 }, (_, i) => ({
          id: `d${i}`,
          text: `Town number ${i} has ${i % 97} bridges and a mayor named m${i}.`,
        })),
      )
      const before = process.memoryUsage().rss
      let peak = 0
      const sampler = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage().rss)
      }, 20)
      const results = await Promise.all(
        Array.from({ length: 10_000 }, (_, i) => rag.query(`Which mayor does town number ${i % 2_000} have?`)),
      )
      clearInterval(sampler)
      expect(results).toHaveLength(10_000)
      expect(results.every(({ timings }) => (timings.total ?? 0) > 0)).toBe(true)
      expect(results.filter(({ outcome }) => outcome === 'answered').length).toBeGreaterThan(9_900)
      // 60 kB for each waiting query: 50 matches of each leg, their results, and the heap's own slack.
      console.log(`${((peak - before) / 1e7).toFixed(0)} kB for each waiting query`)
      expect(peak - before).toBeLessThan(600e6)
    } finally {
      await rag.close()
    }
  })
})
