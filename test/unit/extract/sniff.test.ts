import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { readableMediaTypes } from '../../../src/extract/media-types.js'
import { type SniffSource, sniffMediaType } from '../../../src/extract/sniff.js'
import { makeZip } from '../../lib/zip.js'

const latin1 = (text: string) => Buffer.from(text, 'latin1')

function typeOf(content: string | Uint8Array, rest: Omit<SniffSource, 'bytes'> = {}): string {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  try {
    return sniffMediaType({ bytes, ...rest }).mediaType
  } catch (error) {
    if (!RagError.isInstance(error)) throw error
    return `${error.code} ${error.data.mediaType ?? error.data.claimed}`
  }
}

describe('sniffMediaType', () => {
  test.each([
    ['a PDF', '%PDF-1.7\n', 'application/pdf'],
    ['a PDF behind a byte order mark', '\ufeff%PDF-1.7\n', 'application/pdf'],
    ['HTML by its doctype', '\ufeff <!-- x --> <!DOCTYPE HTML><p>', 'text/html'],
    ['XHTML behind an XML declaration', '<?xml version="1.0"?>\n<html xmlns="x">', 'text/html'],
    ['text', 'just words', 'text/plain'],
    ['XML', '<?xml version="1.0"?><rss></rss>', 'text/plain'],
    ['UTF-16 text', Buffer.from('\ufeffwords in two bytes', 'utf16le'), 'text/plain'],
    ['UTF-16 HTML', Buffer.from('<html><body>words', 'utf16le'), 'text/html'],
    ['Windows-1252 text', latin1('caf\xe9 cr\xe8me br\xfbl\xe9e, s\x92il vous pla\xeet'), 'text/plain'],
    ['text padded with NULs', `words${'\0'.repeat(500)}`, 'text/plain'],
    ['a text that DOS has ended', 'words\x1a', 'text/plain'],
    ['a short text with a stray mark', 'a\x07 bell', 'text/plain'],
    ['a short Windows-1252 text', latin1('\xe9t\xe9'), 'text/plain'],
    ['a short text padded with NULs', 'ok\0\0\0\0', 'text/plain'],
    ['a number of four bytes', latin1('\0\0\x01\x02'), 'UNSUPPORTED application/octet-stream'],
    ['control characters, few', latin1('\x01\x02\x03'), 'UNSUPPORTED application/octet-stream'],
    ['one control character', latin1('\x05'), 'UNSUPPORTED application/octet-stream'],
    [
      'twenty bytes of numbers',
      latin1('\x01\0\x02A\x03\xff\x10\x80\x04B\x05\xfe\x11\x90\x06C\x07\xfd\x12\xa0'),
      'UNSUPPORTED application/octet-stream',
    ],
    ['PNG', latin1('\x89PNG\r\n\x1a\n\0\0'), 'UNSUPPORTED image/png'],
    ['JPEG', latin1('\xff\xd8\xff\xe0'), 'UNSUPPORTED image/jpeg'],
    ['GIF', 'GIF89a...', 'UNSUPPORTED image/gif'],
    ['BMP', latin1('BM\x36\x10\x0e\0\0\0\0\0'), 'UNSUPPORTED image/bmp'],
    ['HEIC', latin1('\0\0\0\x18ftypheic'), 'UNSUPPORTED image/heic'],
    ['MP3', latin1('ID3\x03\0'), 'UNSUPPORTED audio/mpeg'],
    ['MP3 without a tag', latin1('\xff\xfb\x90\x64'), 'UNSUPPORTED audio/mpeg'],
    ['ELF', latin1('\x7fELF\x02\x01'), 'UNSUPPORTED application/x-elf'],
    ['gzip', gzipSync('words'), 'UNSUPPORTED application/gzip'],
    ['tar', `${'a'.repeat(257)}ustar\0`, 'UNSUPPORTED application/x-tar'],
    ['SVG', '<?xml version="1.0"?><svg xmlns="x">', 'UNSUPPORTED image/svg+xml'],
    ['RTF', '{\\rtf1\\ansi', 'UNSUPPORTED application/rtf'],
    ['UTF-32', latin1('\xff\xfe\0\0a\0\0\0'), 'UNSUPPORTED text/plain; charset=utf-32'],
    ['Cyrillic in one byte', Buffer.from([...Array(40)].map((_, i) => 0xc0 + i)), 'UNSUPPORTED text/plain'],
    ['a ZIP', latin1('PK\x03\x04..whatever.txt'), 'UNSUPPORTED application/zip'],
    ['an EPUB', latin1('PK\x03\x04....mimetypeapplication/epub+zip'), 'application/epub+zip'],
    [
      'an OpenDocument text',
      latin1('PK\x03\x04....mimetypeapplication/vnd.oasis.opendocument.text'),
      'UNSUPPORTED application/vnd.oasis.opendocument.text',
    ],
  ])('recognises %s', (_name, content, expected) => {
    expect(typeOf(content)).toBe(expected)
  })

  test('tells Word, Excel and PowerPoint apart', () => {
    const office = (kind: string) => `application/vnd.openxmlformats-officedocument.${kind}`
    const zip = (entry: string) => latin1(`PK\x03\x04...[Content_Types].xml...${entry}`)
    expect(typeOf(zip('word/document.xml'))).toBe(`${office('wordprocessingml.document')}`)
    expect(typeOf(zip('xl/workbook.xml'))).toBe(`${office('spreadsheetml.sheet')}`)
    expect(typeOf(zip('ppt/slides'))).toBe(`${office('presentationml.presentation')}`)
    expect(typeOf(zip('_rels/.rels'), { name: 'a.docx' })).toBe(`${office('wordprocessingml.document')}`)
  })

  test('tells a container by the table of contents at its end, whatever lies first in it', () => {
    const noise = randomBytes(20_000)
    const parts = (main: string) => [
      { name: 'customXml/item.bin', content: noise, stored: true },
      { name: '[Content_Types].xml', content: '<Types/>' },
      { name: main, content: '<x/>' },
    ]
    const seen = (zip: Buffer, rest: Omit<SniffSource, 'bytes'> = {}) =>
      typeOf(zip.subarray(0, 8192), { tail: zip.subarray(-65_536), ...rest })
    const office = 'application/vnd.openxmlformats-officedocument'
    expect(seen(makeZip(parts('word/document.xml')))).toBe(`${office}.wordprocessingml.document`)
    expect(seen(makeZip(parts('ppt/presentation.xml')), { name: 'a.docx' })).toBe(
      `${office}.presentationml.presentation`,
    )
    expect(seen(makeZip(parts('xl/workbook.bin')))).toContain('UNSUPPORTED')
    expect(seen(makeZip(parts('words.txt')), { name: 'a.zip' })).toBe('UNSUPPORTED application/zip')
    expect(seen(makeZip([{ name: 'word/list.txt', content: noise }]))).toBe('UNSUPPORTED application/zip')
    expect(
      seen(
        makeZip([
          { name: 'a', content: noise },
          { name: 'META-INF/container.xml', content: '' },
        ]),
      ),
    ).toBe('application/epub+zip')
  })

  test('leaves an Office file under a password to its extractor, and refuses one of Office 97', () => {
    const ole = latin1('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1')
    expect(typeOf(ole, { name: 'a.xlsx' })).toContain('spreadsheetml')
    expect(typeOf(ole, { name: 'a.xls' })).toBe('UNSUPPORTED application/x-ole-storage')
  })

  test('takes words that begin like a format for words', () => {
    for (const text of [
      'ID3 tags are old',
      'BM25 is a ranking',
      'BZh',
      'PK is a code',
      'wOFF it went',
      'The ftyp box',
      'MZ',
    ]) {
      expect(typeOf(text)).toBe('text/plain')
    }
    expect(typeOf('A PDF begins with %PDF-1.4', { name: 'about.md' })).toBe('text/markdown')
  })

  test('lets the name choose among kinds of text', () => {
    expect(typeOf('# a', { name: 'a.md' })).toBe('text/markdown')
    expect(typeOf('<p align="center">logo</p>\n# a', { name: 'README.MARKDOWN' })).toBe('text/markdown')
    expect(typeOf('<p>a', { name: 'a.htm' })).toBe('text/html')
    expect(typeOf('{"a":1}', { name: 'a.json' })).toBe('application/json')
    expect(typeOf('a,b', { name: 'dir.with.dots/a.csv' })).toBe('text/csv')
    expect(typeOf('From: a', { name: 'a.eml' })).toBe('message/rfc822')
    expect(typeOf('From: a', { name: 'a.mbox' })).toBe('UNSUPPORTED application/mbox')
    expect(typeOf('let a', { name: 'a.ts' })).toBe('text/x-typescript')
    expect(typeOf(Buffer.from(`G@\0\x10${'\0\x01\x02'.repeat(200)}`), { name: 'a.ts' })).toBe(
      'UNSUPPORTED application/octet-stream',
    )
  })

  test('lets the declaration win over the name, and over HTML for kinds of text', () => {
    expect(typeOf('# a', { name: 'a.txt', declared: 'Text/Markdown; charset=utf-8' })).toBe('text/markdown')
    expect(typeOf('<!doctype html><p>', { name: 'a.html', declared: 'text/plain' })).toBe('text/plain')
    expect(typeOf('<p>', { declared: 'application/xhtml+xml' })).toBe('text/html')
    expect(typeOf('words', { name: 'a.txt', declared: 'application/octet-stream' })).toBe('text/plain')
    expect(typeOf('{}', { declared: 'application/json' })).toBe('application/json')
    expect(typeOf('{}', { declared: 'application/jsonl' })).toBe('application/x-ndjson')
    expect(typeOf('a;b', { declared: 'application/csv' })).toBe('text/csv')
    expect(typeOf('{}', { name: 'a.json', declared: 'text/plain' })).toBe('text/plain')
    expect(typeOf('words', { declared: 'text/x-unheard-of' })).toBe('text/plain')
  })

  test('reports what the content proves wrong, and nothing else', () => {
    const sniff = (content: string, rest: Omit<SniffSource, 'bytes'>) =>
      sniffMediaType({ bytes: Buffer.from(content), ...rest }).mismatch
    expect(sniff('<!doctype html><p>', { name: 'a.pdf' })).toEqual({ claimed: 'application/pdf', by: 'name' })
    expect(sniff('%PDF-1.4', { declared: 'text/plain' })).toEqual({ claimed: 'text/plain', by: 'declaration' })
    expect(sniff('%PDF-1.4', { name: 'a.pdf' })).toBeUndefined()
    expect(sniff('a,b', { declared: 'text/csv' })).toBeUndefined()
  })

  test('calls text and noise CORRUPT where they claim to be a binary format', () => {
    const noise = Buffer.from(Array.from({ length: 1000 }, (_, i) => (i * 7919 + (i >> 3) * 31) & 0xff))
    expect(typeOf('1 0 obj << >>', { name: 'a.pdf' })).toBe('CORRUPT application/pdf')
    expect(typeOf(noise, { name: 'a.pdf' })).toBe('CORRUPT application/pdf')
    expect(typeOf('words', { declared: 'image/png' })).toBe('CORRUPT image/png')
    expect(typeOf(noise, { name: 'a.txt' })).toBe('UNSUPPORTED application/octet-stream')
  })

  test('finds a PDF behind other bytes when it is called one', () => {
    expect(typeOf(`${'x'.repeat(3000)}%PDF-1.4`, { name: 'a.pdf' })).toBe('application/pdf')
  })

  test('takes an empty document at its word', () => {
    expect(typeOf('', { name: 'a.pdf' })).toBe('application/pdf')
    expect(typeOf('')).toBe('text/plain')
    expect(typeOf('\ufeff')).toBe('text/plain')
  })

  test('believes a type that an extractor of somebody else reads', () => {
    const readable = new Set([...readableMediaTypes, 'application/x-drawing', 'image/png'])
    expect(typeOf(latin1('\x01\x02\x03'.repeat(50)), { declared: 'application/x-drawing', readable })).toBe(
      'application/x-drawing',
    )
    expect(typeOf(latin1('\x89PNG\r\n\x1a\n'), { readable })).toBe('image/png')
  })

  test('answers or throws a typed error for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.constantFrom('', 'a.pdf', 'a.md', 'a.docx'), (bytes, name) => {
        expect(typeOf(bytes, { name })).not.toBe('')
      }),
      { seed: 3, numRuns: 500 },
    )
  })

  test('rejects noise of any length worth reading', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 600, maxLength: 2000 }), (bytes) => {
        // fast-check likes small values; a multiplier spreads them over all bytes.
        const noise = bytes.map((byte, i) => (byte + i * 167 + ((i * i) >> 2)) & 0xff)
        expect(typeOf(noise)).toMatch(/^UNSUPPORTED/)
      }),
      { seed: 4, numRuns: 200 },
    )
  })
})
