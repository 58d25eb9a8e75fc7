import { describe, expect, it } from 'vitest'
import { damageIndexes } from '../campaigns/damage-indexes.js'
import { killEnrichment } from '../campaigns/kill-enrichment.js'
import { killIngest } from '../campaigns/kill-ingest.js'
import { twoWriters } from '../campaigns/two-writers.js'

describe('campaigns in full', () => {
  it('keeps a store in step with a folder and a queue in sixty kills', async () => {
    const met = await killIngest({ kills: 60, seed: 2, files: 60, embedder: 'hashing', queue: 'in-process' })
    console.log(met)
    for (const count of Object.values(met ?? {})) expect(count).toBeGreaterThan(50)
  })

  it('keeps a store in step with a folder and a queue on Redis in sixty kills', async (context) => {
    const met = await killIngest({ kills: 60, seed: 3, files: 60, embedder: false, queue: 'bullmq' })
    if (met === undefined) context.skip('there is no redis-server on the PATH')
    console.log(met)
    for (const count of Object.values(met ?? {})) expect(count).toBeGreaterThan(50)
  })

  it('pays for no enrichment twice but what was under way in fifteen kills', async () => {
    console.log(await killEnrichment({ kills: 15, seed: 2, documents: 120 }))
  })

  it('answers the same after three hundred kinds of damage to its indexes', () =>
    damageIndexes({ rounds: 300, seed: 2 }))

  it('lets four processes ingest into one store at once', () => twoWriters({ processes: 4, documents: 600 }))
})
