import { join } from 'node:path'
import { type ModelFolderOptions, modelFolder } from '../test/fixtures/models/model-folder.js'
import { staticModelFolder } from '../test/fixtures/models/static-model-folder.js'
import type { EmbedRun, OursTask } from './children/embed-ours.js'
import type { StaticRun, StaticTask } from './children/embed-static.js'
import type { Bench, Metrics } from './lib/bench.js'
import { createTextGenerator } from './lib/corpus.js'
import { markdownTable } from './lib/markdown.js'
import { formatNumber, quantile } from './lib/measure.js'

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
 * What models of different shapes cost, in each precision: dimensions, texts of 400 characters and tokens in a second, peak of anonymous memory. Weights
 * are random: speed and memory do not depend on what they are. The multilingual shape has its own size of vocabulary and BERT's way to cut words.
 */
const bench: Bench = async ({ child, data, log, quick, table, write }) => {
  const generator = createTextGenerator(8)
  const made = (count: number) =>
    Array.from({ length: count }, () => generator.document(characters).slice(0, characters))
  const tokenizer = data === undefined ? undefined : join(data, 'tokenizer', 'bert-base-uncased', 'tokenizer.json')
  const rows: (string | number)[][] = [['model', 'precision', 'dimensions', 'texts/s', 'tokens/s', 'peak MB']]
  const metrics: Metrics = {}
  const tell = (name: string, precision: string, { dimensions, texts, tokens, bytes }: Figures) => {
    rows.push([name, precision, dimensions, formatNumber(texts), formatNumber(tokens), Math.round(bytes / 2 ** 20)])
    log(`${name} ${precision}: ${formatNumber(texts)} texts/s`)
    metrics[`${name}.${precision}.textsPerSecond`] = texts
    metrics[`${name}.${precision}.tokensPerSecond`] = tokens
    metrics[`${name}.${precision}.peakMb`] = bytes / 2 ** 20
  }
  for (const { name, shape, texts: count } of shapes) {
    const own = shape.vocabulary === undefined && tokenizer !== undefined ? { tokenizer: { file: tokenizer } } : {}
    const directory = modelFolder({ size: 'minilm', weights: [...precisions], ...own, ...shape })
    for (const quantization of precisions) {
      const task: OursTask = { directory, quantization, texts: made(count) }
      const runs: (EmbedRun & { bytes: number })[] = []
      for (let round = 0; round < (quick ? 1 : 3); round++) {
        const { peakAnonymousBytes: bytes, result } = await child<EmbedRun>('children/embed-ours.ts', task)
        runs.push({ ...result, bytes })
      }
      const durationMs = quantile(
        runs.map((run) => run.durationMs),
        0.5,
      )
      const [{ bytes, tokens }] = runs as [EmbedRun & { bytes: number }]
      const perSecond = (of: number) => (of * 1000) / durationMs
      tell(name, quantization, {
        dimensions: shape.hidden ?? 384,
        texts: perSecond(count),
        tokens: perSecond(tokens),
        bytes,
      })
    }
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

interface Figures {
  readonly dimensions: number
  /** In a second. */
  readonly texts: number
  readonly tokens: number
  readonly bytes: number
}
