import { appendFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bench, BenchContext } from './lib/bench.js'
import { quantile } from './lib/measure.js'
import { bytesOf, type IndexChoice } from './lib/vector-indexes.js'
import { benchVectors, extendedBatches } from './lib/vectors.js'

const chunks = 100_000
const vectors = 1_000_000

/**
 * How long from opening a store of 100,000 chunks to the first answer: closed cleanly (page cache warm), and after a crash. Then the same of an index
 * of a million vectors, in full runs only: it is built once per machine, which takes a quarter of an hour, and kept in the folder for temporary files.
 */
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
    return {
      'open.firstQueryMs100k': median,
      'open.firstQueryAfterCrashMs100k': afterCrash.firstQueryMs,
      ...(context.quick ? {} : { 'open.firstQueryMs1m': await openMillion(context, folder) }),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export default bench

/** Graphs of the coarsest kind: they open as any others do, and are built in a third of the time. */
const fastest = { kind: 'usearch', quantization: 'i8', M: 8, efConstruction: 32 } as const

/** From opening an index of a million vectors of 384 dimensions to its first answer, with the page cache warm. */
async function openMillion({ child, log, table }: BenchContext, folder: string): Promise<number> {
  const made = await benchVectors(undefined)
  const { dimensions } = made
  const queriesFile = join(folder, 'queries')
  writeFileSync(queriesFile, bytesOf(made.questions.slice(0, 20 * dimensions)))
  const directory = join(tmpdir(), 'ufrag-bench-1m-1')
  const choice: IndexChoice & { directory: string; dimensions: number } = { ...fastest, directory, dimensions }
  if (!existsSync(directory)) {
    const rowsFile = join(folder, 'rows')
    for (const rows of extendedBatches(made, vectors)) appendFileSync(rowsFile, bytesOf(rows))
    const unfinished = `${directory}-unfinished`
    rmSync(unfinished, { recursive: true, force: true })
    mkdirSync(unfinished, { recursive: true })
    const built = await child<{ buildMs: number }>('children/index-build.ts', {
      ...choice,
      directory: unfinished,
      rowsFile,
    })
    rmSync(rowsFile)
    renameSync(unfinished, directory)
    log(`${vectors} vectors were built in ${(built.result.buildMs / 60_000).toFixed(1)} minutes`)
  }
  const times: number[] = []
  const searches: number[] = []
  let peak = 0
  // Once without a clock: the page cache is warm then.
  for (let run = 0; run < 6; run++) {
    const opened = await child<{ firstAnswerMs: number; searchMs: number[] }>('children/index-search.ts', {
      ...choice,
      queriesFile,
    })
    if (run === 0) continue
    times.push(opened.result.firstAnswerMs)
    searches.push(...opened.result.searchMs)
    peak = Math.max(peak, opened.peakAnonymousBytes)
  }
  const median = quantile(times, 0.5)
  table([
    ['index', 'vectors', 'first answer', 'search p50', 'anonymous memory'],
    [
      'closed cleanly',
      vectors,
      `${median.toFixed(0)} ms (${Math.min(...times).toFixed(0)}-${Math.max(...times).toFixed(0)})`,
      `${quantile(searches, 0.5).toFixed(1)} ms`,
      `${(peak / 2 ** 20).toFixed(0)} MB`,
    ],
  ])
  return median
}
