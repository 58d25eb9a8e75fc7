/**
 * A process that keeps a store in step with a folder, again and again, while it works on a queue, until it is killed. It says what was
 * reported to it, one line for each thing, and complains when two reports contradict each other.
 */
import { writeSync } from 'node:fs'
import { UltraFastRAG } from 'ultrafast-rag'
import { createBullmqQueue, createInProcessQueue, createWorker } from 'ultrafast-rag/queue'
import { campaignQueue } from './queue-worker.child.js'

export interface MixedIngestOptions {
  readonly storage: string
  readonly root: string
  readonly embedder: 'hashing' | false
  /** Of the queue, which others fill. Absent: a queue in this process, filled with `texts`. */
  readonly redis?: string
  readonly texts: readonly { readonly id: string; readonly text: string }[]
}

const say = (...words: readonly unknown[]) => writeSync(1, `${words.join(' ')}\n`)

async function main({ storage, root, embedder, redis, texts }: MixedIngestOptions): Promise<void> {
  const rag = new UltraFastRAG({ storage, root, embedder })
  const queue =
    redis === undefined ? createInProcessQueue({ root }) : createBullmqQueue({ url: redis, root, ...campaignQueue })
  await createWorker({
    queue,
    rag,
    onJob: ({ id, error }) => say('job', id, error?.code ?? 'done'),
  })
  const enqueued = Promise.all(
    texts.map(async (text) => {
      const id = await queue.enqueue(text)
      say('enqueued', text.id, id)
    }),
  )
  for (;;) {
    await passOnce(rag)
    await enqueued
  }
}

async function passOnce(rag: UltraFastRAG): Promise<void> {
  const seen: Record<string, number> = { committed: 0, unchanged: 0, removed: 0, failed: 0, quarantined: 0 }
  const { documents, unchanged, removed, failed, quarantined, synced } = await rag.ingest(['.'], {
    sync: true,
    onProgress: ({ stage, source }) => {
      // How far a document has come is nothing that lasts.
      if (stage === 'opened' || stage === 'written') return
      seen[stage] = (seen[stage] ?? 0) + 1
      say('file', stage, source)
    },
  })
  const told = { committed: documents, unchanged, removed, failed: failed.length, quarantined: quarantined.length }
  if (JSON.stringify(seen) !== JSON.stringify(told)) say('contradiction', JSON.stringify({ seen, told }))
  say('pass', synced)
}

const [, script, options] = process.argv
if (script?.endsWith('mixed-ingest.child.ts') && options !== undefined)
  await main(JSON.parse(options) as MixedIngestOptions)
