/** A process that ingests what a queue on Redis holds until it is killed or asked to end; it tells of each job that is done. */
import { writeSync } from 'node:fs'
import { UltraFastRAG } from 'ultrafast-rag'
import { createBullmqQueue, createWorker } from 'ultrafast-rag/queue'

export interface QueueWorkerOptions {
  readonly url: string
  readonly storage: string
  readonly root: string
}

/** Dead workers are noticed after a second, so that campaigns are short. */
export const campaignQueue = { lockMs: 1_000, stalledIntervalMs: 250, maxStalls: 1_000, retryDelayMs: 50 }

async function main({ url, storage, root }: QueueWorkerOptions): Promise<void> {
  const rag = new UltraFastRAG({ storage, root, embedder: false })
  const queue = createBullmqQueue({ url, root, ...campaignQueue })
  const worker = await createWorker({
    queue,
    rag,
    concurrency: 3,
    onJob: ({ source, error }) => writeSync(1, `${error === undefined ? 'done' : `failed ${error.code}`} ${source}\n`),
  })
  process.once('SIGTERM', async () => {
    await worker.close()
    await queue.close()
    await rag.close()
  })
  writeSync(1, 'ready\n')
}

const [, script, options] = process.argv
if (script?.endsWith('queue-worker.child.ts') && options !== undefined)
  await main(JSON.parse(options) as QueueWorkerOptions)
