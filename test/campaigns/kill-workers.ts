import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { createBullmqQueue } from 'ultrafast-rag/queue'
import { expect } from 'vitest'
import { startRedis } from '../lib/redis-server.js'
import { type Child, createRandom, startChild } from './child.js'
import { campaignQueue, type QueueWorkerOptions } from './queue-worker.child.js'

/**
 * Two processes that work on one queue and one store are killed, one or the other, in the middle of their jobs, and replaced, while
 * documents are enqueued in one version after the other: in the end each is there once, in its last version, and no job is lost.
 * Resolves with false where there is no Redis.
 */
export async function killWorkers({ kills, seed }: { kills: number; seed: number }): Promise<boolean> {
  const redis = await startRedis()
  if (redis === undefined) return false
  const random = createRandom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-workers-'))
  const options: QueueWorkerOptions = { url: redis.url, storage: join(folder, 'store'), root: join(folder, 'files') }
  mkdirSync(options.root)
  const documents = 12
  const versions = new Array<number>(documents).fill(0)
  const queue = createBullmqQueue({ url: redis.url, root: options.root, ...campaignQueue })
  const workers: Child[] = []
  try {
    const enqueue = async (place: number) => {
      const version = (versions[place] as number) + 1
      versions[place] = version
      const sentence = `The document zq${place}v${version}x is about subject ${place % 7}. `
      writeFileSync(join(options.root, `d${place}.txt`), sentence.repeat(20 + Math.floor(random() * 200)))
      // Half of them travel as text: then the order of the jobs alone decides which version stays.
      const id = `d${place}.txt`
      const text = sentence.repeat(20 + Math.floor(random() * 200))
      await queue.enqueue(place % 2 === 0 ? id : { id, text })
    }
    const start = async () => {
      const child = startChild('./queue-worker.child.ts', options)
      workers.push(child)
      await child.line((line) => line === 'ready')
    }
    await Promise.all([start(), start()])
    for (let kill = 0; kill < kills; kill++) {
      for (let place = 0; place < documents; place++) if (kill === 0 || random() < 0.5) await enqueue(place)
      const victim = workers.splice(random() < 0.5 ? 0 : 1, 1)[0] as Child
      const told = victim.lines.length
      // At work, and then somewhere between two of its steps.
      await Promise.race([newLine(victim, told), pause(500)])
      await pause(random() * 30)
      victim.process.kill('SIGKILL')
      await victim.ended
      await start()
    }
    await queue.idle({ deadlineMs: 60_000 })
    expect(await queue.failed()).toEqual([])
    expect((await queue.counts()).failed).toBe(0)
    for (const { process } of workers) process.kill('SIGTERM')
    for (const worker of workers) expect(await worker.ended, worker.errors()).toBe(0)
    await check(options, versions)
    return true
  } finally {
    for (const { process } of workers) process.kill('SIGKILL')
    await queue.close()
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function check({ storage, root }: QueueWorkerOptions, versions: readonly number[]): Promise<void> {
  const rag = new UltraFastRAG({ storage, root, embedder: false })
  try {
    const ids: string[] = []
    for await (const { id } of rag.documents()) ids.push(id)
    expect(ids.sort()).toEqual(versions.map((_, place) => `d${place}.txt`).sort())
    const stats = await rag.stats()
    expect(stats.indexes.lexical.chunks).toBe(stats.chunks)
    for (const [place, version] of versions.entries()) {
      // Near words are found, too: what counts is the text.
      const newest = await rag.retrieve(`zq${place}v${version}x`, { topK: 50 })
      const own = newest.filter(({ chunk }) => chunk.documentId === `d${place}.txt`)
      expect(own.length).toBeGreaterThan(0)
      for (const { chunk } of own) expect(chunk.text).toContain(`zq${place}v${version}x`)
    }
  } finally {
    await rag.close()
  }
}

async function newLine({ lines, line }: Child, told: number): Promise<void> {
  // The process ends by our hand: that is no failure.
  await line((text) => lines.indexOf(text) >= told).catch(() => {})
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
