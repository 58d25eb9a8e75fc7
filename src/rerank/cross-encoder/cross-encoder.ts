import { availableParallelism } from 'node:os'
import { RagError } from '../../core/errors.js'
import type { Logger } from '../../core/lifecycle.js'
import { weightsHashOf } from '../../models/content-hash.js'
import { openRerankingModel, type RerankingModelRequest } from '../../models/describe.js'
import { prepackedDirectory } from '../../models/places.js'
import { planDevices } from '../../onnx/devices.js'
import { planPrepacking } from '../../onnx/prepack.js'
import { inOrder } from '../in-order.js'
import type { RerankCandidate, Reranker, RerankRequest } from '../types.js'
import { createScorer, type Scorer, type ScorerOptions } from './scorer.js'

/** Options of {@link createCrossEncoder}; beside these, those of the model: where it is, and its precision. */
export interface CrossEncoderOptions
  extends Pick<RerankingModelRequest, 'model' | 'quantization' | 'modelsDir' | 'revision' | 'onProgress' | 'signal'> {
  /**
   * Tokens of question and passage together, special ones included, 8 to those of the model. Default 256 (or those of the model): the
   * time for a passage grows with them. The passage is cut; the question only where it takes more than half.
   */
  readonly maxTokens?: number
  /** `'sigmoid'` (default): scores from 0 to 1; `'none'`: logits as the model gives them. The order is the same. */
  readonly activation?: 'sigmoid' | 'none'
  /** What to run on: `'auto'` (default), `'cpu'`, `'cuda'`, … as for the `onnx` embedder. */
  readonly device?: string
  /**
   * Threads with a copy of the model each, 1 to 16, that share the candidates of a question. Default: one for each core up to 4 on a
   * CPU, 1 on an accelerator: two of one thread take 0.6 times the processor time of one with two threads. Each takes some 60 MB
   * beside the weights.
   */
  readonly workers?: number
  /** Threads of the runtime in each of those workers, 1 to 64. Default: the cores shared out evenly. */
  readonly threads?: number
  /**
   * Folder of models as this processor computes them, or `false` for none; as for the `onnx` embedder. Default: `UFRAG_PREPACKED`, else
   * `ultrafast-rag/prepacked` in the user's cache.
   */
  readonly prepackedDir?: string | false
  /** Where `workers` and `threads` do not say: no more than so many in all, at least 1. */
  readonly maxWorkers?: number
  /** Tokens in one pass, padding included, 1 to 1,048,576. Default 512 on a CPU, 16,384 on an accelerator. */
  readonly maxBatchTokens?: number
  /** A smaller model that scores all candidates first: only its best `keep` (at least `topK`) are left to `model`. Default: none. */
  readonly cascade?: CascadeOptions
  /**
   * Candidates are scored in rounds of so many, in the order they came (with `cascade`: of the smaller model); the first round that
   * brings none among the best `topK` is the last. 1 to 1,000. Default: all are scored. It saves time where the search was right, and may
   * miss what stands further down.
   */
  readonly patience?: number
  readonly logger?: Logger | undefined
}

export interface CascadeOptions {
  /** Folder or hub id. Default `'cross-encoder/ms-marco-TinyBERT-L2-v2'`. */
  readonly model?: string
  /** Candidates left to the larger model, 1 to 1,000. Default 10. */
  readonly keep?: number
}

const usual = { maxTokens: 256, keep: 10, firstModel: 'cross-encoder/ms-marco-TinyBERT-L2-v2', workers: 4 }
const ranges = {
  maxTokens: [8, Number.MAX_SAFE_INTEGER],
  workers: [1, 16],
  threads: [1, 64],
  maxWorkers: [1, Number.MAX_SAFE_INTEGER],
  maxBatchTokens: [1, 1 << 20],
  patience: [1, 1_000],
} as const

/**
 * Reranks with a model that reads question and passage together (Nogueira, Cho 2019), in worker threads of their own, so that an
 * ingest, which has a lower priority, does not hold it up. Finds the model; its weights are loaded by the first `rerank()` or `warmUp()`.
 *
 * Rejects with `NOT_FOUND`, `INTEGRITY` or `UNSUPPORTED` for models, `BAD_OPTION` for options; `MISSING_PEER` (`onnxruntime-node`)
 * comes with the first use. `tools` is for tests.
 */
export async function createCrossEncoder(
  options: CrossEncoderOptions,
  tools: { readonly createScorer: (options: ScorerOptions) => Scorer } = { createScorer },
): Promise<Reranker> {
  checkOptions(options)
  const { activation = 'sigmoid', cascade, patience } = options
  const { keep = usual.keep, model: firstModel = usual.firstModel } = cascade ?? {}
  const main = tools.createScorer(await describeScorer(options, options.model))
  const first = cascade && tools.createScorer(await describeScorer(options, firstModel))
  const scorers = first === undefined ? [main] : [first, main]

  async function shortlist({ question, candidates, topK }: RerankRequest, signal: AbortSignal | undefined) {
    if (first === undefined || candidates.length <= Math.max(keep, topK)) return candidates
    const scores = usable(await first.score(question, candidates.map(textOf), signal))
    const byNumber = new Map(candidates.map((candidate) => [candidate.number, candidate]))
    const best = inOrder(candidates, scores).slice(0, Math.max(keep, topK))
    return best.map(({ number }) => byNumber.get(number) as RerankCandidate)
  }

  return {
    id: 'cross-encoder',
    capabilities: { vectors: false },

    async rerank(request, { signal }) {
      signal?.throwIfAborted()
      const { question, topK } = request
      const candidates = await shortlist(request, signal)
      const logits: number[] = []
      for (const round of rounds(candidates, { patience, topK })) {
        const found = await main.score(question, round.map(textOf), signal)
        logits.push(...found)
        if (!bringsBetter(logits, round.length, topK)) break
      }
      const scores = usable(logits).map((logit) => (logit === undefined ? logit : activate(logit, activation)))
      // Only a model that is broken, or was asked nothing, scores nothing.
      if (candidates.length > 0 && scores.every((score) => score === undefined)) throw noScores(options.model)
      return inOrder(candidates, scores)
    },

    async warmUp({ signal } = {}) {
      await Promise.all(scorers.map((scorer) => scorer.load(signal)))
    },

    async close() {
      await Promise.all(scorers.map((scorer) => scorer.close()))
    },
  }
}

function checkOptions(options: CrossEncoderOptions): void {
  for (const [name, [least, most]] of Object.entries(ranges))
    check(name, options[name as keyof typeof ranges], least, most)
  check('cascade.keep', options.cascade?.keep, 1, 1_000)
}

function check(name: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  throw new RagError('BAD_OPTION', `${name} is a whole number ${range}.`, { data: { [name]: value } })
}

async function describeScorer(options: CrossEncoderOptions, name: string): Promise<ScorerOptions> {
  const { device = 'auto', logger, maxBatchTokens, maxTokens, maxWorkers = Number.POSITIVE_INFINITY } = options
  const { modelsDir, onProgress, quantization, revision, signal } = options
  const where = { modelsDir, onProgress, quantization, signal, logger }
  // A revision is one of the model that was named, not of the smaller one before it.
  const model = await openRerankingModel({
    ...where,
    model: name,
    maxTokens,
    ...(name === options.model ? { revision } : {}),
  })
  const [devices] = planDevices(device, model)
  const cores = Math.min(availableParallelism(), maxWorkers)
  const workers = options.workers ?? (devices[0].kind === 'cpu' ? Math.min(cores, usual.workers) : 1)
  return {
    model: { ...model, maxTokens: maxTokens ?? Math.min(model.maxTokens, usual.maxTokens) },
    devices,
    workers,
    threads: options.threads ?? Math.max(1, Math.floor(cores / workers)),
    maxBatchTokens,
    prepacking:
      devices[0].kind === 'cpu'
        ? await planPrepacking({
            model,
            directory: prepackedDirectory(options.prepackedDir),
            hashWeights: weightsHashOf,
            logger,
          })
        : undefined,
    logger,
  }
}

function textOf({ text }: RerankCandidate): string {
  return text
}

/** Candidates to be scored together; the first round is large enough for `topK` of them to be known. */
function* rounds(
  candidates: readonly RerankCandidate[],
  { patience = candidates.length, topK }: { readonly patience: number | undefined; readonly topK: number },
): Generator<readonly RerankCandidate[]> {
  let size = Math.max(patience, topK)
  for (let from = 0; from < candidates.length; ) {
    yield candidates.slice(from, from + size)
    from += size
    size = patience
  }
}

/** Whether any of the last so many logits is among the best `topK` of all. Of equals the earlier is the better. */
function bringsBetter(logits: readonly number[], last: number, topK: number): boolean {
  const earlier = logits.slice(0, logits.length - last).filter((logit) => !Number.isNaN(logit))
  if (earlier.length < topK) return true
  const worst = earlier.sort((a, b) => b - a)[topK - 1] as number
  return logits.slice(-last).some((logit) => logit > worst)
}

function usable(logits: ArrayLike<number>): (number | undefined)[] {
  return Array.from(logits, (logit) => (Number.isFinite(logit) ? logit : undefined))
}

function activate(logit: number, activation: 'sigmoid' | 'none'): number {
  return activation === 'none' ? logit : 1 / (1 + Math.exp(-logit))
}

function noScores(model: string): RagError {
  return new RagError('PROVIDER', `The model "${model}" gave no finite score for any passage.`, { data: { model } })
}
