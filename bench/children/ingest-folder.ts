import { UltraFastRAG, type UltraFastRAGOptions } from 'ultrafast-rag'
import { measureLoopDelay } from '../lib/loop-delay.js'
import { measureMemory } from '../lib/memory.js'

export interface IngestTask {
  /** Folder with the documents. */
  readonly root: string
  readonly storage: string
  /** Of the instance, as far as they are data. */
  readonly options?: UltraFastRAGOptions
}

export interface IngestResult {
  readonly documents: number
  readonly pages: number
  readonly chunks: number
  /** Until `ingest()` resolved: the indexes have followed, the fit is done, all of it is written; a graph may be built afterwards. */
  readonly durationMs: number
  /** Until the last document was committed; its words are found a moment later. */
  readonly committedMs: number
  /** Of `durationMs`, what the fit of the default's vectors took; 0 without one. */
  readonly fitMs: number
  readonly indexBytes: number
  /** Highest anonymous memory of the process during the ingest. */
  readonly peakBytes: number
  readonly delay: { readonly p99Ms: number; readonly maxMs: number; readonly lostShare: number }
}

/** Ingests a folder into a store on disk, in a process of its own, watching memory and the event loop. Throws when a document failed. */
export default async function ingestFolder({ options, root, storage }: IngestTask): Promise<IngestResult> {
  const rag = new UltraFastRAG({ ...options, storage, root })
  await rag.ingestDocument({ id: 'warm', text: 'A first document, so that everything is loaded.' })
  let pages = 0
  const onProgress = (progress: { readonly pages: number }) => {
    pages = progress.pages
  }
  const reading = await measureMemory(() =>
    measureLoopDelay(async () => {
      const began = performance.now()
      const report = await rag.ingest(['.'], { onProgress })
      return { ...report, committedMs: report.durationMs, durationMs: performance.now() - began }
    }),
  )
  const { indexes } = await rag.stats()
  const fitMs = rag.tracker.summary().stages['index.fit']?.totalMs ?? 0
  await rag.close()
  const { result, ...delay } = reading.result
  const { chunks, committedMs, documents, durationMs, failed } = result
  if (failed.length > 0) throw new Error(`${failed.length} documents failed: ${failed.map(named).join(', ')}`)
  const { fit, lexical, vector } = indexes
  const indexBytes = lexical.bytes + (vector?.bytes ?? 0) + (fit?.bytes ?? 0)
  return { documents, pages, chunks, durationMs, committedMs, fitMs, indexBytes, peakBytes: reading.peakBytes, delay }
}

function named({ error, source }: { readonly error: { readonly code: string }; readonly source: string }): string {
  return `${source} (${error.code})`
}
