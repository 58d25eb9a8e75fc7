import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LoadResult } from '../children/session-load.js'
import type { SessionSpec } from '../lib/bare-session.js'
import type { BenchContext, Metrics } from '../lib/bench.js'
import { quantile } from '../lib/measure.js'
import { minilm } from './models.js'
import { batchRatio, printSpeed, speedOf } from './speed.js'

/** A way to load a model: how its file is saved beforehand, if it is, and how it is opened. */
interface Way {
  readonly key: string
  readonly name: string
  /** Session settings that make the runtime save its optimised graph. */
  readonly save?: { readonly file: string; readonly session: Readonly<Record<string, string>> }
  readonly options?: SessionSpec['options']
}

/** A graph that was optimised need not be again. */
const optimised: SessionSpec['options'] = { graphOptimizationLevel: 'disabled' }
const apart = {
  optimized_model_external_initializers_file_name: 'model.data',
  optimized_model_external_initializers_min_size_in_bytes: '1024',
}
const ways: readonly Way[] = [
  { key: 'plain', name: 'as it is' },
  { key: 'unpacked', name: 'weights not packed', options: { extra: { session: { disable_prepacking: '1' } } } },
  {
    key: 'noArenaForWeights',
    name: 'weights outside the arena',
    options: { extra: { session: { use_device_allocator_for_initializers: '1' } } },
  },
  { key: 'saved', name: 'optimised, saved', save: { file: 'model.onnx', session: {} }, options: optimised },
  {
    key: 'savedApart',
    name: 'the same, weights in a second file',
    save: { file: 'model.onnx', session: apart },
    options: optimised,
  },
  {
    key: 'savedPacked',
    name: 'the same, weights packed',
    save: { file: 'model.onnx', session: { ...apart, save_external_prepacked_constant_initializers: '1' } },
    options: optimised,
  },
  { key: 'ort', name: 'saved in the format ORT', save: { file: 'model.ort', session: { save_model_format: 'ORT' } } },
]

/** Time and memory from a file to the first vector, each in a process of its own. */
export async function compareLoading(context: BenchContext): Promise<Metrics> {
  const metrics: Metrics = {}
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  try {
    for (const kind of ['fp32', 'int8'] as const) {
      const specs: SessionSpec[] = []
      for (const way of ways) specs.push(await prepare(way, minilm(kind), join(folder, `${kind}-${way.key}`), context))
      const loads = await takeTurns(specs, context)
      context.log(`\nLoading, ${kind}: processor time, memory`)
      context.table([
        ['', 'open ms', 'first vector ms', 'held MB', 'peak MB', 'same bits'],
        ...ways.map(({ name }, place) => {
          const same = loads[place]?.every(({ vectorHash }) => vectorHash === loads[0]?.[0]?.vectorHash)
          return [name, ...cells(loads[place]!), same ? 'yes' : 'no']
        }),
      ])
      const readyMs = (place: number) => middle(loads[place]!, ({ openMs, firstMs }) => openMs + firstMs)
      const held = (place: number) => middle(loads[place]!, ({ heldBytes }) => heldBytes)
      for (const [place, { key }] of ways.entries()) {
        if (place === 0) continue
        metrics[`loading.${kind}-${key}Time`] = readyMs(place) / readyMs(0)
        metrics[`loading.${kind}-${key}Held`] = held(place) / held(0)
      }
      const packed = specs[ways.findIndex(({ key }) => key === 'savedPacked')]!
      const speed = await speedOf([specs[0]!, packed], context)
      printSpeed(`What is loaded so, ${kind}`, speed, context)
      metrics[`loading.${kind}-savedPackedRunTime`] = batchRatio(speed, 1)
    }
    return metrics
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

type Load = LoadResult & { readonly peakBytes: number }

/** Has a child save the model, when the way wants it saved. */
async function prepare(way: Way, weights: string, folder: string, context: BenchContext): Promise<SessionSpec> {
  const { name, save, options = {} } = way
  if (save === undefined) return { name, weights, options }
  mkdirSync(folder)
  const file = join(folder, save.file)
  const saving: SessionSpec = {
    name,
    weights,
    options: { optimizedModelFilePath: file, extra: { session: save.session } },
  }
  await context.child<LoadResult>('children/session-load.ts', saving)
  return { name, weights: file, options }
}

async function takeTurns(specs: readonly SessionSpec[], context: BenchContext): Promise<Load[][]> {
  const loads = specs.map((): Load[] => [])
  const places = [...specs.keys()]
  for (let round = 0; round < (context.quick ? 2 : 6); round++) {
    for (const place of round % 2 === 0 ? places : places.toReversed()) {
      const { result, peakAnonymousBytes } = await context.child<LoadResult>('children/session-load.ts', specs[place])
      loads[place]!.push({ ...result, peakBytes: peakAnonymousBytes })
    }
  }
  return loads
}

function cells(loads: readonly Load[]): string[] {
  const times = [middle(loads, ({ openMs }) => openMs), middle(loads, ({ firstMs }) => firstMs)]
  const bytes = [middle(loads, ({ heldBytes }) => heldBytes), middle(loads, ({ peakBytes }) => peakBytes)]
  return [...times.map((ms) => ms.toFixed(0)), ...bytes.map((size) => (size / 1e6).toFixed(0))]
}

function middle(loads: readonly Load[], figure: (load: Load) => number): number {
  return quantile(loads.map(figure), 0.5)
}
