import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RangeSet } from '../../../src/core/range-set.js'
import { type Bm25Index, createBm25Index } from '../../../src/lexical-index/bm25.js'
import { createAnalyzer } from '../../../src/text/analyzer.js'
import { Oracle, type OracleDocument } from './oracle.js'
import { publish, randomDocument, randomText, seeded } from './support.js'

const analyzer = await createAnalyzer('english')
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lexical-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

describe('BM25 index against a plain one over maps', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'agrees after adding, replacing, removing, merging and reopening in any order (seed %i)',
    async (seed) => {
      const random = seeded(seed)
      let index = await createBm25Index({ directory, warn: fail })
      let oracle = new Oracle(analyzer)
      const living: OracleDocument[] = []
      // Numbers beyond 2^32 must survive.
      let base = seed % 2 === 0 ? 2 ** 32 - 40 : 1
      for (let epoch = 1; epoch <= 25; epoch++) {
        const added: OracleDocument[] = []
        const removed: [number, number][] = []
        for (let i = Math.floor(random() * 5); i >= 0; i--) {
          const document = randomDocument(random, base)
          added.push(document)
          base += document.chunks.length + Math.floor(random() * 3)
        }
        if (living.length > 0 && random() < 0.5) {
          const { base: start, chunks } = living.splice(Math.floor(random() * living.length), 1)[0]!
          removed.push([start, start + chunks.length])
        }
        // Some chunks of documents that stay.
        if (living.length > 0 && random() < 0.3) {
          const start = living[Math.floor(random() * living.length)]!.base + Math.floor(random() * 3)
          removed.push([start, start + 1 + Math.floor(random() * 6)])
        }
        for (const [start, end] of removed) oracle.remove(start, end)
        for (const document of added) oracle.add(document)
        living.push(...added)
        await publish(index, epoch, added, removed)
        if (random() < 0.15) await index.compact()
        if (random() < 0.2) {
          await index.persist()
          await index.close()
          index = await createBm25Index({ directory, warn: fail })
          expect(index.epoch).toBe(epoch)
        }
        await expectAgreement(index, oracle, random)
      }
      await index.compact()
      expect(index.stats().segments).toBe(oracle.chunks === 0 ? 0 : 1)
      await expectAgreement(index, oracle, random)

      oracle = new Oracle(analyzer)
      await publish(index, 99, [], [[0, Number.MAX_SAFE_INTEGER]])
      await expectAgreement(index, oracle, random)
      await index.close()
    },
  )

  it('agrees on documents of several windows, whatever segments they lie in', async () => {
    const random = seeded(11)
    const index = await createBm25Index({ warn: fail })
    const oracle = new Oracle(analyzer)
    const long = (base: number) => ({
      base,
      title: 'naïve word',
      chunks: Array.from({ length: 260 }, () => ({ text: randomText(random, 240), headings: ['running'] })),
    })
    for (const base of [1, 1000]) {
      const documents = [long(base), randomDocument(random, base + 500)]
      for (const document of documents) oracle.add(document)
      await publish(index, base, documents)
    }
    await expectAgreement(index, oracle, random)
    // A window disappears with its last chunk.
    oracle.remove(1000, 1110)
    await publish(index, 3000, [], [[1000, 1110]])
    await expectAgreement(index, oracle, random)
    await index.compact()
    await expectAgreement(index, oracle, random)
    await index.close()
  })
})

async function expectAgreement(index: Bm25Index, oracle: Oracle, random: () => number): Promise<void> {
  expect(index.stats()).toMatchObject({ chunks: oracle.chunks, documents: oracle.documents })
  const numbers = oracle.numbers()
  for (let i = 0; i < 6; i++) {
    const query = randomText(random, 1 + Math.floor(random() * 8))
    const topK = Math.floor(random() * 30)
    const documentWeight = [0, 0.5, 1.3][Math.floor(random() * 3)]!
    const allow =
      random() < 0.4
        ? RangeSet.from(numbers.filter(() => random() < 0.5).map((number) => [number, number + 1] as const))
        : undefined
    const restriction = allow === undefined ? {} : { allow }
    const { matches } = await index.search(query, { topK, documentWeight, ...restriction })
    expectSameRanking(matches, oracle.search(query, { topK: numbers.length, documentWeight, ...restriction }), topK)
  }
}

/** The same scores in the same order; chunks whose scores differ by less than rounding may change places. */
function expectSameRanking(
  actual: readonly { number: number; score: number }[],
  expected: readonly { number: number; score: number }[],
  topK: number,
): void {
  expect(actual.length).toBe(Math.min(topK, expected.length))
  const scores = new Map(expected.map(({ number, score }) => [number, score]))
  actual.forEach(({ number, score }, rank) => {
    expect(Math.abs(score - (scores.get(number) ?? Number.NaN))).toBeLessThan(1e-4)
    expect(Math.abs(score - expected[rank]!.score)).toBeLessThan(1e-4)
  })
  expect(new Set(actual.map(({ number }) => number)).size).toBe(actual.length)
}

function fail(problem: Error): never {
  throw problem
}
