import { describe, expect, it } from 'vitest'
import { StageEstimates } from '../../../src/pipelines/steps/stage-estimates.js'
import { randomNumbers } from '../../../src/util/random.js'

function create() {
  let now = 0
  const estimates = new StageEstimates({ now: () => now })
  return {
    estimates,
    pass: (milliseconds: number) => {
      now += milliseconds
    },
  }
}

/** The definition: the least of the values up to which nine tenths of the weight lie; each weighs 0.95 of the one after it. */
function plainEstimate(values: readonly number[]): number | undefined {
  const last = values.slice(-64)
  const weightOf = (place: number) => 0.95 ** (last.length - 1 - place)
  const sum = (holds: (value: number) => boolean) =>
    last.reduce((total, value, place) => total + (holds(value) ? weightOf(place) : 0), 0)
  const whole = sum(() => true)
  const reached = last.filter((value) => sum((other) => other <= value) >= 0.9 * whole - 1e-9)
  return reached.length === 0 ? undefined : Math.min(...reached)
}

describe('estimates of stages', () => {
  it('are the weighted quantile of what was measured, whatever was measured', () => {
    const random = randomNumbers(1)
    const { estimates } = create()
    const values = new Map<string, number[]>()
    for (let i = 0; i < 1_500; i++) {
      const stage = `stage${Math.floor(random() * 6)}`
      const value = random() < 0.1 ? random() * 1_000 : random() * 20
      estimates.note(stage, value)
      values.set(stage, [...(values.get(stage) ?? []), value])
      expect(estimates.estimate(stage)).toBe(plainEstimate(values.get(stage) as number[]))
    }
  })

  it('follow a stage that becomes slower within three measurements, and one that becomes faster within fifty', () => {
    const { estimates } = create()
    for (let i = 0; i < 100; i++) estimates.note('rerank', 10)
    for (let i = 0; i < 3; i++) estimates.note('rerank', 100)
    expect(estimates.estimate('rerank')).toBe(100)
    for (let i = 0; i < 50; i++) estimates.note('rerank', 10)
    expect(estimates.estimate('rerank')).toBe(10)
  })

  it('know nothing of a stage that was never measured', () => {
    expect(create().estimates.estimate('rerank')).toBeUndefined()
  })

  it('let one caller try again a stage that was not measured for five seconds, and forget what it took before', () => {
    const { estimates, pass } = create()
    estimates.note('rerank', 2_000)
    pass(4_999)
    expect(estimates.retry('rerank')).toBe(false)
    pass(1)
    expect([estimates.retry('rerank'), estimates.retry('rerank')]).toEqual([true, false])
    expect(estimates.estimate('rerank')).toBe(2_000)
    estimates.note('rerank', 30)
    expect(estimates.estimate('rerank')).toBe(30)
  })

  it('let another caller try where the first did not come back', () => {
    const { estimates, pass } = create()
    estimates.note('rerank', 2_000)
    pass(5_000)
    expect(estimates.retry('rerank')).toBe(true)
    pass(5_000)
    expect(estimates.retry('rerank')).toBe(true)
  })

  it('are kept of 256 stages, those that were measured last', () => {
    const { estimates } = create()
    for (let i = 0; i < 256; i++) estimates.note(`stage${i}`, i)
    estimates.note('stage0', 0)
    estimates.note('another', 1)
    expect(estimates.estimate('stage1')).toBeUndefined()
    expect([estimates.estimate('stage0'), estimates.estimate('stage2')]).toEqual([0, 2])
  })
})
