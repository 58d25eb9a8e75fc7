import { createOnnxEmbedder, type OnnxEmbedder } from '../../src/embed/onnx/onnx.js'
import { randomNumbers } from '../../src/util/random.js'
import { modelFolder } from '../../test/fixtures/models/model-folder.js'
import type { BenchContext, Metrics } from './bench.js'
import { compare } from './measure.js'

/** Questions that are asked at once, and tokens of each. */
const size = { questions: 64, tokens: 20 }
const words =
  'the bird river house water light time people world school point order right small great place year'.split(' ')

/**
 * What it is worth to embed the questions of many askers in common passes: the same model, worker and questions, with one text in each
 * pass and with as many as are waiting; and what a lone question pays for it.
 */
export async function measureMicroBatching({ log, quick, table }: BenchContext): Promise<Metrics> {
  const directory = modelFolder({ size: 'minilm', weights: ['int8'] })
  const open = (deterministic: boolean) => createOnnxEmbedder({ model: directory, quantization: 'int8', deterministic })
  const [alone, together] = [await open(true), await open(false)]
  const questions = distinctQuestions(size.questions)
  try {
    await requireTokens(together, questions)
    const many = (embedder: OnnxEmbedder) => () => Promise.all(questions.map((text) => embed(embedder, text)))
    const rounds = { warmup: 2, blocks: quick ? 5 : 15 }
    const crowd = await compare(
      [
        { name: 'in common passes', run: many(together) },
        { name: 'one text per pass', run: many(alone) },
      ],
      { ...rounds, repetitions: 1 },
    )
    let next = 0
    const one = (embedder: OnnxEmbedder) => () => embed(embedder, questions[next++ % questions.length] as string)
    const lone = await compare(
      [
        { name: 'alone, one text per pass', run: one(alone) },
        { name: 'alone, in common passes', run: one(together) },
      ],
      { ...rounds, repetitions: 10 },
    )
    log(`${size.questions} questions of ${size.tokens} tokens at once, MiniLM-L6 in int8, one thread:`)
    table([
      ['', 'ms', 'over the first'],
      ...[...crowd, ...lone].map(({ name, ratio, times }) => [name, times.median.toFixed(2), `${ratio.toFixed(2)}x`]),
    ])
    return {
      'batching.throughputRatio': crowd[1]?.ratio ?? Number.NaN,
      'batching.loneP50Ratio': lone[1]?.ratio ?? Number.NaN,
    }
  } finally {
    await Promise.all([alone.close(), together.close()])
  }
}

function embed(embedder: OnnxEmbedder, text: string) {
  return embedder.embed([text], { kind: 'query' })
}

function distinctQuestions(count: number): string[] {
  const random = randomNumbers(1)
  // Two tokens stand around each text.
  const word = () => words[Math.floor(random() * words.length)]
  return Array.from({ length: count }, () => Array.from({ length: size.tokens - 2 }, word).join(' '))
}

/** Or the words are not in the vocabulary. */
async function requireTokens(embedder: OnnxEmbedder, questions: readonly string[]): Promise<void> {
  const { tokens } = await embedder.embed(questions, { kind: 'query' })
  if (tokens !== questions.length * size.tokens) throw new Error(`The questions have ${tokens} tokens.`)
}
