import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cutPoint, maxBlockUnits, toBlocks, toHeading } from '../../../src/extract/blocks.js'
import { createTextExtractor } from '../../../src/extract/text.js'
import { codeOf, options, readAll, sourceOf } from './helpers.js'

describe('the text extractor', () => {
  const text = createTextExtractor()

  test('gives the text back whole, in well-formed blocks of bounded length', async () => {
    const letters = fc.constantFrom('a', 'é', '😀', ' ', '\n', '\r\n', '\n\n', '日', 'e\u0301')
    await fc.assert(
      fc.asyncProperty(
        fc.array(letters, { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        async (unit, part) => {
          const content = `x${unit.join('').repeat(Math.ceil(70_000 / unit.join('').length))}`
          const { blocks, text: read } = await readAll(text, sourceOf(content, { partBytes: 10_000 + part }))
          expect(read).toBe(content)
          for (const block of blocks) {
            expect(block.text.length).toBeLessThanOrEqual(maxBlockUnits)
            expect(block.text.isWellFormed()).toBe(true)
            expect(block.kind).toBe('text')
          }
        },
      ),
      { seed: 5, numRuns: 40 },
    )
  })

  test('ends its blocks after paragraphs', async () => {
    const paragraph = `${'Words of a paragraph. '.repeat(20)}\n\n`
    const { blocks } = await readAll(text, sourceOf(paragraph.repeat(300)))
    expect(blocks.length).toBeGreaterThan(3)
    for (const block of blocks) expect(block.text.endsWith('\n\n')).toBe(true)
  })

  test('streams a line without end', async () => {
    const letter = new Uint8Array(65_536).fill(97)
    let delivered = 0
    async function* stream() {
      for (; delivered < 800; delivered++) yield letter
    }
    const { blocks } = await text.extract({ ...sourceOf(''), stream }, options)
    let units = 0
    for await (const block of blocks) {
      units += block.text.length
      // What is read is never far ahead of what was given out.
      expect(delivered * letter.length - units).toBeLessThan(5 * letter.length)
    }
    expect(units).toBe(800 * letter.length)
  })

  test.each([
    ['nothing', ''],
    ['white space', ' \r\n\t\u00a0\n'],
    ['a byte order mark', '\ufeff'],
    ['NULs', '\0\0\0'],
  ])('refuses %s as EMPTY', async (_name, content) => {
    expect(await codeOf(text, sourceOf(content))).toBe('EMPTY')
  })
})

describe('cutPoint', () => {
  test('cuts within bounds, and never inside a pair or a line end', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', '😀', ' ', '\n', '\r\n', '\n\n', 'e\u0301\u0302', '。'), { maxLength: 60 }),
        fc.integer({ min: 2, max: 50 }),
        (units, limit) => {
          const text = units.join('')
          const cut = cutPoint(text, limit)
          expect(cut).toBeLessThanOrEqual(limit)
          if (text !== '') expect(cut).toBeGreaterThan(0)
          if (text.length <= limit) expect(cut).toBe(text.length)
          expect(text.slice(0, cut).isWellFormed()).toBe(true)
          expect(text.slice(cut - 1, cut + 1)).not.toBe('\r\n')
        },
      ),
      { seed: 6, numRuns: 2000 },
    )
  })

  test('prefers a blank line, then a line, then a word, then a cluster', () => {
    expect(cutPoint('aaaaaa\n\nb\nc d', 12)).toBe(8)
    expect(cutPoint('aaaaaaaa\nc dddd', 12)).toBe(9)
    expect(cutPoint('aaaaaaaa cdddd', 12)).toBe(9)
    expect(cutPoint('日本語日本語。日本語日本語', 10)).toBe(7)
    expect(cutPoint('aaaaaaaae\u0301\u0302b', 10)).toBe(8)
  })
})

test('toBlocks loses nothing and makes no empty block', () => {
  expect([...toBlocks('', { kind: 'text' })]).toEqual([])
  const text = 'word '.repeat(20_000)
  const blocks = [...toBlocks(text, { kind: 'code', page: 3 })]
  expect(blocks.map((block) => block.text).join('')).toBe(text)
  expect(blocks.every(({ kind, page }) => kind === 'code' && page === 3)).toBe(true)
})

test('toHeading keeps one line of bounded length, and only when it says something', () => {
  expect(toHeading('  A\n\tlong   title \0')).toBe('A long title')
  expect(toHeading(' -- * ')).toBeUndefined()
  expect(toHeading('😀'.repeat(1000))).toBeUndefined()
  expect(toHeading('wörd '.repeat(1000))?.length).toBeLessThanOrEqual(300)
  expect(toHeading(`a${'😀'.repeat(1000)}`)?.isWellFormed()).toBe(true)
})
