import { followSignal } from './abort.js'

export interface LaneOptions {
  /** Items at a time. */
  readonly lanes: number
  /** Stops the work: it is for `work` to listen. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs `work` for every item, several at a time; each lane takes the next item when it has done one. Items are made as they are
 * needed. After the first failure, with which the call rejects, no lane takes another item, and the signal that `work` gets aborts.
 */
export async function inLanes<Item>(
  items: Iterable<Item>,
  { lanes, signal }: LaneOptions,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const own = followSignal(signal)
  const iterator = items[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    while (!own.signal.aborted) {
      const next = iterator.next()
      if (next.done === true) return
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
  }
}
