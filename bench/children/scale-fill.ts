import { type Dirent, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { backgroundWork } from '../lib/background-work.js'
import { silentEmbedder } from '../lib/given-vectors.js'
import { mixedDocuments } from '../lib/mixed-corpus.js'

export interface ScaleTask {
  readonly storage: string
  readonly chunks: number
  readonly dimensions: number
}

export interface FillResult {
  /** Until the last document was committed, without what goes on in the background. */
  readonly ingestMs: number
  /** Until graphs were built and segments joined. */
  readonly settledMs: number
  readonly diskBytes: number
}

/** Fills a store with made passages and their vectors, and closes it when nothing goes on in the background any more. */
export default async function fill({ chunks, dimensions, storage }: ScaleTask): Promise<FillResult> {
  const rag = new UltraFastRAG({ storage, embedder: silentEmbedder(dimensions), cache: false })
  const began = performance.now()
  const { failed } = await rag.ingest(documents(chunks, dimensions))
  if (failed[0] !== undefined) throw failed[0].error
  const ingestMs = performance.now() - began
  await backgroundWork(rag)
  const settledMs = performance.now() - began
  await rag.close()
  return { ingestMs, settledMs, diskBytes: sizeOf(storage) }
}

async function* documents(chunks: number, dimensions: number) {
  for (const { id, metadata, passages } of mixedDocuments(chunks, { dimensions, seed: 5 })) {
    yield { id, metadata, chunks: passages.map(({ text, vector }) => ({ text, vector })) }
  }
}

function sizeOf(folder: string): number {
  const entries: Dirent[] = readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return files.reduce((sum, { name, parentPath }) => sum + statSync(join(parentPath, name)).size, 0)
}
