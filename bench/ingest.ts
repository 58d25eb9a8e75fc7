import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { modelFolder } from '../test/fixtures/models/model-folder.js'
import type { EditedResult, EditedTask } from './children/edited-ingest.js'
import type { IngestResult, IngestTask } from './children/ingest-folder.js'
import type { OverlapResult, OverlapTask } from './children/overlapped-ingest.js'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import { measureAgainstPeers } from './lib/ingest-against-peers.js'
import { withMadeData } from './lib/made-data.js'
import { quantile } from './lib/measure.js'
import { writeTextFiles } from './lib/text-files.js'

/**
 * How fast is an ingest, from the call until everything is found by words and vectors and written, and does it leave the event loop free? Text in large and
 * in small files, and PDFs (made ones without the measuring data), each in a fresh process; of the loop the worst of the three counts. How far do reading and embedding overlap, and how
 * fast is an ingest again when a twentieth of the documents was edited? Both with weights of the shape of all-MiniLM-L6-v2 in int8. And how long
 * do others take for the same PDFs?
 */
const bench: Bench = async (given) => {
  const context = await withMadeData(given)
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  const rows: (string | number)[][] = [
    ['input', 'rate', 'committed after s', 'fit s', 'resolved after s', 'delay p99 ms', 'max ms', 'lost share'],
  ]
  const runs = { text: [] as IngestResult[], small: [] as IngestResult[], pdf: [] as IngestResult[] }
  const ingest = async (kind: keyof typeof runs, root: string) => {
    const task: IngestTask = { root, storage: join(folder, `store-${kind}-${runs[kind].length}`) }
    const { result } = await context.child<IngestResult>('children/ingest-folder.ts', task)
    runs[kind].push(result)
    const { what, unit } = inputs[kind]
    rows.push([
      kind === 'pdf' ? `${result.pages} ${what}` : what,
      `${perSecond(result, unit)} ${unit}/s`,
      ...spans(result),
      ...cells(result.delay),
    ])
  }
  const metrics: Metrics = {}
  try {
    const text = writeTextFiles(join(folder, 'text'), { megabytes: 30, documentKilobytes: 50 })
    for (let run = 0; run < (context.quick ? 1 : 5); run++) await ingest('text', text)
    metrics['throughput.chunksPerSecondDefault'] = median(runs.text.map((result) => perSecond(result, 'chunks')))
    const small = writeTextFiles(join(folder, 'small'), { megabytes: 10, documentKilobytes: 2 })
    for (let run = 0; run < (context.quick ? 1 : 3); run++) await ingest('small', small)
    metrics['throughput.smallFilesPerSecond'] = median(runs.small.map((result) => perSecond(result, 'documents')))
    const pdfs = join(context.data, 'pdf', 'good')
    for (let run = 0; run < (context.quick ? 1 : 3); run++) await ingest('pdf', pdfs)
    metrics['throughput.pdfPagesPerSecond'] = median(runs.pdf.map((result) => perSecond(result, 'pages')))
    Object.assign(metrics, await measureOverlap(pdfs, join(folder, 'overlap'), context))
    Object.assign(metrics, await measureAgainstPeers(context))
    Object.assign(metrics, await measureIncremental(folder, context))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  context.table(rows)
  const delays = Object.values(runs).map((results) => results.map(({ delay }) => delay))
  return {
    ...metrics,
    'loopDelay.p99Ms': Math.max(...delays.map((some) => median(some.map(({ p99Ms }) => p99Ms)))),
    'loopDelay.maxMs': Math.max(...delays.flat().map(({ maxMs }) => maxMs)),
    'loopDelay.lostShare': Math.max(...delays.map((some) => median(some.map(({ lostShare }) => lostShare)))),
  }
}

export default bench

const inputs = {
  text: { what: '30 MB of text', unit: 'chunks' },
  small: { what: '5,000 files of 2 kB', unit: 'documents' },
  pdf: { what: 'PDF pages', unit: 'pages' },
} as const

function spans({ committedMs, durationMs, fitMs }: IngestResult): string[] {
  return [committedMs, fitMs, durationMs].map((ms) => (ms / 1000).toFixed(1))
}

/** Pages of the PDFs that are embedded: some minutes with a model on two cores. */
const overlapPages = 150

/** `overlap.ratio` is the time of an ingest over what reading alone, embedding alone or both of them on all processors take at least. */
async function measureOverlap(pdfs: string, storage: string, { child, log }: BenchContext): Promise<Metrics> {
  const model = miniLm(join(pdfs, '..', '..', 'tokenizer', 'bert-base-uncased', 'tokenizer.json'))
  const task: OverlapTask = { model, folder: pdfs, pages: overlapPages, storage }
  const { result } = await child<OverlapResult>('children/overlapped-ingest.ts', task)
  const { chunks, cpuMs, embeddingMs, pages, readingMs, wallMs } = result
  const bound = Math.max(readingMs, embeddingMs, cpuMs / availableParallelism())
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
  log(
    `${pages} PDF pages, ${chunks} chunks with a neural model: ${seconds(wallMs)}; alone, reading takes ${seconds(readingMs)} and embedding ${seconds(embeddingMs)}, ${seconds(cpuMs)} of processors together`,
  )
  return { 'overlap.ratio': wallMs / bound }
}

const editedDocuments = 300

/** `speedup.incremental5pct` is a first ingest over the one after edits, each pair in a fresh process: the median of the pairs. */
async function measureIncremental(folder: string, { child, log, quick }: BenchContext): Promise<Metrics> {
  const model = miniLm()
  const pairs: EditedResult[] = []
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    const documents = join(folder, `edited-${round}`)
    mkdirSync(documents)
    const storage = `${documents}-store`
    const task: EditedTask = { folder: documents, model, storage, documents: editedDocuments, round }
    pairs.push((await child<EditedResult>('children/edited-ingest.ts', task)).result)
  }
  const [first, again] = [median(pairs.map(({ firstMs }) => firstMs)), median(pairs.map(({ againMs }) => againMs))]
  log(
    `${editedDocuments} documents: ${first.toFixed(0)} ms at first, ${again.toFixed(0)} ms when one in twenty was edited`,
  )
  return { 'speedup.incremental5pct': median(pairs.map(({ againMs, firstMs }) => firstMs / againMs)) }
}

function miniLm(tokenizer?: string): string {
  return modelFolder({
    size: 'minilm',
    weights: ['int8'],
    ...(tokenizer === undefined ? {} : { tokenizer: { file: tokenizer } }),
  })
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

function perSecond(result: IngestResult, unit: 'chunks' | 'documents' | 'pages'): number {
  return Math.round((result[unit] * 1000) / result.durationMs)
}

function cells({ p99Ms, maxMs, lostShare }: IngestResult['delay']): string[] {
  return [p99Ms.toFixed(1), maxMs.toFixed(1), `${(lostShare * 100).toFixed(2)}%`]
}
