import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Gate } from '../../../src/util/gate.js'

const settled = async <Value>(promise: Promise<Value>) => {
  const pending = Symbol('pending')
  return (
    (await Promise.race([promise.then(() => true), new Promise((resolve) => setImmediate(resolve, pending))])) === true
  )
}

describe('a gate', () => {
  it('lets in while what is inside weighs less than it holds, the last one of any weight', async () => {
    const gate = new Gate(10)
    await gate.enter(9)
    await gate.enter(500)
    expect(gate.inside).toBe(509)
    const third = gate.enter(1)
    expect(await settled(third)).toBe(false)
    gate.leave(500)
    expect(await settled(third)).toBe(true)
    expect(gate.inside).toBe(10)
  })

  it('keeps the order of arrival, also of those that would fit before others', async () => {
    const gate = new Gate(2)
    await gate.enter(2)
    const entered: string[] = []
    const large = gate.enter(100).then(() => entered.push('large'))
    const small = gate.enter(1).then(() => entered.push('small'))
    const late = gate.enter(0).then(() => entered.push('late'))
    gate.leave(2)
    await large
    expect(await settled(small)).toBe(false)
    gate.leave(100)
    await Promise.all([small, late])
    expect(entered).toEqual(['large', 'small', 'late'])
  })

  it('lets what weighs nothing wait for room and take none', async () => {
    const gate = new Gate(1)
    await gate.enter(0)
    gate.push(5)
    const waiting = gate.enter(0)
    expect(await settled(waiting)).toBe(false)
    gate.leave(5)
    await waiting
    expect(gate.inside).toBe(0)
  })

  it('forgets who was aborted while waiting, and keeps no listener', async () => {
    const gate = new Gate(1)
    await gate.enter(1)
    const controller = new AbortController()
    const aborted = gate.enter(1, controller.signal)
    const behind = gate.enter(1, new AbortController().signal)
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    gate.leave(1)
    await behind
    expect(gate.inside).toBe(1)
    await expect(gate.enter(1, controller.signal)).rejects.toThrow('enough')

    const { signal } = new AbortController()
    const admitted = gate.enter(1, signal)
    gate.leave(1)
    await admitted
    expect(getEventListeners(signal, 'abort').length).toBe(0)
  })
})
