import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IngestResult, IngestTask } from './children/ingest-folder.js'
import type { Bench, Metrics } from './lib/bench.js'
import { quantile } from './lib/measure.js'
import { writeTextFiles } from './lib/text-files.js'

/** How fast is an ingest, and does it leave the event loop free? Text, and PDFs where the measuring data is there, each in a fresh process. */
const bench: Bench = async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  const rows: (string | number)[][] = [['input', 'rate', 'delay p99 ms', 'max ms', 'lost share']]
  const delays: IngestResult['delay'][] = []
  const rates: number[] = []
  let runs = 0
  const ingest = async (root: string, describe: (result: IngestResult) => string[]) => {
    const task: IngestTask = { root, storage: join(folder, `store-${runs++}`) }
    const { result } = await context.child<IngestResult>('children/ingest-folder.ts', task)
    delays.push(result.delay)
    rows.push([...describe(result), ...cells(result.delay)])
    return result
  }
  const metrics: Metrics = {}
  try {
    const text = writeTextFiles(join(folder, 'text'), { megabytes: 30, documentKilobytes: 50 })
    for (let run = 0; run < (context.quick ? 1 : 5); run++) {
      const { chunks, durationMs } = await ingest(text, (result) => [
        '30 MB of text',
        `${rate(result, 'chunks')} chunks/s`,
      ])
      rates.push((chunks * 1000) / durationMs)
    }
    metrics['throughput.chunksPerSecondDefault'] = quantile(rates, 0.5)
    if (context.data === undefined) context.log('! skipped: PDFs (no measuring data)')
    else {
      const pdfs = join(context.data, 'pdf', 'good')
      const { durationMs, pages } = await ingest(pdfs, (result) => [
        `${result.pages} PDF pages`,
        `${rate(result, 'pages')} pages/s`,
      ])
      metrics['throughput.pdfPagesPerSecond'] = (pages * 1000) / durationMs
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  context.table(rows)
  return {
    ...metrics,
    'loopDelay.p99Ms': median(delays.map(({ p99Ms }) => p99Ms)),
    'loopDelay.maxMs': median(delays.map(({ maxMs }) => maxMs)),
    'loopDelay.lostShare': median(delays.map(({ lostShare }) => lostShare)),
  }
}

export default bench

function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

function rate(result: IngestResult, unit: 'chunks' | 'pages'): number {
  return Math.round((result[unit] * 1000) / result.durationMs)
}

function cells({ p99Ms, maxMs, lostShare }: IngestResult['delay']): string[] {
  return [p99Ms.toFixed(1), maxMs.toFixed(1), `${(lostShare * 100).toFixed(2)}%`]
}
