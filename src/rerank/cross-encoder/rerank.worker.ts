import { workerData } from 'node:worker_threads'
import { openTokenizer } from '../../models/tokenizer.js'
import type { RerankingModel, Tokenizer } from '../../models/types.js'
import { type DeviceFallback, type DeviceLadder, deviceName, openOnFirst } from '../../onnx/devices.js'
import { openModel } from '../../onnx/prepacked.js'
import { memoizeAsync } from '../../util/memoize-async.js'
import { serveTasks, type TaskContext, Transferred } from '../../util/worker-serve.js'
import { runInBatches } from './batches.js'
import { createPairModel, type PairModel } from './pair-model.js'

/** What a thread is started with: one model for all its life. */
export interface RerankWorkerData {
  readonly model: RerankingModel
  readonly devices: DeviceLadder
  readonly threads: number
  /** Padded tokens of a pass at most; absent: what suits the device. */
  readonly maxBatchTokens: number | undefined
  /** See `openModel`. */
  readonly prepacked: string | undefined
}

/** A question and passages, as the main thread sends them. */
export interface ScoreMessage {
  readonly question: string
  readonly passages: readonly string[]
}

/** Where a thread runs its model, and what it tried in vain before. */
export interface LoadReport {
  readonly device: string
  readonly fallbacks: readonly DeviceFallback[]
}

interface Loaded {
  readonly tokenizer: Tokenizer
  readonly model: PairModel
  readonly report: LoadReport
  readonly maxBatchTokens: number
}

/** As for embedding: on a CPU more only costs memory and time that nobody can interrupt, an accelerator is not filled by less. */
const usualBatchTokens = { cpu: 512, others: 16_384 }

const data = workerData as RerankWorkerData
let critical: TaskContext['critical']
const loaded = memoizeAsync(load)

serveTasks({
  async load(_: undefined, context: TaskContext): Promise<LoadReport> {
    critical = context.critical
    return (await loaded()).report
  },

  async score({ question, passages }: ScoreMessage, context: TaskContext) {
    // The same for every task of this thread.
    critical = context.critical
    const { tokenizer, model, maxBatchTokens } = await loaded()
    context.signal.throwIfAborted()
    const pairs = tokenizer.encodePairs(question, passages, { maxTokens: data.model.maxTokens })
    const limits = { maxTokens: maxBatchTokens, signal: context.signal }
    const logits = await runInBatches(pairs, limits, (batch) => model.run(batch))
    return new Transferred(logits, [logits.buffer])
  },
})

async function load(): Promise<Loaded> {
  const tokenizer = await openTokenizer(data.model.directory)
  const { paddingId } = tokenizer
  // Two short texts: a device may take a model and then fail to run it, and a tokenizer may know no pairs.
  const trial = tokenizer.encodePairs('a', ['b'], { maxTokens: data.model.maxTokens })
  const { session, device, fallbacks } = await openOnFirst(data.devices, async (candidate) => {
    const { weights } = data.model
    const { threads, prepacked } = data
    const opened = await openModel({ weights, prepacked, device: candidate, threads, critical })
    try {
      const model = createPairModel(opened, { model: data.model, paddingId })
      await model.run(trial)
      return model
    } catch (error) {
      await opened.release()
      throw error
    }
  })
  const { cpu, others } = usualBatchTokens
  const maxBatchTokens = data.maxBatchTokens ?? (device.kind === 'cpu' ? cpu : others)
  return { tokenizer, model: session, report: { device: deviceName(device), fallbacks }, maxBatchTokens }
}
