import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { createBullmqQueue } from 'ultrafast-rag/queue'
import { expect } from 'vitest'
import { startRedis } from '../lib/redis-server.js'
import { type Child, createRandom, startChild } from './child.js'
import { campaignQueue, type QueueWorkerOptions } from './queue-worker.child.js'

/**
 * Freezes the process that works on a document, at a random moment of its work, for longer than its lock lasts. Another does the job, and the
 * next one with the document's newer version; then the first wakes up. The newer version stays, and no job is completed twice. Resolves with
 * the jobs that were taken over and the times that the store was held up, or `undefined` where there is no Redis.
 */
export async function freezeWorkers({
  rounds,
  seed,
}: {
  readonly rounds: number
  readonly seed: number
}): Promise<{ readonly takenOver: number; readonly heldUp: number } | undefined> {
  const redis = await startRedis()
  if (redis === undefined) return undefined
  const random = createRandom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-freeze-'))
  const options: QueueWorkerOptions = { url: redis.url, storage: join(folder, 'store'), root: join(folder, 'files') }
  mkdirSync(options.root)
  const queue = createBullmqQueue({ url: redis.url, root: options.root, ...campaignQueue })
  const workers: Child[] = []
  const completed: string[] = []
  const begun = new Set<string>()
  let takenOver = 0
  let heldUp = 0
  queue.subscribe(({ type, id }) => {
    if (type === 'completed') completed.push(id)
    if (type === 'stalled') takenOver++
    if (type === 'active') begun.add(id)
  })
  const start = async () => {
    const child = startChild('./queue-worker.child.ts', options)
    workers.push(child)
    await child.line((line) => line === 'ready')
  }
  try {
    await start()
    const ids: string[] = []
    for (let round = 1; round <= rounds; round++) {
      const frozen = workers[0] as Child
      const older = await queue.enqueue(versionOf(2 * round - 1))
      while (!begun.has(older)) await pause(2)
      await pause(random() * 250)
      frozen.process.kill('SIGSTOP')
      const ready = start()
      // Who is frozen in the middle of a transaction of LMDB keeps all others from writing until it wakes up or is killed.
      if (!(await Promise.race([ready.then(() => true), pause(longestStartMs).then(() => false)]))) {
        heldUp++
        frozen.process.kill('SIGCONT')
        await ready
      }
      expect((await queue.finished(older, { deadlineMs: 30_000 })).state).toBe('completed')
      const newer = await queue.enqueue(versionOf(2 * round))
      expect((await queue.finished(newer, { deadlineMs: 30_000 })).state).toBe('completed')
      ids.push(older, newer)

      frozen.process.kill('SIGCONT')
      await pause(400)
      frozen.process.kill('SIGTERM')
      expect(await frozen.ended, frozen.errors()).toBe(0)
      workers.shift()
      await check(options, 2 * round)
    }
    expect([...completed].sort()).toEqual([...ids].sort())
    expect(await queue.counts()).toMatchObject({ waiting: 0, active: 0, failed: 0 })
    return { takenOver, heldUp }
  } finally {
    for (const { process } of workers) process.kill('SIGKILL')
    await queue.close()
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A worker is ready in a second or two, on a busy machine in some more. */
const longestStartMs = 20_000

/** So long that a worker is in the middle of it when it is frozen. */
function versionOf(version: number): { readonly id: string; readonly text: string } {
  const sentence = (place: number) => `Version v${version} of the document says as number ${place} that all is well.`
  return { id: 'd', text: Array.from({ length: 6_000 }, (_, place) => sentence(place)).join(' ') }
}

async function check({ storage, root }: QueueWorkerOptions, version: number): Promise<void> {
  const rag = new UltraFastRAG({ storage, root, embedder: false })
  try {
    const hits = await rag.retrieve('document', { topK: 20 })
    expect(hits.length).toBe(20)
    for (const { chunk } of hits) expect(chunk.text).toContain(`Version v${version} of`)
  } finally {
    await rag.close()
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
