import type { Clock } from './clock.js'

/** Waits for a promise, but no longer than so many milliseconds, and leaves no timer behind. Rejects as the promise does, if it is first. */
export async function waitAtMost(
  promise: Promise<unknown>,
  milliseconds: number,
  clock: Pick<Clock, 'sleep'>,
): Promise<void> {
  const timer = new AbortController()
  // Ended below.
  const limit = clock.sleep(milliseconds, timer.signal).catch(() => {})
  try {
    await Promise.race([promise, limit])
  } finally {
    timer.abort()
  }
}
