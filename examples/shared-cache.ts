/**
 * Two processes share one Redis and one folder of documents; what the first computes the second finds.
 *
 *   npx tsx examples/shared-cache.ts [redis://127.0.0.1:6379]
 *
 * Without an address it starts a redis-server of its own (one must be on the PATH). Needs `npm i keyv@5 @keyv/redis@5`, and the built package.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Embedder, type Llm, UltraFastRAG } from 'ultrafast-rag'

const questions = [
  'How long is a document kept?',
  'Which vectors are kept?',
  'What happens when a cache is sick?',
  'Who may write to the store?',
]

const [role, url, storage] = process.argv.slice(2)
if (role === 'worker') await work(url as string, storage as string)
else await demonstrate(role)

/** Runs the same program in two processes, one after the other, over one cache. */
async function demonstrate(given: string | undefined): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-example-'))
  const port = 16_379
  const server =
    given === undefined ? spawn('redis-server', ['--port', String(port), '--save', ''], { stdio: 'ignore' }) : undefined
  try {
    if (server !== undefined) await once(server, 'spawn')
    const address = given ?? `redis://127.0.0.1:${port}`
    for (const name of ['first', 'second']) {
      console.log(`\nThe ${name} process:`)
      const self = fileURLToPath(import.meta.url)
      const arguments_ = [...process.execArgv, self, 'worker', address, join(folder, 'knowledge')]
      const child = spawn(process.execPath, arguments_, { stdio: 'inherit' })
      await once(child, 'exit')
    }
  } catch (error) {
    console.error(`No Redis: ${(error as Error).message}. Install redis-server, or give the address of one.`)
    process.exitCode = 1
  } finally {
    server?.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function work(redis: string, folder: string): Promise<void> {
  const calls = { embedder: 0, model: 0 }
  const rag = new UltraFastRAG({
    storage: folder,
    root: fileURLToPath(new URL('..', import.meta.url)),
    cache: { kind: 'redis', url: redis, prefix: 'example' },
    embedder: slowEmbedder(() => calls.embedder++),
    llm: slowModel(() => calls.model++),
  })
  await rag.ingest(['docs/caching.md', 'docs/architecture.md'])
  const began = performance.now()
  for (const question of questions) await rag.query(question)
  const ms = (performance.now() - began).toFixed(0)
  console.log(
    `  ${questions.length} questions in ${ms} ms; embedder called ${calls.embedder}, model ${calls.model} times`,
  )
  const { caches } = await rag.stats()
  for (const { name, tier, kind, hits, misses, hitRate } of caches) {
    const share = `${(hitRate * 100).toFixed(0)}%`.padStart(4)
    console.log(`  ${name.padEnd(11)} ${tier.padEnd(5)} ${kind.padEnd(6)} ${share}  ${hits} hits, ${misses} misses`)
  }
  await rag.close()
}

/** Stands for a model that costs something: hashes words, and takes its time. */
function slowEmbedder(onCall: () => void): Embedder {
  const dimensions = 64
  return {
    id: 'slow',
    fingerprint: `slow/1/${dimensions}`,
    dimensions,
    capabilities: { fitted: false, batchSize: 32 },
    async embed(texts) {
      onCall()
      await new Promise((resolve) => setTimeout(resolve, 50))
      const vectors = new Float32Array(texts.length * dimensions)
      for (const [row, text] of texts.entries()) {
        const own = vectors.subarray(row * dimensions, (row + 1) * dimensions)
        for (const word of text.toLowerCase().match(/\w+/g) ?? ['']) {
          const place = [...word].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % dimensions, 0)
          own[place] = (own[place] ?? 0) + 1
        }
        const length = Math.hypot(...own)
        for (let i = 0; i < dimensions; i++) own[i] = (own[i] ?? 0) / length
      }
      return { vectors, failed: [], tokens: 0 }
    },
    async close() {},
  }
}

/** Stands for a language model. Its `fingerprint` names model and parameters: another one would not find these answers. */
function slowModel(onCall: () => void): Llm {
  return {
    id: 'slow',
    fingerprint: 'slow/temperature-0',
    async *generate() {
      onCall()
      await new Promise((resolve) => setTimeout(resolve, 300))
      yield 'The first source says it best [1].'
    },
    async close() {},
  }
}
