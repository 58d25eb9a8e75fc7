import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Llm, UltraFastRAG, type UltraFastRAGOptions } from 'ultrafast-rag'
import { createDiskCache } from '../src/cache/disk.js'
import { createMemoryCache } from '../src/cache/memory.js'
import type { Cache } from '../src/cache/types.js'
import { findDisagreement, readFacts } from '../src/text/agreement/agreement.js'
import { modelFolder } from '../test/fixtures/models/model-folder.js'
import { type RedisServer, startRedis } from '../test/lib/redis-server.js'
import { readQuestionPairs } from '../test/unit/text/question-pairs.js'
import { writeAgedFile } from './lib/aged-file.js'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import { measureJointSearch } from './lib/joint-search.js'
import { quantile } from './lib/measure.js'
import { measureMicroBatching } from './lib/micro-batching.js'
import { ways } from './lib/ways.js'

const documents = Array.from({ length: 300 }, (_, i) => ({
  id: `tower-${i}`,
  text: `The tower ${i} of city ${i % 37} is ${i * 3} metres tall. It was built in ${1800 + (i % 200)} by engineer ${i % 11}. `.repeat(
    3,
  ),
}))
const questions = Array.from(
  { length: 20 },
  (_, i) => `How tall is the tower ${i * 7} that stands in the city by the river?`,
)
const vectorBytes = 384 * 4

/**
 * What caches save: a question asked again, from memory and through Redis, end to end; vectors by their texts; an unchanged folder; questions
 * and searches in common; and ten questions that mean the same. A model of the shape of all-MiniLM-L6-v2 with random weights: what it costs does not depend on them.
 */
const bench: Bench = async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-cache-'))
  const redis = await startRedis()
  const model = modelFolder({ size: 'minilm', weights: ['int8'] })
  const neural = { embedder: { kind: 'onnx', model }, quantization: 'int8' } as const
  try {
    return {
      ...(await repeatedQuestions(neural, context)),
      ...(redis === undefined
        ? {}
        : await throughRedis(redis, { ...neural, storage: join(folder, 'shared') }, context)),
      ...(await lookUps(folder, context)),
      ...(await unchangedIngest({ ...neural, storage: join(folder, 'store') }, context)),
      ...(await measureMicroBatching(context)),
      ...(await measureJointSearch(context)),
      ...(await sameMeaning(context)),
      ...guards(context),
    }
  } finally {
    await redis?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

export default bench

/** p50 of a question asked again, and what it costs without caches, in turns. */
async function repeatedQuestions(neural: UltraFastRAGOptions, { log, quick }: BenchContext): Promise<Metrics> {
  const cached = new UltraFastRAG(neural)
  const plain = new UltraFastRAG({ ...neural, cache: false })
  for (const rag of [cached, plain]) await rag.ingest(documents)
  const [hit, miss]: [number[], number[]] = [[], []]
  for (let round = 0; round < (quick ? 20 : 100); round++) {
    for (const question of questions) {
      // The first rounds warm up what is compiled.
      const time = await timed(() => cached.query(question))
      if (round > 4) hit.push(time)
    }
    if (round % 10 === 0) for (const question of questions) miss.push(await timed(() => plain.query(question)))
  }
  for (const rag of [cached, plain]) await rag.close()
  const [p50, plainP50] = [quantile(hit, 0.5), quantile(miss, 0.5)]
  log(`the same question again: ${p50.toFixed(3)} ms from memory, ${plainP50.toFixed(2)} ms without caches (p50)`)
  return { 'hit.memoryP50Ms': p50, 'speedup.repeatQuery': plainP50 / p50 }
}

/** p50 of a question that somebody else asked before: found in Redis, ranking and answer one after the other, and not in memory. */
async function throughRedis(
  { url }: RedisServer,
  options: UltraFastRAGOptions,
  { log, quick }: BenchContext,
): Promise<Metrics> {
  const cache = { kind: 'redis', url, prefix: 'bench' } as const
  const common = { ...options, cache, llm: instantModel() }
  const many = Array.from(
    { length: quick ? 200 : 600 },
    (_, i) => `How tall is the tower ${i} that stands in the city?`,
  )
  const writer = new UltraFastRAG(common)
  await writer.ingest(documents)
  for (const question of many) await writer.query(question)
  await writer.close()
  // Another instance has the same store, and nothing in its memory.
  const reader = new UltraFastRAG(common)
  const times: number[] = []
  let found = 0
  for (const question of many) {
    times.push(
      await timed(async () => {
        const { answer, retrieval } = (await reader.query(question)).cache
        if (answer === 'hit' && retrieval === 'hit') found++
      }),
    )
  }
  await reader.close()
  const warm = times.slice(many.length / 4)
  log(`a question that is in Redis: ${quantile(warm, 0.5).toFixed(3)} ms (p50), ${found} of ${many.length} were found`)
  return { 'hit.redisP50Ms': quantile(warm, 0.5) }
}

/** Vectors by key: one at a time from memory, in batches of 64 from disk. */
async function lookUps(folder: string, { log, quick }: BenchContext): Promise<Metrics> {
  const keys = Array.from({ length: 5_000 }, (_, i) => `key ${i}`)
  const memory = createMemoryCache()
  const disk = createDiskCache({ directory: join(folder, 'cache') })
  for (const cache of [memory, disk]) {
    await cache.set(keys.map((key) => ({ key, value: new Uint8Array(vectorBytes) })))
  }
  const rounds = quick ? 4 : 20
  const perSecond = {
    'gets.memoryPerSecond': await rate(memory, keys, { batch: 1, rounds }),
    'gets.diskPerSecond': await rate(disk, keys, { batch: 64, rounds }),
  }
  for (const cache of [memory, disk]) await cache.close()
  log(`gets per second: ${JSON.stringify(perSecond)}`)
  return perSecond
}

async function rate(
  cache: Cache,
  keys: readonly string[],
  { batch, rounds }: { readonly batch: number; readonly rounds: number },
) {
  const rates: number[] = []
  for (let round = 0; round < rounds; round++) {
    const began = performance.now()
    for (let from = 0; from < keys.length; from += batch) {
      const found = await cache.get(keys.slice(from, from + batch))
      if (found.some((hit) => hit === undefined)) throw new Error('An entry is missing.')
    }
    rates.push((keys.length * 1000) / (performance.now() - began))
  }
  return quantile(rates, 0.5)
}

async function unchangedIngest(options: UltraFastRAGOptions, { log, quick }: BenchContext): Promise<Metrics> {
  const root = mkdtempSync(join(tmpdir(), 'ufrag-bench-files-'))
  for (const { id, text } of documents) writeAgedFile(join(root, `${id}.txt`), text)
  const rag = new UltraFastRAG(options)
  await rag.warmUp()
  const first = await timed(() => rag.ingest([root]))
  const times = async (verify: 'stamp' | 'hash') => {
    const all: number[] = []
    for (let i = 0; i < (quick ? 5 : 15); i++) all.push(await timed(() => rag.ingest([root], { verify })))
    return quantile(all, 0.5)
  }
  const [again, hashed] = [await times('stamp'), await times('hash')]
  await rag.close()
  rmSync(root, { recursive: true })
  log(
    `ingest of ${documents.length} files: ${first.toFixed(0)} ms, unchanged ${again.toFixed(1)} ms, by their hashes ${hashed.toFixed(1)} ms`,
  )
  return { 'speedup.unchangedReingest': first / again }
}

/** Ten ways to ask one thing of a model that takes two seconds; similarity forced, since random weights know no meaning. */
async function sameMeaning({ log }: BenchContext): Promise<Metrics> {
  const llm: Llm = {
    ...instantModel(),
    async *generate() {
      await new Promise((resolve) => setTimeout(resolve, 2_000))
      yield 'It is tall [1].'
    },
  }
  const rag = new UltraFastRAG({ embedder: 'hashing', semanticCache: { threshold: -1 }, llm })
  await rag.ingest(documents)
  const served: boolean[] = []
  const total = await timed(async () => {
    for (const question of ways) served.push((await rag.query(question)).cache.semantic?.served === true)
  })
  await rag.close()
  const count = served.filter(Boolean).length
  log(`ten ways to ask one thing of a model that takes 2 s: ${(total / 1000).toFixed(2)} s, ${count} served`)
  return { 'semantic.tenParaphrasesSeconds': total / 1000 }
}

function guards({ log }: BenchContext): Metrics {
  const pairs = readQuestionPairs()
  const blocked = pairs.filter(
    ({ questions: [one, other] }) => findDisagreement(readFacts(one), readFacts(other)) !== undefined,
  )
  const count = (list: typeof pairs, same: boolean) => list.filter((pair) => pair.same === same).length
  const block = count(blocked, false) / count(pairs, false)
  const pass = 1 - count(blocked, true) / count(pairs, true)
  log(
    `guards alone, ${pairs.length} pairs: block ${(block * 100).toFixed(1)}% of those that look alike, pass ${(pass * 100).toFixed(1)}% of those that mean the same`,
  )
  return { 'semantic.guardBlock': block, 'semantic.guardPass': pass }
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await run()
  return performance.now() - began
}

function instantModel(): Llm {
  return {
    id: 'instant',
    async *generate() {
      yield 'The tower is tall [1].'
    },
    async close() {},
  }
}
