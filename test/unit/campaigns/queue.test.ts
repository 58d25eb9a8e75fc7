import { it } from 'vitest'
import { killWorkers } from '../../campaigns/kill-workers.js'

it('keeps every document once, in its last version, when workers are killed in the middle', async (context) => {
  if (!(await killWorkers({ kills: 1, seed: 1 }))) context.skip('there is no redis-server on the PATH')
}, 90_000)
