import { availableParallelism } from 'node:os'
import type { TopologyTask } from '../children/session-topology.js'
import type { BenchContext, Metrics } from '../lib/bench.js'
import { type Comparison, formatRatio, formatTimes } from '../lib/measure.js'
import { minilm } from './models.js'

/** One session per core against one session with all cores, in time that passes: others on the machine do change it. */
export async function compareTopologies(context: BenchContext): Promise<Metrics> {
  const cores = availableParallelism()
  const topologies = [
    { workers: cores, threads: 1 },
    { workers: 1, threads: cores },
  ]
  const metrics: Metrics = {}
  for (const kind of ['fp32', 'int8'] as const) {
    const task: TopologyTask = { weights: minilm(kind), topologies, blocks: context.quick ? 2 : 8 }
    const { result } = await context.child<Comparison[]>('children/session-topology.ts', task)
    context.log(`\nThe same eight batches by workers x threads, ${kind}`)
    context.table([
      ['', 'time'],
      ...result.map((one, place) => [one.name, place === 0 ? formatTimes(one.times) : formatRatio(one)]),
    ])
    metrics[`topology.${kind}OneSessionTime`] = result[1]!.ratio
  }
  return metrics
}
