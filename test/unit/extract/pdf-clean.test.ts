import { describe, expect, test } from 'vitest'
import { createPdfExtractor } from '../../../src/extract/pdf.js'
import type { Fragment } from '../../../src/extract/pdf-lines.js'
import { orderRows } from '../../../src/extract/pdf-order.js'
import { makePdf, readAll, sourceOf } from './helpers.js'

const clean = createPdfExtractor()
const raw = createPdfExtractor({ layout: 'raw' })

type Page = PDFKit.PDFDocument

async function read(pages: readonly ((page: Page) => void)[]) {
  return readAll(clean, sourceOf(await makePdf(pages)))
}

/** Draws lines below each other. */
function lines(page: Page, texts: readonly string[], { x = 72, y = 120, leading = 14, size = 11 } = {}): void {
  page.fontSize(size)
  for (const [i, text] of texts.entries()) page.text(text, x, y + i * leading, { lineBreak: false })
}

const prose = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${name} line ${'abcdefghijklmnopqrstuvwxyz'[i]} of some words that fill it`)

describe('the layout "clean"', () => {
  test('reads columns one after the other, also when they were written row by row', async () => {
    const [left, right] = [prose('left', 12), prose('right', 12)]
    const draw = (page: Page) => {
      lines(page, ['A title that stands across both of the columns and is long enough to be seen'], { y: 80 })
      for (const [i, text] of left.entries()) {
        lines(page, [text], { x: 60, y: 120 + 14 * i, size: 9 })
        lines(page, [right[i] as string], { x: 330, y: 120 + 14 * i, size: 9 })
      }
    }
    const { text } = await read([draw])
    const places = [...left, ...right].map((line) => text.indexOf(line.split(' of ')[0] as string))
    expect(places.every((place) => place >= 0)).toBe(true)
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    expect(text.indexOf('A title')).toBeLessThan(places[0] as number)
  })

  test('leaves out headers and footers, with page numbers that grow, and keeps what only looks like them', async () => {
    const pages = Array.from({ length: 7 }, (_, i) => (page: Page) => {
      lines(page, [i % 2 === 0 ? `The running title ${i + 1}` : `${i + 1} Another title`], { y: 40 })
      lines(page, [`Order ${7_000 + 13 * i} was placed`], { y: 100 })
      lines(page, prose(`page ${'abcdefg'[i]}`, 5), { y: 130 })
      page.page.margins.bottom = 0
      lines(page, [`Page ${i + 1} of 7`], { y: 760, x: 300 })
    })
    const { text } = await read(pages)
    expect(text).not.toMatch(/running title|Another title|Page \d/)
    for (let i = 0; i < 7; i++) expect(text).toContain(`Order ${7_000 + 13 * i} was placed`)
    expect(text).toContain('page g line e')
    const all = await readAll(raw, sourceOf(await makePdf(pages)))
    expect(all.text).toContain('The running title 7')
  })

  test('leaves out stamps that stand upright beside the text of every page', async () => {
    const pages = Array.from({ length: 6 }, (_, i) => (page: Page) => {
      lines(page, prose(`page ${'abcdef'[i]}`, 5), { y: 130 })
      page.save().rotate(90, { origin: [20, 300] })
      page.fontSize(12).text('archive-12, version 1 - 13 Jan 2011', 20, 300, { lineBreak: false })
      page.restore()
    })
    const { text } = await read(pages)
    expect(text).toContain('page f line e')
    expect(text).not.toContain('archive')
  })

  test('keeps pages that are all alike', async () => {
    const { text } = await read(Array.from({ length: 5 }, () => (page: Page) => lines(page, ['One label', 'on all'])))
    expect(text.match(/One label/g)).toHaveLength(5)
  })

  test('joins wrapped lines and broken words, and keeps the ends of lines that were meant', async () => {
    const draw = (page: Page) => {
      lines(page, [
        'These are words of a paragraph that was wrap-',
        'ped at its right edge, and which then goes',
        'on.',
      ])
      lines(page, ['Dear reader,', 'Rome'], { y: 220 })
    }
    const { text } = await read([draw])
    expect(text).toContain('a paragraph that was wrapped at its right edge, and which then goes on.\n\n')
    expect(text).toContain('Dear reader,\nRome')
  })

  test('keeps the rows of tables', async () => {
    const rows = [
      ['Name', 'Town', 'Year'],
      ['Ann', 'Rome', '1990'],
      ['Bob', 'Oslo', '2001'],
      ['Eve', 'Bern', '1987'],
    ]
    const draw = (page: Page) => {
      for (const [i, row] of rows.entries()) {
        for (const [j, cell] of row.entries()) lines(page, [cell], { x: 72 + 120 * j, y: 120 + 16 * i })
      }
    }
    const { blocks } = await read([draw])
    expect(blocks).toEqual([
      { kind: 'table', page: 1, text: 'Name\tTown\tYear\nAnn\tRome\t1990\nBob\tOslo\t2001\nEve\tBern\t1987\n\n' },
    ])
  })

  test('guesses headings by their font, and what is above what', async () => {
    const body = prose('body', 6)
    const draw = (page: Page) => {
      lines(page, ['The Great Title'], { y: 60, size: 20 })
      lines(page, body, { y: 100 })
      page.font('Helvetica-Bold')
      lines(page, ['1.1 A bold section'], { y: 210 })
      page.font('Helvetica')
      lines(page, body, { y: 240 })
    }
    const { blocks, text } = await read([draw, (page) => lines(page, body)])
    expect(blocks.filter(({ kind }) => kind === 'heading').map(({ text: words }) => words.trim())).toEqual([
      'The Great Title',
      '1.1 A bold section',
    ])
    expect(blocks.at(-1)).toMatchObject({ page: 2, headings: ['The Great Title', '1.1 A bold section'] })
    expect(text).toContain('The Great Title')
  })

  test('takes no text for a heading where all of it is large', async () => {
    const { blocks } = await read([(page) => lines(page, ['Large', 'words', 'of a poster'], { size: 40, leading: 60 })])
    expect(blocks.every(({ kind }) => kind === 'text')).toBe(true)
  })

  test('reads turned text in its own order, behind the rest', async () => {
    const draw = (page: Page) => {
      page.save().rotate(90, { origin: [300, 300] })
      lines(page, ['turned one goes on', 'turned two goes on'], { x: 300, y: 300 })
      page.restore()
      lines(page, prose('upright', 5))
    }
    const { text } = await read([draw])
    expect(text).toMatch(/upright line e[\s\S]*turned one[\s\S]*turned two/)
  })

  test('gives the words of "raw", once each, whatever the layout', async () => {
    const draw = (page: Page) => {
      for (let i = 0; i < 60; i++) lines(page, [`word${i}`], { x: 40 + ((i * 97) % 480), y: 60 + ((i * 53) % 640) })
    }
    const bytes = await makePdf([draw])
    const words = ({ text }: { readonly text: string }) => text.split(/\s+/).filter(Boolean).sort()
    expect(words(await readAll(clean, sourceOf(bytes)))).toEqual(words(await readAll(raw, sourceOf(bytes))))
  })

  test('keeps a few pages only, and lets go when reading ends early', async () => {
    const bytes = await makePdf(Array.from({ length: 12 }, (_, i) => `page ${i}`))
    const { blocks } = await clean.extract(sourceOf(bytes), { maxFileBytes: 1 << 30 })
    for await (const block of blocks) {
      expect(block.page).toBe(1)
      break
    }
    expect((await readAll(clean, sourceOf(bytes))).blocks.map(({ page }) => page)).toEqual(
      Array.from({ length: 12 }, (_, i) => i + 1),
    )
  })
})

describe('orderRows', () => {
  const fragment = (text: string, left: number, top: number, line: number): Fragment => {
    return { text, left, right: left + 6 * text.length, top, bottom: top + 12, size: 12, bold: false, turn: 0, line }
  }

  test('reads right-to-left columns from the right', () => {
    const words = 'שלום עולם זה טקסט ארוך מאוד'
    const fragments = Array.from({ length: 8 }, (_, i) => [
      fragment(`${i} ${words}`, 320, 100 + 14 * i, 2 * i),
      fragment(`${i + 10} ${words}`, 60, 100 + 14 * i, 2 * i + 1),
    ]).flat()
    const order = orderRows(fragments).map(({ cells }) => Number.parseInt(cells[0]?.text ?? '', 10))
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17])
  })

  test('sorts a page that was written in no order', () => {
    const texts = Array.from({ length: 30 }, (_, i) => fragment(`line ${i}`, 60, 100 + 20 * i, i))
    const shuffled = texts.map((_, i) => texts[(i * 7) % 30] as Fragment)
    expect(orderRows(shuffled).map(({ cells }) => cells[0]?.text)).toEqual(texts.map(({ text }) => text))
  })

  test('orders more fragments than a call takes arguments', () => {
    const fragments = Array.from({ length: 150_000 }, (_, i) => fragment('x', 10 * i, 100, 0))
    expect(orderRows(fragments).flatMap(({ cells }) => cells)).toHaveLength(fragments.length)
  })

  test('gives each fragment once, wherever they stand', () => {
    let seed = 1
    const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
    for (let run = 0; run < 200; run++) {
      const fragments = Array.from({ length: Math.floor(random() * 80) }, (_, i) => ({
        ...fragment('x'.repeat(1 + Math.floor(random() * 60)), random() * 500, random() * 700, Math.floor(i / 2)),
        turn: random() < 0.9 ? 0 : 1,
      }))
      const rows = orderRows(fragments).flatMap(({ cells }) => cells)
      expect(new Set(rows)).toEqual(new Set(fragments))
      expect(rows.length).toBe(fragments.length)
    }
  })
})
