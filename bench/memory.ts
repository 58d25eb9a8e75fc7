import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IngestResult, IngestTask } from './children/ingest-folder.js'
import type { ReleasedIndex } from './children/release-index.js'
import type { Bench } from './lib/bench.js'
import { quantile } from './lib/measure.js'
import { writePdfFiles } from './lib/pdf-files.js'
import { writeTextFiles } from './lib/text-files.js'

/** Pages of each PDF file of the comparison. */
const pagesPerFile = 100

/**
 * Does memory grow with the input? Ten times the text, and ten times the PDFs, storage on disk; one PDF of 5,000 pages under a budget of
 * 512 MiB; and are reported index bytes true? Each in a fresh process, three times (once with `--quick`), medians.
 */
const bench: Bench = async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  const run = async (input: string, root: string, options: IngestTask['options'] = {}) => {
    const runs = []
    for (let round = 0; round < (context.quick ? 1 : 3); round++) {
      const task: IngestTask = { root, storage: `${root}-store`, options }
      const { result } = await context.child<IngestResult>('children/ingest-folder.ts', task)
      const { result: index } = await context.child<ReleasedIndex>('children/release-index.ts', task.storage)
      rmSync(task.storage, { recursive: true, force: true })
      runs.push({ ...result, ...index })
    }
    rmSync(root, { recursive: true, force: true })
    return { input, ...medians(runs) }
  }
  const runText = (megabytes: number) =>
    run(`${megabytes} MB of text`, writeTextFiles(join(folder, `${megabytes}`), { megabytes, documentKilobytes: 250 }))
  const runPdf = async (files: number, pages: number, options?: IngestTask['options']) => {
    const root = await writePdfFiles(join(folder, `pdf-${files}`), { files, pages })
    const reading = await run(`${files} PDFs of ${pages} pages`, root, options)
    if (reading.pages !== files * pages) throw new Error(`Of ${files * pages} pages ${reading.pages} were read.`)
    return reading
  }
  try {
    const [small, large] = [await runText(10), await runText(100)]
    const [fewPdfs, manyPdfs] = [await runPdf(25, pagesPerFile), await runPdf(250, pagesPerFile)]
    const onePdf = await runPdf(1, 5_000, { maxMemoryMb: 512 })
    context.table([
      ['input', 'chunks', 'chunks/s', 'peak anonymous MB', 'index MB', 'peak less index MB', 'released by closing MB'],
      ...[small, large, fewPdfs, manyPdfs, onePdf].map((reading) => [
        reading.input,
        reading.chunks,
        Math.round((reading.chunks * 1000) / reading.durationMs),
        inMegabytes(reading.peakBytes),
        inMegabytes(reading.indexBytes),
        inMegabytes(reading.net),
        inMegabytes(reading.released),
      ]),
    ])
    return {
      'memory.growth10x': large.net / small.net,
      'memory.growth10xPdf': manyPdfs.net / fewPdfs.net,
      'memory.peakAnonMb5000Pages': onePdf.peakBytes / 2 ** 20,
      'index.bytesPerChunk': large.indexBytes / large.chunks,
      'index.reportError': large.reportError,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export default bench

type Run = IngestResult & ReleasedIndex

/** What was read is the same in every run. */
function medians(runs: readonly Run[]) {
  const median = (read: (run: Run) => number) => quantile(runs.map(read), 0.5)
  const { chunks, pages } = runs[0] as Run
  return {
    chunks,
    pages,
    durationMs: median(({ durationMs }) => durationMs),
    peakBytes: median(({ peakBytes }) => peakBytes),
    indexBytes: median(({ indexBytes }) => indexBytes),
    net: median(({ indexBytes, peakBytes }) => peakBytes - indexBytes),
    released: median(({ released }) => released),
    reportError: median(({ released, reported }) => Math.abs(reported - released) / reported),
  }
}

function inMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}
