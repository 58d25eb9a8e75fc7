import { InferenceSession, Tensor } from 'onnxruntime-node'
import { poolRows } from '../../src/embed/onnx/pooling.js'
import type { TokenizedTexts } from '../../src/models/types.js'
import { createBatchInputs } from '../../src/onnx/batch-inputs.js'
import { randomNumbers } from '../../src/testing/support.js'

/** A model file and what the runtime is told of it: plain data, which may be sent to a child. */
export interface SessionSpec {
  readonly name: string
  readonly weights: string
  /** Over those that the embedder opens its sessions with, on one thread. */
  readonly options?: InferenceSession.SessionOptions
  readonly runOptions?: InferenceSession.RunOptions
  /** Whether the graph pools and scales; else its token vectors are pooled here. */
  readonly pools?: boolean
}

/** A session of onnxruntime-node with no worker thread around it. It blocks while it runs. */
export interface BareSession {
  /** One vector of unit length per text. */
  vectors(batch: TokenizedTexts): Promise<Float32Array>
  release(): Promise<void>
}

/** Opens a session on one thread. */
export async function openBareSession({ weights, options, runOptions, pools }: SessionSpec): Promise<BareSession> {
  const session = await InferenceSession.create(weights, sessionOptions(options))
  const inputs = session.inputMetadata.map((input) => {
    if (!input.isTensor) throw new Error(`${input.name} is no tensor`)
    return { name: input.name, type: input.type as string, shape: input.shape }
  })
  const inputsOf = createBatchInputs({ inputs, Tensor }, { paddingId: 0, file: weights })
  const [output = ''] = session.outputNames
  return {
    async vectors(batch) {
      const { feeds, sequence } = inputsOf(batch)
      const { data, dims } = (await session.run(feeds, [output], runOptions ?? {}))[output] as Tensor
      const hidden = dims.at(-1) as number
      const pooling = pools ? 'none' : 'mean'
      const { offsets } = batch
      return poolRows({ values: data as Float32Array, sequence, hidden }, { pooling, offsets, dimensions: hidden })
        .vectors
    },
    release: () => session.release(),
  }
}

function sessionOptions({ extra, ...options }: InferenceSession.SessionOptions = {}): InferenceSession.SessionOptions {
  const { session, ...others } = (extra ?? {}) as Record<string, Record<string, string>>
  return {
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    interOpNumThreads: 1,
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
    ...options,
    extra: { session: { force_spinning_stop: '1', ...session }, ...others },
  }
}

/** Texts of so many random tokens each: how fast a model runs does not depend on which. */
export function randomTexts(lengths: readonly number[], seed: number): TokenizedTexts {
  const random = randomNumbers(seed)
  const offsets = Int32Array.from([0, ...lengths])
  for (let text = 0; text < lengths.length; text++) offsets[text + 1]! += offsets[text] as number
  return {
    ids: Int32Array.from({ length: offsets.at(-1) as number }, () => 5 + Math.floor(random() * 30_000)),
    offsets,
  }
}

/** Some texts of a batch, as a batch of their own. */
export function pickTexts({ ids, offsets }: TokenizedTexts, texts: readonly number[]): TokenizedTexts {
  const parts = texts.map((text) => ids.subarray(offsets[text], offsets[text + 1]))
  const lengths = parts.map(({ length }) => length)
  const picked = randomTexts(lengths, 0)
  for (const [place, part] of parts.entries()) picked.ids.set(part, picked.offsets[place])
  return picked
}
