import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { AsyncEmbedding, type Embedder, UltraFastRAG, type UltraFastRAGOptions } from 'ultrafast-rag'
import { byHash } from '../lib/peer-corpus.js'

export interface OverlapTask {
  /** Folder of the model. */
  readonly model: string
  readonly folder: string
  /** Pages after which no further file is taken. */
  readonly pages: number
  readonly storage: string
}

export interface OverlapResult {
  readonly pages: number
  readonly chunks: number
  readonly wallMs: number
  /** The same documents without an embedder: read, cut, stored, their words indexed. */
  readonly readingMs: number
  /** The same passages embedded when nothing else is done. */
  readonly embeddingMs: number
  /** Processor time of these two, all threads together. */
  readonly cpuMs: number
}

/** Pages of a file at most: a longer one would be most of what is read. */
const longestFile = 30

/** Ingests PDFs with a neural model, and does the reading and the embedding alone, to tell how far they overlap. */
export default async function overlappedIngest(task: OverlapTask): Promise<OverlapResult> {
  const { model, storage } = task
  const embedder = { kind: 'onnx', model, quantization: 'int8' } as const
  const { files, passages } = await chooseFiles(task)
  const common = { root: task.folder, cacheEmbeddings: false }
  const reading = await ingest({ ...common, embedder: false, storage: `${storage}-alone` }, files)
  const embedding = await embedAlone(embedder, passages)
  const whole = await ingest({ ...common, embedder, storage }, files)
  return {
    pages: whole.pages,
    chunks: whole.chunks,
    wallMs: whole.wallMs,
    readingMs: reading.wallMs,
    embeddingMs: embedding.wallMs,
    cpuMs: reading.cpuMs + embedding.cpuMs,
  }
}

/** Short files, in an order that their names' hashes give, until they hold so many pages together, with what is embedded of them. */
async function chooseFiles({ folder, pages, storage }: OverlapTask) {
  const files: string[] = []
  const passages: string[] = []
  let count = 0
  for (const name of readdirSync(folder).sort(byHash)) {
    if (count >= pages) break
    const file = join(folder, name)
    const given: string[] = []
    const rag = new UltraFastRAG({ root: folder, embedder: noting(given), storage: `${storage}-${name}` })
    let inFile = 0
    const { failed } = await rag.ingest([file], { onProgress: (progress) => void (inFile = progress.pages) })
    await rag.close()
    if (failed.length > 0 || inFile > longestFile) continue
    files.push(file)
    passages.push(...given)
    count += inFile
  }
  return { files, passages }
}

/** Keeps the texts and embeds none. */
function noting(texts: string[]): Embedder {
  return {
    id: 'noting',
    fingerprint: 'noting',
    dimensions: 2,
    capabilities: { fitted: false, batchSize: 64 },
    embed: async (given) => {
      texts.push(...given)
      return { vectors: Float32Array.from({ length: 2 * given.length }, (_, i) => 1 - (i % 2)), failed: [], tokens: 0 }
    },
    close: async () => {},
  }
}

async function ingest(options: UltraFastRAGOptions, files: readonly string[]) {
  const rag = new UltraFastRAG(options)
  await rag.warmUp()
  let pages = 0
  const onProgress = (progress: { readonly pages: number }) => void (pages = progress.pages)
  const { result, ...times } = await timed(() => rag.ingest(files, { onProgress }))
  await rag.close()
  if (result.failed[0] !== undefined) throw result.failed[0].error
  return { ...times, pages, chunks: result.chunks }
}

async function embedAlone(embedder: UltraFastRAGOptions['embedder'], passages: readonly string[]) {
  const embedding = new AsyncEmbedding({ embedder: embedder as NonNullable<typeof embedder> })
  await embedding.warmUp()
  const { result, ...times } = await timed(() => embedding.embedBatch(passages))
  await embedding.close()
  if (result.failed[0] !== undefined) throw result.failed[0].error
  return times
}

async function timed<Result>(run: () => Promise<Result>) {
  const [began, used] = [performance.now(), process.cpuUsage()]
  const result = await run()
  const wallMs = performance.now() - began
  const { system, user } = process.cpuUsage(used)
  return { result, wallMs, cpuMs: (system + user) / 1000 }
}
