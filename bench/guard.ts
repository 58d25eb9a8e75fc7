import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AutoTokenizer, env } from '@huggingface/transformers'
import { split } from 'sentence-splitter'
import { UltraFastRAG } from 'ultrafast-rag'
import { openTokenizer } from '../src/models/tokenizer.js'
import { createFlatIndex } from '../src/vector-index/flat.js'
import { modelFolder } from '../test/fixtures/models/model-folder.js'
import type { EmbedRun, OursTask } from './children/embed-ours.js'
import type { TransformersTask } from './children/embed-transformers.js'
import type { PdfReading, PdfReadingResult } from './children/pdf-read.js'
import { writeAgedFile } from './lib/aged-file.js'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import { createTextGenerator } from './lib/corpus.js'
import { checkFloors, type Floors } from './lib/floors.js'
import { type CompareOptions, type Contender, compare, formatNumber, processorTime, quantile } from './lib/measure.js'
import { writePdfFiles } from './lib/pdf-files.js'
import { sentencePassages } from './lib/retrieval.js'
import { benchVectors, extended } from './lib/vectors.js'

/**
 * Is what was fast still fast? Ratios only, each measured in turns on one machine, made documents and made weights, so that it runs anywhere and
 * in a minute or two. Fails when one is below its floor in `bench/floors.json`, each of them well below what a busy machine shows.
 */
const bench: Bench = async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-guard-'))
  const floors = JSON.parse(readFileSync(new URL('floors.json', import.meta.url), 'utf8')) as Floors
  try {
    const model = modelFolder({ size: 'minilm', weights: ['int8'] })
    const metrics: Metrics = {
      'chunk.overSentenceSplitter': await measureChunks(),
      'tokenizer.overLibrary': await measureTokenizer(model),
      'scan.overPlain': await measureScan(),
      'pdf.overPdfParse': await measurePdf(join(folder, 'pdf'), context),
      'embed.overBatch32': await measureEmbedding(model, context),
      ...(await measureFacade(model, folder)),
    }
    context.table([
      ['ratio', 'measured', 'floor'],
      ...Object.entries(metrics).map(([key, value]) => [key, formatNumber(value), floors[key] ?? 'none']),
    ])
    checkFloors(metrics, floors)
    return metrics
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export default bench

const turns: CompareOptions = { warmup: 2, blocks: 3, repetitions: 3, clock: processorTime }

/** How much longer the second takes than the first; processor time, since others may use the machine. */
async function ratioOf(
  ours: Contender['run'],
  theirs: Contender['run'],
  options: CompareOptions = turns,
): Promise<number> {
  const [, second] = await compare(
    [
      { name: 'ours', run: ours },
      { name: 'theirs', run: theirs },
    ],
    options,
  )
  return second?.ratio ?? Number.NaN
}

async function measureChunks(): Promise<number> {
  const text = createTextGenerator(2).document(40_000)
  const cut = sentencePassages()
  // Ours is over before a clock has ticked.
  const times = 20
  const ours = () => {
    for (let i = 0; i < times; i++) cut(text)
  }
  return (await ratioOf(ours, () => split(text))) * times
}

async function measureTokenizer(model: string): Promise<number> {
  const texts = madeTexts(300, 400)
  env.allowRemoteModels = false
  env.localModelPath = '/'
  const [ours, theirs] = [await openTokenizer(model), await AutoTokenizer.from_pretrained(model)]
  return ratioOf(
    () => ours.encode(texts, { maxTokens: 512 }),
    () => theirs([...texts], { truncation: true, return_tensor: false }),
  )
}

async function measureScan(): Promise<number> {
  const vectors = await benchVectors(undefined)
  const { dimensions } = vectors
  const count = 20_000
  const rows = extended(vectors, count)
  const flat = createFlatIndex({ dimensions, fingerprint: 'guard' })
  const update = flat.update()
  for (let first = 0; first < count; first += 1_000) {
    const numbers = Array.from({ length: 1_000 }, (_, i) => first + i)
    await update.add(numbers, rows.subarray(first * dimensions, (first + 1_000) * dimensions))
  }
  await update.publish(1)
  const question = vectors.questions.slice(0, dimensions)
  const scan = () => {
    const scores: number[] = []
    for (let start = 0; start < rows.length; start += dimensions) {
      let sum = 0
      for (let i = 0; i < dimensions; i++) sum += (rows[start + i] as number) * (question[i] as number)
      scores.push(sum)
    }
    return scores
  }
  const ratio = await ratioOf(() => flat.search(question, { topK: 10 }), scan, { ...turns, repetitions: 10 })
  await flat.close()
  return ratio
}

async function measurePdf(folder: string, { child }: BenchContext): Promise<number> {
  await writePdfFiles(folder, { files: 4, pages: 20 })
  const files = readdirSync(folder).map((name) => join(folder, name))
  const read = async (rival?: string) => {
    const reading: PdfReading = { files, rounds: 1, withText: false, ...(rival === undefined ? {} : { rival }) }
    return (await child<PdfReadingResult>('children/pdf-read.ts', reading)).result.cpuMilliseconds
  }
  return (await read(import.meta.resolve('pdf-parse'))) / (await read())
}

async function measureEmbedding(directory: string, { child }: BenchContext): Promise<number> {
  const texts = Array.from(
    { length: 96 },
    (_, i) => madeTexts(1, [60, 200, 400, 1_500][i % 4] as number, i)[0] as string,
  )
  const ours: OursTask = { directory, quantization: 'int8', texts }
  const theirs: TransformersTask = { directory, dtype: 'q8', texts, batchSize: 32 }
  const runs = {
    ours: await child<EmbedRun>('children/embed-ours.ts', ours),
    theirs: await child<EmbedRun>('children/embed-transformers.ts', theirs),
  }
  return runs.theirs.result.durationMs / runs.ours.result.durationMs
}

const documents = 100

/** A question asked again, a folder ingested again, and again when one document in twenty was edited: against the first time. */
async function measureFacade(model: string, folder: string): Promise<Metrics> {
  const root = join(folder, 'files')
  const texts = madeTexts(documents, 800)
  const paths = texts.map((_, i) => join(folder, `document-${i}.txt`))
  for (const [i, path] of paths.entries()) writeAgedFile(path, texts[i] as string)
  const rag = new UltraFastRAG({
    root: folder,
    storage: `${root}-store`,
    embedder: { kind: 'onnx', model, quantization: 'int8' },
    cacheEmbeddings: false,
  })
  await rag.warmUp()
  const first = await timed(() => rag.ingest(paths))
  const unchanged: number[] = []
  const edited: number[] = []
  for (let round = 0; round < 3; round++) {
    unchanged.push(await timed(() => rag.ingest(paths)))
    for (let i = round; i < paths.length; i += 20) writeFileSync(paths[i] as string, `${texts[i]}\n\nRound ${round}.\n`)
    edited.push(await timed(() => rag.ingest(paths)))
  }
  const asked: number[] = []
  const again: number[] = []
  for (const question of madeTexts(30, 60, 9)) {
    asked.push(await timed(() => rag.query(question)))
    for (let i = 0; i < 10; i++) again.push(await timed(() => rag.query(question)))
  }
  await rag.close()
  const median = (times: readonly number[]) => quantile(times, 0.5)
  return {
    'cache.repeatedQuestion': median(asked) / median(again),
    'ingest.unchanged': first / median(unchanged),
    'ingest.editedTwentieth': first / median(edited),
  }
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await run()
  return performance.now() - began
}

function madeTexts(count: number, characters: number, seed = 3): string[] {
  const generator = createTextGenerator(seed)
  return Array.from({ length: count }, () => generator.document(characters).slice(0, characters))
}
