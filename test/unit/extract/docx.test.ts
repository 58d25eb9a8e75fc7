import { describe, expect, test } from 'vitest'
import { createDocxExtractor } from '../../../src/extract/docx.js'
import { makeDocx, paragraph } from '../../lib/office-files.js'
import { type Read, readAll, sourceOf } from './helpers.js'

const docx = createDocxExtractor()
const read = (body: string, more = {}): Promise<Read> => readAll(docx, sourceOf(makeDocx(body, more)))
const style = (id: string) => `<w:pStyle w:val="${id}"/>`
const run = (inner: string) => `<w:r>${inner}</w:r>`
const row = (...cells: readonly string[]) =>
  `<w:tr>${cells.map((cell) => `<w:tc>${cell.startsWith('<') ? cell : paragraph(cell)}</w:tc>`).join('')}</w:tr>`

describe('the Word extractor', () => {
  test('tells headings by styles, whatever the language of Word, and makes the path of them', async () => {
    const { blocks, title } = await read(
      [
        paragraph('The Report', style('Title')),
        paragraph('One', style('berschrift1')),
        paragraph('first'),
        paragraph('Two', style('Erbe')),
        paragraph('second'),
        paragraph('Three', style('Kapitel')),
        paragraph('third'),
        paragraph('Four', '<w:outlineLvl w:val="0"/>'),
        paragraph('fourth'),
        paragraph('no heading', '<w:outlineLvl w:val="9"/>'),
      ].join(''),
    )
    expect(title).toBe('The Report')
    expect(blocks.map(({ headings, kind, text }) => [kind, text.trim(), (headings ?? []).join(' > ')])).toEqual([
      ['heading', 'The Report', 'The Report'],
      ['heading', 'One', 'One'],
      ['text', 'first', 'One'],
      ['heading', 'Two', 'One > Two'],
      ['text', 'second', 'One > Two'],
      ['heading', 'Three', 'One > Two > Three'],
      ['text', 'third', 'One > Two > Three'],
      ['heading', 'Four', 'Four'],
      ['text', 'fourth\n\nno heading', 'Four'],
    ])
  })

  test('keeps the rows of tables, those of tables inside them, and the lines of lists', async () => {
    const inner = `<w:tbl>${row('x', 'y')}</w:tbl>`
    const list = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    const none = '<w:numPr><w:numId w:val="0"/></w:numPr>'
    const { blocks } = await read(
      `${paragraph('milk', list)}${paragraph('eggs', list)}${paragraph('plain', none)}<w:tbl>${row('Name', 'Born')}${row('Ada', '')}${row(inner, '1912')}</w:tbl>${paragraph('after')}`,
    )
    expect(blocks.map(({ kind, text }) => [kind, text])).toEqual([
      ['text', '- milk\n- eggs\nplain\n\n'],
      ['table', 'Name | Born\nAda |\nx | y | 1912\n'],
      ['text', 'after\n\n'],
    ])
  })

  test('writes cells that hold columns of a page as paragraphs', async () => {
    const long = 'A sentence that fills a column of the page. '.repeat(6)
    const { blocks } = await read(`<w:tbl>${row(paragraph(long) + paragraph('second'), 'aside')}</w:tbl>`)
    expect(blocks).toEqual([{ kind: 'text', text: `${long.trim()}\nsecond\naside\n` }])
  })

  test('leaves out what was deleted, moved away or hidden, and reads what was put in', async () => {
    const text = (words: string) => run(`<w:t>${words}</w:t>`)
    const { text: all } = await read(
      `<w:p>${text('kept ')}<w:del>${run('<w:delText>gone</w:delText>')}${text('gone')}</w:del><w:ins>${text('new ')}</w:ins>` +
        `<w:moveFrom>${text('moved')}</w:moveFrom>${run('<w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t>')}` +
        `${run('<w:rPr><w:vanish w:val="0"/></w:rPr><w:t>shown</w:t>')}${run('<w:instrText> PAGE </w:instrText>')}</w:p>`,
    )
    expect(all).toBe('kept new shown\n\n')
  })

  test('reads text boxes once, equations, breaks, tabs and signs', async () => {
    const box = `<w:txbxContent>${paragraph('boxed', style('berschrift1'))}</w:txbxContent>`
    const drawing = `<mc:AlternateContent><mc:Choice Requires="wps"><wps:txbx>${box}</wps:txbx></mc:Choice><mc:Fallback>${box}</mc:Fallback></mc:AlternateContent>`
    const { text } = await read(
      `<w:p><w:pPr><w:tabs><w:tab w:val="left" w:pos="1"/></w:tabs></w:pPr>${run(drawing)}${run('<w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t><w:sym w:font="X" w:char="2192"/><w:sym w:font="Wingdings" w:char="F0E0"/>')}<m:oMath><m:r><m:t>x=1</m:t></m:r></m:oMath></w:p>`,
    )
    expect(text).toBe('boxed\n\na\tb\nc-d→x=1\n\n')
  })

  test('puts notes behind the text, by the numbers they are referred to with', async () => {
    const note = (id: number, words: string) => `<w:footnote w:id="${id}">${paragraph(words)}</w:footnote>`
    const { text } = await read(
      `<w:p>${run('<w:t>one</w:t>')}${run('<w:footnoteReference w:id="7"/>')}${run('<w:t> two</w:t>')}${run('<w:footnoteReference w:id="3"/>')}</w:p>`,
      { footnotes: note(-1, 'separator') + note(3, 'Third.') + note(7, 'Seventh.') },
    )
    expect(text).toBe('one[1] two[2]\n\n[2] Third.\n\n[1] Seventh.\n\n')
  })

  test('gives a long document in parts', async () => {
    const words = paragraph('Some words of a paragraph that goes on for a while. '.repeat(4))
    const zip = makeDocx(words.repeat(10_000).replaceAll('while', () => String(Math.random())))
    let units = 0
    let most = 0
    const { blocks } = await docx.extract(sourceOf(zip), { maxFileBytes: 1 << 30 })
    for await (const block of blocks) {
      units += block.text.length
      most = Math.max(most, block.text.length)
    }
    expect(units).toBeGreaterThan(2_000_000)
    expect(most).toBeLessThanOrEqual(32 * 1024)
  })

  test('agrees with mammoth on the words', async () => {
    const { default: mammoth } = await import('mammoth')
    const body = `${paragraph('Titel & <Zeichen>', style('Title'))}${paragraph('日本語 naïve')}<w:tbl>${row('a', 'b')}</w:tbl><w:p><w:hyperlink r:id="rId9">${run('<w:t>link</w:t>')}</w:hyperlink><w:smartTag>${run('<w:t> tag</w:t>')}</w:smartTag></w:p><w:sdt><w:sdtContent>${paragraph('content')}</w:sdtContent></w:sdt>`
    const theirs = await mammoth.extractRawText({ buffer: makeDocx(body) })
    const words = (text: string) => text.match(/[\p{L}\p{N}]+/gu)
    expect(words((await read(body)).text)).toEqual(words(theirs.value))
  })
})
