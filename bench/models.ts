import { join } from 'node:path'
import { type ModelFolderOptions, modelFolder } from '../test/fixtures/models/model-folder.js'
import { staticModelFolder } from '../test/fixtures/models/static-model-folder.js'
import type { EmbedRun, OursTask } from './children/embed-ours.js'
import type { StaticRun, StaticTask } from './children/embed-static.js'
import type { Bench, Metrics } from './lib/bench.js'
import { createTextGenerator } from './lib/corpus.js'
import { markdownTable } from './lib/markdown.js'
import { formatNumber, quantile } from './lib/measure.js'
import { prepackModel } from './lib/prepack.js'

/** Models that people choose, by their shapes. `texts` is how many of them a measurement takes. */
const shapes: readonly { readonly name: string; readonly texts: number; readonly shape: ModelFolderOptions }[] = [
  { name: 'all-MiniLM-L6', texts: 192, shape: {} },
  { name: 'multi-qa-MiniLM-L6', texts: 192, shape: { seed: 2 } },
  { name: 'bge-small', texts: 96, shape: { layers: 12, pooling: 'cls' } },
  { name: 'multilingual-MiniLM-L12', texts: 96, shape: { layers: 12, vocabulary: 250_037 } },
  { name: 'mpnet-base', texts: 48, shape: { layers: 12, hidden: 768, heads: 12, intermediate: 3_072 } },
]
const precisions = ['fp32', 'int8'] as const
const characters = 400
const staticTexts = 8_000
const staticDimensions = 512

/**
 * What models of different shapes cost, in each precision: dimensions, texts of 400 characters and tokens in a second, peak of anonymous memory: of a
 * process with three sessions on two cores, two for passages and one for questions, whose weights are mapped from one file. Weights are
 * random: speed and memory do not depend on what they are. Words are cut by BERT's tokenizer, without measuring data by a small made one; for the
 * multilingual shape by a made one of its size.
 */
const bench: Bench = async ({ child, data, log, quick, table, write }) => {
  const generator = createTextGenerator(8)
  const made = (count: number) =>
    Array.from({ length: count }, () => generator.document(characters).slice(0, characters))
  if (data === undefined)
    log("! skipped: BERT's own tokenizer (no measuring data); a made one cuts words into other tokens")
  const tokenizer = data === undefined ? undefined : join(data, 'tokenizer', 'bert-base-uncased', 'tokenizer.json')
  const rows: (string | number)[][] = [['model', 'precision', 'dimensions', 'texts/s', 'tokens/s', 'peak MB']]
  const metrics: Metrics = {}
  const tell = (name: string, precision: string, { dimensions, texts, tokens, bytes }: Figures) => {
    rows.push([name, precision, dimensions, formatNumber(texts), formatNumber(tokens), Math.round(bytes / 2 ** 20)])
    metrics[`${name}.${precision}.textsPerSecond`] = texts
    metrics[`${name}.${precision}.tokensPerSecond`] = tokens
    metrics[`${name}.${precision}.peakMb`] = bytes / 2 ** 20
  }
  const models = shapes.flatMap(({ name, shape, texts: count }) => {
    const own = shape.vocabulary === undefined && tokenizer !== undefined ? { tokenizer: { file: tokenizer } } : {}
    const directory = modelFolder({ size: 'minilm', weights: [...precisions], ...own, ...shape })
    // Every precision embeds the same texts.
    const texts = made(count)
    return precisions.map((quantization) => ({
      name,
      dimensions: shape.hidden ?? 384,
      task: { directory, quantization, texts } satisfies OursTask,
      runs: [] as Run[],
    }))
  })
  for (const { task } of models) await prepackModel(task.directory)
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    for (const { name, runs, task } of round % 2 === 0 ? models : models.toReversed()) {
      const { peakAnonymousBytes: bytes, result } = await child<EmbedRun>('children/embed-ours.ts', task)
      runs.push({ ...result, bytes })
      log(`${name} ${task.quantization}: ${(result.durationMs / 1000).toFixed(1)} s`)
    }
  }
  for (const { dimensions, name, runs, task } of models) {
    const median = (read: (run: Run) => number) => quantile(runs.map(read), 0.5)
    const perSecond = (count: number) => (count * 1000) / median(({ durationMs }) => durationMs)
    tell(name, task.quantization, {
      dimensions,
      texts: perSecond(task.texts.length),
      tokens: perSecond(median(({ tokens }) => tokens)),
      bytes: median(({ bytes }) => bytes),
    })
  }
  const task: StaticTask = {
    model: staticModelFolder({ dimensions: staticDimensions, vocabulary: 30_522 }),
    workers: 2,
    quantization: 'fp32',
    texts: made(staticTexts),
    questions: made(20).map((text) => text.slice(0, 60)),
    rounds: quick ? 2 : 5,
  }
  const { peakAnonymousBytes: bytes, result } = await child<StaticRun>('children/embed-static.ts', task)
  const roundMs = quantile(result.roundsMs, 0.5)
  const [texts, tokens] = [staticTexts, result.tokens].map((count) => (count * 1000) / roundMs) as [number, number]
  tell('static', 'fp32', { dimensions: staticDimensions, texts, tokens, bytes })
  table(rows)
  write('models.md', markdownTable(rows))
  return metrics
}

export default bench

interface Run extends EmbedRun {
  /** Peak of anonymous memory. */
  readonly bytes: number
}

interface Figures {
  readonly dimensions: number
  /** In a second. */
  readonly texts: number
  readonly tokens: number
  readonly bytes: number
}
