import { deflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { createPdfExtractor } from '../../../src/extract/pdf.js'
import { createPdfParseExtractor } from '../../../src/extract/pdf-parse.js'
import { pdfHeldBytes } from '../../../src/extract/pdfium.js'
import type { Extractor } from '../../../src/extract/types.js'
import { codeOf, makePdf, readAll, sourceOf } from './helpers.js'

const readers: readonly (readonly [
  string,
  (options?: { readonly maxPages?: number; readonly maxDocumentUnits?: number }) => Extractor,
])[] = [
  ['the PDF extractor', createPdfExtractor],
  ['the pdf-parse extractor', createPdfParseExtractor],
]

describe.each(readers)('%s', (_name, create) => {
  const pdf = create()

  test('reads page by page, with the title', async () => {
    const bytes = await makePdf(['First page.', '', 'Third page.\nIts second line.'], {
      info: { Title: ' Über\n uns ' },
    })
    const read = await readAll(pdf, sourceOf(bytes))
    expect(read.title).toBe('Über uns')
    expect(read.pages).toBe(3)
    expect(read.blocks).toEqual([
      { kind: 'text', page: 1, text: 'First page.\n\n' },
      { kind: 'text', page: 3, text: 'Third page.\nIts second line.\n\n' },
    ])
  })

  test('has no title where the document tells none worth showing', async () => {
    expect((await readAll(pdf, sourceOf(await makePdf(['x'])))).title).toBeUndefined()
    expect((await readAll(pdf, sourceOf(await makePdf(['x'], { info: { Title: ' - ' } })))).title).toBeUndefined()
  })

  test.each(['1.3', '1.4', '1.6', '1.7', '1.7ext3'] as const)(
    'opens encryption of PDF %s with its password only',
    async (pdfVersion) => {
      const bytes = await makePdf(['secret words'], { pdfVersion, userPassword: 'pass word', ownerPassword: 'other' })
      expect((await readAll(pdf, sourceOf(bytes, { password: 'pass word' }))).text).toBe('secret words\n\n')
      const failure = (password?: string) =>
        readAll(pdf, sourceOf(bytes, password === undefined ? {} : { password })).catch((error: unknown) => error)
      for (const [password, reason] of [
        [undefined, 'missing-password'],
        ['wrong', 'wrong-password'],
      ] as const) {
        const error = await failure(password)
        expect(RagError.isInstance(error, 'ENCRYPTED') && error.data.reason).toBe(reason)
      }
    },
  )

  test('reads what only its owner may change', async () => {
    const bytes = await makePdf(['open words'], { ownerPassword: 'owner', permissions: { copying: false } })
    expect((await readAll(pdf, sourceOf(bytes))).text).toBe('open words\n\n')
  })

  test('calls pictures NO_TEXT', async () => {
    const drawing = await makePdf([(page) => page.circle(100, 100, 50).fill('red')])
    expect(await codeOf(pdf, sourceOf(drawing))).toBe('NO_TEXT')
  })

  test('keeps its limits', async () => {
    const bytes = await makePdf(['one', 'two', 'three'])
    expect(await codeOf(create({ maxPages: 2 }), sourceOf(bytes))).toBe('LIMIT')
    expect(await codeOf(create({ maxPages: 3 }), sourceOf(bytes))).toBeUndefined()
    expect(await codeOf(create({ maxDocumentUnits: 10 }), sourceOf(bytes))).toBe('LIMIT')
    await expect(pdf.extract(sourceOf(bytes), { maxFileBytes: 10 })).rejects.toMatchObject({ code: 'LIMIT' })
  })

  test('refuses limits that are none', () => {
    for (const maxPages of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => create({ maxPages })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    }
  })
})

describe('the PDF extractor with PDFium', () => {
  const pdf = createPdfExtractor()

  test('calls empty pages EMPTY', async () => {
    expect(await codeOf(pdf, sourceOf(await makePdf(['', ''])))).toBe('EMPTY')
  })

  test.each(['1.4', '1.7', '1.7ext3'] as const)('takes a password with accents for PDF %s', async (pdfVersion) => {
    const bytes = await makePdf(['words'], { pdfVersion, userPassword: 'pässword' })
    expect((await readAll(pdf, sourceOf(bytes, { password: 'pässword' }))).text).toBe('words\n\n')
  })

  test('finds a header that comes late', async () => {
    const bytes = await makePdf(['words'])
    const late = Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n'.repeat(120)), bytes])
    expect((await readAll(pdf, sourceOf(late))).text).toBe('words\n\n')
  })

  test('joins words that were broken at line ends, and keeps the hyphens of compounds', async () => {
    const lines = ['a compi-', 'lation of state-of-', 'the-art and German-', 'English 2019-', '2020 texts']
    const draw = (page: PDFKit.PDFDocument) => {
      for (const [i, line] of lines.entries()) page.text(line, 72, 72 + 14 * i, { lineBreak: false })
    }
    const bytes = await makePdf([draw])
    const { text } = await readAll(pdf, sourceOf(bytes))
    expect(text).toContain('compilation')
    expect(text.replace(/\n/g, '')).toContain('state-of-the-art')
    expect(text.replace(/\n/g, '')).toContain('German-English')
    expect(text.replace(/\n/g, '')).toContain('2019-2020')
    expect(text).not.toMatch(/[\ufffe\r]/)
  })

  test('stops a page that unpacks to more than is allowed, and reads the next document', async () => {
    const bomb = makeBomb(60 << 20)
    const small = createPdfExtractor({ maxWorkingBytes: 48 << 20 })
    const error = await readAll(small, sourceOf(bomb)).catch((error: unknown) => error)
    expect(RagError.isInstance(error, 'LIMIT') && error.data.page).toBe(1)
    expect((await readAll(small, sourceOf(await makePdf(['words'])))).text).toBe('words\n\n')
  })

  test('stops a page with more text than is allowed', async () => {
    const bytes = await makePdf(['many words on a page'])
    expect(await codeOf(createPdfExtractor({ maxPageUnits: 10 }), sourceOf(bytes))).toBe('LIMIT')
  })

  test('tells how much memory it holds, and does not grow from document to document', async () => {
    const bytes = await makePdf(Array.from({ length: 10 }, (_, i) => `page ${i} `.repeat(300)))
    await readAll(pdf, sourceOf(bytes))
    const held = pdfHeldBytes()
    expect(held).toBeGreaterThan(1 << 20)
    for (let i = 0; i < 30; i++) await readAll(pdf, sourceOf(bytes))
    expect(pdfHeldBytes()).toBe(held)
  })

  test('names no text in its messages', async () => {
    const bytes = await makePdf(['classified'], { userPassword: 'hunter2' })
    const error = await readAll(pdf, sourceOf(bytes, { password: 'hunter3' })).catch((error: unknown) => error)
    expect(JSON.stringify(error)).not.toMatch(/classified|hunter/)
  })
})

/** One page whose content stream of a few KiB unpacks to `bytes` of white space. */
function makeBomb(bytes: number): Buffer {
  const content = deflateSync(Buffer.alloc(bytes, 32))
  const objects = [
    Buffer.from('<< /Type /Catalog /Pages 2 0 R >>'),
    Buffer.from('<< /Type /Pages /Kids [3 0 R] /Count 1 >>'),
    Buffer.from('<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R >>'),
    Buffer.concat([
      Buffer.from(`<< /Length ${content.length} /Filter /FlateDecode >>\nstream\n`),
      content,
      Buffer.from('\nendstream'),
    ]),
  ]
  const parts = objects.flatMap((body, i) => [Buffer.from(`${i + 1} 0 obj\n`), body, Buffer.from('\nendobj\n')])
  // Without a cross-reference table PDFium looks for the objects itself.
  return Buffer.concat([Buffer.from('%PDF-1.7\n'), ...parts, Buffer.from('trailer << /Root 1 0 R /Size 5 >>\n%%EOF\n')])
}
