import { expect, it } from 'vitest'
import { endLanes } from '../../campaigns/end-lane.js'
import { laneMemory } from '../../campaigns/lane-memory.js'

it(
  'ends processes and threads while the runtime is at work in them, never aborting',
  () => endLanes({ processes: 1, rounds: 2, seed: 1 }),
  120_000,
)

it('runs batches of every shape in memory that stays flat', async () => {
  expect(await laneMemory({ runs: 1_500 })).not.toEqual([])
}, 120_000)
