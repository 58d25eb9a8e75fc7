import { UltraFastRAG, type UltraFastRAGOptions } from 'ultrafast-rag'
import { measureLoopDelay } from '../lib/loop-delay.js'
import { anonymousBytes } from '../lib/memory.js'

export interface IngestTask {
  /** Folder with the documents. */
  readonly root: string
  readonly storage: string
  /** Of the instance, as far as they are data. */
  readonly options?: UltraFastRAGOptions
}

export interface IngestResult {
  readonly documents: number
  readonly failed: number
  readonly pages: number
  readonly chunks: number
  readonly durationMs: number
  readonly indexBytes: number
  /** Highest anonymous memory of the process during the ingest. */
  readonly peakBytes: number
  readonly delay: { readonly p99Ms: number; readonly maxMs: number; readonly lostShare: number }
}

/** Ingests a folder into a store on disk, in a process of its own, watching memory and the event loop. */
export default async function ingestFolder({ options, root, storage }: IngestTask): Promise<IngestResult> {
  const rag = new UltraFastRAG({ ...options, storage, root })
  await rag.ingestDocument({ id: 'warm', text: 'A first document, so that everything is loaded.' })
  let peakBytes = 0
  let pages = 0
  const sampler = setInterval(() => {
    peakBytes = Math.max(peakBytes, anonymousBytes() ?? Number.NaN)
  }, 20)
  const onProgress = (progress: { readonly pages: number }) => {
    pages = progress.pages
  }
  const { result, ...delay } = await measureLoopDelay(() => rag.ingest(['.'], { onProgress }))
  clearInterval(sampler)
  const { indexes } = await rag.stats()
  await rag.close()
  const { chunks, documents, durationMs, failed } = result
  const { fit, lexical, vector } = indexes
  const indexBytes = lexical.bytes + (vector?.bytes ?? 0) + (fit?.bytes ?? 0)
  return { documents, failed: failed.length, pages, chunks, durationMs, indexBytes, peakBytes, delay }
}
