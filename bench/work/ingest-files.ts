import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG } from '../../dist/index.js'
import { measureLoopDelay } from '../lib/loop-delay.js'

export interface IngestFilesResult {
  readonly documents: number
  readonly failed: number
  readonly pages: number
  readonly chunks: number
  readonly durationMs: number
  readonly delay: { readonly p99Ms: number; readonly maxMs: number; readonly lostShare: number }
}

/** Ingests a folder into a store on disk, in a process of its own, watching the event loop. */
export default async function ingestFiles(folder: string): Promise<IngestFilesResult> {
  const storage = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  try {
    const rag = new UltraFastRAG({ storage, root: folder })
    await rag.ingestDocument({ id: 'warm', text: 'A first document, so that everything is loaded.' })
    let pages = 0
    const { result, ...delay } = await measureLoopDelay(() =>
      rag.ingest(['.'], {
        onProgress: (progress) => {
          pages = progress.pages
        },
      }),
    )
    await rag.close()
    const { chunks, documents, durationMs, failed } = result
    return { documents, failed: failed.length, pages, chunks, durationMs, delay }
  } finally {
    rmSync(storage, { recursive: true, force: true })
  }
}
