import { describe, expect, test } from 'vitest'
import { createXlsxExtractor } from '../../../src/extract/xlsx.js'
import { readCellFormats } from '../../../src/extract/xlsx-formats.js'
import { type SheetContext, SheetRows } from '../../../src/extract/xlsx-sheet.js'
import { ZipArchive } from '../../../src/extract/zip.js'
import { makeXlsx, type SheetSpec, textRow } from '../../lib/office-files.js'
import { codeOf, options, readAll, sourceOf } from './helpers.js'

const xlsx = createXlsxExtractor()
const read = (sheets: readonly SheetSpec[], shared?: readonly string[]) =>
  readAll(xlsx, sourceOf(makeXlsx(sheets, shared)))
const rows = (...list: readonly (readonly string[])[]) => list.map(textRow).join('')

describe('the Excel extractor', () => {
  test('makes a page of each sheet, and writes rows that are understood alone', async () => {
    const people = rows(
      ['People of note'],
      ['Name', 'Born', 'Town'],
      ['Ada', '1815', 'London'],
      ['Alan', '', 'Wilmslow'],
    )
    const { blocks, pages } = await read([
      { name: 'People', rows: people },
      { name: 'Secret', rows: rows(['hidden', 'words']), hidden: true },
      { name: 'Empty', rows: '' },
      { name: 'Sheet3', rows: rows(['x', '1'], ['y', '2']) },
    ])
    expect(pages).toBe(3)
    expect(blocks).toEqual([
      { kind: 'heading', page: 1, headings: ['People'], text: 'People\n\n' },
      {
        kind: 'table',
        page: 1,
        headings: ['People'],
        text: 'People of note\nName: Ada | Born: 1815 | Town: London\nName: Alan | Town: Wilmslow\n',
      },
      { kind: 'table', page: 3, text: 'x | 1\ny | 2\n' },
    ])
  })

  test('shows numbers, dates and shared texts as Excel does, and no errors of formulas', async () => {
    const cell = (value: string, format = 0, type = 'n') => `<c s="${format}" t="${type}"><v>${value}</v></c>`
    const { text } = await read(
      [
        {
          name: 'Sheet1',
          rows: `<row>${[
            cell('0.30000000000000004'),
            cell('45000', 1),
            cell('0.5', 1),
            cell('0.256', 2),
            cell('45000.75', 3),
            cell('12.5', 4),
            cell('1', 0, 's'),
            cell('1', 0, 'b'),
            cell('#N/A', 0, 'e'),
            cell('formula', 0, 'str'),
            cell('1', 1),
            cell('60000000', 1),
          ].join('')}</row>`,
        },
      ],
      ['zero', 'shared & <odd>'],
    )
    expect(text).toBe(
      '0.3 | 2023-03-15 | 12:00 | 25.6% | 2023-03-15 18:00 | 12.5 | shared & <odd> | TRUE | formula | 1900-01-01 | 60000000\n',
    )
  })

  test('shows elapsed time in hours, not as a date', async () => {
    const cell = (value: string, format: number) => `<c s="${format}"><v>${value}</v></c>`
    const cells = [cell('1.6875', 5), cell('1.6875', 6), cell('-0.25', 6), cell('0.000011574', 5), cell('1e300', 6)]
    const { text } = await read([{ name: 'Sheet1', rows: `<row>${cells.join('')}</row>` }])
    expect(text).toBe('40:30 | 40:30 | -6:00 | 0:00:01 | 1e+300\n')
  })

  test('shows nothing for a shared text without a number', async () => {
    const row = '<row><c t="s"><v>1</v></c><c t="s"/><c t="s"><v/></c><c t="s"><v>1</v></c></row>'
    expect((await read([{ name: 'Sheet1', rows: row }], ['zero', 'one'])).text).toBe('one | one\n')
  })

  test('shows as much of a shared text as a cell may hold', async () => {
    const row = '<row><c t="s"><v>0</v></c></row>'
    const { text } = await read([{ name: 'Sheet1', rows: row }], ['x'.repeat(40_000)])
    expect(text.trim()).toBe('x'.repeat(32_767))
  })

  test('refuses rows, and workbooks, that show too much as LIMIT', async () => {
    const row = `<row>${'<c t="s"><v>0</v></c>'.repeat(200)}</row>`
    const file = makeXlsx([{ name: 'Sheet1', rows: row }], ['x'.repeat(32_767)])
    expect(await codeOf(xlsx, sourceOf(file))).toBe('LIMIT')

    const formats = await readCellFormats(await ZipArchive.open(sourceOf(file), options), undefined, false)
    const context: SheetContext = { strings: ['x'.repeat(1 << 20)], formats, name: 'book', units: 0 }
    const readRow = () => {
      const sheet = new SheetRows(context)
      sheet.open('row', {})
      for (let i = 0; i < 4; i++) {
        sheet.open('c', { t: 's' })
        sheet.open('v', {})
        sheet.text('0')
        sheet.close('v')
        sheet.close('c')
      }
      sheet.close('row')
    }
    for (let i = 0; i < 64; i++) readRow()
    expect(readRow).toThrow(
      expect.objectContaining({ code: 'LIMIT', data: expect.objectContaining({ where: 'workbook' }) }),
    )
  })

  test('puts cells into their columns, and ignores places beyond those that a sheet has', async () => {
    const sheet = `${textRow(['a', 'b', 'c'])}<row><c r="C2" t="str"><v>third</v></c><c r="ZZZ2" t="str"><v>far</v></c></row>${textRow(['1', '2', '3'])}`
    expect((await read([{ name: 'Sheet1', rows: sheet }])).text).toBe('c: third\na: 1 | b: 2 | c: 3\n')
  })

  test('agrees with read-excel-file on texts and numbers', async () => {
    const { default: readExcel } = await import('read-excel-file/node')
    let number = 0
    const list = [
      ['h1', 'h2', 'h3'],
      ...Array.from({ length: 40 }, (_, i) => [`t${i}`, i % 3 === 0 ? '' : `ü${i * 7}`, 'x y']),
    ]
    // It wants to be told where cells are.
    const placed = rows(...list).replace(/<row>(.*?)<\/row>/g, (_, cells: string) => {
      number++
      let column = 0
      return `<row r="${number}">${cells.replace(/<c\b/g, () => `<c r="${'ABC'[column++]}${number}"`)}</row>`
    })
    const file = makeXlsx([{ name: 'Sheet1', rows: placed }])
    const [sheet] = (await readExcel(file)) as unknown as { data: (string | null)[][] }[]
    const [names = [], ...theirs] = sheet?.data ?? []
    const expected = theirs.map((cells) =>
      cells.flatMap((cell, column) => (cell === null || cell === '' ? [] : [`${names[column]}: ${cell}`])).join(' | '),
    )
    expect((await readAll(xlsx, sourceOf(file))).text.trimEnd().split('\n')).toEqual(expected)
  })

  test('refuses a workbook without text as EMPTY, and one that is none as CORRUPT', async () => {
    expect(await codeOf(xlsx, sourceOf(makeXlsx([{ name: 'Data', rows: '<row><c/></row>' }])))).toBe('EMPTY')
    expect(await codeOf(xlsx, sourceOf('PK\x03\x04 not really'))).toBe('CORRUPT')
  })
})
