import { it } from 'vitest'
import { endLanes } from '../../campaigns/end-lane.js'

it(
  'ends processes and threads while the runtime is at work in them, never aborting',
  () => endLanes({ processes: 1, rounds: 3, seed: 1 }),
  120_000,
)
