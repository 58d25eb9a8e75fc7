import { join } from 'node:path'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import { quantile } from './lib/measure.js'
import type { IngestFilesResult } from './work/ingest-files.js'
import type { IngestTextResult, IngestTextTask } from './work/ingest-text.js'

/** Does an ingest leave the event loop free? Text, and PDFs where the measuring data is there, each in a fresh process. */
const bench: Bench = async (context) => {
  const rows: (string | number)[][] = [['input', 'rate', 'delay p99 ms', 'max ms', 'lost share']]
  const delays: IngestTextResult['delay'][] = []
  for (let run = 0; run < (context.quick ? 1 : 3); run++) {
    const task: IngestTextTask = { megabytes: 30, documentKilobytes: 50 }
    const { result } = await context.child<IngestTextResult>('work/ingest-text.ts', task)
    delays.push(result.delay)
    rows.push([
      '30 MB of text',
      `${Math.round((result.chunks * 1000) / result.durationMs)} chunks/s`,
      ...cells(result.delay),
    ])
  }
  const pages = await pdfs(context, rows, delays)
  context.table(rows)
  return {
    ...pages,
    'loopDelay.p99Ms': quantile(
      delays.map(({ p99Ms }) => p99Ms),
      0.5,
    ),
    'loopDelay.maxMs': quantile(
      delays.map(({ maxMs }) => maxMs),
      0.5,
    ),
    'loopDelay.lostShare': quantile(
      delays.map(({ lostShare }) => lostShare),
      0.5,
    ),
  }
}

export default bench

async function pdfs(
  context: BenchContext,
  rows: (string | number)[][],
  delays: IngestTextResult['delay'][],
): Promise<Metrics> {
  if (context.data === undefined) {
    context.log('! skipped: PDFs (no measuring data)')
    return {}
  }
  const { result } = await context.child<IngestFilesResult>('work/ingest-files.ts', join(context.data, 'pdf', 'good'))
  delays.push(result.delay)
  const pagesPerSecond = (result.pages * 1000) / result.durationMs
  rows.push([`${result.pages} PDF pages`, `${Math.round(pagesPerSecond)} pages/s`, ...cells(result.delay)])
  return { 'throughput.pdfPagesPerSecond': pagesPerSecond }
}

function cells({ p99Ms, maxMs, lostShare }: IngestTextResult['delay']): string[] {
  return [p99Ms.toFixed(1), maxMs.toFixed(1), `${(lostShare * 100).toFixed(2)}%`]
}
