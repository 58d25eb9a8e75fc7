import { it } from 'vitest'
import { freezeWorkers } from '../../campaigns/freeze-worker.js'
import { killWorkers } from '../../campaigns/kill-workers.js'

it('keeps every document once, in its last version, when workers are killed in the middle', async (context) => {
  if (!(await killWorkers({ kills: 1, seed: 1 }))) context.skip('there is no redis-server on the PATH')
}, 90_000)

it('keeps the newer version when a worker wakes up that was frozen for longer than its lock', async (context) => {
  if ((await freezeWorkers({ rounds: 1, seed: 1 })) === undefined) {
    context.skip('there is no redis-server on the PATH')
  }
}, 90_000)
