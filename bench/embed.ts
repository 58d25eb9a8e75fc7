import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { modelFolder } from '../test/fixtures/models/model-folder.js'
import type { DriftTask } from './children/embed-drift.js'
import type { EmbedIngestResult, EmbedIngestTask } from './children/embed-ingest.js'
import type { EmbedRun, OursTask } from './children/embed-ours.js'
import type { RawResult, RawTask } from './children/embed-raw.js'
import type { TransformersTask } from './children/embed-transformers.js'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import type { Drift } from './lib/drift.js'
import { type EmbeddingTexts, loadEmbeddingTexts } from './lib/embedding-texts.js'
import { quantile } from './lib/measure.js'
import { prepackModel } from './lib/prepack.js'
import { measureStaticSpeed } from './lib/static-speed.js'
import { measureTokenizerSpeed } from './lib/tokenizer-speed.js'

/** Texts of each kind; metric keys with `512` need as many. */
const size = { chunks: 512, mixed: 256 }
/** A mixed batch of 512 would need some 20 GB for the attention of its padding. */
const batchSizes = { chunks: [1, 8, 32, 512], mixed: [1, 8, 32, 128] }
const maxTokens = 512
/** The longest so many are run first, there and here, where the engine is compared with the runtime. */
const warmUpTexts = 32

/**
 * What the embedding engine is worth: against `@huggingface/transformers` at several batch sizes and against bare onnxruntime, with
 * the same weights (random ones, of the shape of all-MiniLM-L6-v2: speed does not depend on what the weights are) and texts, each
 * contender in a fresh process, in turns.
 */
const bench: Bench = async (context) => {
  const texts = loadEmbeddingTexts(context.data, size)
  if (texts === undefined) {
    context.log('! skipped: everything (no measuring data)')
    return {}
  }
  const directory = modelFolder({
    size: 'minilm',
    weights: ['fp32', 'int8'],
    tokenizer: { file: join(context.data as string, 'tokenizer', 'bert-base-uncased', 'tokenizer.json') },
  })
  await prepackModel(directory)
  return {
    ...(await compareWithTransformers('chunks', texts, directory, context)),
    ...(await compareWithTransformers('mixed', texts, directory, context)),
    ...(await compareWithRuntime(texts, directory, context)),
    ...(await watchIngest(texts, directory, context)),
    ...(await showDrift(texts, directory, context)),
    ...(await measureTokenizerSpeed(context)),
    ...(await measureStaticSpeed(context)),
  }
}

export default bench

type Kind = 'chunks' | 'mixed'

async function compareWithTransformers(
  kind: Kind,
  { [kind]: texts }: EmbeddingTexts,
  directory: string,
  context: BenchContext,
): Promise<Metrics> {
  const ours = (quantization: OursTask['quantization']) => () =>
    context.child<EmbedRun>('children/embed-ours.ts', { directory, quantization, texts } satisfies OursTask)
  const theirs = (batchSize: number) => () =>
    context.child<EmbedRun>('children/embed-transformers.ts', {
      directory,
      dtype: 'q8',
      texts,
      batchSize,
    } satisfies TransformersTask)
  const contenders = new Map<string, () => Promise<{ result: EmbedRun }>>([
    ['ours, int8', ours('int8')],
    ...batchSizes[kind].map((count) => [`transformers.js q8, batch ${count}`, theirs(count)] as const),
    ...(kind === 'chunks' ? ([['ours, fp32', ours('fp32')]] as const) : []),
  ])
  const runs = await takeTurns(contenders, context.quick ? 1 : 3)

  context.log(`${texts.length} ${kind === 'chunks' ? 'chunks of at most 400 characters' : 'documents as they are'}:`)
  context.table([
    ['contender', 'texts/s', 'ours faster', 'peak MB', 'padding', 'delay p99 ms', 'max ms', 'lost share'],
    ...[...runs].map(([name, all]) => [
      name,
      ((texts.length * 1000) / median(all, ({ durationMs }) => durationMs)).toFixed(1),
      `${ratio(runs, name).toFixed(2)}x`,
      Math.round(median(all, ({ peakBytes }) => peakBytes) / 2 ** 20),
      percent(median(all, ({ paddingWaste }) => paddingWaste)),
      ...delayCells(all.map(({ delay }) => delay)),
    ]),
  ])
  const named = (count: number) => `transformers.js q8, batch ${count}`
  const best = Math.min(...batchSizes[kind].map((count) => ratio(runs, named(count))))
  const own = runs.get('ours, int8') as readonly EmbedRun[]
  if (kind === 'mixed') return { 'mixed.speedupBatch32': ratio(runs, named(32)), 'mixed.speedupBest': best }
  const peak = (name: string) => median(runs.get(name) as readonly EmbedRun[], ({ peakBytes }) => peakBytes)
  return {
    'chunks.speedupBatch32': ratio(runs, named(32)),
    'chunks.speedupBest': best,
    'chunks.speedupBatch512': ratio(runs, named(512)),
    'speedup.int8OverFp32': ratio(runs, 'ours, fp32'),
    'padding.waste': median(own, ({ paddingWaste }) => paddingWaste),
    'rss.ratioBatch512': peak('ours, int8') / peak(named(512)),
    'rss.ratioBatch32': peak('ours, int8') / peak(named(32)),
  }
}

/** Runs every contender once per round, in the order given and the next time in reverse. */
async function takeTurns(
  contenders: ReadonlyMap<string, () => Promise<{ result: EmbedRun }>>,
  rounds: number,
): Promise<ReadonlyMap<string, readonly EmbedRun[]>> {
  const runs = new Map([...contenders.keys()].map((name) => [name, [] as EmbedRun[]]))
  const order = [...contenders]
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of round % 2 === 0 ? order : order.toReversed()) runs.get(name)?.push((await run()).result)
  }
  return runs
}

/** How much longer a contender takes than we do in int8, medians. */
function ratio(runs: ReadonlyMap<string, readonly EmbedRun[]>, name: string): number {
  const time = (of: string) => median(runs.get(of) as readonly EmbedRun[], ({ durationMs }) => durationMs)
  return time(name) / time('ours, int8')
}

async function compareWithRuntime(texts: EmbeddingTexts, directory: string, context: BenchContext): Promise<Metrics> {
  const rows: (string | number)[][] = [
    ['texts', 'bare onnxruntime tokens/s', 'its best shape', 'ours tokens/s', 'share'],
  ]
  const shares: number[] = []
  for (const kind of ['chunks', 'mixed'] as const) {
    const raw: RawResult[] = []
    const own: number[] = []
    for (let round = 0; round < (context.quick ? 2 : 5); round++) {
      const task: RawTask = {
        directory,
        weights: join(directory, 'onnx', 'model_quantized.onnx'),
        texts: texts[kind],
        maxTokens,
        rounds: 1,
        warmUp: warmUpTexts,
      }
      const theirs = async () => raw.push((await context.child<RawResult>('children/embed-raw.ts', task)).result)
      const mine = async () => {
        const task: OursTask = { directory, quantization: 'int8', texts: texts[kind], warmUp: warmUpTexts }
        const { result } = await context.child<EmbedRun>('children/embed-ours.ts', task)
        own.push((result.tokens * 1000) / result.durationMs)
      }
      for (const turn of round % 2 === 0 ? [theirs, mine] : [mine, theirs]) await turn()
    }
    // The shape that is best over all rounds, not the luckiest of each.
    const shapes = Object.keys(raw[0]?.tried ?? {}).map(
      (shape) =>
        [
          shape,
          quantile(
            raw.map(({ tried }) => tried[shape] ?? Number.NaN),
            0.5,
          ),
        ] as const,
    )
    const [shape, rate] = shapes.toSorted((a, b) => b[1] - a[1])[0] as readonly [string, number]
    const share = quantile(own, 0.5) / rate
    shares.push(share)
    rows.push([kind, Math.round(rate), shape, Math.round(quantile(own, 0.5)), share.toFixed(3)])
  }
  context.table(rows)
  return { 'efficiency.rawOnnxRuntime': Math.min(...shares) }
}

async function watchIngest(texts: EmbeddingTexts, directory: string, context: BenchContext): Promise<Metrics> {
  const storage = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  try {
    const task: EmbedIngestTask = {
      directory,
      storage,
      documents: texts.mixed,
      questions: texts.questions,
      rounds: context.quick ? 2 : 5,
    }
    const { result } = await context.child<EmbedIngestResult>('children/embed-ingest.ts', task)
    context.log('An ingest at full speed:')
    context.table([
      ['chunks/s', 'delay p99 ms', 'max ms', 'lost share', 'idle query p95 ms', 'p95 over idle', 'speed kept'],
      [
        result.chunksPerSecond.toFixed(1),
        ...delayCells([result.delay]),
        result.idleP95Ms.toFixed(1),
        result.p95Ratio.toFixed(2),
        percent(result.ingestShare),
      ],
    ])
    return {
      'loopDelay.p99Ms': result.delay.p99Ms,
      'loopDelay.maxMs': result.delay.maxMs,
      'loopDelay.lostShare': result.delay.lostShare,
      'query.p95RatioDuringIngest': result.p95Ratio,
      'query.idleP95Ms': result.idleP95Ms,
      'query.ingestShare': result.ingestShare,
    }
  } finally {
    if (existsSync(storage)) rmSync(storage, { recursive: true, force: true })
  }
}

async function showDrift({ chunks }: EmbeddingTexts, directory: string, context: BenchContext): Promise<Metrics> {
  const contenders: DriftTask['contenders'] = [
    { quantization: 'fp32', deterministic: false },
    { quantization: 'int8', deterministic: false },
    { quantization: 'int8', deterministic: true },
  ]
  const task: DriftTask = { directory, texts: chunks.slice(0, 200), contenders }
  const { result } = await context.child<Drift[]>('children/embed-drift.ts', task)
  context.log('Vectors of texts alone and among others (random weights: this shows how it works, not how much it is):')
  context.table([
    ['weights', 'deterministic', 'least cosine', 'equal bits'],
    ...contenders.map(({ quantization, deterministic }, place) => [
      quantization,
      String(deterministic),
      result[place]?.minCosine.toFixed(7) ?? '-',
      percent(result[place]?.bitEqual ?? Number.NaN),
    ]),
  ])
  return {
    'drift.minCosineInt8': result[1]?.minCosine ?? Number.NaN,
    'drift.bitEqualDeterministic': result[2]?.bitEqual ?? Number.NaN,
  }
}

function delayCells(delays: readonly EmbedRun['delay'][]): string[] {
  return [
    median(delays, ({ p99Ms }) => p99Ms).toFixed(1),
    median(delays, ({ maxMs }) => maxMs).toFixed(1),
    percent(median(delays, ({ lostShare }) => lostShare)),
  ]
}

function median<Item>(items: readonly Item[], read: (item: Item) => number): number {
  return quantile(items.map(read), 0.5)
}

function percent(share: number): string {
  return Number.isNaN(share) ? '-' : `${(share * 100).toFixed(1)}%`
}
