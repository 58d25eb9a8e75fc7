import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { UltraFastRAG, type UltraFastRAGOptions } from 'ultrafast-rag'

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
  /** Of all threads together. */
  readonly cpuMs: number
  /** The same documents without an embedder: read, cut, stored, their words indexed. */
  readonly readingMs: number
  /** The rest, from what the embedder says of itself: how long it was at work. */
  readonly embeddingMs: number
}

/** Ingests PDFs with a neural model, and the same without it, to tell how far reading and embedding overlap. */
export default async function overlappedIngest(task: OverlapTask): Promise<OverlapResult> {
  const { model, storage } = task
  const embedder = { kind: 'onnx', model, quantization: 'int8' } as const
  const common = { root: task.folder, cacheEmbeddings: false }
  const reading = new UltraFastRAG({ ...common, embedder: false, storage: `${storage}-words` })
  const files = await chooseFiles(reading, task)
  const alone = await timed({ ...common, embedder: false, storage: `${storage}-alone` }, files)
  const whole = await timed({ ...common, embedder, storage }, files)
  return { ...whole, readingMs: alone.wallMs, embeddingMs: whole.embeddingMs }
}

/** The first files that hold so many pages together. */
async function chooseFiles(rag: UltraFastRAG, { folder, pages }: OverlapTask): Promise<string[]> {
  const files: string[] = []
  let count = 0
  for (const name of readdirSync(folder).sort()) {
    if (count >= pages) break
    await rag.ingest([join(folder, name)], {
      onProgress: (progress) => void (count += progress.stage === 'committed' ? progress.pages : 0),
    })
    files.push(join(folder, name))
  }
  await rag.close()
  return files
}

async function timed(options: UltraFastRAGOptions, files: readonly string[]) {
  const rag = new UltraFastRAG(options)
  await rag.warmUp()
  let pages = 0
  const [began, used] = [performance.now(), process.cpuUsage()]
  const { chunks } = await rag.ingest(files, { onProgress: (progress) => void (pages = progress.pages) })
  const wallMs = performance.now() - began
  const { system, user } = process.cpuUsage(used)
  const { embedder } = await rag.stats()
  await rag.close()
  const embeddingMs = embedder === undefined ? 0 : (embedder.texts * 1000) / embedder.textsPerSecond
  return { pages, chunks, wallMs, cpuMs: (system + user) / 1000, embeddingMs }
}
