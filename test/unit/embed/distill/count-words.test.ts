import { describe, expect, it } from 'vitest'
import { countWords } from '../../../../src/embed/distill/count-words.js'
import { nextLoopTurn } from '../../../../src/testing/support.js'

describe('counting words', () => {
  it('counts words and signs in the spelling they have', async () => {
    const counts = await countWords(['The cat, the CAT!', 'naïve 3.14 日本語', ''], {})
    expect(Object.fromEntries(counts)).toEqual({
      The: 1,
      cat: 1,
      the: 1,
      CAT: 1,
      ',': 1,
      '!': 1,
      naïve: 1,
      3: 1,
      '.': 1,
      14: 1,
      日本語: 1,
    })
  })

  it('counts the same however long the text is, and lets others have their turn', async () => {
    const text = 'alpha beta gamma delta '.repeat(20_000)
    let turns = 0
    let done = false
    const others = (async () => {
      for (; !done; turns++) await nextLoopTurn()
    })()
    const counts = await countWords([text], {})
    done = true
    await others
    expect(Object.fromEntries(counts)).toEqual({ alpha: 20_000, beta: 20_000, gamma: 20_000, delta: 20_000 })
    expect(turns).toBeGreaterThan(10)
  })

  it('ends on a text without spaces, and takes no file for a word', async () => {
    const counts = await countWords(['x'.repeat(100_000), 'word'], {})
    expect(Object.fromEntries(counts)).toEqual({ word: 1 })
  })

  it('forgets the rarest words when there are too many, and keeps the frequent ones', async () => {
    function* texts() {
      for (let i = 0; i < 120; i++) {
        yield `often often ${Array.from({ length: 50 }, (_, k) => `w${i}x${k}`).join(' ')}`
      }
    }
    const counts = await countWords(texts(), { maxWords: 500 })
    expect(counts.size).toBeLessThanOrEqual(500)
    expect(counts.get('often')).toBe(240)
    expect((await countWords(texts(), {})).size).toBe(6_001)
  })

  it('stops when it is aborted', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    async function* endless() {
      for (;;) yield 'word '
    }
    const work = countWords(endless(), {
      signal: controller.signal,
      onText: (texts) => {
        if (texts === 100) controller.abort(reason)
      },
    })
    await expect(work).rejects.toBe(reason)
  })
})
