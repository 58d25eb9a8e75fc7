import { expect, test } from 'vitest'
import { mutateFormats } from '../../campaigns/mutate-formats.js'

test('a damaged document of any format gives text or a typed error (a sample; all in test:soak)', async () => {
  const { read, refused, wrong } = await mutateFormats(25, 1)
  expect(wrong).toEqual([])
  expect(read).toBeGreaterThan(25)
  expect(refused).toBeGreaterThan(25)
})
