import { describe, expect, it } from 'vitest'
import { RagError } from '../../../../src/core/errors.js'
import { type TuneOptions, tuneBudgets } from '../../../../src/embed/onnx/auto-tune.js'
import {
  dimensions,
  type LaneCall,
  numberedText,
  VirtualLane,
  type VirtualLaneOptions,
  VirtualTime,
} from './virtual-lanes.js'

const sample = Array.from({ length: 50 }, (_, number) => numberedText(number, 20 + ((number * 37) % 100)))

async function tune(lanes: readonly Omit<VirtualLaneOptions, 'time'>[], options: Partial<TuneOptions> = {}) {
  const time = new VirtualTime()
  const virtual = lanes.map((lane) => new VirtualLane({ ...lane, time }))
  const result = tuneBudgets({
    lanes: virtual,
    dimensions,
    maxRows: 4_096,
    deterministic: false,
    sample,
    now: () => time.now,
    ...options,
  })
  result.catch(() => {})
  await time.pass()
  return result
}

const tried = (rows: readonly { readonly maxBatchTokens: number }[]) => rows.map(({ maxBatchTokens }) => maxBatchTokens)

describe('tuneBudgets', () => {
  it('stops where larger passes bring nothing, and takes the smallest of those that are as fast', async () => {
    const { table, best } = await tune([
      { device: 'cpu:0', msPerPass: 2 },
      { device: 'cpu:0', msPerPass: 2 },
    ])
    expect(best.cpu?.maxBatchTokens).toBeLessThanOrEqual(1_024)
    expect(tried(table)).toEqual([256, 512, 1_024, 2_048, 4_096].slice(0, table.length))
    expect(Math.max(...tried(table))).toBe((best.cpu?.maxBatchTokens ?? 0) * 4)
    for (const row of table) expect([row.refused, row.paddingWaste < 0.1]).toEqual([false, true])
  })

  it('goes to the end where a pass costs as much as the work in it', async () => {
    const { table, best } = await tune([{ device: 'cuda:0', msPerPass: 100, msPerToken: 0.005 }])
    expect(tried(table)).toEqual([256, 512, 1_024, 2_048, 4_096, 8_192, 16_384])
    expect(best.cuda?.maxBatchTokens).toBe(16_384)
  })

  it('tells kinds of devices apart', async () => {
    const { best } = await tune([
      { device: 'cuda:0', msPerPass: 100, msPerToken: 0.005 },
      { device: 'cpu:0', msPerPass: 0 },
      { device: 'cuda:1', msPerPass: 100, msPerToken: 0.005 },
    ])
    expect(Object.keys(best).toSorted()).toEqual(['cpu', 'cuda'])
    expect(best.cpu?.maxBatchTokens).toBe(256)
    expect(best.cuda?.maxBatchTokens).toBe(16_384)
  })

  it('never takes what a device has no memory for', async () => {
    const fail = (call: LaneCall | 'load') =>
      call !== 'load' && call.phase === 'run' && call.paddedTokens > 3_000
        ? new RagError('LIMIT', 'No memory.', { data: { reason: 'memory' } })
        : undefined
    const { table, best } = await tune([{ device: 'cuda:0', msPerPass: 100, msPerToken: 0.005, fail }])
    expect(table.map(({ refused }) => refused)).toEqual([false, false, false, false, true])
    expect(best.cuda?.maxBatchTokens).toBe(2_048)
  })

  it('fails with why lanes cannot be loaded, or why no text can be embedded, or with the reason of an abort', async () => {
    const broken = new Error('broken')
    await expect(tune([{ fail: () => broken }])).rejects.toBe(broken)
    const fail = (call: LaneCall | 'load') => (call === 'load' || call.phase === 'tokenize' ? undefined : broken)
    await expect(tune([{ fail }])).rejects.toBe(broken)
    const reason = new Error('enough')
    await expect(tune([{}], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(tune([{}], { sample: [] })).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })
})
