import { availableParallelism } from 'node:os'
import { RagError } from '../../core/errors.js'
import type { Logger } from '../../core/lifecycle.js'
import { weightsHashOf } from '../../models/content-hash.js'
import { type EmbeddingModelRequest, openEmbeddingModel } from '../../models/describe.js'
import { prepackedDirectory } from '../../models/places.js'
import type { EmbeddingModel } from '../../models/types.js'
import { planDevices } from '../../onnx/devices.js'
import { planPrepacking } from '../../onnx/prepack.js'
import { abortable } from '../../util/abort.js'
import { sha256Hex } from '../../util/hash.js'
import { stableJson } from '../../util/stable-json.js'
import type { AutoTuneOptions, AutoTuneResult, Embedder } from '../types.js'
import { tuneBudgets } from './auto-tune.js'
import { TokenBudgets } from './budgets.js'
import { EmbeddingCounters } from './counters.js'
import type { Lane, LaneReport } from './lane.js'
import { type LaneOptions, openLane } from './open-lane.js'
import { Scheduler } from './scheduler.js'

/** Options of {@link createOnnxEmbedder}; beside these, those of the model: where it is, its precision, what it is not to believe of it. */
export interface OnnxEmbedderOptions
  extends Pick<
    EmbeddingModelRequest,
    | 'model'
    | 'quantization'
    | 'modelsDir'
    | 'revision'
    | 'pooling'
    | 'queryPrefix'
    | 'passagePrefix'
    | 'maxTokens'
    | 'onProgress'
    | 'signal'
  > {
  /**
   * What to run on: `'auto'` (default), `'cpu'`, `'cuda'`, `'cuda:1'`, `'webgpu'`, `'coreml'`, `'dml'`, or a list of them, one worker
   * each. A device that fails is given up for the CPU, with one warning. `'auto'` takes what is there and known to be faster.
   */
  readonly device?: string | readonly string[]
  /**
   * Threads with a copy of the model each, 1 to 64, that embed passages side by side. Default: one for each core up to 8 on a CPU, one
   * on an accelerator; a list of devices says it itself. On two cores, two workers of one thread embed 1.1 times what one of two
   * threads does. Each takes some 60 MB beside the weights. Questions have one more of their own.
   */
  readonly workers?: number
  /** Where `workers` does not say: no more than so many on a CPU, at least 1. Default: no limit beside its own. */
  readonly maxWorkers?: number
  /** Threads of the runtime in each of those workers, 1 to 64. Default: the cores shared out evenly, rounded down. */
  readonly threads?: number
  /**
   * Tokens in one pass of the model, padding included (rows times the longest), 1 to 1,048,576. Default: 512 on a CPU, where more
   * only costs memory and makes questions wait; 16,384 on an accelerator.
   * `autoTune()` measures it. A text that is longer has a pass of its own.
   */
  readonly maxBatchTokens?: number
  /** Texts in one pass at most, 1 to 4,096. Default 256. Fewer leave short texts' passes smaller than `maxBatchTokens`. */
  readonly batchSize?: number
  /**
   * One text per pass, without padding: the same text gives the same bits whatever else is embedded, on the same processor. Default
   * false: vectors differ in the last bits by their batch mates; with 8-bit weights, whose scales are those of a whole batch, in the
   * third or fourth digit. Costs some 5% of the speed for passages of 100 tokens, half of it and more for single lines.
   */
  readonly deterministic?: boolean
  /**
   * Values per vector, for models that were trained to be cut (Matryoshka): the first so many, scaled to length 1. Default, and at
   * most: those of the model. Fewer save memory and time in the index.
   */
  readonly dimensions?: number
  /**
   * Folder of models as this processor computes them: the graph optimised, the weights in the layout that it multiplies. Such a copy is made
   * when a model between 2 MiB and 512 MiB is first opened on a CPU (a third of a second for MiniLM-L6 in int8, 34 MB of disk), and every session
   * maps it: models open twice as fast, and each takes some 33 MB less memory. Copies that nobody opens for 60 days, and those beyond sixteen, are
   * removed. Vectors are the same. `false`: none is made or used. Default: the variable `UFRAG_PREPACKED` (`off` for none), else `ultrafast-rag/prepacked` in
   * `XDG_CACHE_HOME` or `~/.cache`. Models are opened as they are where it cannot be written,
   * is on a network file system, or may be written by other users.
   */
  readonly prepackedDir?: string | false
  readonly logger?: Logger | undefined
}

/** What {@link createOnnxEmbedder} gives. */
export interface OnnxEmbedder extends Embedder {
  /**
   * Measures the speed of passes of 256 to 16,384 padded tokens on each kind of device and uses the best from then on. Takes some
   * ten seconds on a CPU; call it when nothing else runs.
   */
  autoTune(options?: AutoTuneOptions): Promise<AutoTuneResult>
}

/** Raise it when batches are formed in a way that gives other vectors. */
const paddingPolicy = { batched: 'by-length/1', alone: 'alone/1' }
const usual = { workers: 8, rows: 256, textsPerCall: 64, callsPerLane: 24 }

/**
 * Embeds with a transformer model in the ONNX format, in worker threads: the event loop only hands out texts and takes vectors. Finds
 * the model and reads what it says of itself; its weights are loaded by the first `embed()` or `warmUp()`, shared by whoever waits, and
 * tried again when that failed. Passages are embedded on `workers` threads of low priority, questions on one of their own.
 *
 * Rejects with `NOT_FOUND`, `INTEGRITY` or `UNSUPPORTED` for models, with `BAD_OPTION` for options; `MISSING_PEER`
 * (`onnxruntime-node`) comes with the first use. `tools` is for tests.
 */
export async function createOnnxEmbedder(
  options: OnnxEmbedderOptions,
  tools: { readonly openLane: (options: LaneOptions) => Lane } = { openLane },
): Promise<OnnxEmbedder> {
  checkOptions(options)
  const { deterministic = false, batchSize = usual.rows, logger, maxBatchTokens, prepackedDir, ...request } = options
  const model = await openEmbeddingModel({ ...request, logger })
  const dimensions = checkedDimensions(options.dimensions, model)
  const plan = planLanes(options, model)

  const onCpu = ({ devices }: LanePlan) => devices[0].kind === 'cpu'
  const prepacking = [...plan.lanes, plan.query].some(onCpu)
    ? await planPrepacking({ model, directory: prepackedDirectory(prepackedDir), hashWeights: weightsHashOf, logger })
    : undefined
  const openLane = (lane: LanePlan, priority: 'low' | 'normal') =>
    tools.openLane({ ...lane, model, dimensions, priority, prepacking: onCpu(lane) ? prepacking : undefined })
  const passageLanes = plan.lanes.map((lane) => openLane(lane, 'low'))
  const queryLane = openLane(plan.query, 'normal')
  const counters = new EmbeddingCounters()
  const budgets = new TokenBudgets(maxBatchTokens)
  const onLoad = createFallbackReport({ counters, logger, model })
  const shared = { dimensions, budgets, deterministic, maxRows: batchSize, counters, logger, onLoad }
  const passages = new Scheduler({ ...shared, lanes: passageLanes })
  const queries = new Scheduler({ ...shared, lanes: [queryLane] })

  return {
    id: 'onnx',
    fingerprint: fingerprintOf(model, { dimensions, deterministic }),
    dimensions,
    capabilities: {
      fitted: false,
      batchSize: Math.min(usual.textsPerCall, batchSize),
      concurrency: usual.callsPerLane * passageLanes.length,
    },
    embed: (texts, how) => (how.kind === 'query' ? queries : passages).embed(texts, how),

    async warmUp({ kind, signal } = {}) {
      signal?.throwIfAborted()
      const schedulers = kind === undefined ? [queries, passages] : [kind === 'query' ? queries : passages]
      await abortable(Promise.all(schedulers.map((scheduler) => scheduler.load())), signal)
    },

    stats: () => counters.stats(passages.queued + queries.queued),

    async autoTune({ signal, sample } = {}) {
      const result = await tuneBudgets({ lanes: passageLanes, ...shared, signal, sample })
      for (const [kind, { maxBatchTokens }] of Object.entries(result.best)) budgets.tune(kind, maxBatchTokens)
      return result
    },

    async close() {
      await Promise.all([passages.close(), queries.close()])
      await Promise.all([...passageLanes, queryLane].map((lane) => lane.close()))
      await prepacking?.close()
    },
  }
}

const ranges = {
  workers: [1, 64],
  maxWorkers: [1, Number.MAX_SAFE_INTEGER],
  threads: [1, 64],
  maxBatchTokens: [1, 1 << 20],
  batchSize: [1, 4_096],
  dimensions: [1, 1 << 16],
} as const

function checkOptions(options: OnnxEmbedderOptions): void {
  for (const [name, [least, most]] of Object.entries(ranges)) {
    const value = options[name as keyof typeof ranges]
    if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) continue
    throw new RagError('BAD_OPTION', `${name} is a whole number from ${least} to ${most}.`, { data: { [name]: value } })
  }
}

function checkedDimensions(wanted: number | undefined, { name, dimensions }: EmbeddingModel): number {
  if (wanted === undefined || wanted <= dimensions) return wanted ?? dimensions
  throw new RagError('BAD_OPTION', `The model "${name}" has vectors of ${dimensions} values, not of ${wanted}.`, {
    data: { model: name, dimensions: wanted, modelDimensions: dimensions },
    hint: `Give "dimensions" up to ${dimensions}, or leave it out.`,
  })
}

interface LanePlan {
  readonly devices: LaneOptions['devices']
  readonly threads: number
}

/** Which lanes to open, on which devices. */
function planLanes(
  { device = 'auto', workers, maxWorkers = usual.workers, threads }: OnnxEmbedderOptions,
  { quantization }: EmbeddingModel,
): { readonly lanes: readonly LanePlan[]; readonly query: LanePlan } {
  const plans = planDevices(device, { quantization })
  const [first] = plans
  const cores = availableParallelism()
  if (Array.isArray(device) && workers !== undefined && workers !== plans.length) {
    throw new RagError('BAD_OPTION', `A list of ${plans.length} devices has as many workers, not ${workers}.`, {
      data: { device, workers },
      hint: 'Leave "workers" out, or name a device several times.',
    })
  }
  const count = Array.isArray(device)
    ? plans.length
    : (workers ?? (first[0].kind === 'cpu' ? Math.min(cores, maxWorkers, usual.workers) : 1))
  const each = threads ?? Math.max(1, Math.floor(cores / count))
  const lanes = Array.from({ length: count }, (_, place) => ({
    devices: plans[place % plans.length] ?? first,
    threads: each,
  }))
  return { lanes, query: { devices: first, threads: 1 } }
}

function fingerprintOf(
  { name, contentHash, quantization, pooling, prefixes, maxTokens }: EmbeddingModel,
  { dimensions, deterministic }: { readonly dimensions: number; readonly deterministic: boolean },
): string {
  const padding = deterministic ? paddingPolicy.alone : paddingPolicy.batched
  const all = stableJson({ contentHash, quantization, pooling, prefixes, maxTokens, dimensions, padding })
  return `onnx/1/${name}/${quantization}/${dimensions}/${sha256Hex(all).slice(0, 32)}`
}

/** Counts each device that failed once, and tells the logger once. */
function createFallbackReport({
  counters,
  logger,
  model,
}: {
  readonly counters: EmbeddingCounters
  readonly logger: Logger | undefined
  readonly model: EmbeddingModel
}): (report: LaneReport) => void {
  const known = new Set<string>()
  return ({ device, fallbacks }) => {
    const fresh = fallbacks.filter((fallback) => !known.has(fallback.device))
    if (fresh.length === 0) return
    for (const fallback of fresh) known.add(fallback.device)
    counters.add('fallbacks', fresh.length)
    if (known.size > fresh.length) return
    logger?.warn('A device could not be used: the model runs on another one.', {
      model: model.name,
      device,
      failed: fresh,
    })
  }
}
