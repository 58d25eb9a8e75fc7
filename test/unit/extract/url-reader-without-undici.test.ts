import { expect, test, vi } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { createUrlReader } from '../../../src/extract/url-reader.js'

vi.mock('../../../src/extract/guarded-agent.js', async (original) => ({
  ...(await original<object>()),
  loadUndici: async () => {
    throw new RagError('MISSING_PEER', 'not installed')
  },
}))

test('a reader that found no undici says so, and is closed without an error', async () => {
  const reader = createUrlReader()
  await expect(reader.read('https://example.org/')).rejects.toMatchObject({ code: 'MISSING_PEER' })
  await reader.close()
})
