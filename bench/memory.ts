import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IngestResult, IngestTask } from './children/ingest-folder.js'
import type { Bench } from './lib/bench.js'
import { writePdfFiles } from './lib/pdf-files.js'
import { writeTextFiles } from './lib/text-files.js'

/** Pages of each PDF file of the comparison. */
const pagesPerFile = 100

/**
 * Does memory grow with the input? Ten times the text, and ten times the PDFs, each in a fresh process, storage on disk; one PDF of 5,000
 * pages under a budget of 512 MiB; and are reported index bytes true?
 */
const bench: Bench = async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  const run = async (input: string, root: string, options: IngestTask['options'] = {}) => {
    const task: IngestTask = { root, storage: `${root}-store`, options }
    const { result } = await context.child<IngestResult>('children/ingest-folder.ts', task)
    const index = await context.child<{ reported: number; released: number }>('children/release-index.ts', task.storage)
    for (const path of [root, task.storage]) rmSync(path, { recursive: true, force: true })
    return { ...result, ...index.result, input, net: result.peakBytes - result.indexBytes }
  }
  const runText = (megabytes: number) =>
    run(`${megabytes} MB of text`, writeTextFiles(join(folder, `${megabytes}`), { megabytes, documentKilobytes: 250 }))
  const runPdf = async (files: number, pages: number, options?: IngestTask['options']) =>
    run(`${files} PDFs of ${pages} pages`, await writePdfFiles(join(folder, `pdf-${files}`), { files, pages }), options)
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
