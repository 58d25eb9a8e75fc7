import { expect, it } from 'vitest'
import { abortModels } from '../../campaigns/abort-models.js'

it('leaves no connection and no listener behind, however answers of failing services are ended', async () => {
  // How many end how depends on how busy the machine is.
  expect((await abortModels({ answers: 60, seed: 1 })).outcomes.aborted).toBeGreaterThan(0)
}, 30_000)
