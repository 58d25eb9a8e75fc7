import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maxBlockUnits } from '../../../src/extract/blocks.js'
import { createMarkdownExtractor } from '../../../src/extract/markdown.js'
import { codeOf, readAll, sourceOf } from './helpers.js'

const markdown = createMarkdownExtractor()

async function outline(text: string): Promise<readonly string[]> {
  const { blocks } = await readAll(markdown, sourceOf(text))
  return blocks.map(({ kind, text, headings = [] }) => `${kind} [${headings.join(' > ')}] ${JSON.stringify(text)}`)
}

describe('the Markdown extractor', () => {
  test('makes the heading path of # and underlined headings', async () => {
    const text = '# A\none\n## B ##\ntwo\nC\n=\nthree\n\nD\nE\n---\nfour\n###### F\n# \nfive\n'
    expect(await outline(text)).toEqual([
      'heading [A] "# A\\n"',
      'text [A] "one\\n"',
      'heading [A > B] "## B ##\\n"',
      'heading [two C] "two\\nC\\n=\\n"',
      'text [two C] "three\\n\\n"',
      'heading [two C > D E] "D\\nE\\n---\\n"',
      'text [two C > D E] "four\\n"',
      'heading [two C > D E > F] "###### F\\n"',
      'heading [] "# \\n"',
      'text [] "five\\n"',
    ])
  })

  test('takes no heading from lists, quotations, rules, code and words with #', async () => {
    for (const text of [
      '- item\n---\n',
      '> quote\n---\n',
      'a\n\n---\n',
      '    # code\n',
      '#tag\n',
      '####### seven\n',
      '1. x\n===\n',
    ]) {
      const { blocks } = await readAll(markdown, sourceOf(text))
      expect(blocks.map(({ kind }) => kind)).toEqual(['text'])
    }
  })

  test('keeps fenced code whole, with fences inside it', async () => {
    const text = 'a\n````md\n# no\n```\nx\n```\n````  \nb\n~~~ js `x`\n```\n# no\n~~~~\nc\n'
    expect(await outline(text)).toEqual([
      'text [] "a\\n"',
      'code [] "````md\\n# no\\n```\\nx\\n```\\n````  \\n"',
      'text [] "b\\n"',
      'code [] "~~~ js `x`\\n```\\n# no\\n~~~~\\n"',
      'text [] "c\\n"',
    ])
  })

  test('keeps a fence inside a list, and one that is never closed', async () => {
    expect(await outline('1. a\n\n    ```\n    # no\n    ```\n    b\n')).toEqual([
      'text [] "1. a\\n\\n"',
      'code [] "    ```\\n    # no\\n    ```\\n"',
      'text [] "    b\\n"',
    ])
    expect(await outline('```\n# no\n\nend')).toEqual(['code [] "```\\n# no\\n\\nend"'])
    expect(await outline('```a`b\n# Yes\n')).toEqual(['text [] "```a`b\\n"', 'heading [Yes] "# Yes\\n"'])
  })

  test('keeps tables whole, with the head that came before the rule', async () => {
    expect(await outline('words\n| a | b |\n|---|:-:|\n| 1 | 2 |\nlazy\n\nafter\n')).toEqual([
      'text [] "words\\n"',
      'table [] "| a | b |\\n|---|:-:|\\n| 1 | 2 |\\nlazy\\n"',
      'text [] "\\nafter\\n"',
    ])
    expect(await outline('a | b\n- | -\n1 | 2\n# H\n')).toEqual([
      'table [] "a | b\\n- | -\\n1 | 2\\n"',
      'heading [H] "# H\\n"',
    ])
  })

  test('leaves front matter out and takes its title', async () => {
    const { title, text } = await readAll(markdown, sourceOf('---\ntags: [a]\ntitle: "The: title"\n---\n# Other\ntext'))
    expect(title).toBe('The: title')
    expect(text).toBe('# Other\ntext')
    expect((await readAll(markdown, sourceOf("---\r\ntitle: 'x'\r\n...\r\nb"))).title).toBe('x')
  })

  test('takes a rule at the top, and front matter without an end, for text', async () => {
    for (const text of [
      '---\nwords: no\nend',
      '---\nJust words\n---\nmore\n',
      `---\na: b\n${'x\n'.repeat(50_000)}---\n`,
    ]) {
      expect((await readAll(markdown, sourceOf(text))).text).toBe(text)
    }
    expect((await readAll(markdown, sourceOf('---\ntitle: |\n  block\n---\nb'))).title).toBeUndefined()
  })

  test('titles a document by its first level-1 heading near the start', async () => {
    const titleOf = async (text: string) => (await readAll(markdown, sourceOf(text))).title
    expect(await titleOf('## Sub\n\n# The [link](x) and `code` *here* {#id}\n')).toBe('The link and code here')
    expect(await titleOf('snake_case_name\n===\n')).toBe('snake_case_name')
    expect(await titleOf('## Only\nsmall headings')).toBeUndefined()
    expect(await titleOf(`${'words\n\n'.repeat(10_000)}# Late\n`)).toBeUndefined()
  })

  test('keeps every character, in bounded blocks, whatever the text and the parts', async () => {
    const lines = fc.constantFrom(
      ...[
        '# A',
        '## B',
        'text',
        '',
        '---',
        '===',
        '```',
        '~~~~',
        '| a | b |',
        '|---|---|',
        '- item',
        '    code',
        '> q',
        '😀'.repeat(9),
      ],
    )
    await fc.assert(
      fc.asyncProperty(fc.array(lines, { maxLength: 40 }), fc.integer({ min: 1, max: 30 }), async (list, partBytes) => {
        const text = `start\n${list.join('\n')}`
        const read = await readAll(markdown, sourceOf(text, { partBytes }))
        expect(read.text).toBe(text)
        expect(await readAll(markdown, sourceOf(text))).toEqual(read)
        for (const { kind, headings = [] } of read.blocks)
          if (kind === 'heading') expect(headings.length).toBeGreaterThan(0)
      }),
      { seed: 7, numRuns: 300 },
    )
  })

  test('streams lines, code, tables and paragraphs without end', async () => {
    for (const start of ['', '# ', '```\n', '| a |\n|---|\n| ', '---\ntitle: x\n', 'a\n']) {
      const text = `${start}${'long '.repeat(60_000)}\n===\n`
      const { blocks, text: read } = await readAll(markdown, sourceOf(text))
      expect(read).toBe(text)
      for (const block of blocks) expect(block.text.length).toBeLessThanOrEqual(maxBlockUnits)
      for (const { headings = [] } of blocks)
        for (const heading of headings) expect(heading.length).toBeLessThanOrEqual(300)
    }
  })

  test('is EMPTY without words', async () => {
    expect(await codeOf(markdown, sourceOf('---\ntitle: x\n---\n\n'))).toBe('EMPTY')
    expect(await codeOf(markdown, sourceOf(''))).toBe('EMPTY')
  })
})
