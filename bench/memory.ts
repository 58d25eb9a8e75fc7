import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IngestResult, IngestTask } from './children/ingest-folder.js'
import type { Bench } from './lib/bench.js'
import { writeTextFiles } from './lib/text-files.js'

/** Does memory grow with the input? 100 MB of text against 10 MB, each in a fresh process, storage on disk; and are reported index bytes true? */
const bench: Bench = async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  const run = async (megabytes: number) => {
    const root = writeTextFiles(join(folder, `${megabytes}`), { megabytes, documentKilobytes: 250 })
    const task: IngestTask = { root, storage: join(folder, `store-${megabytes}`) }
    const { result } = await context.child<IngestResult>('children/ingest-folder.ts', task)
    const index = await context.child<{ reported: number; released: number }>('children/release-index.ts', task.storage)
    return { ...result, ...index.result, megabytes, net: result.peakBytes - result.indexBytes }
  }
  try {
    const [small, large] = [await run(10), await run(100)]
    context.table([
      ['text', 'chunks', 'MB/s', 'peak anonymous MB', 'index MB', 'peak less index MB', 'released by closing MB'],
      ...[small, large].map((reading) => [
        `${reading.megabytes} MB`,
        reading.chunks,
        ((reading.megabytes * 1000) / reading.durationMs).toFixed(1),
        inMegabytes(reading.peakBytes),
        inMegabytes(reading.indexBytes),
        inMegabytes(reading.net),
        inMegabytes(reading.released),
      ]),
    ])
    return {
      'memory.growth10x': large.net / small.net,
      'index.bytesPerChunk': large.indexBytes / large.chunks,
      'index.reportError': Math.abs(large.reported - large.released) / large.reported,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export default bench

function inMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}
