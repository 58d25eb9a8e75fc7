import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MixedStoreResult, MixedStoreTask } from './children/mixed-store.js'
import type { Bench } from './lib/bench.js'
import { quantile } from './lib/measure.js'

const task = { passages: 100_000, questions: 1_000, dimensions: 384, vectorIndex: undefined }

/** How long a hybrid search of 100,000 passages on disk takes, one after the other; the vectors of the questions are given. */
const bench: Bench = async ({ child, table, log }) => {
  const storage = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  try {
    const { result } = await child<MixedStoreResult>('children/mixed-store.ts', {
      ...task,
      storage,
    } satisfies MixedStoreTask)
    const { times, filtered, stages } = result
    log(`ingested in ${(result.ingestMs / 1_000).toFixed(0)} s, ${result.hits} hits of ${times.length} questions`)
    table([
      ['100,000 passages', 'p50 ms', 'p99 ms', 'longest ms'],
      ...[['no filter', times] as const, ['one document in ten', filtered] as const].map(([name, some]) => [
        name,
        ...[0.5, 0.99, 1].map((share) => quantile(some, share).toFixed(2)),
      ]),
    ])
    table([['stage', 'p50 ms'], ...Object.entries(stages).map(([name, p50]) => [name, p50.toFixed(2)])])
    return {
      'query.p50Ms100k': quantile(times, 0.5),
      'query.p99Ms100k': quantile(times, 0.99),
      'filtered.p50Ms100k': quantile(filtered, 0.5),
      'filtered.p99Ms100k': quantile(filtered, 0.99),
    }
  } finally {
    rmSync(storage, { recursive: true, force: true })
  }
}
export default bench
