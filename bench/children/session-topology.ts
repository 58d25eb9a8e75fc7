import { randomTexts } from '../lib/bare-session.js'
import { type Comparison, compare } from '../lib/measure.js'
import { type RawBatch, runBatches, startRawWorkers } from '../lib/raw-workers.js'

export interface TopologyTask {
  readonly weights: string
  readonly topologies: readonly { readonly workers: number; readonly threads: number }[]
  readonly blocks: number
}

/** Time of the same batches of 1,024 tokens by each topology, against the first. Sessions without work sleep. */
export default async function compareTopologies({ weights, topologies, blocks }: TopologyTask): Promise<Comparison[]> {
  const batches = [32, 64, 96, 128, 128, 192, 256, 512].map((tokens) => batchOf(Math.floor(1024 / tokens), tokens))
  const pools = await Promise.all(topologies.map((topology) => startRawWorkers({ weights, ...topology })))
  const contenders = pools.map((pool, place) => ({
    name: `${topologies[place]?.workers} x ${topologies[place]?.threads}`,
    run: () => runBatches(pool, batches),
  }))
  const compared = await compare(contenders, { warmup: 1, blocks, repetitions: 1 })
  await Promise.all(pools.flat().map((worker) => worker.terminate()))
  return compared
}

function batchOf(rows: number, width: number): RawBatch {
  const { ids } = randomTexts(new Array<number>(rows).fill(width), width)
  return { ids: BigInt64Array.from(ids, BigInt), mask: new BigInt64Array(ids.length).fill(1n), rows, width }
}
