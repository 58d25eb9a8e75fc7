import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG } from '../../dist/index.js'
import { createTextGenerator } from '../lib/corpus.js'
import { measureLoopDelay } from '../lib/loop-delay.js'
import { anonymousBytes } from '../lib/memory.js'

export interface IngestTextTask {
  readonly megabytes: number
  readonly documentKilobytes: number
}

export interface IngestTextResult {
  readonly chunks: number
  readonly durationMs: number
  readonly indexBytes: number
  /** Anonymous memory that closing gives back beyond what an empty one keeps: what the report is checked against. */
  readonly releasedBytes: number
  readonly peakBytes: number
  readonly baseBytes: number
  readonly delay: { readonly p99Ms: number; readonly maxMs: number; readonly lostShare: number }
}

/** Ingests so much text into a store on disk, in a process of its own, watching memory and the event loop. */
export default async function ingestText(task: IngestTextTask): Promise<IngestTextResult> {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  try {
    const files = writeFiles(folder, task)
    const storage = join(folder, 'store')
    const rag = new UltraFastRAG({ storage, root: folder })
    await rag.ingestDocument({ id: 'warm', text: 'A first document, so that everything is loaded.' })
    await settle()
    const baseBytes = anonymousBytes() ?? Number.NaN
    let peakBytes = 0
    const sampler = setInterval(() => {
      peakBytes = Math.max(peakBytes, anonymousBytes() ?? Number.NaN)
    }, 20)
    const { result, ...delay } = await measureLoopDelay(() => rag.ingest(files))
    clearInterval(sampler)
    if (result.failed.length > 0) throw result.failed[0]?.error
    await rag.retrieve('general world state')
    const { indexes } = await rag.stats()
    await settle()
    await rag.close()
    return {
      chunks: result.chunks,
      durationMs: result.durationMs,
      indexBytes: indexes.lexical.bytes,
      releasedBytes: await releasedByClosing(storage),
      peakBytes,
      baseBytes,
      delay,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function writeFiles(folder: string, { megabytes, documentKilobytes }: IngestTextTask): string[] {
  const generator = createTextGenerator(megabytes)
  const count = Math.ceil((megabytes * 1000) / documentKilobytes)
  return Array.from({ length: count }, (_, i) => {
    const name = `document-${i}.txt`
    writeFileSync(join(folder, name), generator.document(documentKilobytes * 1000))
    return name
  })
}

/** A reopened store holds its indexes and little else, so what closing gives back is what they took. */
async function releasedByClosing(storage: string): Promise<number> {
  const rag = new UltraFastRAG({ storage })
  await rag.retrieve('general world state')
  await settle()
  const held = anonymousBytes() ?? Number.NaN
  await rag.close()
  await settle()
  return held - (anonymousBytes() ?? Number.NaN)
}

/** Lets threads end and garbage go. */
async function settle(): Promise<void> {
  for (let round = 0; round < 5; round++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
