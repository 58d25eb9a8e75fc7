import { expect, it } from 'vitest'
import { endLanes } from '../campaigns/end-lane.js'
import { laneMemory } from '../campaigns/lane-memory.js'

it('ends processes and threads while the runtime is at work in them, never aborting', () =>
  endLanes({ processes: 6, rounds: 20, seed: 2 }))

it('runs ten thousand batches of every shape in memory that stays flat', async () => {
  const samples = await laneMemory({ runs: 10_000 })
  console.log(samples.map((bytes) => (bytes / 2 ** 20).toFixed(0)).join(' '), 'MiB')
  expect(samples).not.toEqual([])
})
