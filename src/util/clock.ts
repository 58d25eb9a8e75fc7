import { longestTimerMs } from './abort.js'

/** Time, as something that tests can replace. */
export interface Clock {
  /** Milliseconds that never go back, from an arbitrary start. */
  now(): number
  /** Milliseconds since 1970, as HTTP dates count them. */
  date(): number
  /** Resolves after so many milliseconds, or rejects with `signal.reason` as soon as it fires; no timer is left behind. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}

/** The time of this machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const wake = (): void => {
        signal?.removeEventListener('abort', stop)
        resolve()
      }
      const stop = (): void => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      // Not unref'd: somebody waits for this, and a process that ended now would leave them without an answer.
      const timer = setTimeout(wake, Math.min(milliseconds, longestTimerMs))
      signal?.addEventListener('abort', stop, { once: true })
    }),
}
