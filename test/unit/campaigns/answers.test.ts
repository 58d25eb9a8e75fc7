import { expect, it } from 'vitest'
import { abortAnswers } from '../../campaigns/abort-answers.js'

it('leaves nothing behind, however questions are asked and ended', async () => {
  const { outcomes } = await abortAnswers({ calls: 32, seed: 1 })
  // How many end how depends on how busy the machine is.
  expect(outcomes.done).toBeGreaterThan(0)
}, 60_000)

it('leaves nothing behind when it is closed in the middle of questions', async () => {
  const { outcomes } = await abortAnswers({ calls: 32, closeAfter: 16, seed: 2 })
  expect(outcomes.CLOSED).toBeGreaterThan(0)
}, 60_000)
