import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import PdfKit from 'pdfkit'
import { RagError } from '../../../src/core/errors.js'
import type { Block, Extraction, Extractor, ExtractSource } from '../../../src/extract/types.js'

/** Bytes as a source, delivered in parts of `partBytes`. */
export function sourceOf(
  content: string | Uint8Array,
  options: { readonly partBytes?: number; readonly password?: string; readonly name?: string } = {},
): ExtractSource {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
  const { partBytes = 65_536, password, name = 'document' } = options
  return {
    name,
    mediaType: 'test/test',
    size: bytes.length,
    ...(password === undefined ? {} : { password }),
    async bytes(maxBytes) {
      if (bytes.length > maxBytes) throw new RagError('LIMIT', 'too large')
      return bytes
    },
    async *stream() {
      for (let i = 0; i < bytes.length; i += partBytes) yield bytes.subarray(i, i + partBytes)
    },
  }
}

export const options = { maxFileBytes: 1 << 30 }

export interface Read extends Omit<Extraction, 'blocks'> {
  readonly blocks: readonly Block[]
  readonly text: string
}

export async function readAll(extractor: Extractor, source: ExtractSource): Promise<Read> {
  const { blocks, ...facts } = await extractor.extract(source, options)
  const list: Block[] = []
  for await (const block of blocks) list.push(block)
  return { ...facts, blocks: list, text: list.map(({ text }) => text).join('') }
}

/** The code that reading ends with, or `undefined` when it succeeds. An error without a code is thrown on. */
export async function codeOf(extractor: Extractor, source: ExtractSource): Promise<string | undefined> {
  try {
    await readAll(extractor, source)
    return undefined
  } catch (error) {
    if (RagError.isInstance(error)) return error.code
    throw error
  }
}

/** A PDF with one page per text; `''` is an empty page. */
export function makePdf(
  pages: readonly (string | ((pdf: PDFKit.PDFDocument) => void))[],
  settings: PDFKit.PDFDocumentOptions = {},
): Promise<Buffer> {
  const pdf = new PdfKit({ autoFirstPage: false, ...settings })
  const parts: Buffer[] = []
  pdf.on('data', (part: Buffer) => parts.push(part))
  const finished = new Promise<Buffer>((resolve) => pdf.on('end', () => resolve(Buffer.concat(parts))))
  for (const page of pages) {
    pdf.addPage()
    if (typeof page === 'function') page(pdf)
    else if (page !== '') pdf.text(page)
  }
  pdf.end()
  return finished
}

/** The measuring data, or `undefined`: then say that you skip. */
export function findData(): string | undefined {
  const folder = process.env.UFRAG_DATA ?? fileURLToPath(new URL('../../../../shared/data', import.meta.url))
  return existsSync(folder) ? folder : undefined
}
