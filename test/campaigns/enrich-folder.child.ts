/** A process that ingests a folder whose passages are enriched by a service, until it is killed or done. */
import { writeSync } from 'node:fs'
import { UltraFastRAG } from 'ultrafast-rag'

export interface EnrichFolderOptions {
  readonly storage: string
  readonly root: string
  /** Of the service. */
  readonly url: string
}

/** Calls at once. */
export const callsAtOnce = 5

async function main({ storage, root, url }: EnrichFolderOptions): Promise<void> {
  const ask = async (kind: string, text: string, signal: AbortSignal) => {
    const response = await fetch(url, { method: 'POST', body: `${kind} ${text}`, signal })
    const { status, headers } = response
    if (!response.ok) throw Object.assign(new Error(`HTTP ${status}`), { status, headers })
    return await response.text()
  }
  const rag = new UltraFastRAG({
    storage,
    root,
    embedder: false,
    maxConcurrentApiCalls: callsAtOnce,
    enrich: [
      ({ text }, { signal }) => ask('first', text, signal),
      ({ text }, { signal }) => ask('second', text, signal),
    ],
  })
  const { documents, unchanged, failed, unenriched } = await rag.ingest(['.'])
  writeSync(1, `${JSON.stringify({ documents, unchanged, failed: failed.length, unenriched })}\n`)
  await rag.close()
}

const [, script, options] = process.argv
if (script?.endsWith('enrich-folder.child.ts') && options !== undefined)
  await main(JSON.parse(options) as EnrichFolderOptions)
