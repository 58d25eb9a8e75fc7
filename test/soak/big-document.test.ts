import { describe, it } from 'vitest'
import { bigDocument } from '../campaigns/big-document.js'

describe('one very large document', () => {
  it('of 400,000 chunks stays within 800 MB, and a kill leaves the old version whole', async () => {
    const { peakBytes } = await bigDocument({ chunks: 400_000, maxBytes: 800e6 })
    console.log(`peak anonymous memory: ${(peakBytes / 1e6).toFixed(0)} MB`)
  })
})
