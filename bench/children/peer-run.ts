import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openTokenizer } from '../../src/models/tokenizer.js'
import { quantile } from '../lib/measure.js'
import { measureMemory } from '../lib/memory.js'
import { mixedDocuments } from '../lib/mixed-corpus.js'
import type { PeerCorpus } from '../lib/peer-corpus.js'
import type { Found, Ingested, Usage } from '../rivals/contender.js'
import { type ContenderName, contenders } from '../rivals/index.js'

export interface PeerTask {
  readonly contender: ContenderName
  readonly usage: Omit<Usage, 'storage'>
  /** What is ingested; nothing for a contender that is filled only. */
  readonly corpus?: PeerCorpus
  /** Passages of the corpus, on which who is tuned tries what is fastest. */
  readonly sample?: readonly string[]
  /** Asked after the ingest; what is found is told. */
  readonly questions: readonly string[]
  /** Made passages with their vectors that are stored next. */
  readonly filled: number
  /** Asked after that; how long each takes is told. The first ten are a warm-up. */
  readonly timed: readonly string[]
}

export interface PeerResult {
  readonly ingestMs: number
  readonly pages: number
  readonly chunks: number
  /** Of all chunks as the model saw them. */
  readonly tokens: number
  /** Highest anonymous memory during the ingest, bytes. */
  readonly peakBytes: number
  readonly found: readonly (readonly Found[])[]
  /** Over the timed questions. */
  readonly queryP50Ms: number
  readonly queryP95Ms: number
}

const warmUpQuestions = 10
/** A call holds so many. */
const fillBatch = 5_000

/** What one contender does, in a process of its own. */
export default async function peerRun(task: PeerTask): Promise<PeerResult> {
  const { corpus, filled, questions, sample = [], timed, usage } = task
  const storage = mkdtempSync(join(tmpdir(), 'ufrag-bench-peer-'))
  const contender = await contenders[task.contender].create({ ...usage, storage: join(storage, 'store') })
  try {
    await contender.warmUp(sample)
    const reading = await measureMemory(async () => {
      const began = performance.now()
      const ingested = corpus === undefined ? { pages: 0, embedded: () => [] } : await contender.ingest(corpus)
      return { ingested, ingestMs: performance.now() - began }
    })
    const { ingested, ingestMs } = reading.result
    const counted = await count(ingested, usage.model)
    const found: (readonly Found[])[] = []
    for (const question of questions) found.push(await contender.ask(question))
    let batch: { text: string; vector: Float32Array }[] = []
    for (const { passages } of mixedDocuments(filled, { dimensions: 384, seed: 5 })) {
      batch.push(...passages)
      if (batch.length < fillBatch) continue
      await contender.fill(batch)
      batch = []
    }
    if (batch.length > 0) await contender.fill(batch)
    await contender.settle?.()
    const times: number[] = []
    for (const question of timed) {
      const began = performance.now()
      await contender.ask(question)
      times.push(performance.now() - began)
    }
    return {
      ingestMs,
      pages: ingested.pages,
      ...counted,
      peakBytes: reading.peakBytes,
      found,
      queryP50Ms: quantile(times.slice(warmUpQuestions), 0.5),
      queryP95Ms: quantile(times.slice(warmUpQuestions), 0.95),
    }
  } finally {
    await contender.close()
    rmSync(storage, { recursive: true, force: true })
  }
}

/** Tokens of a text that the model sees, the rest is cut off. */
const maxTokens = 512

async function count(ingested: Ingested, model: string): Promise<{ chunks: number; tokens: number }> {
  const embedded = await ingested.embedded()
  if ('tokens' in embedded) return embedded
  const { ids } = (await openTokenizer(model)).encode(embedded, { maxTokens })
  return { chunks: embedded.length, tokens: ids.length }
}
