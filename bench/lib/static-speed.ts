import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeSafetensors } from '../../src/models/safetensors.js'
import { randomNumbers } from '../../src/testing/support.js'
import { staticModelFolder } from '../../test/fixtures/models/static-model-folder.js'
import type { StaticRun, StaticTask } from '../children/embed-static.js'
import type { BenchContext, Metrics } from './bench.js'
import { createTextGenerator } from './corpus.js'
import { formatNumber, quantile } from './measure.js'
import { loadRetrievalSet } from './retrieval.js'

const dimensions = 256
const vocabulary = 30_522
const chunkCharacters = 400
const chunkCount = 16_000
const sets = ['cranfield', 'med', 'time', 'covidqa', 'product-docs', 'contextual-code']

/**
 * What the static embedder does in a second: chunks of 400 characters, two threads, 256 dimensions, BERT's vocabulary. The matrix is
 * random, which speed does not depend on. Each contender runs in a fresh process, in turns.
 *
 * - `static.chunksPerSecond`, `static.tokensPerSecond`: single precision, wall time, median of the rounds.
 * - `static.chunksPerCoreSecond`: the same per second of processor time, which a busy machine does not change.
 * - `static.questionMs`: the median of one question alone.
 */
export async function measureStaticSpeed(context: BenchContext): Promise<Metrics> {
  const texts = loadTexts(context)
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-static-'))
  try {
    const model = await modelFor(context.data, folder)
    const contenders = [
      { workers: 2, quantization: 'fp32' },
      { workers: 1, quantization: 'fp32' },
      { workers: 2, quantization: 'int8' },
    ] as const
    const runs = contenders.map((): { result: StaticRun; peakAnonymousBytes: number }[] => [])
    for (let turn = 0; turn < (context.quick ? 1 : 3); turn++) {
      for (const [place, options] of contenders.entries()) {
        const task: StaticTask = { model, ...options, ...texts, rounds: 4 }
        runs[place]?.push(await context.child<StaticRun>('children/embed-static.ts', task))
      }
    }
    return report(context, contenders, runs, texts.texts.length)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** BERT's own tokenizer and a random matrix; without measuring data, a made-up vocabulary of the same size. */
async function modelFor(data: string | undefined, folder: string): Promise<string> {
  const tokenizer = data && join(data, 'tokenizer', 'bert-base-uncased', 'tokenizer.json')
  if (!tokenizer || !existsSync(tokenizer)) return staticModelFolder({ dimensions, vocabulary })
  copyFileSync(tokenizer, join(folder, 'tokenizer.json'))
  const random = randomNumbers(1)
  const values = Float32Array.from({ length: vocabulary * dimensions }, () => random() - 0.5)
  const embeddings = { name: 'embeddings', type: 'F32', shape: [vocabulary, dimensions], values } as const
  await writeSafetensors(join(folder, 'model.safetensors'), [embeddings])
  return folder
}

function loadTexts({ data, log }: BenchContext): Pick<StaticTask, 'texts' | 'questions'> {
  const loaded = sets.map((name) => (data === undefined ? undefined : loadRetrievalSet(data, name)))
  if (loaded.some((set) => set === undefined)) {
    log('! made-up text and vocabulary instead of real ones (no measuring data)')
    const text = createTextGenerator(1).document(chunkCharacters * chunkCount * 1.1)
    const texts = [...chunksOf(text)].slice(0, chunkCount)
    return { texts, questions: texts.slice(0, 200).map((chunk) => chunk.slice(0, 90)) }
  }
  const each = Math.ceil(chunkCount / sets.length)
  const documents = loaded.map((set) => set?.documents.map(({ text }) => text).join('\n') ?? '')
  const texts = documents.flatMap((text) => {
    const all = [...chunksOf(text)]
    const step = Math.max(1, Math.floor(all.length / each))
    return all.filter((_, place) => place % step === 0).slice(0, each)
  })
  const questions = loaded.flatMap((set) => set?.queries.slice(0, 40).map(({ text }) => text) ?? [])
  return { texts, questions }
}

/** Stretches of whole words, as near to 400 characters as they come. */
function* chunksOf(text: string): Generator<string> {
  for (let start = 0; start + chunkCharacters < text.length; ) {
    const space = text.lastIndexOf(' ', start + chunkCharacters)
    const end = space > start ? space : start + chunkCharacters
    yield text.slice(start, end)
    start = space > start ? end + 1 : end
  }
}

function report(
  { log, table }: BenchContext,
  contenders: readonly Pick<StaticTask, 'workers' | 'quantization'>[],
  runs: readonly (readonly { result: StaticRun; peakAnonymousBytes: number }[])[],
  texts: number,
): Metrics {
  const speeds = runs.map((all) => {
    const results = all.map(({ result }) => result)
    const median = (values: readonly number[]) => quantile(values, 0.5)
    const wallMs = median(results.flatMap(({ roundsMs }) => roundsMs))
    const coreMs = median(results.flatMap(({ processorMs }) => processorMs))
    return {
      tokens: results[0]?.tokens ?? Number.NaN,
      chunksPerSecond: (texts * 1_000) / wallMs,
      chunksPerCoreSecond: (texts * 1_000) / coreMs,
      loadMs: median(results.map(({ loadMs }) => loadMs)),
      questionMs: median(results.map(({ question }) => question.median)),
      questionP95Ms: median(results.map(({ question }) => question.p95)),
      delayP99Ms: median(results.map(({ delay }) => delay.p99Ms)),
      peakBytes: median(all.map(({ peakAnonymousBytes }) => peakAnonymousBytes)),
    }
  })
  const tokensPerChunk = (speeds[0]?.tokens ?? Number.NaN) / texts
  log(
    `${texts} chunks of ${chunkCharacters} characters, ${tokensPerChunk.toFixed(1)} tokens each; ${dimensions} dimensions`,
  )
  table([
    [
      'threads',
      'rows',
      'chunks/s',
      'tokens/s',
      'per core second',
      'load ms',
      'question ms',
      'p95',
      'delay p99',
      'peak MB',
    ],
    ...speeds.map((speed, place) => [
      contenders[place]?.workers ?? '',
      contenders[place]?.quantization ?? '',
      formatNumber(speed.chunksPerSecond),
      formatNumber(speed.chunksPerSecond * tokensPerChunk),
      formatNumber(speed.chunksPerCoreSecond),
      formatNumber(speed.loadMs),
      formatNumber(speed.questionMs),
      formatNumber(speed.questionP95Ms),
      formatNumber(speed.delayP99Ms),
      Math.round(speed.peakBytes / 2 ** 20),
    ]),
  ])
  const [own] = speeds
  if (own === undefined) return {}
  return {
    'static.chunksPerSecond': own.chunksPerSecond,
    'static.tokensPerSecond': own.chunksPerSecond * tokensPerChunk,
    'static.chunksPerCoreSecond': own.chunksPerCoreSecond,
    'static.questionMs': own.questionMs,
  }
}
