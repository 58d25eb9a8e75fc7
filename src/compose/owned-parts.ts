import type { Closable } from '../core/lifecycle.js'
import { type Clock, systemClock } from '../util/clock.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { waitAtMost } from '../util/wait-at-most.js'

/** Parts that are opened when they are first asked for, and closed together. */
export interface OwnedParts {
  /** Opens a part once for all who ask; a failed attempt is forgotten. Asked again after `close()`, it rejects. */
  part<Part extends Closable>(open: () => Promise<Part>): () => Promise<Part>
  /**
   * Closes what was opened, last opened first, and what is still being opened as soon as it is there, for which it waits a second at most.
   * Rejects with the first failure.
   */
  close(): Promise<void>
}

/** Milliseconds: most parts are open by then, and a model that is being fetched takes minutes. */
const patienceMs = 1_000

export function createOwnedParts(closedError: () => Error, clock: Pick<Clock, 'sleep'> = systemClock): OwnedParts {
  const closers: (() => Promise<unknown>)[] = []
  const opening = new Set<Promise<unknown>>()
  let isClosed = false

  const openOwned = async <Part extends Closable>(open: () => Promise<Part>): Promise<Part> => {
    if (isClosed) throw closedError()
    const made = await open()
    if (isClosed) {
      await made.close()
      throw closedError()
    }
    closers.push(() => made.close())
    return made
  }

  return {
    part: (open) =>
      memoizeAsync(async () => {
        const opened = openOwned(open)
        opening.add(opened)
        try {
          return await opened
        } finally {
          opening.delete(opened)
        }
      }),

    async close() {
      isClosed = true
      const failures: unknown[] = []
      // One that fails must not keep the others, the store above all, open.
      for (const close of closers.splice(0).reverse()) await close().catch((error) => failures.push(error))
      // Whoever asked for them has left; a model that is being loaded would stay in memory.
      if (opening.size > 0) await waitAtMost(Promise.allSettled(opening), patienceMs, clock)
      if (failures.length > 0) throw failures[0]
    },
  }
}
