import { describe, it } from 'vitest'
import { damageIndexes } from '../campaigns/damage-indexes.js'
import { killIngest } from '../campaigns/kill-ingest.js'
import { twoWriters } from '../campaigns/two-writers.js'

describe('campaigns in full', () => {
  it('loses nothing reported as committed in fifty kills', () => killIngest({ kills: 50, seed: 2 }))

  it('answers the same after three hundred kinds of damage to its indexes', () =>
    damageIndexes({ rounds: 300, seed: 2 }))

  it('lets four processes ingest into one store at once', () => twoWriters({ processes: 4, documents: 600 }))
})
