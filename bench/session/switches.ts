import type { SessionSpec } from '../lib/bare-session.js'
import type { BenchContext, Metrics } from '../lib/bench.js'
import { minilm } from './models.js'
import { batchRatio, printSpeed, speedOf } from './speed.js'

const kinds = ['fp32', 'int8'] as const

/** Token vectors copied out and pooled in JavaScript, against vectors of texts that the graph has pooled. */
export async function comparePooling(context: BenchContext): Promise<Metrics> {
  const metrics: Metrics = {}
  for (const kind of kinds) {
    const specs: SessionSpec[] = [
      { name: 'pooled in JavaScript', weights: minilm(kind) },
      { name: 'pooled in the graph', weights: minilm(kind, { output: 'sentence' }), pools: true },
    ]
    const speed = await speedOf(specs, context)
    printSpeed(`Pooling and scaling, ${kind}`, speed, context)
    metrics[`pooling.${kind}InGraphTime`] = batchRatio(speed, 1)
  }
  return metrics
}

/** Options of a session, each against what the embedder opens sessions with. */
const switches: readonly { readonly key: string; readonly name: string; readonly options: SessionSpec['options'] }[] = [
  { key: 'noMemoryPattern', name: 'enableMemPattern: false', options: { enableMemPattern: false } },
  { key: 'noArena', name: 'enableCpuMemArena: false', options: { enableCpuMemArena: false } },
  { key: 'denormalAsZero', name: 'set_denormal_as_zero', options: extra({ set_denormal_as_zero: '1' }) },
  { key: 'blockBase', name: 'dynamic_block_base 4', options: extra({ dynamic_block_base: '4' }) },
  {
    key: 'geluApproximation',
    name: 'enable_gelu_approximation',
    options: { extra: { optimization: { enable_gelu_approximation: '1' } } },
  },
  { key: 'extended', name: "graphOptimizationLevel: 'extended'", options: { graphOptimizationLevel: 'extended' } },
  { key: 'noPrepacking', name: 'disable_prepacking', options: extra({ disable_prepacking: '1' }) },
  // What this one is off by is noise.
  { key: 'control', name: 'as it is, again', options: {} },
]

export async function compareSwitches(context: BenchContext): Promise<Metrics> {
  const metrics: Metrics = {}
  for (const kind of kinds) {
    const specs = [{ name: 'as it is', options: {} }, ...switches].map(({ name, options = {} }) => {
      return { name, weights: minilm(kind), options }
    })
    const speed = await speedOf(specs, context)
    printSpeed(`Switches, ${kind}`, speed, context)
    for (const [place, { key }] of switches.entries()) metrics[`switches.${kind}-${key}`] = batchRatio(speed, place + 1)
  }
  return metrics
}

function extra(session: Readonly<Record<string, string>>): SessionSpec['options'] {
  return { extra: { session } }
}
