import { createStaticEmbedder } from '../../src/embed/static.js'
import { type LoopDelay, measureLoopDelay } from '../lib/loop-delay.js'
import { type Distribution, describe } from '../lib/measure.js'

export interface StaticTask {
  readonly model: string
  readonly workers: number
  readonly quantization: 'fp32' | 'int8'
  readonly texts: readonly string[]
  readonly questions: readonly string[]
  readonly rounds: number
}

/** What a static embedder did in a process of its own. */
export interface StaticRun {
  /** From nothing to the first vector: thread, matrix, tokenizer. */
  readonly loadMs: number
  /** One call with all texts, each round. */
  readonly roundsMs: readonly number[]
  /** Processor time of a round, all threads together. */
  readonly processorMs: readonly number[]
  /** Of one round. */
  readonly tokens: number
  readonly failed: number
  /** One question at a time. */
  readonly question: Distribution
  /** While the texts were embedded. */
  readonly delay: LoopDelay
}

export default async function embedStatic(task: StaticTask): Promise<StaticRun> {
  const { texts, questions, rounds, ...options } = task
  const began = performance.now()
  const embedder = await createStaticEmbedder(options)
  await embedder.embed([questions[0] as string], { kind: 'query' })
  const loadMs = performance.now() - began
  // Threads are started and compiled before they are timed.
  await embedder.embed(texts, { kind: 'passage' })
  await embedder.embed(texts, { kind: 'passage' })

  const roundsMs: number[] = []
  const processorMs: number[] = []
  let last = { tokens: 0, failed: 0 }
  const delay = await measureLoopDelay(async () => {
    for (let round = 0; round < rounds; round++) {
      const start = performance.now()
      const before = process.cpuUsage()
      const { tokens, failed } = await embedder.embed(texts, { kind: 'passage' })
      roundsMs.push(performance.now() - start)
      const { user, system } = process.cpuUsage(before)
      processorMs.push((user + system) / 1_000)
      last = { tokens, failed: failed.length }
    }
  })
  const questionMs: number[] = []
  for (let round = 0; round < 3; round++) {
    for (const question of questions) {
      const start = performance.now()
      await embedder.embed([question], { kind: 'query' })
      questionMs.push(performance.now() - start)
    }
  }
  await embedder.close()
  return { loadMs, roundsMs, processorMs, ...last, question: describe(questionMs), delay }
}
