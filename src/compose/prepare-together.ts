import { stat } from 'node:fs/promises'
import { MessageChannel } from 'node:worker_threads'
import { pagesPerStretch } from '../extract/pdf-pages.js'
import type { Recorder } from '../performance/types.js'
import type { PreparedDocument, PreparedPart, PreparedSummary, PrepareRequest } from '../pipelines/steps/prepare.js'
import { followSignal } from '../util/abort.js'
import type { MemoryBudget } from '../util/memory-budget.js'
import { sendThrough } from '../util/port-stream.js'
import type { TaskOptions, WorkerPool } from '../util/worker-pool.js'
import type { LaneRequest } from './prepare.worker.js'

export interface PrepareTogetherOptions {
  readonly pool: WorkerPool
  readonly signal: AbortSignal | undefined
  readonly timeoutMs: number
  /** A document is read by so many threads that they hold it in a quarter of this together; by one while memory is short. */
  readonly memory: MemoryBudget
  readonly recorder: Recorder
}

/** Pieces that wait between a thread and the pipeline. */
const creditBytes = 1 << 20
/** Pages of another thread that wait for their turn: a stretch of them. */
const laneCreditBytes = 2 << 20
/** Smaller files are read before a second thread has opened them. */
const leastSplitBytes = 1 << 20
/** As for their pages. */
const leastSplitPages = 256

/**
 * Prepares a document in a thread of the pool. A large one whose format allows it is read by the threads that are idle together: they read
 * and lay out stretches of pages in turn, one of them joins and cuts them.
 */
export async function* prepareTogether(request: PrepareRequest, options: PrepareTogetherOptions): PreparedDocument {
  const { pool, recorder, signal, timeoutMs } = options
  const readers = await countReaders(request, options)
  if (readers < 2) {
    return yield* pool.stream<PreparedPart, PreparedSummary>(
      { type: 'prepare', payload: { request, ports: [] } },
      { signal, timeoutMs, creditBytes },
    )
  }
  recorder.count('ingest.readTogether')
  const run = followSignal(signal)
  const call: TaskOptions = { signal: run.signal, timeoutMs }
  const channels = Array.from({ length: readers - 1 }, () => new MessageChannel())
  const ports = channels.map(({ port2 }) => port2)
  // All of them begin now, while there are threads for them: one that had to wait for another would wait for ever.
  const document = pool.stream<PreparedPart, PreparedSummary>(
    { type: 'prepare', payload: { request, ports }, transfer: ports },
    { ...call, creditBytes },
  )
  let next = document.next()
  const lanes = channels.map(({ port1 }, index) => {
    const payload: LaneRequest = { request, lane: index + 1, lanes: readers }
    const read = pool.stream({ type: 'lane', payload }, { ...call, creditBytes: laneCreditBytes })
    return sendThrough(port1, read).catch(run.abort)
  })
  try {
    for (;;) {
      const { done, value } = await next
      if (done === true) return value
      yield value
      next = document.next()
    }
  } finally {
    next.catch(() => {}) // Thrown above, or the reader has left.
    run.abort('The document is through.')
    // A document that was not begun reads no port, and closes none.
    for (const { port1 } of channels) port1.close()
    await Promise.all(lanes)
    run.dispose()
  }
}

/** How many threads should read a document: 1 unless it is large, can be split, and there are threads and memory for more. */
async function countReaders(
  request: PrepareRequest,
  { memory, pool, signal, timeoutMs }: PrepareTogetherOptions,
): Promise<number> {
  const { source } = request
  if (source.kind !== 'file' || pool.idle < 2 || memory.share() < 1) return 1
  // Whatever is wrong with it is told when it is read.
  const { size } = await stat(source.path).catch(() => ({ size: 0 }))
  const affordable = Math.floor(memory.maxBytes / 4 / size)
  if (size < leastSplitBytes || affordable < 2 || pool.idle < 2) return 1
  const pages = await pool.run<number>({ type: 'pages', payload: request }, { signal, timeoutMs }).catch(() => 0) // As above.
  if (pages < leastSplitPages) return 1
  return Math.min(pool.idle, affordable, Math.ceil(pages / pagesPerStretch))
}
