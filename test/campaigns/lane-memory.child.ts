/**
 * A process that runs batches of every shape in a lane and prints its memory now and then. Run by `lane-memory.ts` as
 * `node --import tsx lane-memory.child.ts '{"runs": …}'`.
 */
import { readFileSync } from 'node:fs'
import { openLane } from '../../src/embed/onnx/open-lane.js'
import type { EmbeddingModel } from '../../src/models/types.js'
import { randomNumbers } from '../../src/testing/support.js'

export interface LaneMemoryOptions {
  readonly model: EmbeddingModel
  readonly runs: number
  /** Samples in all. */
  readonly samples: number
  /** Padded tokens of a batch at most. */
  readonly tokens: number
}

async function main({ model, runs, samples, tokens }: LaneMemoryOptions): Promise<void> {
  const random = randomNumbers(3)
  const lane = openLane({ model, devices: [{ kind: 'cpu', index: 0 }], threads: 1 })
  const runOne = async () => {
    const length = 1 + Math.floor(random() * Math.min(tokens, model.maxTokens))
    const rows = Math.floor(tokens / length)
    const ids = new Int32Array(rows * length).fill(50)
    const offsets = Int32Array.from({ length: rows + 1 }, (_, row) => row * length)
    const { vectors } = await lane.run({ ids, offsets })
    if (vectors.length !== rows * model.dimensions) throw new Error('A batch has lost rows.')
  }
  for (let done = 0; done < runs; done += 2) {
    await Promise.all([runOne(), runOne()])
    if (done % Math.floor(runs / samples) < 2) console.log(memory())
  }
  await lane.close()
}

/** Anonymous memory in bytes: what the process took, without files that are mapped. */
function memory(): number {
  if (process.platform !== 'linux') return process.memoryUsage().rss
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
}

const [, script, argument] = process.argv
if (script?.endsWith('lane-memory.child.ts') && argument !== undefined) await main(JSON.parse(argument))
