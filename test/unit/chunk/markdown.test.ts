import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMarkdownChunker } from '../../../src/chunk/markdown.js'
import { findMarkdownBlocks } from '../../../src/chunk/markdown-blocks.js'
import { countReads } from '../../lib/count-reads.js'
import { anyText, hostileTexts } from '../../lib/texts.js'
import { defaults, spansOf, textsWith } from './support.js'

const textsOf = textsWith(createMarkdownChunker)

describe('createMarkdownChunker', () => {
  it('begins a chunk with each heading, and leaves no heading alone', () => {
    const text = '# One\n\nShort.\n\n## Two\n\nAlso short.\n# Three\n\n## Four\nThe end.'
    expect(textsOf(text)).toEqual(['# One\n\nShort.', '## Two\n\nAlso short.', '# Three\n\n## Four\nThe end.'])
    const long = `# Heading\n\n${'Many words here. '.repeat(10)}`.trim()
    expect(textsOf(long, { chunkSize: 60 })[0]).toMatch(/^# Heading\n\nMany words here\./)
  })

  it('joins short sections when told to', () => {
    expect(textsOf('# One\n\nShort.\n\n## Two\n\nAlso short.', { minChunkSize: 30 })).toHaveLength(1)
  })

  it('keeps fences whole, with blank lines, headings and other fences in them', () => {
    const fence = '````js\n# no heading. Or\n\n```\nlet a = 1\n````'
    const text = `Some words before it all. More words.\n\n${fence}\n\nWords behind. And more.`
    for (const chunkSize of [fence.length, 60, 75]) {
      expect(textsOf(text, { chunkSize }).some((chunk) => chunk.includes(fence))).toBe(true)
    }
    expect(textsOf(text, { chunkSize: 40 }).every((chunk) => chunk.length <= 40)).toBe(true)
  })

  it('takes a fence that nobody closes to the end', () => {
    const blocks = findMarkdownBlocks('Words.\n\n```\n# code\n\nmore', [])
    expect(blocks.map(({ kind }) => kind)).toEqual(['text', 'whole'])
  })

  it('keeps the rows of a table, and cuts one that is too long between rows', () => {
    const table = '| name | town |\n|---|:-:|\n| Ann. B | Rome |\n| Carl. D | Oslo |\n| Eve. F | Bern |'
    const text = `Look at this:\n${table}\n\nWords behind. And more of them here.`
    expect(textsOf(text, { chunkSize: 90 })).toContain(table)
    for (const chunk of textsOf(text, { chunkSize: 40 })) {
      for (const line of chunk.split('\n').filter((part) => part.includes('|')))
        expect(table.split('\n')).toContain(line)
    }
  })

  it('cuts a list between its entries, and keeps them with the words that lead to it', () => {
    const text = 'Words of a paragraph before.\n\nTo be bought:\n\n- bread. Fresh\n- milk. Cold\n- salt. Fine'
    expect(textsOf(text, { chunkSize: 45 })).toEqual([
      'Words of a paragraph before.',
      'To be bought:\n\n- bread. Fresh\n- milk. Cold',
      '- salt. Fine',
    ])
  })

  it('finds blocks that ascend, are disjoint and leave out nothing but white space', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        let covered = 0
        for (const { start, end } of findMarkdownBlocks(text, [])) {
          expect(text.slice(covered, start).trim()).toBe('')
          expect(start).toBeGreaterThanOrEqual(covered)
          expect(end).toBeGreaterThan(start)
          covered = end
        }
        expect(text.slice(covered).trim()).toBe('')
      }),
      { seed: 1, numRuns: 500 },
    )
  })

  it.each([
    ...hostileTexts,
    ...['| ', '|-', '|-|\n', '- a\n', '```\n', '#', '# a\n', '> ', '1) '].map(
      (unit) => [JSON.stringify(unit), (length: number) => unit.repeat(length / unit.length)] as const,
    ),
  ])('reads %s a bounded number of times, whatever the size', (_, repeat) => {
    for (const chunkSize of [20, 30_000]) {
      const chunker = createMarkdownChunker({ ...defaults, chunkSize })
      const reads = (length: number): number => {
        const text = repeat(length)
        return countReads(() => spansOf(chunker, { text, whole: [] })) / text.length
      }
      expect(reads(8_000)).toBeLessThan(200)
      expect(reads(8_000)).toBeLessThan(1.2 * reads(2_000) + 10)
    }
  })
})
