import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { AutoTokenizer, env } from '@huggingface/transformers'
import { openTokenizer } from '../../src/models/tokenizer.js'
import type { TokenizerOpening } from '../children/open-tokenizer.js'
import type { BenchContext, Metrics } from './bench.js'
import { compare, formatNumber, formatRatio, quantile } from './measure.js'
import { loadRetrievalSet } from './retrieval.js'

const characters = 400
const chunksPerCall = 32
const maxTokens = 512
const kinds = [
  { name: 'English', metric: 'speedup', sets: ['cisi', 'cranfield', 'time', 'covidqa'] },
  { name: 'Chinese', metric: 'speedupChinese', sets: ['cmrc2018-zh'] },
] as const

/**
 * Our WordPiece against the tokenizer of `@huggingface/transformers`: BERT uncased, chunks of 400 characters, 32 in a call, one
 * thread, in turns. Says what share of the chunks got the same ids from both. Empty without measuring data.
 *
 * - `tokenizer.speedup`, `tokenizer.speedupChinese`: their time over ours.
 * - `tokenizer.mbPerSecond`, `tokenizer.tokensPerSecond`: ours, English.
 * - `tokenizer.sameIds`: chunks of both kinds whose ids agree, 0 to 1.
 * - `tokenizer.openMs`: from nothing to the first ids in a fresh process, median.
 */
export async function measureTokenizerSpeed(context: BenchContext): Promise<Metrics> {
  const directory = context.data === undefined ? undefined : join(context.data, 'tokenizer', 'bert-base-uncased')
  if (directory === undefined || !existsSync(directory)) {
    context.log('! skipped: the tokenizer (no measuring data)')
    return {}
  }
  env.allowRemoteModels = false
  env.localModelPath = '/'
  const ours = await openTokenizer(directory)
  const theirs = await AutoTokenizer.from_pretrained(directory)
  const metrics: Metrics = {}
  const rows: (string | number)[][] = [['texts', 'chunks', 'tokens', 'ours', 'theirs', 'speedup']]
  let chunks = 0
  let same = 0
  for (const { name, metric, sets } of kinds) {
    const texts = loadChunks(context, sets)
    const calls = Array.from({ length: Math.ceil(texts.length / chunksPerCall) }, (_, i) =>
      texts.slice(i * chunksPerCall, (i + 1) * chunksPerCall),
    )
    const [ourTimes, theirTimes] = await compare(
      [
        { name: 'ours', run: () => calls.map((call) => ours.encode(call, { maxTokens })) },
        {
          name: '@huggingface/transformers',
          run: () =>
            calls.map((call) => theirs(call, { truncation: true, max_length: maxTokens, return_tensor: false })),
        },
      ],
      { warmup: 2, blocks: context.quick ? 2 : 5, repetitions: 1 },
    )
    if (ourTimes === undefined || theirTimes === undefined) throw new Error('Two contenders were given.')
    const { ids, offsets } = ours.encode(texts, { maxTokens: Number.POSITIVE_INFINITY })
    same += texts.filter((text, i) => {
      const expected = theirs.encode(text)
      const row = ids.subarray(offsets[i], offsets[i + 1])
      return row.length === expected.length && row.every((id, place) => id === expected[place])
    }).length
    chunks += texts.length
    const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6
    const speed = ({ times }: typeof ourTimes) => `${formatNumber((megabytes * 1000) / times.median)} MB/s`
    rows.push([name, texts.length, ids.length, speed(ourTimes), speed(theirTimes), formatRatio(theirTimes)])
    metrics[`tokenizer.${metric}`] = theirTimes.ratio
    metrics['tokenizer.mbPerSecond'] ??= (megabytes * 1000) / ourTimes.times.median
    metrics['tokenizer.tokensPerSecond'] ??= (ids.length * 1000) / ourTimes.times.median
  }
  context.table(rows)
  const openings = []
  for (let i = 0; i < (context.quick ? 3 : 9); i++) {
    openings.push((await context.child<TokenizerOpening>('children/open-tokenizer.ts', directory)).result)
  }
  const openMs = quantile(
    openings.map(({ wallMs }) => wallMs),
    0.5,
  )
  const parseMs = quantile(
    openings.map(({ parseMs }) => parseMs),
    0.5,
  )
  context.log(
    `same ids: ${same} of ${chunks} chunks; open in a fresh process: ${formatNumber(openMs)} ms (JSON.parse of the file alone, warm: ${formatNumber(parseMs)} ms)`,
  )
  return { ...metrics, 'tokenizer.sameIds': same / chunks, 'tokenizer.openMs': openMs }
}

const chunksPerKind = 4000

/** Stretches of 400 characters, the same number of each set. */
function loadChunks({ data, log }: BenchContext, sets: readonly string[]): string[] {
  return sets.flatMap((name) => {
    const set = loadRetrievalSet(data as string, name)
    if (set === undefined) log(`! ${name} is missing`)
    const text = (set?.documents ?? []).map((document) => document.text).join('\n')
    const count = Math.min(chunksPerKind / sets.length, Math.floor(text.length / characters))
    const step = Math.floor(text.length / count)
    // Copies: a slice shares the memory of the text it was cut from and is read more slowly.
    return Array.from({ length: count }, (_, i) => Buffer.from(text.slice(i * step, i * step + characters)).toString())
  })
}
