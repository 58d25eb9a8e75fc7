import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { readDataset } from '../src/eval/dataset.js'
import { documentsOf, evaluate } from '../src/eval/evaluate.js'
import { createCrossEncoder } from '../src/rerank/cross-encoder/cross-encoder.js'
import { createMmrReranker } from '../src/rerank/mmr.js'
import type { RerankCandidate, Reranker } from '../src/rerank/types.js'
import { randomNumbers } from '../src/util/random.js'
import { modelFolder } from '../test/fixtures/models/model-folder.js'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import { loadEmbeddingTexts } from './lib/embedding-texts.js'
import { compare, processorTime } from './lib/measure.js'

const candidates = 20
const manyCandidates = 50

/**
 * What reranking costs: milliseconds of processor time (all threads together, so two idle cores take half as long) of a question with 20 candidates of at most 400 characters (random weights of the models' shapes:
 * speed does not depend on what they are), and what MMR costs in nDCG.
 */
const bench: Bench = async (context) => {
  const texts = loadEmbeddingTexts(context.data, { chunks: 200, mixed: 1 })
  if (context.data === undefined || texts === undefined) {
    context.log('! skipped: everything (no measuring data)')
    return {}
  }
  return {
    ...(await timeCrossEncoders(texts, context)),
    ...(await timeMmr(texts, context)),
    ...(await scoreMmr(context)),
  }
}
export default bench

interface Texts {
  readonly chunks: readonly string[]
  readonly questions: readonly string[]
}

async function timeCrossEncoders(texts: Texts, { data, quick, table }: BenchContext): Promise<Metrics> {
  const tokenizer = { file: join(data as string, 'tokenizer', 'bert-base-uncased', 'tokenizer.json') }
  const common = { output: 'logit', weights: ['fp32', 'int8'], tokenizer, size: 'minilm' } as const
  const model = modelFolder(common)
  const small = modelFolder({ ...common, layers: 2, hidden: 128, heads: 2, intermediate: 512 })
  const open = (options: object) =>
    createCrossEncoder({ model, quantization: 'int8', device: 'cpu', threads: 1, ...options })
  const rerankers: Record<string, Reranker> = {
    'MiniLM-L6 int8': await open({}),
    'MiniLM-L6 int8, 2 threads': await open({ threads: 2 }),
    'MiniLM-L6 fp32': await open({ quantization: 'fp32' }),
    'MiniLM-L6 int8, 64 tokens': await open({ maxTokens: 64 }),
    'TinyBERT-L2 int8': await open({ model: small }),
  }
  const cascade = await open({ cascade: { model: small, keep: 10 } })
  let asked = 0
  const ask = (reranker: Reranker, count: number) => {
    const question = texts.questions[asked % texts.questions.length] as string
    return reranker.rerank({ question, candidates: someCandidates(texts, count, asked++), topK: 10 }, {})
  }
  const theirs = await openTransformers(model)
  const contenders = [
    ...Object.entries(rerankers).map(([name, reranker]) => ({ name, run: () => ask(reranker, candidates) })),
    {
      name: 'transformers.js q8, one batch',
      run: () =>
        theirs.score(texts.questions[asked++ % 600] as string, textsOf(someCandidates(texts, candidates, asked))),
    },
    { name: `cascade, ${manyCandidates} to 10`, run: () => ask(cascade, manyCandidates) },
    {
      name: `MiniLM-L6 int8, ${manyCandidates}`,
      run: () => ask(rerankers['MiniLM-L6 int8'] as Reranker, manyCandidates),
    },
  ]
  const results = await compare(contenders, {
    warmup: 1,
    blocks: quick ? 1 : 3,
    repetitions: 2,
    clock: processorTime,
  })
  const medianOf = (name: string) => results.find((result) => result.name === name)?.times.median as number
  table([
    ['reranker', 'candidates', 'CPU ms per question', 'per candidate'],
    ...results.map(({ name, times }) => {
      const count = name.includes(String(manyCandidates)) ? manyCandidates : candidates
      return [name, count, times.median.toFixed(1), (times.median / count).toFixed(2)]
    }),
  ])
  await Promise.all([...Object.values(rerankers), cascade].map((reranker) => reranker.close()))
  await theirs.dispose()
  const ours = medianOf('MiniLM-L6 int8')
  return {
    'rerank.cpuMsPerCandidate': ours / candidates,
    'rerank.cpuMsPerCandidateTiny': medianOf('TinyBERT-L2 int8') / candidates,
    'rerank.speedupTransformers': medianOf('transformers.js q8, one batch') / ours,
    'rerank.speedupCascade50':
      medianOf(`MiniLM-L6 int8, ${manyCandidates}`) / medianOf(`cascade, ${manyCandidates} to 10`),
  }
}

async function openTransformers(directory: string) {
  const { AutoModelForSequenceClassification, AutoTokenizer, env } = await import('@huggingface/transformers')
  env.allowRemoteModels = false
  const tokenizer = await AutoTokenizer.from_pretrained(directory)
  const classifier = await AutoModelForSequenceClassification.from_pretrained(directory, { dtype: 'q8', device: 'cpu' })
  return {
    async score(question: string, passages: string[]): Promise<void> {
      const asked = passages.map(() => question)
      await classifier(tokenizer(asked, { text_pair: passages, padding: true, truncation: true }))
    },
    dispose: () => classifier.dispose(),
  }
}

async function timeMmr(texts: Texts, { quick, table }: BenchContext): Promise<Metrics> {
  const reranker = createMmrReranker()
  const random = randomNumbers(1)
  const vectors = Array.from({ length: candidates }, () => Float32Array.from({ length: 384 }, () => random() - 0.5))
  const words = someCandidates(texts, candidates, 0)
  const rows = words.map((candidate, place) => ({ ...candidate, vector: vectors[place] as Float32Array }))
  const ask = (given: readonly RerankCandidate[]) => () =>
    reranker.rerank({ question: 'x', candidates: given, topK: 5 }, {})
  const contenders = [
    { name: 'MMR by words', run: ask(words) },
    { name: 'MMR by vectors of 384', run: ask(rows) },
  ]
  const results = await compare(contenders, {
    warmup: 20,
    blocks: quick ? 2 : 6,
    repetitions: 50,
    clock: processorTime,
  })
  table([
    ['reranker', 'candidates', 'CPU ms per question'],
    ...results.map(({ name, times }) => [name, candidates, times.median.toFixed(3)]),
  ])
  return { 'rerank.mmrMs': results[0]?.times.median as number }
}

const sets = ['cranfield', 'med', 'nfcorpus', 'covidqa', 'product-docs']
const lambdas = [0.5, 0.7, 0.8, 0.9]

/** nDCG@10 of words alone with MMR, against without: what diversity costs where every document counts for itself. */
async function scoreMmr({ data, log, table }: BenchContext): Promise<Metrics> {
  const rows: string[][] = [['set', 'nDCG@10', ...lambdas.map((lambda) => `MMR ${lambda}`)]]
  const metrics: Metrics = {}
  for (const name of sets) {
    const set = await readDataset(join(data as string, 'retrieval', name)).catch(() => undefined)
    if (set === undefined) {
      log(`skipped: ${name} is not there`)
      continue
    }
    let reranker = createMmrReranker()
    const current: Reranker = { ...reranker, rerank: (...asked) => reranker.rerank(...asked) }
    const rag = new UltraFastRAG({ embedder: false, rerank: current })
    await rag.ingest(documentsOf(set))
    const plain = (await evaluate(rag, set, { retrieve: { rerank: false } })).means.ndcg
    const values: number[] = []
    for (const lambda of lambdas) {
      reranker = createMmrReranker({ lambda })
      values.push((await evaluate(rag, set)).means.ndcg)
    }
    await rag.close()
    rows.push([name, plain.toFixed(4), ...values.map((value) => `${value.toFixed(4)} (${percent(value / plain - 1)})`)])
    metrics[`ndcg10.mmr.${name}`] = values[2] as number
  }
  table(rows)
  return metrics
}

function percent(share: number): string {
  return `${share < 0 ? '' : '+'}${(share * 100).toFixed(1)}%`
}

function someCandidates({ chunks }: Texts, count: number, from: number): RerankCandidate[] {
  return Array.from({ length: count }, (_, place) => {
    const text = chunks[(from * 7 + place) % chunks.length] as string
    return { number: place, text, language: 'en', score: 1 / (place + 1) }
  })
}

function textsOf(some: readonly RerankCandidate[]): string[] {
  return some.map(({ text }) => text)
}
