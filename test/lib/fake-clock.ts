import type { Clock } from '../../src/util/clock.js'

/** A clock that stands still until everybody who could go on waits for it; then it jumps to the next who wakes. */
export interface FakeClock extends Clock {
  /** Lets time pass until the promise is settled. Fails when nobody sleeps and it is still not settled. */
  settle<Value>(promise: Promise<Value>): Promise<Value>
  /** Lets so many milliseconds pass. */
  pass(milliseconds: number): Promise<void>
  /** Sleepers now. */
  readonly sleeping: number
  /** How long each sleep was to be, in the order they began. */
  readonly sleeps: readonly number[]
}

/** Turns of the event loop after which whoever could go on has done so: long chains of promises take one, fakes that wait a turn each a few. */
const turnsUntilQuiet = 5

export function createFakeClock({ date = Date.UTC(2026, 0, 1) } = {}): FakeClock {
  let now = 0
  const sleepers = new Set<{ readonly at: number; readonly wake: () => void }>()
  const sleeps: number[] = []

  const quiet = async (): Promise<void> => {
    for (let turn = 0; turn < turnsUntilQuiet; turn++) await new Promise(setImmediate)
  }
  const wakeNext = (until: number): boolean => {
    const next = [...sleepers].sort((a, b) => a.at - b.at)[0]
    if (next === undefined || next.at > until) return false
    now = Math.max(now, next.at)
    sleepers.delete(next)
    next.wake()
    return true
  }

  return {
    now: () => now,
    date: () => date + now,
    sleep: (milliseconds, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        sleeps.push(milliseconds)
        const stop = (): void => {
          sleepers.delete(sleeper)
          reject(signal?.reason)
        }
        const wake = (): void => {
          signal?.removeEventListener('abort', stop)
          resolve()
        }
        const sleeper = { at: now + milliseconds, wake }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', stop, { once: true })
      }),
    async settle(promise) {
      let settled = false
      const end = (): void => {
        settled = true
      }
      promise.then(end, end)
      for (;;) {
        await quiet()
        if (settled) return promise
        if (!wakeNext(Number.POSITIVE_INFINITY)) throw new Error('Nobody sleeps, and the promise is not settled.')
      }
    },
    async pass(milliseconds) {
      const until = now + milliseconds
      await quiet()
      while (wakeNext(until)) await quiet()
      now = until
    },
    get sleeping() {
      return sleepers.size
    },
    sleeps,
  }
}
