import { describe, expect, it } from 'vitest'
import { RecallMonitor, type VectorSearched } from '../../../src/pipelines/steps/recall-monitor.js'
import { randomNumbers } from '../../../src/util/random.js'
import { createFlatIndex } from '../../../src/vector-index/flat.js'
import type { VectorIndex, VectorMatch } from '../../../src/vector-index/types.js'

const dimensions = 8

async function flatIndex(rows: number): Promise<VectorIndex> {
  const index = createFlatIndex({ dimensions, fingerprint: 'test' })
  const random = randomNumbers(1)
  const update = index.update()
  const vectors = new Float32Array(rows * dimensions)
  for (let row = 0; row < rows; row++) vectors.set(unit(random), row * dimensions)
  await update.add(
    Array.from({ length: rows }, (_, row) => row),
    vectors,
  )
  await update.publish(1)
  return index
}

function unit(random: () => number): Float32Array {
  const vector = Float32Array.from({ length: dimensions }, () => random() - 0.5)
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}

/** An index that says of itself that it is approximate, and keeps how often it was asked for the truth. */
function approximate(index: VectorIndex) {
  const asked = { exact: 0, running: 0, most: 0 }
  const wrapped: VectorIndex = {
    id: 'approximate',
    dimensions,
    capabilities: { exact: false },
    get epoch() {
      return index.epoch
    },
    stats: () => index.stats(),
    update: () => index.update(),
    persist: () => index.persist(),
    close: () => index.close(),
    async search(vector, options) {
      if (options.exact === true) asked.exact++
      asked.most = Math.max(asked.most, ++asked.running)
      const found = await index.search(vector, options)
      asked.running--
      return found
    },
  }
  return { index: wrapped, asked }
}

async function searched(index: VectorIndex, change: (found: VectorMatch[]) => VectorMatch[]): Promise<VectorSearched> {
  const vector = unit(randomNumbers(2))
  const found = change(await index.search(vector, { topK: 30 }))
  return { index, vector, allow: undefined, found, epoch: index.epoch }
}

describe('the recall monitor', () => {
  it('tells the share of the true ten that were found', async () => {
    const { index } = approximate(await flatIndex(200))
    const monitor = new RecallMonitor({ rate: 1 })
    expect(monitor.gauges()).toEqual({ samples: 0, stale: 0 })
    await monitor.measure(await searched(index, (found) => found), index)
    expect(monitor.gauges()).toEqual({ recall10: 1, least: 1, samples: 1, stale: 0 })
    // The first, the fifth and the tenth are lost; others come up instead.
    const lossy = await searched(index, (found) => found.filter((_, place) => ![0, 4, 9].includes(place)))
    await monitor.measure(lossy, index)
    expect(monitor.gauges()).toEqual({ recall10: 0.85, least: 0.7, samples: 2, stale: 0 })
  })

  it('counts what is found of what there is, where that is less than ten', async () => {
    const { index } = approximate(await flatIndex(4))
    const monitor = new RecallMonitor({ rate: 1 })
    await monitor.measure(await searched(index, (found) => found.slice(0, 3)), index)
    expect(monitor.gauges().recall10).toBe(0.75)
  })

  it('takes a match that is as good as the last true one for right', async () => {
    const index = createFlatIndex({ dimensions, fingerprint: 'test' })
    const same = unit(randomNumbers(2))
    const update = index.update()
    await update.add(
      Array.from({ length: 40 }, (_, row) => row),
      Float32Array.from({ length: 40 * dimensions }, (_, i) => same[i % dimensions] as number),
    )
    await update.publish(1)
    const { index: wrapped } = approximate(index)
    const monitor = new RecallMonitor({ rate: 1 })
    await monitor.measure(await searched(wrapped, (found) => found.slice(20)), wrapped)
    expect(monitor.gauges().recall10).toBe(1)
  })

  it('samples its share, never two at a time, and no exact index', async () => {
    const flat = await flatIndex(50)
    const { index } = approximate(flat)
    const one = await searched(index, (found) => found)
    const random = randomNumbers(3)
    const monitor = new RecallMonitor({ rate: 0.25, random })
    let sampled = 0
    for (let search = 0; search < 2_000; search++) {
      if (!monitor.samples(one)) continue
      sampled++
      expect(monitor.samples(one)).toBe(false)
      monitor.giveUp()
    }
    expect(sampled / 2_000).toBeGreaterThan(0.2)
    expect(sampled / 2_000).toBeLessThan(0.3)
    expect(new RecallMonitor({ rate: 1 }).samples({ ...one, index: flat })).toBe(false)
    expect(new RecallMonitor({ rate: 1 }).samples({ ...one, found: [] })).toBe(false)
    expect(new RecallMonitor({ rate: 0 }).samples(one)).toBe(false)
  })

  it('says nothing of an index that has changed since, or is another', async () => {
    const flat = await flatIndex(50)
    const { index, asked } = approximate(flat)
    const one = await searched(index, (found) => found.slice(5))
    const monitor = new RecallMonitor({ rate: 1 })
    await monitor.measure(one, undefined)
    await monitor.measure(one, approximate(flat).index)
    const update = flat.update()
    await update.publish(2)
    await monitor.measure(one, index)
    expect(asked.exact).toBe(0)
    expect(monitor.gauges()).toEqual({ samples: 0, stale: 3 })
  })

  it('forgets what was long ago', async () => {
    const { index } = approximate(await flatIndex(12))
    const monitor = new RecallMonitor({ rate: 1 })
    await monitor.measure(await searched(index, () => [{ number: 999, score: -1 }]), index)
    expect(monitor.gauges().least).toBe(0)
    const sound = await searched(index, (found) => found)
    for (let sample = 0; sample < 500; sample++) await monitor.measure(sound, index)
    expect(monitor.gauges()).toEqual({ recall10: 1, least: 1, samples: 501, stale: 0 })
  })
})
