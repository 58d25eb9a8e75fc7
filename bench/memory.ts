import type { Bench } from './lib/bench.js'
import type { IngestTextResult, IngestTextTask } from './work/ingest-text.js'

/** Does memory grow with the input? 100 MB of text against 10 MB, each in a fresh process, storage on disk; and are reported index bytes true? */
const bench: Bench = async (context) => {
  const rows: (string | number)[][] = [
    ['text', 'chunks', 'MB/s', 'peak anonymous MB', 'index MB', 'peak less index', 'index report error'],
  ]
  const net: number[] = []
  let large: IngestTextResult | undefined
  let reportError = Number.NaN
  for (const megabytes of [10, 100]) {
    const task: IngestTextTask = { megabytes, documentKilobytes: 250 }
    const { result } = await context.child<IngestTextResult>('work/ingest-text.ts', task)
    const { chunks, durationMs, indexBytes, peakBytes, releasedBytes } = result
    net.push(peakBytes - indexBytes)
    reportError = Math.abs(indexBytes - releasedBytes) / indexBytes
    large = result
    rows.push([
      `${megabytes} MB`,
      chunks,
      ((megabytes * 1000) / durationMs).toFixed(1),
      inMegabytes(peakBytes),
      inMegabytes(indexBytes),
      inMegabytes(peakBytes - indexBytes),
      `${(reportError * 100).toFixed(1)}% (released ${inMegabytes(releasedBytes)} MB)`,
    ])
  }
  context.table(rows)
  return {
    'memory.growth10x': (net[1] as number) / (net[0] as number),
    'index.bytesPerChunk': (large as IngestTextResult).indexBytes / (large as IngestTextResult).chunks,
    'index.reportError': reportError,
  }
}

export default bench

function inMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}
