import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maxBlockUnits } from '../../../src/extract/blocks.js'
import { createHtmlExtractor } from '../../../src/extract/html.js'
import { codeOf, options, readAll, sourceOf } from './helpers.js'

const html = createHtmlExtractor()

async function textOf(markup: string | Uint8Array): Promise<string> {
  return (await readAll(html, sourceOf(markup))).text.trim()
}

describe('the HTML extractor', () => {
  test('writes what a reader sees: one line per block, spaces collapsed, entities decoded', async () => {
    expect(await textOf('<p>a  <b>b</b>c\n d<br>e</p><div>f</div>g &lt;&eacute;&#x1F600;&nbsp;&amp;h')).toBe(
      'a bc d\ne\n\nf\ng <é😀 &h',
    )
    expect(await textOf('co&shy;operate <wbr>well')).toBe('cooperate well')
    expect(await textOf('<ul><li>one<li>two<p>more</ul>')).toBe('- one\n- two\n\nmore')
  })

  test('leaves out scripts, styles, templates, drawings, navigation and what is hidden', async () => {
    const left = [
      '<script>if (a < b) "</p>"</script>',
      '<style>p { color: red }</style>',
      '<noscript>x<p>y</p></noscript>',
      '<template><p>x</template>',
      '<svg><title>x</title><text>y</text></svg><svg/>',
      '<nav><ul><li>x</ul><nav>y</nav>z</nav>',
      '<div hidden><div>x</div>y</div>',
      '<div style="color:red; DISPLAY : none"><p>x</div>',
      '<span aria-hidden="true">x</span>',
      '<div role="navigation">x</div>',
      '<!-- x --><![CDATA[ x ]]><?php x ?>',
      '<select><option>x</select><textarea>x</textarea>',
    ]
    for (const markup of left) expect(await textOf(`<p>before</p>${markup}<p>after</p>`)).toBe('before\n\nafter')
  })

  test('leaves out a hidden element whose end tag is missing, and no more', async () => {
    expect(await textOf('<p>a<p hidden>x<b>y</b><p>b')).toBe('a\n\nb')
    expect(await textOf('<p hidden>x<div>b</div>')).toBe('b')
    expect(await textOf('<ul><li hidden>x<ul><li>y</ul><li>b</ul>c')).toBe('- b\n\nc')
    expect(await textOf('<ul><li hidden>x</ul>c')).toBe('c')
    expect(await textOf('<table><tr><td>a<td hidden>x<td>b</table>')).toBe('a | b')
  })

  test('shows what only looks hidden', async () => {
    expect(await textOf('<body style="visibility:hidden"><p hidden="until-found">a<input hidden>b')).toBe('ab')
  })

  test('leaves out headers, footers and asides that are mostly links', async () => {
    const links = '<a href=x>one</a> <a href=y>two</a> |'
    expect(await textOf(`<header>${links}</header><p>text</p><footer><p>${links}</footer>`)).toBe('text')
    expect(await textOf(`<header><h1>Title</h1>by Ann <a>x</a></header>text`)).toBe('Title\n\nby Ann x\ntext')
    expect(await textOf(`<footer>${links}${'long text '.repeat(2000)}`)).toMatch(/^one two \|long text/)
  })

  test('makes the heading path, and forgets the headings of what it leaves out', async () => {
    const markup =
      '<h1>A <i>x</i></h1>1<h3>B</h3>2<header><h2>N</h2><a>long link text</a></header>3<h2>C</h2>4<h2></h2>5'
    const { blocks } = await readAll(html, sourceOf(markup))
    expect(blocks.map(({ kind, text, headings = [] }) => [kind, text.trim(), headings.join(' > ')])).toEqual([
      ['heading', 'A x', 'A x'],
      ['text', '1', 'A x'],
      ['heading', 'B', 'A x > B'],
      ['text', '2', 'A x > B'],
      ['text', '3', 'A x > B'],
      ['heading', 'C', 'A x > C'],
      ['text', '4', 'A x > C'],
      ['text', '5', 'A x > C'],
    ])
  })

  test('writes tables row by row', async () => {
    const { blocks } = await readAll(
      html,
      sourceOf(
        'a<table><caption>T</caption><tr><th><th>Q1</th><th>Q2<tr><td>A<td><p>1</p><td>2<tr><td>B<td></td><td>4</table>b',
      ),
    )
    expect(blocks.map(({ kind, text }) => [kind, text])).toEqual([
      ['text', 'a\n\n'],
      ['table', 'T\n | Q1 | Q2\nA | 1 | 2\nB | | 4\n\n'],
      ['text', 'b\n'],
    ])
  })

  test('keeps pre as it is', async () => {
    const { blocks } = await readAll(html, sourceOf('a<pre>  x\n\n    <b>y</b> &lt;\n</pre>b'))
    expect(blocks.map(({ kind, text }) => [kind, text])).toEqual([
      ['text', 'a\n\n'],
      ['code', '  x\n\n    y <\n'],
      ['text', 'b\n'],
    ])
  })

  test('keeps the lines of pre that are elements, and headings inside tables', async () => {
    const { blocks } = await readAll(
      html,
      sourceOf('<pre>x<br>y<div>z</div></pre><table><tr><td><h2>H</h2>a<td>b</table>'),
    )
    expect(blocks.map(({ kind, text }) => [kind, text])).toEqual([
      ['code', 'x\ny\nz\n\n'],
      ['heading', 'H\n\n'],
      ['table', 'a | b\n\n'],
    ])
  })

  test('holds no more back than a page of navigation', async () => {
    const markup = `<header><pre>${'code '.repeat(1000)}</pre><pre>${'code\n'.repeat(20_000)}`
    let delivered = 0
    async function* stream() {
      for (; delivered < 20; delivered++) yield new TextEncoder().encode(markup)
    }
    const { blocks } = await html.extract({ ...sourceOf(''), stream }, options)
    for await (const _ of blocks) break
    expect(delivered).toBeLessThan(3)
  })

  test('ends its source when the reader stops, even before the first block', async () => {
    let ended = false
    async function* stream() {
      try {
        for (;;) yield new TextEncoder().encode('<p>words '.repeat(5000))
      } finally {
        ended = true
      }
    }
    const { blocks } = await html.extract({ ...sourceOf(''), stream }, options)
    await blocks[Symbol.asyncIterator]().return?.()
    expect(ended).toBe(true)
  })

  test('tells title and language', async () => {
    const facts = async (markup: string) => {
      const { title, language } = await readAll(html, sourceOf(markup))
      return { title, language }
    }
    expect(await facts('<html lang=de-AT><title> A &amp;\n B </title><h1>H</h1>x')).toEqual({
      title: 'A & B',
      language: 'de-AT',
    })
    expect(await facts('<body lang="not a language"><h1>H</h1>x')).toEqual({ title: 'H', language: undefined })
    expect(await facts('<svg><title>no</title></svg>x')).toEqual({ title: undefined, language: undefined })
  })

  test('decodes by byte order mark, meta charset, and otherwise as UTF-8 or Windows-1252', async () => {
    expect(await textOf(Buffer.from('\ufeff<p>é', 'utf16le'))).toBe('é')
    const russian = Buffer.concat([Buffer.from('<meta charset="windows-1251"><p>'), Buffer.from([0xcf, 0xf0, 0xe8])])
    expect(await textOf(russian)).toBe('При')
    const old = Buffer.from('<meta http-equiv=Content-Type content="text/html; charset=Shift_JIS"><p>')
    expect(await textOf(Buffer.concat([old, Buffer.from([0x93, 0xfa])]))).toBe('日')
    expect(await textOf(Buffer.from('<p>caf\xe9', 'latin1'))).toBe('café')
    expect(await textOf('<meta charset=iso-8859-1><p>café')).toBe('café')
  })

  test('reads the same text, whatever the parts', async () => {
    const pieces = fc.constantFrom(
      ...[
        '<p>',
        '</p>',
        'word ',
        '&eacute;',
        '&am',
        'p;',
        '<b>',
        '</b>',
        '<h1>',
        '</h1>',
        '<pre>',
        '</pre>',
        '<td>',
        '<tr>',
      ],
      ...[
        '<table>',
        '</table>',
        '<!--',
        '-->',
        '<script>',
        '</script>',
        '<a href="x',
        '">',
        '<nav>',
        '</nav>',
        '<',
        '>',
        '😀',
      ],
      ...['<header>', '</header>', '<li hidden>', '</ul>', '<title>', '</title>', '\n', '"', "'"],
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(pieces, { maxLength: 40 }),
        fc.integer({ min: 1, max: 20 }),
        async (list, partBytes) => {
          const markup = `text ${list.join('')}`
          const whole = await readAll(html, sourceOf(markup))
          // Blocks may be cut elsewhere in time, never in place.
          expect(await readAll(html, sourceOf(markup, { partBytes }))).toEqual(whole)
          for (const block of whole.blocks) expect(block.text.isWellFormed()).toBe(true)
        },
      ),
      { seed: 8, numRuns: 400 },
    )
  })

  test('stays linear and bounded on hostile markup', async () => {
    const deep = 200_000
    expect(await textOf(`${'<div>'.repeat(deep)}deep${'</div>'.repeat(deep)}after`)).toBe('deep\nafter')
    expect(await textOf(`${'<div>'.repeat(deep)}deep${'</span>'.repeat(deep)}after`)).toBe('deepafter')
    expect(await textOf(`${'<nav>'.repeat(deep)}x${'</nav>'.repeat(deep)}after`)).toBe('after')
    expect(await textOf(`<img src="data:${'A'.repeat(3_000_000)}"><!--${'-'.repeat(3_000_000)}-->after`)).toBe('after')
    expect((await textOf('<'.repeat(1_000_000))).length).toBe(1_000_000)
    const { blocks } = await readAll(html, sourceOf(`<h1>${'word '.repeat(100_000)}`))
    for (const block of blocks) expect(block.text.length).toBeLessThanOrEqual(maxBlockUnits)
  })

  test('refuses a tag that never ends', async () => {
    expect(await codeOf(html, sourceOf(`<!--${'x'.repeat(17 << 20)}`))).toBe('LIMIT')
  })

  test('is EMPTY when nothing is left', async () => {
    expect(await codeOf(html, sourceOf('<title>x</title><script>y</script>'))).toBe('EMPTY')
    expect(await codeOf(html, sourceOf(''))).toBe('EMPTY')
  })
})
