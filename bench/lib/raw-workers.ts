import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** Inputs of one pass, padded. */
export interface RawBatch {
  readonly ids: BigInt64Array
  readonly mask: BigInt64Array
  readonly rows: number
  readonly width: number
}

/** Worker threads with one bare session each (`bench/children/raw-session.mjs`), ready to run. End them when nothing runs. */
export function startRawWorkers(options: {
  readonly weights: string
  readonly workers: number
  /** Threads within each session. */
  readonly threads: number
}): Promise<Worker[]> {
  const { weights, workers, threads } = options
  const start = async () => {
    const worker = new Worker(new URL('../children/raw-session.mjs', import.meta.url), {
      workerData: { weights, threads },
      execArgv: [],
    })
    await once(worker, 'message')
    return worker
  }
  return Promise.all(Array.from({ length: workers }, start))
}

/** Has the batches run by whoever is free; resolves with the milliseconds it took. */
export async function runBatches(pool: readonly Worker[], batches: readonly RawBatch[]): Promise<number> {
  const next = new Int32Array(new SharedArrayBuffer(4))
  const began = performance.now()
  await Promise.all(
    pool.map((worker) => {
      worker.postMessage({ batches, next })
      return once(worker, 'message')
    }),
  )
  return performance.now() - began
}
