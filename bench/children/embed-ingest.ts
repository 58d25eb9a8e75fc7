import { UltraFastRAG } from 'ultrafast-rag'
import { type LoopDelay, measureLoopDelay } from '../lib/loop-delay.js'
import { quantile } from '../lib/measure.js'

export interface EmbedIngestTask {
  readonly directory: string
  readonly storage: string
  /** Documents of each ingest; each round writes them anew under other ids. */
  readonly documents: readonly string[]
  readonly questions: readonly string[]
  readonly rounds: number
}

export interface EmbedIngestResult {
  /** Median over the rounds, milliseconds. */
  readonly idleP95Ms: number
  /** Each round's p95 while it ingests over its p95 without, median. */
  readonly p95Ratio: number
  /** Chunks per second with questions over without, median of the rounds. */
  readonly ingestShare: number
  readonly chunksPerSecond: number
  /** Of ingests without questions: the medians. */
  readonly delay: LoopDelay
}

/** Questions per second, evenly. */
const questionsPerSecond = 10
const idleQuestions = 60

/** Ingests at full speed through the facade, with and without ten questions a second, and asks the same when nothing else runs. */
export default async function ingestAndAsk(task: EmbedIngestTask): Promise<EmbedIngestResult> {
  const { directory, storage, documents, questions } = task
  // The same texts are ingested again and again: kept vectors would leave nothing to embed.
  const embedder = { kind: 'onnx', model: directory, quantization: 'int8' } as const
  const rag = new UltraFastRAG({ storage, embedder, cacheEmbeddings: false })
  let writes = 0
  const ingest = async () => {
    const prefix = writes++
    const { chunks, durationMs, failed } = await rag.ingest(
      documents.map((text, place) => ({ id: `${prefix}-${place}`, text })),
    )
    if (failed.length > 0) throw failed[0]!.error
    return (chunks * 1000) / durationMs
  }
  let asked = 0
  const ask = async () => {
    const began = performance.now()
    await rag.retrieve(questions[asked++ % questions.length]!)
    return performance.now() - began
  }
  await ingest()
  for (let i = 0; i < 10; i++) await ask()

  const rounds: { idle: number; busy: number; alone: number; shared: number; delay: LoopDelay }[] = []
  for (let round = 0; round < task.rounds; round++) {
    const idle = await asking(ask, idleQuestions)
    const turns = {
      alone: async () => measureLoopDelay(ingest),
      shared: async () => {
        const ingesting = { done: false }
        const questions = asking(ask, Number.POSITIVE_INFINITY, ingesting)
        const rate = await ingest()
        ingesting.done = true
        return { rate, times: await questions }
      },
    }
    // Forth and back, so that a store that grows is no advantage of either.
    const first = round % 2 === 0 ? undefined : await turns.shared()
    const { result: alone, wallMs, idle: still, ...delay } = await turns.alone()
    const { rate: shared, times } = first ?? (await turns.shared())
    rounds.push({ idle: quantile(idle, 0.95), busy: quantile(times, 0.95), alone, shared, delay })
  }
  await rag.close()
  const median = (read: (round: (typeof rounds)[number]) => number) => quantile(rounds.map(read), 0.5)
  return {
    idleP95Ms: median(({ idle }) => idle),
    p95Ratio: median(({ idle, busy }) => busy / idle),
    ingestShare: median(({ alone, shared }) => shared / alone),
    chunksPerSecond: median(({ alone }) => alone),
    delay: {
      p99Ms: median(({ delay }) => delay.p99Ms),
      maxMs: median(({ delay }) => delay.maxMs),
      lostShare: median(({ delay }) => delay.lostShare),
      maxRunMs: median(({ delay }) => delay.maxRunMs),
    },
  }
}

/** Asks at a fixed pace, whether the last answer has come or not, and tells how long each took. */
async function asking(
  ask: () => Promise<number>,
  count: number,
  until?: { readonly done: boolean },
): Promise<number[]> {
  const times: Promise<number>[] = []
  while (times.length < count && until?.done !== true) {
    times.push(ask())
    await new Promise((resolve) => setTimeout(resolve, 1000 / questionsPerSecond))
  }
  return Promise.all(times)
}
