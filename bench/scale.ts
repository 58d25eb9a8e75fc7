import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AskResult } from './children/scale-ask.js'
import type { FillResult, ScaleTask } from './children/scale-fill.js'
import type { Bench, Metrics } from './lib/bench.js'
import { markdownTable } from './lib/markdown.js'
import { formatNumber } from './lib/measure.js'
import { curvePicture } from './lib/picture.js'
import { fitPowerLaw } from './lib/power-law.js'

/** The last takes a quarter of an hour: not with `--quick`. */
const sizes = [
  { chunks: 1_000, name: '1k' },
  { chunks: 10_000, name: '10k' },
  { chunks: 100_000, name: '100k' },
  { chunks: 1_000_000, name: '1m' },
] as const
const dimensions = 384

type Measured = FillResult & AskResult & { readonly chunks: number; readonly name: string }

/**
 * What grows with the corpus, and how fast: made passages of 400 characters with made vectors of 384 values (seeded; nothing is embedded), in a store
 * on disk, words and vectors indexed. Each size is filled in one process, closed, and opened and asked in another, the page cache warm. Memory
 * (`rss`) is what the open store holds after the questions, pages of mapped files included, which the kernel may drop; `anon` is what it may not.
 * `fit.…Exponent` is the slope on logarithmic axes: 1 is in proportion, 0 does not grow. A size that fails ends the bench, which tells the smaller ones.
 */
const bench: Bench = async ({ child, log, quick, table, write }) => {
  const measured: Measured[] = []
  for (const { chunks, name } of quick ? sizes.slice(0, -1) : sizes) {
    const storage = mkdtempSync(join(tmpdir(), 'ufrag-bench-scale-'))
    try {
      const task: ScaleTask = { storage: join(storage, 'store'), chunks, dimensions }
      const { result: filled } = await child<FillResult>('children/scale-fill.ts', task)
      const { result: asked } = await child<AskResult>('children/scale-ask.ts', {
        ...task,
        questions: quick ? 300 : 1_000,
      })
      measured.push({ chunks, name, ...filled, ...asked })
      log(`${name}: ${formatNumber(filled.settledMs / 1000)} s`)
    } catch (error) {
      // What was measured before took long, and is told all the same.
      if (measured.length === 0) throw error
      log(`! ${name} and what is larger failed: ${error instanceof Error ? error.message : error}`)
      process.exitCode = 1
      break
    } finally {
      rmSync(storage, { recursive: true, force: true })
    }
  }
  const rows = [
    [
      'chunks',
      'ingest chunks/s',
      'until indexed s',
      'open ms',
      'question p50 ms',
      'p99 ms',
      'bytes/chunk in memory',
      'of them anonymous',
      'on disk',
    ],
    ...measured.map(
      ({ anonymousBytes, chunks, diskBytes, ingestMs, openMs, p50Ms, p99Ms, residentBytes, settledMs }) => [
        chunks.toLocaleString('en'),
        formatNumber((chunks * 1000) / ingestMs),
        formatNumber(settledMs / 1000),
        formatNumber(openMs),
        formatNumber(p50Ms),
        formatNumber(p99Ms),
        formatNumber(residentBytes / chunks),
        formatNumber(anonymousBytes / chunks),
        formatNumber(diskBytes / chunks),
      ],
    ),
  ]
  table(rows)
  write('scale.md', markdownTable(rows))
  const curve = (name: string, read: (one: (typeof measured)[number]) => number) => ({
    name,
    points: measured.map((one) => ({ x: one.chunks, y: read(one) })),
  })
  const curves = [
    curve('ingest, s', ({ ingestMs }) => ingestMs / 1000),
    curve('open, ms', ({ openMs }) => openMs),
    curve('question p50, ms', ({ p50Ms }) => p50Ms),
    curve('question p99, ms', ({ p99Ms }) => p99Ms),
    curve('memory, MB', ({ residentBytes }) => residentBytes / 2 ** 20),
    curve('disk, MB', ({ diskBytes }) => diskBytes / 2 ** 20),
  ]
  write('scale.svg', curvePicture('What grows with the corpus', 'chunks', curves))
  const metrics: Metrics = {}
  for (const { anonymousBytes, chunks, ingestMs, name, openMs, p50Ms, p99Ms, residentBytes } of measured) {
    metrics[`query.p50Ms${name}`] = p50Ms
    metrics[`query.p99Ms${name}`] = p99Ms
    metrics[`open.ms${name}`] = openMs
    metrics[`ingest.chunksPerSecond${name}`] = (chunks * 1000) / ingestMs
    metrics[`rss.bytesPerChunk${name}`] = residentBytes / chunks
    metrics[`anon.bytesPerChunk${name}`] = anonymousBytes / chunks
  }
  for (const [key, place] of Object.entries({ ingestSeconds: 0, openMs: 1, queryP50Ms: 2, memoryMb: 4, diskMb: 5 })) {
    const { exponent, factor } = fitPowerLaw(curves[place]?.points ?? [])
    metrics[`fit.${key}Factor`] = factor
    metrics[`fit.${key}Exponent`] = exponent
  }
  return metrics
}

export default bench
