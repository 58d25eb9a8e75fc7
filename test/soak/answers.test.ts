import { expect, it } from 'vitest'
import { abortAnswers } from '../campaigns/abort-answers.js'

it('leaves nothing behind after fifteen hundred questions that were ended in every way', async () => {
  const { outcomes } = await abortAnswers({ calls: 1_500, seed: 3 })
  expect(outcomes.done).toBeGreaterThan(50)
})

it('leaves nothing behind after six hundred questions whose passages were reranked in threads', async () => {
  const { outcomes } = await abortAnswers({ calls: 600, seed: 4, crossEncoder: true })
  expect(outcomes.done).toBeGreaterThan(20)
})

it('leaves nothing behind when it is closed in the middle, ten times', async () => {
  for (let seed = 100; seed < 110; seed++) {
    await abortAnswers({ calls: 120, closeAfter: 20 + seed - 100, seed, crossEncoder: seed % 3 === 0 })
  }
})
