import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createJoint } from '../../src/pipelines/steps/search-together.js'
import type { VectorIndex } from '../../src/vector-index/types.js'
import type { BenchContext, Metrics } from './bench.js'
import { compare } from './measure.js'
import { openIndexOf } from './vector-indexes.js'
import { benchVectors, extended } from './vectors.js'

const size = { vectors: 20_000, atOnce: 64, topK: 50 }

/** What it is worth to join the searches of one turn of the event loop into one call of an index of graphs, which are searched in a thread. */
export async function measureJointSearch({ log, quick }: BenchContext): Promise<Metrics> {
  const directory = mkdtempSync(join(tmpdir(), 'ufrag-bench-joint-'))
  const made = await benchVectors(undefined)
  const { dimensions, questions } = made
  const index = await openIndexOf({ kind: 'usearch', M: 8, efConstruction: 32 }, { directory, dimensions })
  try {
    const update = index.update()
    await update.add(
      Array.from({ length: size.vectors }, (_, number) => number),
      extended(made, size.vectors),
    )
    await update.publish(1)
    await index.persist()
    const many = (searched: VectorIndex, count: number) => () =>
      Promise.all(
        Array.from({ length: count }, (_, place) =>
          searched.search(questions.subarray(place * dimensions, (place + 1) * dimensions), { topK: size.topK }),
        ),
      )
    const joint = createJoint(index)
    const rounds = { warmup: 3, blocks: quick ? 5 : 15, repetitions: 3 }
    const [, crowd] = await compare(
      [
        { name: 'joined', run: many(joint, size.atOnce) },
        { name: 'each for itself', run: many(index, size.atOnce) },
      ],
      rounds,
    )
    const [, lone] = await compare(
      [
        { name: 'each for itself', run: many(index, 1) },
        { name: 'joined', run: many(joint, 1) },
      ],
      { ...rounds, repetitions: 20 },
    )
    const metrics = {
      'joint.throughputRatio': crowd?.ratio ?? Number.NaN,
      'joint.loneP50Ratio': lone?.ratio ?? Number.NaN,
    }
    log(
      `${size.atOnce} searches of ${size.vectors} vectors in ${index.stats().segments} graphs at once, joined against each for itself: ${metrics['joint.throughputRatio'].toFixed(2)}x; what a lone one pays: ${metrics['joint.loneP50Ratio'].toFixed(2)}x`,
    )
    return metrics
  } finally {
    await index.close()
    rmSync(directory, { recursive: true, force: true })
  }
}
