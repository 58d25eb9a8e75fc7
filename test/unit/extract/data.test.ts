import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { createCodeExtractor } from '../../../src/extract/code.js'
import { createCsvExtractor } from '../../../src/extract/csv.js'
import { createDocxExtractor } from '../../../src/extract/docx.js'
import { createEmailExtractor } from '../../../src/extract/email.js'
import { createEpubExtractor } from '../../../src/extract/epub.js'
import { createHtmlExtractor } from '../../../src/extract/html.js'
import { createJsonExtractor } from '../../../src/extract/json.js'
import { createMarkdownExtractor } from '../../../src/extract/markdown.js'
import { createPdfExtractor } from '../../../src/extract/pdf.js'
import { createPptxExtractor } from '../../../src/extract/pptx.js'
import { sniffMediaType } from '../../../src/extract/sniff.js'
import { createTextExtractor } from '../../../src/extract/text.js'
import { createXlsxExtractor } from '../../../src/extract/xlsx.js'
import { codeOf, findData, type Read, readAll, sourceOf } from './helpers.js'

const data = findData()
if (data === undefined)
  console.warn('skipped: no measuring data beside the checkout (set UFRAG_DATA): real and hostile files')

const extractors = [
  createTextExtractor(),
  createMarkdownExtractor(),
  createHtmlExtractor(),
  createPdfExtractor(),
  createCodeExtractor(),
  createCsvExtractor(),
  createDocxExtractor(),
  createEmailExtractor(),
  createEpubExtractor(),
  createJsonExtractor(),
  createPptxExtractor(),
  createXlsxExtractor(),
]

describe.skipIf(data === undefined)('real and hostile files (measuring data)', () => {
  const folder = data ?? ''
  const listed = (part: string) => readdirSync(join(folder, part), { withFileTypes: true, recursive: false })
  const filesOf = (part: string) =>
    listed(part)
      .filter((entry) => entry.isFile() && entry.name !== 'SOURCE.tsv')
      .map((entry) => join(folder, part, entry.name))

  test.each(['pdf/bad', 'office', 'abuse', 'abuse/small', 'abuse/docx', 'abuse/json'])(
    'every file of %s gives text or a typed error',
    async (part) => {
      const untyped: string[] = []
      for (const file of sample(filesOf(part))) {
        const outcome = await outcomeOf(file)
        if (outcome === 'text' || RagError.isInstance(outcome)) continue
        untyped.push(`${basename(file)}: ${String(outcome)}`)
      }
      expect(untyped).toEqual([])
    },
    120_000,
  )

  test.each([
    ['pdfminersix__rc4-40.pdf', 'foo'],
    ['pdfminersix__aes-128.pdf', 'foo'],
    ['pdfminersix__aes-256.pdf', 'foo'],
    ['pypdf__r3-user-password.pdf', 'asdfzxcv'],
    ['pdfplumber__password-example.pdf', 'test'],
    ['docling__2206.01062_pg3.pdf', '1234'],
  ])('%s opens with its password, and is ENCRYPTED without', async (name, password) => {
    const file = join(folder, 'pdf/bad', name)
    expect(((await readWith(file, password)) as Read).text.trim()).not.toBe('')
    expect(await outcomeOf(file)).toMatchObject({ code: 'ENCRYPTED', data: { reason: 'missing-password' } })
  })

  test.each([
    ['synthetic__flate-bomb-540MB.pdf', 'LIMIT'],
    ['docling__ocr_test.pdf', 'NO_TEXT'],
    ['markitdown__pdf_scanned_invoice.pdf', 'NO_TEXT'],
    ['papers-we-love__a-hundred-impossibility-proofs-for-distributed-computing.pdf', 'NO_TEXT'],
    ['pdfbox__AESkeylength256.pdf', 'ENCRYPTED'],
    ['pdfplumber__empty.pdf', 'EMPTY'],
    ['synthetic__deep-nesting.pdf', 'EMPTY'],
    ['derived__truncated-50pct.pdf', 'CORRUPT'],
    ['derived__random.pdf', 'CORRUPT'],
    ['format-corpus__T02-02_002_page-tree-kids-links-recursive.pdf', 'CORRUPT'],
  ])('%s is %s', async (name, code) => {
    expect(await outcomeOf(join(folder, 'pdf/bad', name))).toMatchObject({ code })
  })

  test.each([
    'pypdf__r2-owner-password.pdf',
    'format-corpus__encryption_notextaccess.pdf',
    'derived__junk-prefix.pdf',
    'derived__html-renamed.pdf',
    'pdfjs__bomb_giant.pdf',
  ])('%s gives text', async (name) => {
    expect(await outcomeOf(join(folder, 'pdf/bad', name))).toBe('text')
  })

  test('of Word files all words that mammoth finds are found', async () => {
    const { default: mammoth } = await import('mammoth')
    const words = (text: string) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
    for (const file of sample(filesOf('office').filter((name) => name.endsWith('.docx')))) {
      const { value } = await mammoth.convertToHtml({ path: file })
      if (!/>[^<]*[\p{L}\p{N}]/u.test(value)) continue
      const theirs = words((await readAll(createHtmlExtractor(), sourceOf(value))).text)
      const ours = new Map<string, number>()
      for (const word of words(((await readWith(file)) as Read).text)) ours.set(word, (ours.get(word) ?? 0) + 1)
      const missing = theirs.filter((word) => {
        const left = ours.get(word) ?? 0
        ours.set(word, left - 1)
        return left <= 0
      })
      expect([basename(file), missing]).toEqual([basename(file), []])
    }
  })

  test('sound JSON is read and unsound JSON refused, but for NULs, which count as none', async () => {
    const json = createJsonExtractor()
    const dropped = ['n_multidigit_number_then_00.json', 'n_string_unescaped_ctrl_char.json']
    for (const file of filesOf('abuse/json')) {
      const name = basename(file)
      const code = await codeOf(json, { ...sourceOf(readFileSync(file)), mediaType: 'application/json' })
      const isSound = name.startsWith('y_') || dropped.includes(name)
      if (isSound) expect([name, code]).toEqual([name, code === 'EMPTY' ? code : undefined])
      else if (name.startsWith('n_')) {
        expect([name, code]).toEqual([name, expect.stringMatching(/^(CORRUPT|EMPTY|LIMIT)$/)])
      }
    }
  })

  test.each([
    ['abuse/docx/bug53475-password-is-pass.docx', 'ENCRYPTED'],
    ['abuse/docx/truncated62886.docx', 'CORRUPT'],
    ['office/markitdown-test.xls', 'UNSUPPORTED'],
    ['office/markitdown-test_files.zip', 'UNSUPPORTED'],
    ['office/markitdown-random.bin', 'UNSUPPORTED'],
  ])('%s is %s', async (name, code) => {
    expect(await outcomeOf(join(folder, name))).toMatchObject({ code })
  })

  test('right-to-left text comes in logical order', async () => {
    const { text } = (await readWith(join(folder, 'pdf/good/pdfjs__ArabicCIDTrueType.pdf'))) as Read
    expect(text).toContain('الخطوط')
  })
})

/** A fixed third of a long list, so that the usual run stays short; all of it with UFRAG_ALL_DATA=1. */
function sample(files: readonly string[]): readonly string[] {
  const all = process.env.UFRAG_ALL_DATA === '1' || files.length <= 30
  return all
    ? files
    : files.filter((file) => [...basename(file)].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 3 === 0)
}

async function outcomeOf(file: string): Promise<unknown> {
  try {
    return ((await readWith(file)) as Read).text.trim() === '' ? 'empty success' : 'text'
  } catch (error) {
    return error
  }
}

function readWith(file: string, password?: string): Promise<Read> {
  const bytes = readFileSync(file)
  const { mediaType } = sniffMediaType({
    name: basename(file),
    bytes: bytes.subarray(0, 8192),
    tail: bytes.subarray(-65_536),
  })
  const extractor = extractors.find(({ mediaTypes }) => mediaTypes.includes(mediaType))
  if (extractor === undefined) throw new Error(`nobody reads ${mediaType}`)
  const source = sourceOf(bytes, { name: basename(file), ...(password === undefined ? {} : { password }) })
  return readAll(extractor, { ...source, mediaType })
}
