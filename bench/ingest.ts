import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { modelFolder } from '../test/fixtures/models/model-folder.js'
import type { IngestResult, IngestTask } from './children/ingest-folder.js'
import type { OverlapResult, OverlapTask } from './children/overlapped-ingest.js'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import { createTextGenerator } from './lib/corpus.js'
import { measureAgainstPeers } from './lib/ingest-against-peers.js'
import { quantile } from './lib/measure.js'
import { writeTextFiles } from './lib/text-files.js'

/**
 * How fast is an ingest, and does it leave the event loop free? Text, and PDFs where the measuring data is there, each in a fresh process. How
 * far do reading and embedding overlap, and how fast is an ingest again when a twentieth of the documents was edited? Both with weights of the
 * shape of all-MiniLM-L6-v2 in int8. And how long do others take for the same PDFs?
 */
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
      Object.assign(metrics, await measureOverlap(pdfs, join(folder, 'overlap'), context))
      Object.assign(metrics, await measureAgainstPeers(context))
    }
    Object.assign(metrics, await measureIncremental(folder, context))
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

/** Pages of the PDFs that are embedded: some minutes with a model on two cores. */
const overlapPages = 150

async function measureOverlap(pdfs: string, storage: string, { child, log }: BenchContext): Promise<Metrics> {
  const model = miniLm(join(pdfs, '..', '..', 'tokenizer', 'bert-base-uncased', 'tokenizer.json'))
  const task: OverlapTask = { model, folder: pdfs, pages: overlapPages, storage }
  const { result } = await child<OverlapResult>('children/overlapped-ingest.ts', task)
  const { chunks, cpuMs, embeddingMs, pages, readingMs, wallMs } = result
  const bound = Math.max(readingMs, embeddingMs, cpuMs / availableParallelism())
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
  log(
    `${pages} PDF pages, ${chunks} chunks with a neural model: ${seconds(wallMs)}; reading alone ${seconds(readingMs)}, the embedder at work ${seconds(embeddingMs)}, processors ${seconds(cpuMs)}`,
  )
  return { 'overlap.ratio': wallMs / bound }
}

const editedDocuments = 300

async function measureIncremental(folder: string, { log, quick }: BenchContext): Promise<Metrics> {
  const { document } = createTextGenerator(5)
  const paths = Array.from({ length: editedDocuments }, (_, i) => join(folder, `edited-${i}.txt`))
  const texts = paths.map(() => document(1_500))
  for (const [i, path] of paths.entries()) writeFileSync(path, texts[i] as string)
  const rag = new UltraFastRAG({
    root: folder,
    storage: join(folder, 'edited-store'),
    embedder: { kind: 'onnx', model: miniLm(), quantization: 'int8' },
  })
  await rag.warmUp()
  const timed = async (): Promise<number> => (await rag.ingest(paths)).durationMs
  const first = await timed()
  const again: number[] = []
  for (let round = 0; round < (quick ? 3 : 7); round++) {
    // Every twentieth gets another paragraph at its end.
    for (let i = round; i < paths.length; i += 20) {
      texts[i] += `\n\n${document(200)}`
      writeFileSync(paths[i] as string, texts[i] as string)
    }
    again.push(await timed())
  }
  await rag.close()
  log(
    `${editedDocuments} documents: ${first.toFixed(0)} ms at first, ${median(again).toFixed(0)} ms when one in twenty was edited`,
  )
  return { 'speedup.incremental5pct': first / median(again) }
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

function rate(result: IngestResult, unit: 'chunks' | 'pages'): number {
  return Math.round((result[unit] * 1000) / result.durationMs)
}

function cells({ p99Ms, maxMs, lostShare }: IngestResult['delay']): string[] {
  return [p99Ms.toFixed(1), maxMs.toFixed(1), `${(lostShare * 100).toFixed(2)}%`]
}
