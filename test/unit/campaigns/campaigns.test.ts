import { describe, expect, it } from 'vitest'
import { damageIndexes } from '../../campaigns/damage-indexes.js'
import { killEnrichment } from '../../campaigns/kill-enrichment.js'
import { killIngest } from '../../campaigns/kill-ingest.js'
import { twoWriters } from '../../campaigns/two-writers.js'

/** A seeded sample of each campaign; `npm run test:soak` runs all of it. */
describe('sampled campaigns', () => {
  it('keeps a store in step with a folder and a queue, whole and truly told, when it is killed', async () => {
    const met = await killIngest({ kills: 2, seed: 1, files: 24, embedder: false, queue: 'in-process' })
    expect(met?.committed).toBeGreaterThan(20)
    expect(met?.failed).toBeGreaterThan(0)
    expect(met?.jobs).toBeGreaterThan(0)
  }, 120_000)

  it('pays for no enrichment twice but what was under way when it was killed', async () => {
    const { paid } = await killEnrichment({ kills: 1, seed: 1, documents: 10 })
    expect(paid).toBeGreaterThan(0)
  }, 60_000)

  it('answers the same after damage to the files of its indexes', () => damageIndexes({ rounds: 8, seed: 1 }), 60_000)

  it('lets two processes ingest into one store at once', () => twoWriters({ processes: 2, documents: 90 }), 60_000)
})
