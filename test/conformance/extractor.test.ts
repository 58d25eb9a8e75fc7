import { describe, it } from 'vitest'
import { createHtmlExtractor } from '../../src/extract/html.js'
import { createMarkdownExtractor } from '../../src/extract/markdown.js'
import { createPdfExtractor } from '../../src/extract/pdf.js'
import { createPdfParseExtractor } from '../../src/extract/pdf-parse.js'
import { createTextExtractor } from '../../src/extract/text.js'
import { extractorConformance } from '../../src/testing/index.js'
import { makePdf } from '../unit/extract/helpers.js'

const encode = (text: string) => new TextEncoder().encode(text)

describe.each([
  ['text', createTextExtractor, (paragraphs: readonly string[]) => paragraphs.join('\n\n')],
  ['Markdown', createMarkdownExtractor, (paragraphs: readonly string[]) => paragraphs.join('\n\n')],
  [
    'HTML',
    createHtmlExtractor,
    (paragraphs: readonly string[]) =>
      `<!doctype html><meta charset="utf-8">${paragraphs.map((text) => `<p>${text}</p>`).join('\n')}`,
  ],
] as const)('%s extractor', (_name, create, write) => {
  const skip = 'any bytes can be read as text'
  extractorConformance(it, {
    create,
    document: (paragraphs) => encode(write(paragraphs)),
    corrupt: { skip },
    encrypted: { skip: 'the format has no passwords' },
  })
})

const whole = await makePdf(['words'])
const encrypted = {
  bytes: await makePdf(['secret words'], { pdfVersion: '1.7ext3', userPassword: 'pass word', ownerPassword: 'other' }),
  password: 'pass word',
  text: 'secret words',
}

describe.each([
  ['PDF', createPdfExtractor],
  ['pdf-parse', createPdfParseExtractor],
])('%s extractor', (_name, create) => {
  extractorConformance(it, {
    create,
    // Time and identifier of a PDF change from one to the next, which must make no difference.
    document: makePdf,
    unicode: { skip: 'the fonts that every PDF may use know Latin letters only' },
    streaming: { skip: 'the table of contents of a PDF is at its end' },
    corrupt: ['no PDF at all', '%PDF-1.7\n', new TextDecoder('latin1').decode(whole.subarray(0, 100))].map(encode),
    encrypted,
  })
})
