import { join } from 'node:path'
import { modelFolder, weightFiles } from '../../test/fixtures/models/model-folder.js'
import type { MemoryResult, MemoryTask } from '../children/session-memory.js'
import type { SessionSpec } from '../lib/bare-session.js'
import type { BenchContext, Metrics } from '../lib/bench.js'

/** After every run the arena gives back what it does not need. */
const shrinkage = { extra: { memory: { enable_memory_arena_shrinkage: 'cpu:0' } } }
const variants: readonly (Omit<SessionSpec, 'weights'> & { readonly key: string })[] = [
  { key: 'plain', name: 'as it is' },
  { key: 'noMemoryPattern', name: 'enableMemPattern: false', options: { enableMemPattern: false } },
  { key: 'noArena', name: 'enableCpuMemArena: false', options: { enableCpuMemArena: false } },
  { key: 'neither', name: 'neither', options: { enableMemPattern: false, enableCpuMemArena: false } },
  { key: 'shrinking', name: 'enable_memory_arena_shrinkage', runOptions: shrinkage },
]

/** What sessions hold after batches of many shapes. Two layers do: layers use the same memory one after the other. */
export async function compareMemory(context: BenchContext): Promise<Metrics> {
  const metrics: Metrics = {}
  for (const kind of ['fp32', 'int8'] as const) {
    const weights = join(
      modelFolder({ size: 'minilm', layers: 2, weights: ['fp32', 'int8'] }),
      'onnx',
      weightFiles[kind],
    )
    const results: MemoryResult[] = []
    for (const { key: _, ...variant } of variants) {
      const task: MemoryTask = { spec: { ...variant, weights }, runs: context.quick ? 60 : 200, maxBatchTokens: 1024 }
      results.push((await context.child<MemoryResult>('children/session-memory.ts', task)).result)
    }
    context.log(`\nMemory over batches of 1,024 tokens in ever other shapes, ${kind}`)
    context.table([
      ['', 'highest MB', 'at the end MB', 'run ms'],
      ...results.map(({ highestBytes, lastBytes, runMs }, place) => [
        variants[place]!.name,
        (highestBytes / 1e6).toFixed(0),
        (lastBytes / 1e6).toFixed(0),
        runMs.toFixed(1),
      ]),
    ])
    const [plain] = results as [MemoryResult]
    for (const [place, { key }] of variants.entries()) {
      if (place === 0) continue
      metrics[`memory.${kind}-${key}`] = results[place]!.highestBytes / plain.highestBytes
      metrics[`memory.${kind}-${key}Time`] = results[place]!.runMs / plain.runMs
    }
  }
  return metrics
}
