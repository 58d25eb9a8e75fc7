import { describe, expect, it } from 'vitest'
import { createThreadGuard, guarded } from '../../../src/util/thread-guard.js'

describe('a thread guard', () => {
  it('is busy in a critical section only, also in one that waits or fails', async () => {
    const guard = createThreadGuard()
    expect(guarded(guard.cells, () => guard.busy)).toBe(true)
    expect(guard.busy).toBe(false)
    const section = guarded(guard.cells, async () => 7)
    expect(guard.busy).toBe(true)
    expect(await section).toBe(7)
    expect(guard.busy).toBe(false)
    const fail = () => {
      throw new Error('broken')
    }
    expect(() => guarded(guard.cells, fail)).toThrow('broken')
    await expect(guarded(guard.cells, async () => fail())).rejects.toThrow('broken')
    expect(guard.busy).toBe(false)
    guard.release()
  })

  it('stops at once when nothing runs, and lets nothing begin afterwards', async () => {
    const guard = createThreadGuard()
    expect(await guard.stop()).toBe(true)
    expect(() => guarded(guard.cells, () => 1)).toThrow('about to end')
    expect(guard.busy).toBe(false)
    guard.release()
  })

  it('waits for what runs, as long as its patience lasts', async () => {
    const guard = createThreadGuard()
    let finish = () => {}
    const section = guarded(
      guard.cells,
      () =>
        new Promise<void>((resolve) => {
          finish = resolve
        }),
    )
    expect(await guard.stop(20)).toBe(false)
    const stopped = guard.stop()
    finish()
    expect(await stopped).toBe(true)
    await section
    guard.release()
  })

  it('does not wait for a thread that has died in the middle', async () => {
    const guard = createThreadGuard()
    Atomics.store(guard.cells, 0, 1)
    const stopped = guard.stop()
    guard.release()
    expect(await stopped).toBe(true)
  })

  it('listens to the exit of the process only while there is one', () => {
    const before = process.listenerCount('exit')
    const guards = [createThreadGuard(), createThreadGuard()]
    expect(process.listenerCount('exit')).toBe(before + 1)
    for (const guard of guards) guard.release()
    expect(process.listenerCount('exit')).toBe(before)
  })
})
