import { RagError } from '../../core/errors.js'
import type { Closable, Logger } from '../../core/lifecycle.js'
import type { RerankingModel } from '../../models/types.js'
import type { DeviceLadder } from '../../onnx/devices.js'
import type { Prepacking } from '../../onnx/prepack.js'
import { abortable } from '../../util/abort.js'
import { inLanes } from '../../util/in-lanes.js'
import { memoizeAsync } from '../../util/memoize-async.js'
import { WorkerPool } from '../../util/worker-pool.js'
import type { LoadReport, RerankWorkerData, ScoreMessage } from './rerank.worker.js'

export interface ScorerOptions {
  readonly model: RerankingModel
  readonly devices: DeviceLadder
  readonly workers: number
  readonly threads: number
  readonly maxBatchTokens: number | undefined
  /** What is opened on a CPU instead of the model file. */
  readonly prepacking: Prepacking | undefined
  readonly logger: Logger | undefined
}

/** Scores pairs of texts with one model, in worker threads. */
export interface Scorer extends Closable {
  /** A logit for each passage, in their order; `NaN` where the model gave none. */
  score(question: string, passages: readonly string[], signal: AbortSignal | undefined): Promise<Float32Array>
  load(signal: AbortSignal | undefined): Promise<void>
}

/** A passage costs about as much as its characters, and what goes with every one. */
const charactersOfAny = 64
/** No more in one message: a question with a thousand candidates takes turns with others. */
const passagesPerTask = 32

/** Makes a scorer. Its threads start with the first call and have the priority of the application: somebody waits for them. */
export function createScorer({ workers, logger, prepacking, ...data }: ScorerOptions): Scorer {
  const pool = new WorkerPool({
    worker: 'rerank',
    size: workers,
    // A thread that is ended would have to load the model again, and a pass is done in a moment.
    abortGraceMs: Number.POSITIVE_INFINITY,
    idleMs: 0,
    priority: 'normal',
    workerData: { ...data, prepacked: prepacking?.folder } satisfies RerankWorkerData,
  })
  const load = memoizeAsync(async () => {
    await prepacking?.prepare()
    // All threads at once; a pool gives each idle thread one.
    const reports = await Promise.all(
      Array.from({ length: workers }, () => pool.run<LoadReport>({ type: 'load', payload: undefined })),
    )
    reportFallbacks(reports, data.model, logger)
  })

  async function scoreShare(message: ScoreMessage, signal: AbortSignal | undefined): Promise<Float32Array> {
    const run = () => pool.run<Float32Array>({ type: 'score', payload: message }, { signal })
    try {
      return await run()
    } catch (error) {
      // The thread died; another takes its place, and may do better.
      if (!RagError.isInstance(error, 'WORKER') || signal?.aborted) throw error
      return run()
    }
  }

  return {
    async score(question, passages, signal) {
      signal?.throwIfAborted()
      await abortable(load(), signal)
      const logits = new Float32Array(passages.length)
      const hands = shares(passages, Math.max(workers, Math.ceil(passages.length / passagesPerTask)))
      await inLanes(hands, { lanes: workers, signal }, async (places, own) => {
        const some = places.map((place) => passages[place] as string)
        const found = await scoreShare({ question, passages: some }, own)
        for (const [at, place] of places.entries()) logits[place] = found[at] as number
      })
      return logits
    },
    load: (signal) => abortable(load(), signal),
    async close() {
      await pool.close()
      await prepacking?.close()
    },
  }
}

/** Deals passages out, the longest first, each to the hand that costs the least; places of each hand that has any. */
function shares(passages: readonly string[], count: number): number[][] {
  const hands = Array.from({ length: count }, () => ({ places: [] as number[], cost: 0 }))
  const byLength = [...passages.keys()].sort((a, b) => lengthOf(passages, b) - lengthOf(passages, a))
  for (const place of byLength) {
    const least = hands.reduce((best, hand) => (hand.cost < best.cost ? hand : best))
    least.places.push(place)
    least.cost += lengthOf(passages, place) + charactersOfAny
  }
  return hands.map(({ places }) => places).filter(({ length }) => length > 0)
}

function lengthOf(passages: readonly string[], place: number): number {
  return (passages[place] as string).length
}

function reportFallbacks(reports: readonly LoadReport[], { name }: RerankingModel, logger: Logger | undefined): void {
  const report = reports.find(({ fallbacks }) => fallbacks.length > 0)
  if (report === undefined) return
  logger?.warn('A device could not be used: the reranker runs on another one.', {
    model: name,
    device: report.device,
    failed: report.fallbacks,
  })
}
