import { randomNumbers } from '../src/testing/support.js'
import { createFlatIndex } from '../src/vector-index/flat.js'
import type { Bench } from './lib/bench.js'
import { quantile } from './lib/measure.js'

const rows = 20_000
const dimensions = 384
const topK = 10

/** How long one exact search of 20,000 x 384 takes, with the coarse copy and without, and that both find the same. */
const bench: Bench = async ({ quick, log, table }) => {
  const random = randomNumbers(7)
  const vectors = unitVectors(rows, random)
  const queries = unitVectors(quick ? 20 : 100, random)
  const numbers = Array.from({ length: rows }, (_, i) => i)
  const variants = [
    { name: 'accelerated', index: createFlatIndex({ dimensions, fingerprint: 'bench' }), times: [] as number[] },
    {
      name: 'plain',
      index: createFlatIndex({ dimensions, fingerprint: 'bench', accelerate: false }),
      times: [] as number[],
    },
  ] as const
  for (const { name, index } of variants) {
    const began = performance.now()
    const update = index.update()
    await update.add(numbers, vectors)
    await update.publish(1)
    log(
      `${name}: added in ${(performance.now() - began).toFixed(0)} ms, ${(index.stats().bytes / rows).toFixed(0)} bytes per vector`,
    )
  }

  let same = 0
  for (let start = 0; start < queries.length; start += dimensions) {
    const query = queries.subarray(start, start + dimensions)
    const found: string[] = []
    for (const { index, times } of variants) {
      const began = performance.now()
      found.push(JSON.stringify(await index.search(query, { topK })))
      times.push(performance.now() - began)
    }
    if (found[0] === found[1]) same++
  }

  const [accelerated, plain] = variants
  const share = (same * dimensions) / queries.length
  table([
    ['20,000 x 384, top 10', 'p50 ms', 'p95 ms', 'identical'],
    ...variants.map(({ name, times }) => [
      name,
      quantile(times, 0.5).toFixed(2),
      quantile(times, 0.95).toFixed(2),
      share,
    ]),
  ])
  return {
    'flat.p50Ms': quantile(accelerated.times, 0.5),
    'flat.p95Ms': quantile(accelerated.times, 0.95),
    'flat.plainP50Ms': quantile(plain.times, 0.5),
    'flat.identical': share,
  }
}
export default bench

function unitVectors(count: number, random: () => number): Float32Array {
  const vectors = new Float32Array(count * dimensions)
  for (let start = 0; start < vectors.length; start += dimensions) {
    let square = 0
    for (let i = start; i < start + dimensions; i++) {
      // Sum of uniforms: near enough to a normal distribution for directions to be spread evenly.
      const value = random() + random() + random() + random() - 2
      vectors[i] = value
      square += value * value
    }
    for (let i = start; i < start + dimensions; i++) vectors[i] = (vectors[i] as number) / Math.sqrt(square)
  }
  return vectors
}
