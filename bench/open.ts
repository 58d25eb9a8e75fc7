import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bench } from './lib/bench.js'
import { quantile } from './lib/measure.js'

const chunks = 100_000

/** How long from opening a store of 100,000 chunks to the first answer: closed cleanly (page cache warm), and after a crash. */
const bench: Bench = async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  try {
    const clean = join(folder, 'clean')
    const crashed = join(folder, 'crashed')
    const { result: made } = await context.child<number>('children/fill-store.ts', {
      storage: clean,
      chunks,
      crash: false,
    })
    await context.child<number>('children/fill-store.ts', { storage: crashed, chunks, crash: true })
    const open = async (storage: string) =>
      (await context.child<{ firstQueryMs: number; hits: number }>('children/open-store.ts', { storage, kill: true }))
        .result
    const afterCrash = await open(crashed)
    const times: number[] = []
    for (let run = 0; run < (context.quick ? 3 : 9); run++) times.push((await open(clean)).firstQueryMs)
    const median = quantile(times, 0.5)
    context.table([
      ['store', 'chunks', 'first query'],
      [
        'closed cleanly',
        made,
        `${median.toFixed(0)} ms (${Math.min(...times).toFixed(0)}-${Math.max(...times).toFixed(0)})`,
      ],
      ['after a crash', made, `${afterCrash.firstQueryMs.toFixed(0)} ms`],
    ])
    return { 'open.firstQueryMs100k': median, 'open.firstQueryAfterCrashMs100k': afterCrash.firstQueryMs }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export default bench
