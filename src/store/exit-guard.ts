/**
 * Keeps the process from ending in the middle of a transaction. `process.exit()` stops other threads between two statements; if
 * that is inside a transaction, the library waits in its own cleanup for a lock that the stopped thread holds, and the process
 * never ends. So an exit waits for the transaction under way, and no other begins.
 */
export interface ExitGuard {
  /** Shared with the thread that writes: pass it to {@link guarded} there. */
  readonly cells: Int32Array
  /** Call it when the thread has ended. */
  release(): void
}

const busy = 0
const stopping = 1
/** A transaction takes milliseconds, except on a disk, or behind another process, that does not answer. */
const patienceMs = 10_000

const guards = new Set<Int32Array>()

/** Makes a guard, and listens for the exit of the process as long as there is one. */
export function createExitGuard(): ExitGuard {
  const cells = new Int32Array(new SharedArrayBuffer(8))
  if (guards.size === 0) process.on('exit', waitForAll)
  guards.add(cells)
  return {
    cells,
    release() {
      guards.delete(cells)
      if (guards.size === 0) process.off('exit', waitForAll)
    },
  }
}

/** Runs a transaction in the thread that writes. Throws a plain `Error` when the process is about to end. */
export function guarded<Result>(cells: Int32Array, transaction: () => Result): Result {
  Atomics.store(cells, busy, 1)
  try {
    if (Atomics.load(cells, stopping) === 1) throw new Error('The process is about to end.')
    return transaction()
  } finally {
    Atomics.store(cells, busy, 0)
    Atomics.notify(cells, busy)
  }
}

function waitForAll(): void {
  const end = Date.now() + patienceMs
  for (const cells of guards) Atomics.store(cells, stopping, 1)
  for (const cells of guards) {
    while (Atomics.load(cells, busy) === 1 && Date.now() < end) Atomics.wait(cells, busy, 1, end - Date.now())
  }
}
