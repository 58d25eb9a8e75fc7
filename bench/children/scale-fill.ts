import { type Dirent, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { silentEmbedder } from '../lib/given-vectors.js'
import { mixedDocuments, passagesPerDocument } from '../lib/mixed-corpus.js'

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

/**
 * Fills a store with made passages and their vectors, and closes it when nothing goes on in the background any more. All passages are made before the
 * clock runs: a million take 2 GB.
 */
export default async function fill({ chunks, dimensions, storage }: ScaleTask): Promise<FillResult> {
  const documents = madeDocuments(chunks, dimensions)
  globalThis.gc?.()
  const rag = new UltraFastRAG({ storage, embedder: silentEmbedder(dimensions), cache: false })
  const began = performance.now()
  const { failed } = await rag.ingest(documents)
  if (failed[0] !== undefined) throw failed[0].error
  const ingestMs = performance.now() - began
  await rag.settled()
  const settledMs = performance.now() - began
  await rag.close()
  return { ingestMs, settledMs, diskBytes: sizeOf(storage) }
}

function madeDocuments(chunks: number, dimensions: number) {
  const documents = []
  // One array for all vectors: a million of their own would be a million things for the collector to look after.
  const vectors = new Float32Array(Math.ceil(chunks / passagesPerDocument) * passagesPerDocument * dimensions)
  let end = 0
  const kept = (vector: Float32Array) => {
    vectors.set(vector, end)
    end += dimensions
    return vectors.subarray(end - dimensions, end)
  }
  for (const { id, metadata, passages } of mixedDocuments(chunks, { dimensions, seed: 5 })) {
    documents.push({ id, metadata, chunks: passages.map(({ text, vector }) => ({ text, vector: kept(vector) })) })
  }
  return documents
}

function sizeOf(folder: string): number {
  const entries: Dirent[] = readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return files.reduce((sum, { name, parentPath }) => sum + statSync(join(parentPath, name)).size, 0)
}
