import { followSignal } from './abort.js'

export interface LaneOptions {
  /** Items at a time. */
  readonly lanes: number
  /** Stops the work: it is for `work` to listen. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs `work` for every item, several at a time; each lane takes the next item when it has done one. Items are made as they are
 * needed: an async source is one that may be asked for the next value before it has given the last, as a generator may. After the
 * first failure, with which the call rejects, no lane takes another item, the source is ended, and the signal that `work` gets aborts.
 */
export async function inLanes<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  { lanes, signal }: LaneOptions,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const own = followSignal(signal)
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    while (!own.signal.aborted) {
      const next = await iterator.next()
      if (next.done === true) return
      own.signal.throwIfAborted()
      await work(next.value, own.signal)
    }
    own.signal.throwIfAborted()
  }
  try {
    await Promise.all(Array.from({ length: lanes }, lane))
  } catch (error) {
    own.abort(error)
    throw error
  } finally {
    own.dispose()
    const ending = (async () => iterator.return?.())()
    // A source that still waits must not hold up whoever is told of the failure; how it ends is nobody's concern any more.
    if (own.signal.aborted) ending.catch(() => {})
    else await ending
  }
}
