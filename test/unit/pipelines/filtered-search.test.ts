import { describe, expect, it } from 'vitest'
import { fuseByRank } from '../../../src/fusion/rrf.js'
import { createBm25Index } from '../../../src/lexical-index/bm25.js'
import { createMetadataIndex } from '../../../src/metadata-index/metadata-index.js'
import { catchUp, type NamespaceIndexes } from '../../../src/pipelines/catch-up.js'
import { retrieve } from '../../../src/pipelines/retrieve.js'
import { StageEstimates } from '../../../src/pipelines/steps/stage-estimates.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'
import { createTurns } from '../../../src/util/yield.js'
import { createFlatIndex } from '../../../src/vector-index/flat.js'
import type { VectorIndex, VectorSearchOptions } from '../../../src/vector-index/types.js'
import { now, pipelineOf } from './support.js'

/** A flat index that gives every other match unless it is told to be exact, as an approximate one may under a filter. */
function lossy(dimensions: number): VectorIndex & { readonly asked: boolean[] } {
  const index = createFlatIndex({ dimensions, fingerprint: 'test' })
  const asked: boolean[] = []
  return {
    id: 'lossy',
    dimensions,
    capabilities: { exact: false },
    asked,
    get epoch() {
      return index.epoch
    },
    stats: () => index.stats(),
    update: () => index.update(),
    persist: () => index.persist(),
    close: () => index.close(),
    search: async (vector: Float32Array, options: VectorSearchOptions) => {
      asked.push(options.exact === true)
      const found = await index.search(vector, options)
      return options.exact === true ? found : found.filter((_, place) => place % 2 === 0)
    },
  }
}

describe('an approximate index', () => {
  it('costs no hit: what it loses is looked for exactly, and that is counted', async () => {
    const embedder = createFakeEmbedder()
    const { ingest, namespace } = pipelineOf({ embedder, linesPerPiece: 1 })
    await ingest(Array.from({ length: 200 }, (_, i) => ({ id: `d${i}`, text: `word${i} other` })))
    const index = lossy(embedder.dimensions)
    const counts: Record<string, number> = {}
    const recorder = { stage() {}, count: (name: string, by = 1) => (counts[name] = (counts[name] ?? 0) + by) }
    const indexes = {
      lexical: await createBm25Index(),
      vector: { index, embedder },
      metadata: createMetadataIndex({ namespace, turns: createTurns() }),
    }
    await catchUp(namespace, indexes, { recorder, now })
    const tools = {
      namespace,
      useIndexes: <Result>(task: (held: NamespaceIndexes) => Promise<Result>) => task(indexes),
      adaptive: false,
      addsScores: false,
      watchRecall: undefined,
      caching: undefined,
      freshen: async () => {},
      fuse: (lists: readonly { matches: readonly { number: number; score: number }[] }[]) =>
        fuseByRank(lists.map(({ matches }) => ({ matches, weight: 1 }))),
      reranking: undefined,
      documentWeight: 0.5,
      turn: async () => {},
      recorder,
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      estimates: new StageEstimates({ now }),
      now,
    }
    const { vectors } = await embedder.embed(['word7'], { kind: 'query' })
    const filter = { $id: { $in: Array.from({ length: 30 }, (_, i) => `d${i * 5}`) } }
    const { hits } = await retrieve({ vector: vectors }, { topK: 30, filter }, tools)
    expect(hits.length).toBe(30)
    expect(counts['query.exactAfterLoss']).toBe(1)
    expect(index.asked).toEqual([false, true])
  })
})
