import { describe, it } from 'vitest'
import { damageIndexes } from '../../campaigns/damage-indexes.js'
import { killIngest } from '../../campaigns/kill-ingest.js'
import { twoWriters } from '../../campaigns/two-writers.js'

/** A seeded sample of each campaign; `npm run test:soak` runs all of it. */
describe('sampled campaigns', () => {
  it(
    'loses nothing reported as committed when it is killed, and finishes later',
    () => killIngest({ kills: 2, seed: 1 }),
    120_000,
  )

  it('answers the same after damage to the files of its indexes', () => damageIndexes({ rounds: 12, seed: 1 }), 60_000)

  it('lets two processes ingest into one store at once', () => twoWriters({ processes: 2, documents: 90 }), 60_000)
})
