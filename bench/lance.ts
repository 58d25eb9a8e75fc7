import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFlatIndex } from '../src/vector-index/flat.js'
import type { Bench } from './lib/bench.js'
import { quantile } from './lib/measure.js'
import { bytesOf, type IndexChoice, recallOf } from './lib/vector-indexes.js'
import { benchVectors, extended } from './lib/vectors.js'

const small = 20_000
const large = 200_000
type Found = { firstAnswerMs: number; found: number[][]; searchMs: number[] }

/** LanceDB on disk: what the process that searches holds in memory, how much it finds, how long building and searching take. */
const bench: Bench = async ({ quick, data, log, table, child }) => {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-lance-'))
  try {
    const vectors = await benchVectors(data)
    const { dimensions } = vectors
    const questions = vectors.questions.slice(0, (quick ? 100 : 300) * dimensions)
    log(`${vectors.description}, extended; ${questions.length / dimensions} questions`)
    const queriesFile = join(folder, 'queries')
    writeFileSync(queriesFile, bytesOf(questions))
    const rows = extended(vectors, large)
    const lines: (string | number)[][] = [
      ['vectors', 'index', 'built in', 'recall@10', 'p50 ms', 'p95 ms', 'first ms', 'anonymous memory'],
    ]
    const measure = async (count: number, index: 'hnsw-sq' | 'ivf-pq') => {
      const rowsFile = join(folder, 'rows')
      const some = rows.subarray(0, count * dimensions)
      writeFileSync(rowsFile, bytesOf(some))
      const truth = await exactly(some, questions, dimensions)
      const directory = join(folder, `${index}-${count}`)
      const choice: IndexChoice & { directory: string; dimensions: number } = {
        kind: 'lancedb',
        index,
        directory,
        dimensions,
      }
      const built = await child<{ buildMs: number }>('children/index-build.ts', { ...choice, rowsFile })
      const { result, peakAnonymousBytes } = await child<Found>('children/index-search.ts', { ...choice, queriesFile })
      rmSync(directory, { recursive: true })
      const recall = recallOf(result.found, truth)
      lines.push([
        count.toLocaleString('en'),
        index,
        `${(built.result.buildMs / 1_000).toFixed(0)} s`,
        recall.toFixed(4),
        quantile(result.searchMs, 0.5).toFixed(1),
        quantile(result.searchMs, 0.95).toFixed(1),
        result.firstAnswerMs.toFixed(0),
        `${(peakAnonymousBytes / 2 ** 20).toFixed(0)} MB`,
      ])
      return { recall, peakAnonymousBytes, p50: quantile(result.searchMs, 0.5) }
    }
    const graphs = await measure(large, 'hnsw-sq')
    const lists = await measure(small, 'ivf-pq')
    table(lines)
    return {
      'recall10.hnswSq200k': graphs.recall,
      'search.p50MsHnswSq200k': graphs.p50,
      'memory.anonymousMbHnswSq200k': graphs.peakAnonymousBytes / 2 ** 20,
      'recall10.ivfPq20k': lists.recall,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
export default bench

async function exactly(rows: Float32Array, questions: Float32Array, dimensions: number): Promise<number[][]> {
  const index = createFlatIndex({ dimensions, fingerprint: 'bench' })
  const update = index.update()
  for (let start = 0; start < rows.length; start += 1_000 * dimensions) {
    const some = rows.subarray(start, start + 1_000 * dimensions)
    await update.add(
      Array.from({ length: some.length / dimensions }, (_, i) => start / dimensions + i),
      some,
    )
  }
  await update.publish(1)
  const truth: number[][] = []
  for (let start = 0; start < questions.length; start += dimensions) {
    const found = await index.search(questions.slice(start, start + dimensions), { topK: 10 })
    truth.push(found.map(({ number }) => number))
  }
  await index.close()
  return truth
}
