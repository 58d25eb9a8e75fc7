import { describe, expect, it } from 'vitest'
import { LatencyWatch } from '../../../src/util/latency-watch.js'
import { randomNumbers } from '../../../src/util/random.js'

const slowAmong = (watch: LatencyWatch, times: readonly number[]) => times.filter((ms) => watch.isSlow(ms)).length

describe('the watch over latency', () => {
  it('says nothing of answers that vary, however much, around the same mean', () => {
    const random = randomNumbers(1)
    const times = Array.from({ length: 2_000 }, () => 500 + random() * 1_000)
    expect(slowAmong(new LatencyWatch(), times)).toBe(0)
  })

  it('says nothing of milliseconds', () => {
    expect(slowAmong(new LatencyWatch(), [...Array(50).fill(1), ...Array(50).fill(20)])).toBe(0)
  })

  it('tells when answers take three times as long, and again as long as they do', () => {
    const watch = new LatencyWatch()
    expect(slowAmong(watch, Array(50).fill(300))).toBe(0)
    expect(slowAmong(watch, Array(12).fill(900))).toBe(1)
    expect(slowAmong(watch, Array(16).fill(900))).toBe(2)
  })

  it('holds a service that has become slower for good to what it is now', () => {
    const watch = new LatencyWatch()
    slowAmong(watch, Array(50).fill(300))
    slowAmong(watch, Array(3_000).fill(900))
    expect(slowAmong(watch, Array(200).fill(900))).toBe(0)
  })
})
