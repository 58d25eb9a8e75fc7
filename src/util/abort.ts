import { setMaxListeners } from 'node:events'
import { RagError } from '../core/errors.js'
import type { WaitOptions } from '../core/lifecycle.js'

/** The longest delay `setTimeout` keeps; beyond it fires at once. */
export const longestTimerMs = 2 ** 31 - 1

/** What {@link withDeadline} gives: `signal` is absent when nothing can end the call early. */
export interface Deadline {
  readonly signal: AbortSignal | undefined
  /** Stops the timer and lets go of the caller's signal. Call it when the work is done; twice is fine. */
  dispose(): void
}

/** Work that ends with its caller's signal, or before: see {@link followSignal}. */
export interface FollowingAbort {
  readonly signal: AbortSignal
  abort(reason: unknown): void
  /** Lets go of the caller's signal. Call it when the work is done; twice is fine. */
  dispose(): void
}

/**
 * A signal of one's own that also aborts, with the same reason, when `signal` does. Not `AbortSignal.any()`, which leaves something
 * behind at a signal that lives long.
 */
export function followSignal(signal: AbortSignal | undefined): FollowingAbort {
  const controller = new AbortController()
  // A run of a thousand documents has a thousand listeners: Node takes more than ten for a leak, and says so to the user.
  setMaxListeners(0, controller.signal)
  const follow = () => controller.abort(signal?.reason)
  if (signal?.aborted) follow()
  else signal?.addEventListener('abort', follow, { once: true })
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    dispose: () => signal?.removeEventListener('abort', follow),
  }
}

/**
 * One signal for a caller's `signal` and `deadlineMs`: it aborts with the caller's own reason, or with `RagError` `DEADLINE` when
 * the time is over. A deadline of 0 or less is over already, one of 25 days
 * or more (the longest timer) is none. Throws `BAD_OPTION` when `deadlineMs` is not a number. The timer does
 * not keep the process alive.
 */
export function withDeadline({ signal, deadlineMs }: WaitOptions): Deadline {
  if (deadlineMs === undefined) return { signal, dispose: () => {} }
  if (typeof deadlineMs !== 'number' || Number.isNaN(deadlineMs)) {
    throw new RagError('BAD_OPTION', 'deadlineMs is not a number.', { hint: 'Give milliseconds, or leave it out.' })
  }
  const own = followSignal(signal)
  const expire = (): void => own.abort(deadlineError(deadlineMs))
  let timer: NodeJS.Timeout | undefined
  const dispose = (): void => {
    clearTimeout(timer)
    own.dispose()
  }
  own.signal.addEventListener('abort', dispose, { once: true })

  if (deadlineMs <= 0) expire()
  else if (deadlineMs <= longestTimerMs && !own.signal.aborted) timer = setTimeout(expire, deadlineMs).unref()
  return { signal: own.signal, dispose }
}

/**
 * The result of `promise`, unless `signal` aborts first: then it rejects with `signal.reason` at once, and what becomes of
 * `promise` is ignored (hand the signal to the work itself as well, or it goes on unseen). The listener is removed either way.
 */
export async function abortable<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise
  let stop: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([aborted, promise])
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop)
  }
}

/** Values taken from a source before timers and I/O have their turn: a source that never waits must not starve them. */
const valuesPerTurn = 64

/**
 * Iterates a source that somebody else wrote: rejects with `signal.reason` as soon as `signal` fires, even while the source keeps
 * waiting, and gives the event loop turns, so that it can fire even when the source never waits. The source is told (`return()`);
 * after an abort nobody waits for its answer.
 */
export async function* abortableValues<Value>(
  source: AsyncIterable<Value> | Iterable<Value>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Value, void, undefined> {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  let ended = false
  // One listener for all values: to add and remove one for each takes longer than most sources.
  let stop: (reason: unknown) => void = () => {}
  const onAbort = (): void => stop(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  const step = async () => iterator.next()
  const take = () =>
    new Promise<IteratorResult<Value, unknown>>((resolve, reject) => {
      stop = reject
      const taking = step()
      if (signal?.aborted) reject(signal.reason)
      taking.then(resolve, reject)
    })
  try {
    for (let taken = 1; ; taken++) {
      let next: IteratorResult<Value, unknown>
      try {
        next = await take()
      } catch (error) {
        // What failed has ended by itself.
        ended = signal?.aborted !== true
        throw error
      }
      ended = next.done === true
      if (next.done === true) return
      yield next.value
      if (taken % valuesPerTurn === 0) await new Promise(setImmediate)
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    if (!ended) {
      const closing = (async () => iterator.return?.())()
      // A generator that still waits would hold up whoever aborted: its end is nobody's concern any more, nor its failure.
      if (signal?.aborted) closing.catch(() => {})
      else await abortable(closing, signal)
    }
  }
}

function deadlineError(deadlineMs: number): RagError {
  return new RagError('DEADLINE', `The deadline of ${deadlineMs} ms has passed.`, {
    data: { deadlineMs },
    hint: 'Raise deadlineMs, or ask for less.',
  })
}
