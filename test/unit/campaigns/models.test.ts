import { expect, it } from 'vitest'
import { abortModels } from '../../campaigns/abort-models.js'

it('leaves no connection and no listener behind, however answers of failing services are ended', async () => {
  const { outcomes } = await abortModels({ answers: 150, seed: 1 })
  expect(Object.keys(outcomes)).toEqual(expect.arrayContaining(['aborted', 'answered', 'left', 'PROVIDER', 'TIMEOUT']))
}, 30_000)
