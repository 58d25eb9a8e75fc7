import { type Clock, systemClock } from './clock.js'

/** Options of {@link retry}. */
export interface RetryOptions {
  /** Attempts in all, the first one included; at least 1. */
  readonly attempts: number
  /**
   * Whether another attempt may succeed where this one failed: `false`, or how long the other side asked to be left alone (0 when it
   * did not say). Not asked after the last attempt.
   */
  readonly again: (error: unknown) => false | { readonly afterMs: number }
  /** Longest wait before the second attempt; it doubles with each attempt. Default 500 ms. */
  readonly baseDelayMs?: number
  /** Longest wait before any attempt, unless the other side asked for more. Default 30,000 ms. */
  readonly maxDelayMs?: number
  /** Ends the waiting: rejects with `signal.reason`. What runs is for `run` to end. */
  readonly signal?: AbortSignal
  readonly clock?: Clock
  /** Numbers in [0, 1). Default `Math.random`. */
  readonly random?: () => number
  /** Told before each wait. */
  readonly onRetry?: (error: unknown, delayMs: number) => void
}

/**
 * Runs something until it succeeds, is not worth another attempt, or has had its attempts; then rejects with its last error. It waits
 * a random time between attempts, evenly from 0 to a limit that doubles ("full jitter": callers that failed together do not come back
 * together, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and never less than the other side asked for.
 */
export async function retry<Value>(run: (attempt: number) => Promise<Value>, options: RetryOptions): Promise<Value> {
  const { attempts, again, signal, onRetry, clock = systemClock, random = Math.random } = options
  const { baseDelayMs = 500, maxDelayMs = 30_000 } = options
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted()
    try {
      return await run(attempt)
    } catch (error) {
      const verdict = attempt < attempts && !signal?.aborted && again(error)
      if (verdict === false) throw error
      const delayMs = verdict.afterMs + random() * Math.min(maxDelayMs, baseDelayMs * 2 ** (attempt - 1))
      onRetry?.(error, delayMs)
      await clock.sleep(delayMs, signal)
    }
  }
}
