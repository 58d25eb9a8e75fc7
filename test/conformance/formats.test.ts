import { describe, it } from 'vitest'
import { createCodeExtractor } from '../../src/extract/code.js'
import { createCsvExtractor } from '../../src/extract/csv.js'
import { createDocxExtractor } from '../../src/extract/docx.js'
import { createEmailExtractor } from '../../src/extract/email.js'
import { createEpubExtractor } from '../../src/extract/epub.js'
import { createJsonExtractor } from '../../src/extract/json.js'
import { createPptxExtractor } from '../../src/extract/pptx.js'
import { createXlsxExtractor } from '../../src/extract/xlsx.js'
import { extractorConformance } from '../../src/testing/index.js'
import { escapeXml, makeDocx, makeEpub, makePptx, makeXlsx, paragraph, shape, textRow } from '../lib/office-files.js'

const encode = (text: string) => new TextEncoder().encode(text)
const none = { skip: 'the format has no passwords' }
const anyText = { skip: 'any bytes can be read as text' }
const whole = { skip: 'the table of contents of a ZIP is at its end' }
const foreign = { skip: 'what a password protects is told, not opened' }

describe('code extractor', () => {
  extractorConformance(it, {
    create: createCodeExtractor,
    document: (paragraphs) => encode(paragraphs.join('\n\n')),
    corrupt: anyText,
    encrypted: none,
  })
})

describe('CSV extractor', () => {
  extractorConformance(it, {
    create: createCsvExtractor,
    document: (paragraphs) => encode(paragraphs.map((text) => `"${text.replaceAll('"', '""')}"`).join('\r\n')),
    corrupt: [encode('a,b\n"never ended,1\n2,3\n'), encode('"a" b"c",d\n"x')],
    encrypted: none,
  })
})

describe('JSON extractor', () => {
  extractorConformance(it, {
    create: createJsonExtractor,
    document: (paragraphs) => encode(JSON.stringify(paragraphs.map((text) => ({ '': text })))),
    corrupt: ['{"a":', '[1,]', '{a:1}', '[1] 2', 'true false', '{"a":1,}', '[1}', '"a', '\n'].map(encode),
    encrypted: none,
  })
})

describe('e-mail extractor', () => {
  extractorConformance(it, {
    create: createEmailExtractor,
    document: (paragraphs) =>
      encode(
        `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n${Buffer.from(
          paragraphs.join('\n\n'),
        )
          .toString('base64')
          .replace(/.{76}/g, '$&\r\n')}`,
      ),
    streaming: { skip: 'which form of a text is best is known at its end' },
    corrupt: anyText,
    encrypted: none,
  })
})

const archives = [
  ['DOCX', createDocxExtractor, (texts: readonly string[]) => makeDocx(texts.map((text) => paragraph(text)).join(''))],
  [
    'XLSX',
    createXlsxExtractor,
    (texts: readonly string[]) => makeXlsx([{ name: 'Sheet1', rows: texts.map((text) => textRow([text])).join('') }]),
  ],
  [
    'PPTX',
    createPptxExtractor,
    (texts: readonly string[]) => makePptx(texts.map((text) => ({ shapes: shape([text]) }))),
  ],
  [
    'EPUB',
    createEpubExtractor,
    (texts: readonly string[]) => makeEpub(texts.map((text) => ({ body: `<p>${escapeXml(text)}</p>` }))),
  ],
] as const

describe.each(archives)('%s extractor', (_name, create, document) => {
  extractorConformance(it, {
    create,
    document,
    streaming: whole,
    corrupt: [
      encode('no archive at all'),
      Buffer.from('PK\x03\x04'),
      document(['words']).subarray(0, 300),
      makeEpub([]),
    ],
    encrypted: foreign,
  })
})
