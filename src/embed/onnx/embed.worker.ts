import { workerData } from 'node:worker_threads'
import { openTokenizer } from '../../models/tokenizer.js'
import type { EmbeddingModel, TokenizedTexts, Tokenizer } from '../../models/types.js'
import { type DeviceLadder, deviceName, openOnFirst } from '../../onnx/devices.js'
import { openModel } from '../../onnx/prepacked.js'
import { memoizeAsync } from '../../util/memoize-async.js'
import { serveTasks, type TaskContext, Transferred } from '../../util/worker-serve.js'
import type { LaneReport } from './lane.js'
import { createSentenceModel, type SentenceModel } from './sentence-model.js'

/** What the thread of a lane is started with: one model for all its life. */
export interface LaneData {
  readonly model: EmbeddingModel
  readonly devices: DeviceLadder
  readonly threads: number
  readonly dimensions: number
  /** See `openModel`. */
  readonly prepacked: string | undefined
}

/** Texts of one kind, as the lane sends them. */
export interface TextsMessage {
  readonly texts: readonly string[]
  readonly kind: 'query' | 'passage'
}

interface Loaded {
  readonly tokenizer: Tokenizer
  readonly model: SentenceModel
  readonly report: LaneReport
}

const data = workerData as LaneData
let critical: TaskContext['critical']
const loaded = memoizeAsync(load)

serveTasks({
  load: task(({ report }) => report),

  tokenize: task(({ tokenizer }, message: TextsMessage) => {
    const { ids, offsets } = encode(tokenizer, message)
    return transferred({ ids, offsets }, ids, offsets)
  }),

  run: task(async ({ model }, batch: TokenizedTexts) => {
    const result = await model.run(batch)
    return transferred(result, result.vectors)
  }),

  embed: task(async ({ tokenizer, model }, message: TextsMessage) => {
    const batch = encode(tokenizer, message)
    const result = await model.run(batch)
    return transferred({ ...result, tokens: batch.ids.length }, result.vectors)
  }),
})

/** A task that finds everything loaded. */
function task<Payload>(work: (loaded: Loaded, payload: Payload) => unknown) {
  return async (payload: Payload, context: TaskContext) => {
    // The same for every task of this thread.
    critical = context.critical
    const parts = await loaded()
    context.signal.throwIfAborted()
    return work(parts, payload)
  }
}

async function load(): Promise<Loaded> {
  const tokenizer = await openTokenizer(data.model.directory)
  const { paddingId } = tokenizer
  const opened = await openOnFirst(data.devices, async (device) => {
    const { weights } = data.model
    const { threads, prepacked } = data
    const session = await openModel({ weights, prepacked, device, threads, critical })
    try {
      const model = createSentenceModel(session, { ...data, paddingId })
      if (device.kind !== 'cpu') await tryOut(model, paddingId)
      return model
    } catch (error) {
      await session.release()
      throw error
    }
  })
  const { session: model, device, fallbacks } = opened
  return { tokenizer, model, report: { device: deviceName(device), fallbacks } }
}

/** A device may take a model and then fail to run it: better now, while there is another to turn to. */
async function tryOut(model: SentenceModel, id: number): Promise<void> {
  const { unusable } = await model.run({ ids: new Int32Array(8).fill(id), offsets: Int32Array.of(0, 8) })
  if (unusable.length > 0) throw new Error('It gives vectors that are not finite.')
}

function encode(tokenizer: Tokenizer, { texts, kind }: TextsMessage): TokenizedTexts {
  const { maxTokens, prefixes } = data.model
  return tokenizer.encode(texts, { maxTokens, prefix: prefixes[kind] })
}

/** The arrays are moved with the whole buffers that they lie in. */
function transferred(value: object, ...arrays: readonly ArrayBufferView[]): Transferred<object> {
  return new Transferred(
    value,
    arrays.map(({ buffer }) => buffer as ArrayBuffer),
  )
}
