import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { createTextGenerator } from '../lib/corpus.js'

export interface EditedTask {
  /** A folder that is empty. */
  readonly folder: string
  /** Folder of the model. */
  readonly model: string
  readonly storage: string
  readonly documents: number
  /** Which documents are edited, of each twenty. */
  readonly round: number
}

export interface EditedResult {
  readonly firstMs: number
  readonly againMs: number
}

/** Ingests documents, edits every twentieth, and ingests all again; each until `ingest()` resolved. */
export default async function ingestEdited(task: EditedTask): Promise<EditedResult> {
  const { document } = createTextGenerator(5)
  const paths = Array.from({ length: task.documents }, (_, i) => join(task.folder, `document-${i}.txt`))
  const texts = paths.map(() => document(1_500))
  for (const [i, path] of paths.entries()) writeFileSync(path, texts[i] as string)
  const embedder = { kind: 'onnx', model: task.model, quantization: 'int8' } as const
  const rag = new UltraFastRAG({ root: task.folder, storage: task.storage, embedder })
  await rag.warmUp()
  const firstMs = await timed(rag, paths)
  for (let i = task.round % 20; i < paths.length; i += 20) {
    writeFileSync(paths[i] as string, `${texts[i]}\n\n${document(200)}`)
  }
  const againMs = await timed(rag, paths)
  await rag.close()
  return { firstMs, againMs }
}

async function timed(rag: UltraFastRAG, paths: readonly string[]): Promise<number> {
  const began = performance.now()
  const { failed } = await rag.ingest(paths)
  if (failed[0] !== undefined) throw failed[0].error
  return performance.now() - began
}
