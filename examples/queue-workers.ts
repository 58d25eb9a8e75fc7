/**
 * Two worker processes ingest what a third enqueues; one of them is killed in the middle, and nothing is lost.
 *
 *   npx tsx examples/queue-workers.ts [redis://127.0.0.1:6379]
 *
 * Without an address it starts a redis-server of its own (one must be on the PATH). Needs `npm i bullmq`, and the built package.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UltraFastRAG } from 'ultrafast-rag'
import { createBullmqQueue, createWorker } from 'ultrafast-rag/queue'

const root = fileURLToPath(new URL('..', import.meta.url))
/** A dead worker is noticed after a second or two; by default, after half a minute. */
const options = { root, lockMs: 1_000, stalledIntervalMs: 500 }

const [role, url, storage, name] = process.argv.slice(2)
if (role === 'worker') await work(url as string, storage as string, name as string)
else await demonstrate(role)

async function demonstrate(given: string | undefined): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-example-'))
  const store = join(folder, 'knowledge')
  const server =
    given === undefined ? spawn('redis-server', ['--port', '16379', '--save', ''], { stdio: 'ignore' }) : undefined
  const address = given ?? 'redis://127.0.0.1:16379'
  const workers: ChildProcess[] = []
  try {
    if (server !== undefined) await once(server, 'spawn')
    const queue = createBullmqQueue({ url: address, ...options })
    const files = readdirSync(join(root, 'docs'))
      .filter((file) => file.endsWith('.md'))
      .map((file) => `docs/${file}`)
    for (const file of files) await queue.enqueue(file)
    // The same again: these are the same jobs.
    for (const file of files) await queue.enqueue(file)
    console.log(`${files.length} files enqueued, twice: ${(await queue.counts()).waiting} jobs wait.`)

    workers.push(startWorker(address, store, 'first'), startWorker(address, store, 'second'))
    await queue.finished(await queue.enqueue(files[0] as string))
    console.log('The first worker is killed.')
    workers[0]?.kill('SIGKILL')

    await queue.idle()
    const { completed, failed } = await queue.counts()
    console.log(`Jobs: completed ${completed}, failed ${failed}.`)
    workers[1]?.kill('SIGTERM')
    await once(workers[1] as ChildProcess, 'exit')
    await queue.close()

    const rag = new UltraFastRAG({ storage: store })
    console.log(`${(await rag.stats()).documents} documents stored.`)
    await rag.close()
  } finally {
    for (const worker of workers) worker.kill('SIGKILL')
    server?.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

function startWorker(...given: string[]): ChildProcess {
  const self = fileURLToPath(import.meta.url)
  return spawn(process.execPath, [...process.execArgv, self, 'worker', ...given], { stdio: 'inherit' })
}

async function work(address: string, store: string, self: string): Promise<void> {
  const rag = new UltraFastRAG({ storage: store, root })
  const queue = createBullmqQueue({ url: address, ...options })
  const worker = await createWorker({
    queue,
    rag,
    onJob: ({ source, result, error }) => console.log(`  ${self}: ${source}, ${result?.chunks ?? error?.code} chunks`),
  })
  process.once('SIGTERM', async () => {
    await worker.close()
    await queue.close()
    await rag.close()
  })
}
