import { expect, it } from 'vitest'
import { abortModels } from '../campaigns/abort-models.js'

it('leaves no connection and no listener behind in ten thousand answers of failing services', async () => {
  const { outcomes } = await abortModels({ answers: 10_000, seed: 2 })
  expect(outcomes.answered).toBeGreaterThan(500)
})
