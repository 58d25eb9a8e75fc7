import { describe, expect, it } from 'vitest'
import { Tally } from '../../../src/pipelines/steps/tally.js'

const bytes = 10

describe('progress', () => {
  it('is told within a document, at most five times a second, with what is read of it', () => {
    let time = 0
    const tally = new Tally(() => time)
    tally.total = 2
    tally.discovering = false
    const large = tally.begin('large.pdf')
    time = 100
    expect(large.step({ stage: 'opened', pages: 400 })).toBeUndefined()
    expect(large.step({ stage: 'written', chunks: 50, page: 40, tokens: 5_000 })).toBeUndefined()
    time = 1_000
    expect(large.step({ stage: 'written', chunks: 50, page: 100, tokens: 5_000 })).toMatchObject({
      stage: 'written',
      source: 'large.pdf',
      documentsDone: 0,
      documentsTotal: 2,
      chunks: 100,
      pages: 100,
      pagesTotal: 400,
      tokens: 10_000,
      chunksPerSecond: 100,
      tokensPerSecond: 10_000,
      // A quarter of one of two documents took a second.
      remainingMs: 7_000,
    })
    time = 1_199
    expect(large.step({ stage: 'written', chunks: 1, page: 101, tokens: 1 })).toBeUndefined()
    time = 2_000
    const ended = large.end({ stage: 'committed', source: 'large.pdf', chunks: 400, pages: 400, bytes })
    expect(ended).toMatchObject({ documentsDone: 1, chunks: 400, pages: 400, pagesTotal: 400, remainingMs: 2_000 })
  })

  it('takes back what it told of a document that fails', () => {
    let time = 0
    const tally = new Tally(() => time)
    tally.total = 1
    const document = tally.begin('a.pdf')
    time = 500
    expect(document.step({ stage: 'opened', pages: 3 })).toMatchObject({ stage: 'opened', pages: 0, pagesTotal: 3 })
    time = 1_000
    expect(document.step({ stage: 'written', chunks: 5, page: 2, tokens: 0 })).toMatchObject({ chunks: 5, pages: 2 })
    const error = Object.assign(new Error('damaged'), { code: 'CORRUPT' }) as never
    expect(document.end({ stage: 'failed', source: 'a.pdf', error })).toMatchObject({
      failed: 1,
      chunks: 0,
      pages: 0,
      pagesTotal: 0,
      tokensPerSecond: 0,
    })
  })

  it('counts the pages of a document that does not tell how many it has', () => {
    let time = 0
    const tally = new Tally(() => time)
    tally.total = 1
    const document = tally.begin('slides')
    document.step({ stage: 'opened', pages: 0 })
    time = 1_000
    expect(document.step({ stage: 'written', chunks: 5, page: 12, tokens: 0 })).toMatchObject({
      pages: 12,
      pagesTotal: 12,
    })
  })
})
