import { deflateRawSync } from 'node:zlib'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createDocxExtractor } from '../../../src/extract/docx.js'
import { createEpubExtractor } from '../../../src/extract/epub.js'
import { createPptxExtractor } from '../../../src/extract/pptx.js'
import { createXlsxExtractor } from '../../../src/extract/xlsx.js'
import { makeDocx, makeXlsx, paragraph } from '../../lib/office-files.js'
import { makeZip } from '../../lib/zip.js'
import { codeOf, options, readAll, sourceOf } from './helpers.js'

const docx = createDocxExtractor()
const document = (content: string | Uint8Array, more = {}) => makeZip([{ name: 'word/document.xml', content, ...more }])
const wrap = (body: string) =>
  `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>${body}</w:body></w:document>`

afterEach(() => vi.unstubAllGlobals())

describe('an archive', () => {
  test('that unpacks to 64 MB is refused long before, whatever it says of its size', async () => {
    const packed = deflateRawSync(Buffer.alloc(64 << 20, ' '))
    for (const size of [64 << 20, 1_000]) {
      expect(await codeOf(docx, sourceOf(document('', { packed, size })))).toMatch(
        size === 1_000 ? /LIMIT|CORRUPT/ : /LIMIT/,
      )
    }
    const sheet = makeZip([{ name: 'xl/workbook.xml', content: '', packed, size: 64 << 20 }])
    expect(await codeOf(createXlsxExtractor(), sourceOf(sheet))).toBe('LIMIT')
  })

  test('may unpack to so much in all, also where entries lie over each other', async () => {
    const body = wrap(paragraph('words '.repeat(20_000)))
    const limited = createDocxExtractor({ maxUnpackedBytes: 100_000, maxRatio: 1_000 })
    expect(await codeOf(limited, sourceOf(document(body)))).toBe('LIMIT')
    const chapters = Array.from({ length: 50 }, (_, place) => ({
      name: `c${place}.xhtml`,
      content: `<p>${'words '.repeat(10_000)}</p>`,
      ...(place === 0 ? {} : { sameAs: 0 }),
    }))
    const book = makeZip([
      ...chapters,
      { name: 'META-INF/container.xml', content: '<container><rootfile full-path="b.opf"/></container>' },
      {
        name: 'b.opf',
        content: `<package><manifest>${chapters.map(({ name }, id) => `<item id="i${id}" href="${name}" media-type="text/html"/>`).join('')}</manifest><spine>${chapters.map((_, id) => `<itemref idref="i${id}"/>`).join('')}</spine></package>`,
      },
    ])
    expect(await codeOf(createEpubExtractor({ maxUnpackedBytes: 1_000_000 }), sourceOf(book))).toBe('LIMIT')
  })

  test('of too many entries is refused by its table of contents', async () => {
    const entries = Array.from({ length: 101 }, (_, place) => ({ name: `e${place}`, content: '' }))
    const limited = createDocxExtractor({ maxEntries: 100 })
    await expect(readAll(limited, sourceOf(makeZip(entries)))).rejects.toMatchObject({
      code: 'LIMIT',
      data: { entries: 101, maxEntries: 100 },
    })
  })

  test.each(['../../etc/passwd', '/etc/passwd', 'C:/windows/x', 'word/../../x'])(
    'with an entry called %s is CORRUPT',
    async (name) => {
      const zip = makeZip([
        { name, content: 'x' },
        { name: 'word/document.xml', content: wrap(paragraph('words')) },
      ])
      expect(await codeOf(docx, sourceOf(zip))).toBe('CORRUPT')
    },
  )

  test('under a password is ENCRYPTED, in either way, and the message says what to do', async () => {
    expect(await codeOf(docx, sourceOf(document(wrap(''), { flags: 0x801 })))).toBe('ENCRYPTED')
    const ole = Buffer.concat([
      Buffer.from('d0cf11e0a1b11ae1', 'hex'),
      Buffer.alloc(2_000),
      Buffer.from('EncryptedPackage', 'utf16le'),
    ])
    for (const create of [createDocxExtractor, createXlsxExtractor, createPptxExtractor]) {
      await expect(readAll(create(), sourceOf(ole))).rejects.toMatchObject({
        code: 'ENCRYPTED',
        hint: expect.stringContaining('password'),
      })
    }
    expect(await codeOf(docx, sourceOf(ole.subarray(0, 1_000)))).toBe('UNSUPPORTED')
  })

  test('whose bytes are not those its checksum tells is CORRUPT or read, never a crash', async () => {
    const zip = makeDocx(paragraph('words'))
    for (let place = 0; place < zip.length; place += 41) {
      const damaged = Buffer.from(zip)
      damaged[place] = (damaged[place] as number) ^ 0xff
      expect([undefined, 'CORRUPT', 'EMPTY', 'ENCRYPTED', 'LIMIT']).toContain(await codeOf(docx, sourceOf(damaged)))
    }
  })
})

describe('XML', () => {
  test('has its entities left as they are, and nothing is read or fetched for them', async () => {
    const asked = vi.fn()
    vi.stubGlobal('fetch', asked)
    const laughs = `<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "${'&a;'.repeat(50)}"><!ENTITY c "${'&b;'.repeat(50)}"><!ENTITY out SYSTEM "file:///etc/passwd"><!ENTITY % p SYSTEM "http://example.org/x">%p;]>`
    const { text } = await readAll(
      docx,
      sourceOf(document(laughs + wrap('<w:p><w:r><w:t>one &c; &out; &amp; &#65;</w:t></w:r></w:p>'))),
    )
    expect(text.trim()).toBe('one &c; &out; & A')
    expect(asked).not.toHaveBeenCalled()
  })

  test('that is nested without bottom is LIMIT, and so is a tag without end', async () => {
    const deep = document(wrap('<w:x>'.repeat(20_000)), {})
    expect(await codeOf(docx, sourceOf(deep))).toBe('LIMIT')
    const long = createDocxExtractor({ maxRatio: 10_000 })
    expect(await codeOf(long, sourceOf(document(`<w:p a="${'x'.repeat(5 << 20)}`)))).toBe('LIMIT')
  })

  test('in another encoding is read by its byte order mark', async () => {
    const content = Buffer.from(`\ufeff${wrap(paragraph('日本 words'))}`, 'utf16le')
    expect((await readAll(docx, sourceOf(document(content)))).text.trim()).toBe('日本 words')
  })

  test('keeps prototypes out of it', async () => {
    const body =
      '<w:p __proto__="x" constructor="y"><w:pPr><w:pStyle w:val="__proto__"/></w:pPr><w:r><w:t>words</w:t></w:r></w:p>'
    expect((await readAll(docx, sourceOf(document(wrap(body))))).text.trim()).toBe('words')
    expect(({} as { x?: unknown }).x).toBeUndefined()
  })
})

test('links out of the file and circles of relationships lead nowhere', async () => {
  const target = makeXlsx([{ name: 'Sheet1', rows: '<row><c t="str"><v>x</v></c></row>' }])
  expect((await readAll(createXlsxExtractor(), sourceOf(target))).text).toBe('x\n')
  const rels = (target: string) =>
    `<Relationships><Relationship Id="r1" Type="x/officeDocument" Target="${target}"/></Relationships>`
  for (const to of ['../../../etc/passwd', 'http://example.org/x', '_rels/.rels', '']) {
    const zip = makeZip([{ name: '_rels/.rels', content: rels(to) }])
    expect(['CORRUPT', 'EMPTY']).toContain(await codeOf(docx, sourceOf(zip)))
  }
})

test('an aborted reading of an archive ends with the reason of the abort', async () => {
  const reason = new Error('enough')
  const zip = makeDocx(paragraph('words '.repeat(1_000)).repeat(400))
  const controller = new AbortController()
  const { blocks } = await docx.extract(sourceOf(zip), { ...options, signal: controller.signal })
  await expect(
    (async () => {
      for await (const _ of blocks) controller.abort(reason)
    })(),
  ).rejects.toBe(reason)
})
