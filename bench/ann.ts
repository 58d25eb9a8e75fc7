import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFlatIndex } from '../src/vector-index/flat.js'
import type { VectorIndex } from '../src/vector-index/types.js'
import { createUsearchIndex, hnswDefaults } from '../src/vector-index/usearch.js'
import type { Bench } from './lib/bench.js'
import { type LoopDelay, measureLoopDelay } from './lib/loop-delay.js'
import { quantile } from './lib/measure.js'
import { bytesOf, recallOf } from './lib/vector-indexes.js'
import { benchVectors, extended } from './lib/vectors.js'

const small = 20_000
const large = 100_000
const topK = 10
type Kind = 'f32' | 'f16' | 'i8'

/**
 * Approximate indexes against hnswlib-node (same M, efConstruction and efSearch) and against exact search: time to build with all cores, memory, recall,
 * time of a search through the port, what building does to the event loop.
 */
const bench: Bench = async ({ quick, data, log, table, child }) => {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-ann-'))
  try {
    const vectors = await benchVectors(data)
    const { dimensions } = vectors
    const questions = vectors.questions.subarray(0, (quick ? 100 : 300) * dimensions)
    const rows = extended(vectors, large)
    const smallRows = rows.subarray(0, small * dimensions)
    log(`${vectors.description}, extended; ${questions.length / dimensions} questions`)

    const flat = createFlatIndex({ dimensions, fingerprint: 'bench' })
    await fill(flat, smallRows, dimensions)
    const truth = await ask(flat, questions, dimensions)
    await flat.close()
    // Of what is mapped the kernel takes back what it needs elsewhere.
    const heading = [
      '20,000 x 384',
      'built in',
      'anonymous',
      'with mapped',
      'recall@10',
      'p50 ms',
      'loop p99 / max / run ms',
    ]
    const lines: (string | number)[][] = [['flat', '', '', '', '1', truth.p50.toFixed(2), '']]

    const files = {
      rowsFile: join(folder, 'rows'),
      queriesFile: join(folder, 'queries'),
      indexFile: join(folder, 'hnswlib'),
    }
    writeFileSync(files.rowsFile, bytesOf(smallRows))
    writeFileSync(files.queriesFile, bytesOf(questions))
    const ours: (Built & { heldBytes: number })[] = []
    const theirs: { buildMs: number; cpuMs: number; heldBytes: number; recall: number }[] = []
    for (let round = 0; round < (quick ? 1 : 2); round++) {
      const { result } = await child<{ buildMs: number; cpuMs: number; found: number[][]; searchMs: number[] }>(
        'children/hnswlib-build.ts',
        { ...files, dimensions, count: small, ...hnswDefaults, efSearch: 64 },
      )
      const { result: held } = await child<{ heldBytes: number }>('children/hnswlib-held.ts', { ...files, dimensions })
      theirs.push({ ...result, ...held, recall: recallOf(result.found, truth.found) })
      if (round === 0) {
        lines.push([
          'hnswlib-node',
          seconds(result.buildMs),
          (held.heldBytes / small).toFixed(0),
          '',
          theirs[0]?.recall.toFixed(4) ?? '',
          quantile(result.searchMs, 0.5).toFixed(2),
          'blocked',
        ])
      }
      for (const kind of (round === 0 ? ['i8', 'f16', 'f32'] : ['i8']) as Kind[]) {
        const built = await build(join(folder, `${kind}-${round}`), smallRows, { dimensions, kind })
        const found = await ask(built.index, questions, dimensions)
        await built.index.persist()
        await built.index.close()
        const directory = join(folder, `${kind}-${round}`)
        const { result: held } = await child<{ heldBytes: number }>('children/index-search.ts', {
          kind: 'usearch',
          quantization: kind,
          directory,
          queriesFile: files.queriesFile,
          dimensions,
        })
        if (kind === 'i8') ours.push({ ...built, ...held })
        if (round > 0) continue
        lines.push([
          `usearch ${kind}`,
          seconds(built.buildMs),
          (held.heldBytes / small).toFixed(0),
          (built.bytes / small).toFixed(0),
          recallOf(found.found, truth.found).toFixed(4),
          found.p50.toFixed(2),
          loopCell(built),
        ])
      }
    }
    table([heading, ...lines])

    const big = await build(join(folder, 'large'), rows, { dimensions, kind: 'i8' })
    const exact = await ask(big.index, questions, dimensions, true)
    const found = await ask(big.index, questions, dimensions)
    const recall10 = recallOf(found.found, exact.found)
    table([
      ['100,000 x 384', 'built in', 'bytes, mapped', 'recall@10', 'p50 ms', 'p95 ms', 'loop p99 / max / run ms'],
      [
        'usearch i8',
        seconds(big.buildMs),
        (big.bytes / large).toFixed(0),
        recall10.toFixed(4),
        found.p50.toFixed(2),
        found.p95.toFixed(2),
        loopCell(big),
      ],
      ['the same, exact', '', '', '1', exact.p50.toFixed(2), exact.p95.toFixed(2), ''],
    ])
    await big.index.close()
    const median = (values: readonly number[]) => quantile([...values], 0.5)
    return {
      recall10,
      'speedup.buildHnswlib': median(theirs.map(({ buildMs }) => buildMs)) / median(ours.map(({ buildMs }) => buildMs)),
      // RssAnon of a fresh process before and after it has opened and searched what was built, on both sides; input excluded.
      'memory.ratioHnswlib':
        median(ours.map(({ heldBytes }) => heldBytes)) / median(theirs.map(({ heldBytes }) => heldBytes)),
      'memory.ratioHnswlibMapped':
        median(ours.map(({ bytes }) => bytes)) / median(theirs.map(({ heldBytes }) => heldBytes)),
      'search.p50Ms100k': found.p50,
      'flat.p50Ms20k': truth.p50,
      'loop.maxMs100k': big.loop.maxMs,
      'loop.maxRunMs100k': big.loop.maxRunMs,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
export default bench

interface Built {
  readonly index: VectorIndex
  readonly buildMs: number
  /** What a search needs in memory: the graph, mapped or not, and what the index holds. Of the full vectors only the few that are scored are read. */
  readonly bytes: number
  readonly loop: LoopDelay
}

/** From the first vector to the graph over all of them. */
async function build(
  directory: string,
  rows: Float32Array,
  { dimensions, kind }: { readonly dimensions: number; readonly kind: Kind },
): Promise<Built> {
  const index = await createUsearchIndex({
    dimensions,
    fingerprint: 'bench',
    directory,
    quantization: kind,
    warn: (problem) => console.error(problem.message, problem.cause),
  })
  const reading = await measureLoopDelay(async () => {
    const began = performance.now()
    await fill(index, rows, dimensions)
    while (index.stats().segments !== 1 || graphsIn(directory).length !== 1) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return performance.now() - began
  })
  await index.search(rows.slice(0, dimensions), { topK })
  const graph = graphsIn(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
  return { index, buildMs: reading.result, bytes: graph + index.stats().bytes, loop: reading }
}

async function fill(index: VectorIndex, rows: Float32Array, dimensions: number): Promise<void> {
  const update = index.update()
  for (let start = 0; start < rows.length; start += 1_000 * dimensions) {
    const some = rows.subarray(start, start + 1_000 * dimensions)
    const first = start / dimensions
    await update.add(
      Array.from({ length: some.length / dimensions }, (_, i) => first + i),
      some,
    )
  }
  await update.publish(1)
}

async function ask(index: VectorIndex, questions: Float32Array, dimensions: number, exact = false) {
  const found: number[][] = []
  const times: number[] = []
  // Once without a clock: the first search opens files.
  for (const timed of [false, true]) {
    for (let start = 0; start < questions.length; start += dimensions) {
      const question = questions.slice(start, start + dimensions)
      const began = performance.now()
      const matches = await index.search(question, { topK, exact })
      if (!timed) continue
      times.push(performance.now() - began)
      found.push(matches.map(({ number }) => number))
    }
  }
  return { found, p50: quantile(times, 0.5), p95: quantile(times, 0.95) }
}

function graphsIn(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.startsWith('graph-'))
}

function loopCell({ loop }: Built): string {
  return [loop.p99Ms, loop.maxMs, loop.maxRunMs].map((value) => value.toFixed(0)).join(' / ')
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
