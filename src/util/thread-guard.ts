/**
 * Keeps a thread from being stopped where that would harm the whole process. `worker.terminate()` and `process.exit()` stop other
 * threads between two statements. Inside an LMDB transaction the library then waits in its own cleanup for a lock that the stopped
 * thread holds, and the process never ends; inside onnxruntime the binding throws where nobody catches, and the process aborts. So
 * whoever ends a thread, or the process, waits until the thread is out of its critical section, and no other begins.
 *
 * It listens to the exit of the thread that made it. Where that is itself a worker of the application, nothing tells when the
 * application terminates it: there, `close()` comes first.
 */
export interface ThreadGuard {
  /** Shared with the thread: pass it to {@link guarded} there. */
  readonly cells: Int32Array
  /** Whether the thread is in a critical section now. */
  readonly busy: boolean
  /**
   * Lets the thread enter no further critical section, and resolves once it is in none: with `true`, or with `false` when that takes
   * more than `patienceMs` (default 10,000). Then the thread must not be terminated.
   */
  stop(patienceMs?: number): Promise<boolean>
  /** Call it when the thread has ended. */
  release(): void
}

const busy = 0
const stopping = 1
/** A critical section takes milliseconds, except on a disk, a device or behind another process that does not answer. */
const stopPatienceMs = 10_000
/**
 * Of an exit, which cannot leave a thread behind: when this is over, it goes on and the process aborts. A batch of 0.2 s was seen to
 * take 15 s in a thread of low priority on a machine with twenty times as much to do as it has cores.
 */
const exitPatienceMs = 60_000

const guards = new Set<Int32Array>()

/** Makes the guard of one thread, and listens for the exit of the process as long as there is one. */
export function createThreadGuard(): ThreadGuard {
  const cells = new Int32Array(new SharedArrayBuffer(8))
  if (guards.size === 0) process.on('exit', waitForAll)
  guards.add(cells)
  return {
    cells,
    get busy() {
      return Atomics.load(cells, busy) === 1
    },
    async stop(patienceMs = stopPatienceMs) {
      const end = Date.now() + patienceMs
      Atomics.store(cells, stopping, 1)
      while (Atomics.load(cells, busy) === 1) {
        const left = end - Date.now()
        if (left <= 0) return false
        await Atomics.waitAsync(cells, busy, 1, left).value
      }
      return true
    },
    release() {
      guards.delete(cells)
      if (guards.size === 0) process.off('exit', waitForAll)
      leave(cells)
    },
  }
}

/**
 * Runs a critical section in the guarded thread, to its end or, when it gives a promise, until that has settled. One at a time. Throws
 * a plain `Error` when the thread or the process is about to end.
 */
export function guarded<Result>(cells: Int32Array, section: () => Result): Result {
  Atomics.store(cells, busy, 1)
  let waits = false
  try {
    if (Atomics.load(cells, stopping) === 1) throw new Error('The thread is about to end.')
    const result = section()
    if (!(result instanceof Promise)) return result
    waits = true
    return result.finally(() => leave(cells)) as Result
  } finally {
    if (!waits) leave(cells)
  }
}

function leave(cells: Int32Array): void {
  Atomics.store(cells, busy, 0)
  Atomics.notify(cells, busy)
}

function waitForAll(): void {
  const end = Date.now() + exitPatienceMs
  for (const cells of guards) Atomics.store(cells, stopping, 1)
  for (const cells of guards) {
    while (Atomics.load(cells, busy) === 1 && Date.now() < end) Atomics.wait(cells, busy, 1, end - Date.now())
  }
}
