import { describe, expect, test } from 'vitest'
import { createEpubExtractor } from '../../../src/extract/epub.js'
import { createPptxExtractor } from '../../../src/extract/pptx.js'
import { makeEpub, makePptx, shape } from '../../lib/office-files.js'
import { codeOf, readAll, sourceOf } from './helpers.js'

describe('the PowerPoint extractor', () => {
  const pptx = createPptxExtractor()

  test('makes a page of each slide in the order of the show, with its title, tables and notes', async () => {
    const cell = (text: string) => `<a:tc><a:txBody><a:p><a:r><a:t>${text}</a:t></a:r></a:p></a:txBody></a:tc>`
    const table = `<p:graphicFrame><a:tbl><a:tr>${cell('Year')}${cell('Sum')}</a:tr><a:tr>${cell('2020')}${cell('')}</a:tr></a:tbl></p:graphicFrame>`
    const { blocks, pages, title } = await readAll(
      pptx,
      sourceOf(
        makePptx([
          {
            shapes: shape(['A line', 'above the title']) + shape(['Opening'], 'ctrTitle') + shape(['1'], 'sldNum'),
            notes: shape(['1'], 'sldNum') + shape(['Say hello.', 'Smile.'], 'body') + shape(['Footer'], 'ftr'),
          },
          { shapes: shape(['not shown']), hidden: true },
          { shapes: shape(['Figures'], 'title') + table },
          { shapes: shape(['no title']) },
        ]),
      ),
    )
    expect({ pages, title }).toEqual({ pages: 4, title: 'Opening' })
    expect(blocks.map(({ headings, kind, page, text }) => [page, kind, (headings ?? []).join(), text])).toEqual([
      [1, 'heading', 'Opening', 'Opening\n\n'],
      [1, 'text', 'Opening', 'A line\nabove the title\nNotes: Say hello.\nSmile.\n\n'],
      [3, 'heading', 'Figures', 'Figures\n\n'],
      [3, 'table', 'Figures', 'Year | Sum\n2020 | \n\n'],
      [4, 'text', '', 'no title\n\n'],
    ])
  })

  test('is titled by the first slide that is shown', async () => {
    const slides = [
      { shapes: shape(['Draft'], 'title'), hidden: true },
      { shapes: shape(['Opening'], 'title') + shape(['words']) },
      { shapes: shape(['Figures'], 'title') },
    ]
    const { pages, title } = await readAll(pptx, sourceOf(makePptx(slides)))
    expect({ pages, title }).toEqual({ pages: 3, title: 'Opening' })
  })

  test('keeps the paragraphs of a cell together, and refuses a row that never ends as LIMIT', async () => {
    const cell = (...texts: readonly string[]) =>
      `<a:tc>${texts.map((text) => `<a:p><a:r><a:t>${text}</a:t></a:r></a:p>`).join('')}</a:tc>`
    const slide = (cells: string) => [
      { shapes: `<p:graphicFrame><a:tbl><a:tr>${cells}</a:tr></a:tbl></p:graphicFrame>` },
    ]
    const { text } = await readAll(pptx, sourceOf(makePptx(slide(cell('one', ' two\n') + cell() + cell('three')))))
    expect(text).toBe('one two |  | three\n\n')
    const endless = makePptx(slide(cell('x'.repeat(1 << 20)).repeat(9)))
    expect(await codeOf(createPptxExtractor({ maxRatio: 10_000 }), sourceOf(endless))).toBe('LIMIT')
  })

  test('refuses a presentation without words as EMPTY', async () => {
    expect(await codeOf(pptx, sourceOf(makePptx([{ shapes: shape([]) }])))).toBe('EMPTY')
    expect(await codeOf(pptx, sourceOf(makePptx([])))).toBe('EMPTY')
  })
})

describe('the EPUB extractor', () => {
  const epub = createEpubExtractor()
  const chapters = [
    { body: '<h1>The Cave</h1><p>dark</p>', title: '1. The Cave' },
    { body: '<p>bright</p><h2>Inside</h2><p>warm</p>', title: 'The Hill' },
    { body: '<img src="cover.png"/>' },
    { body: '<script>no</script><p>end</p>' },
  ]

  test.each(['nav', 'ncx'] as const)('reads chapters in the order of the spine, titled by the %s', async (contents) => {
    const { blocks, language, title } = await readAll(epub, sourceOf(makeEpub(chapters, { contents })))
    expect({ language, title }).toEqual({ language: 'de-CH', title: 'A Book' })
    expect(blocks.map(({ headings, kind, text }) => [kind, text.trim(), (headings ?? []).join(' > ')])).toEqual([
      ['heading', 'The Cave', 'The Cave'],
      ['text', 'dark', 'The Cave'],
      ['heading', 'The Hill', 'The Hill'],
      ['text', 'bright', 'The Hill'],
      ['heading', 'Inside', 'The Hill > Inside'],
      ['text', 'warm', 'The Hill > Inside'],
      ['text', 'end', ''],
    ])
  })

  test('tells a book with copy protection, and reads one whose fonts alone are scrambled', async () => {
    const protect = (uri: string) => ({
      name: 'META-INF/encryption.xml',
      content: `<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:CipherData><enc:CipherReference URI="${uri}"/></enc:CipherData></enc:EncryptedData></encryption>`,
    })
    expect(await codeOf(epub, sourceOf(makeEpub(chapters, { more: [protect('OPS/text/chapter%201.xhtml')] })))).toBe(
      'ENCRYPTED',
    )
    expect(await codeOf(epub, sourceOf(makeEpub(chapters, { more: [protect('OPS/font.otf')] })))).toBeUndefined()
  })
})
