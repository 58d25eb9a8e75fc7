import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { abortable, followSignal, withDeadline } from '../../../src/util/abort.js'

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('withDeadline', () => {
  it('gives no signal when there is neither signal nor deadline', () => {
    expect(withDeadline({}).signal).toBeUndefined()
  })

  it("passes the caller's signal through when there is no deadline", () => {
    const { signal } = new AbortController()
    expect(withDeadline({ signal }).signal).toBe(signal)
    expect(listeners(signal)).toBe(0)
  })

  it('aborts with DEADLINE when the time is over, not before', () => {
    const { signal } = withDeadline({ deadlineMs: 50 })
    vi.advanceTimersByTime(49)
    expect(signal?.aborted).toBe(false)
    vi.advanceTimersByTime(1)
    expect(RagError.isInstance(signal?.reason, 'DEADLINE')).toBe(true)
    expect(signal?.reason).toMatchObject({ data: { deadlineMs: 50 } })
  })

  it('is over at once for a deadline of 0 or less', () => {
    for (const deadlineMs of [0, -5]) {
      expect(RagError.isInstance(withDeadline({ deadlineMs }).signal?.reason, 'DEADLINE')).toBe(true)
    }
  })

  it("aborts with the caller's reason, before and during", () => {
    const reason = new Error('mine')
    expect(withDeadline({ signal: AbortSignal.abort(reason), deadlineMs: 10 }).signal?.reason).toBe(reason)

    const controller = new AbortController()
    const { signal } = withDeadline({ signal: controller.signal, deadlineMs: 10 })
    controller.abort(reason)
    expect(signal?.reason).toBe(reason)
    vi.advanceTimersByTime(100)
    expect(signal?.reason).toBe(reason)
  })

  it('leaves neither timer nor listener behind, however it ends', () => {
    const ends: ((controller: AbortController, dispose: () => void) => void)[] = [
      (_, dispose) => dispose(),
      (controller) => controller.abort(),
      () => vi.advanceTimersByTime(10),
    ]
    for (const end of ends) {
      const controller = new AbortController()
      const { dispose } = withDeadline({ signal: controller.signal, deadlineMs: 10 })
      expect([vi.getTimerCount(), listeners(controller.signal)]).toEqual([1, 1])
      end(controller, dispose)
      expect([vi.getTimerCount(), listeners(controller.signal)]).toEqual([0, 0])
      dispose()
    }
  })

  it('does not abort after dispose', () => {
    const { signal, dispose } = withDeadline({ deadlineMs: 10 })
    dispose()
    vi.advanceTimersByTime(100)
    expect(signal?.aborted).toBe(false)
  })

  it('takes a deadline beyond what a timer can hold as no limit', () => {
    for (const deadlineMs of [2 ** 31, 1e15, Infinity]) {
      const { signal } = withDeadline({ deadlineMs })
      vi.advanceTimersByTime(1_000)
      expect(signal?.aborted).toBe(false)
    }
  })

  it('refuses NaN', () => {
    expect(() => withDeadline({ deadlineMs: Number.NaN })).toThrow('deadlineMs is not a number')
  })
})

describe('abortable', () => {
  it('gives the result and removes its listener', async () => {
    const { signal } = new AbortController()
    await expect(abortable(Promise.resolve(1), signal)).resolves.toBe(1)
    await expect(abortable(Promise.reject(new Error('failed')), signal)).rejects.toThrow('failed')
    expect(listeners(signal)).toBe(0)
  })

  it('gives the result when there is no signal', async () => {
    await expect(abortable(Promise.resolve(1), undefined)).resolves.toBe(1)
  })

  it('rejects with the reason when the signal aborts first, also with a reason that is no error', async () => {
    const controller = new AbortController()
    const waiting = abortable(new Promise(() => {}), controller.signal)
    expect(listeners(controller.signal)).toBe(1)
    controller.abort('stopped')
    await expect(waiting).rejects.toBe('stopped')
    expect(listeners(controller.signal)).toBe(0)
  })

  it('rejects at once when the signal was aborted before, even if the result is there', async () => {
    await expect(abortable(Promise.resolve(1), AbortSignal.abort('before'))).rejects.toBe('before')
  })

  it('does not leave the failure of abandoned work unhandled', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    let fail: (error: Error) => void = () => {}
    const work = new Promise((_, reject) => {
      fail = reject
    })
    const controller = new AbortController()
    const waiting = abortable(work, controller.signal)
    controller.abort('stopped')
    await expect(waiting).rejects.toBe('stopped')
    fail(new Error('late'))
    vi.useRealTimers()
    await new Promise((resolve) => setTimeout(resolve, 5))
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })
})

describe('a following signal', () => {
  it('aborts with its caller, or alone, and lets go of the caller', () => {
    const caller = new AbortController()
    const first = followSignal(caller.signal)
    const second = followSignal(caller.signal)
    expect(listeners(caller.signal)).toBe(2)
    first.abort('mine')
    expect([first.signal.reason, second.signal.aborted, caller.signal.aborted]).toEqual(['mine', false, false])
    first.dispose()
    first.dispose()
    expect(listeners(caller.signal)).toBe(1)
    caller.abort('yours')
    expect([first.signal.reason, second.signal.reason]).toEqual(['mine', 'yours'])
    expect(followSignal(caller.signal).signal.reason).toBe('yours')
    expect(followSignal(undefined).signal.aborted).toBe(false)
  })
})
