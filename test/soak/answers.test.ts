import { expect, it } from 'vitest'
import { abortAnswers } from '../campaigns/abort-answers.js'

it('leaves nothing behind after five thousand questions that were ended in every way', async () => {
  const { outcomes } = await abortAnswers({ calls: 5_000, seed: 3 })
  expect(outcomes.done).toBeGreaterThan(200)
})

it('leaves nothing behind after two thousand questions whose passages were reranked in threads', async () => {
  const { outcomes } = await abortAnswers({ calls: 2_000, seed: 4, crossEncoder: true })
  expect(outcomes.done).toBeGreaterThan(100)
})

it('leaves nothing behind when it is closed in the middle, thirty times', async () => {
  for (let seed = 100; seed < 130; seed++) {
    await abortAnswers({ calls: 120, closeAfter: 20 + seed - 100, seed, crossEncoder: seed % 3 === 0 })
  }
})
