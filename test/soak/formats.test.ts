import { expect, test } from 'vitest'
import { mutateFormats } from '../campaigns/mutate-formats.js'

test('2,000 mutations of each format give text or a typed error, and memory does not grow', async () => {
  await mutateFormats(200, 1)
  const before = process.memoryUsage().rss
  const { wrong } = await mutateFormats(2_000, 2)
  expect(wrong).toEqual([])
  expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20)
})
