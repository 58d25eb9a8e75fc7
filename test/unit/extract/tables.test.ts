import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCsvExtractor } from '../../../src/extract/csv.js'
import { createHtmlExtractor } from '../../../src/extract/html.js'
import { createMarkdownExtractor } from '../../../src/extract/markdown.js'
import { codeOf, options, readAll, sourceOf } from './helpers.js'

const csv = createCsvExtractor()
const read = async (content: string, extractor = csv) => (await readAll(extractor, sourceOf(content))).text

describe('the CSV extractor', () => {
  test.each([
    ['commas', 'name,age\nAda,36\n"Alan, M.",41\n', 'name: Ada | age: 36\nname: Alan, M. | age: 41\n'],
    ['semicolons', 'name;price\r\nTea;1,50\r\nCake;2,75\r\n', 'name: Tea | price: 1,50\nname: Cake | price: 2,75\n'],
    ['bars', 'a|b|c\n1|2|3\n', 'a: 1 | b: 2 | c: 3\n'],
    ['tabs', 'a\tb\nx y\tz\n', 'a: x y | b: z\n'],
    ['no names', '1,2\n3,4\n', '1 | 2\n3 | 4\n'],
    ['the same name twice', 'a,a\nb,c\n', 'a | a\nb | c\n'],
    ['a title above', 'Report of May\nname,age\nAda,36\n', 'Report of May\nname: Ada | age: 36\n'],
    ['rows of any length', 'a,b\n1\n1,2,3\n', 'a: 1\na: 1 | b: 2 | 3\n'],
    ['line ends in a field', 'a,b\n"x\n\n y",z\n', 'a: x y | b: z\n'],
    ['quotes inside', 'a,b\nsay "hi",z\n', 'a: say "hi" | b: z\n'],
    ['one row', 'name,age\n', 'name | age\n'],
    ['one column', 'mail\na@b\n', 'mail\na@b\n'],
    ['a byte order mark', '\ufeffname,age\nAda,36\n', 'name: Ada | age: 36\n'],
    ['old line ends', 'name,age\rAda,36\rAlan,41', 'name: Ada | age: 36\nname: Alan | age: 41\n'],
  ])('reads a table with %s', async (_name, content, expected) => {
    expect(await read(content)).toBe(expected)
  })

  test.each([1, 2, 3, 65_536])('reads a table whose line ends differ (parts of %i bytes)', async (partBytes) => {
    const content = 'name,age\r\nAda,36\nAlan,41\r"Grace\r\nH.",85\r\n\r\nMary,1\n'
    expect((await readAll(csv, sourceOf(content, { partBytes }))).text).toBe(
      'name: Ada | age: 36\nname: Alan | age: 41\nname: Grace H. | age: 85\nname: Mary | age: 1\n',
    )
  })

  test('does what it is told of header and separator', async () => {
    expect(await read('1,2\n3,4\n', createCsvExtractor({ header: true }))).toBe('1: 3 | 2: 4\n')
    expect(await read('a,b\nc,d\n', createCsvExtractor({ header: false }))).toBe('a | b\nc | d\n')
    expect(await read('a:b\nc:d\n', createCsvExtractor({ delimiter: ':' }))).toBe('a: c | b: d\n')
    const tab = { ...sourceOf('a,x\tb\n1\t2\n'), mediaType: 'text/tab-separated-values' }
    expect((await readAll(csv, tab)).text).toBe('a,x: 1 | b: 2\n')
  })

  test('writes rows of long texts as texts, each under its name', async () => {
    const review = 'It was good. '.repeat(100).trim()
    const { blocks } = await readAll(csv, sourceOf(`id,review\n7,"${review}"\n8,short\n`))
    expect(blocks).toEqual([
      { kind: 'text', text: `id: 7\nreview: ${review}\n\n` },
      { kind: 'table', text: 'id: 8 | review: short\n' },
    ])
  })

  test('gives every field of every row, whatever is in it', async () => {
    const field = fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', '\n', ' ', '😀', ';'), maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(field, field), { minLength: 1, maxLength: 20 }), async (rows) => {
        const content = rows.map((row) => row.map((text) => `"${text.replaceAll('"', '""')}"`).join(',')).join('\n')
        const line = (row: readonly string[]) =>
          row
            .map((text) => text.replace(/\s+/g, ' ').trim())
            .filter((text) => text !== '')
            .join(' | ')
        const expected = rows.map(line).filter((text) => text !== '')
        if (expected.length === 0) return
        expect(await read(content, createCsvExtractor({ header: false, delimiter: ',' }))).toBe(
          `${expected.join('\n')}\n`,
        )
      }),
      { seed: 11, numRuns: 60 },
    )
  })

  test('reads a file without end, row by row, and holds none of it', async () => {
    const part = new TextEncoder().encode('Ada Lovelace,1815,London\n'.repeat(2_000))
    let delivered = 0
    async function* stream() {
      for (; delivered < 40; delivered++) yield part
    }
    const { blocks } = await csv.extract({ ...sourceOf(''), stream }, options)
    let units = 0
    for await (const block of blocks) {
      units += block.text.length
      expect(delivered * part.length - units).toBeLessThan(4 * part.length)
    }
    expect(units).toBeGreaterThan(1_800_000)
  })

  test('refuses a quote that never ends, and does not hold what follows', async () => {
    expect(await codeOf(csv, sourceOf('a,b\n"open,2\n'))).toBe('CORRUPT')
    const endless = `a,b\n"${'x'.repeat(3 << 20)}`
    await expect(readAll(csv, sourceOf(endless))).rejects.toMatchObject({
      code: 'LIMIT',
      data: { maxRowBytes: 1 << 20 },
    })
  })
})

test('tables and lists of Markdown and HTML keep their rows', async () => {
  const markdown = '- a\n- b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nend\n'
  const read = await readAll(createMarkdownExtractor(), sourceOf(markdown))
  expect(read.blocks.find(({ kind }) => kind === 'table')?.text).toBe('| x | y |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n')
  expect(read.text).toBe(markdown)
  const html = '<ul><li>a<li>b<ul><li>c</ul></ul><table><tr><th>x<th>y<tr><td>1<td>2<tr><td>3<td><p>4</table>'
  expect((await readAll(createHtmlExtractor(), sourceOf(html))).text).toBe('- a\n- b\n\n- c\n\nx | y\n1 | 2\n3 | 4\n\n')
})
