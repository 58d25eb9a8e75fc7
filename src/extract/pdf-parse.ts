import { RagError } from '../core/errors.js'
import { importOptional } from '../util/import-optional.js'
import { emptyError, toBlocks, toHeading } from './blocks.js'
import {
  checkLimits,
  cleanPageText,
  corruptPdf,
  encryptedPdf,
  noTextInPdf,
  tooManyPages,
  tooMuchText,
} from './pdf-common.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from './types.js'

/** Options of {@link createPdfParseExtractor}. */
export interface PdfParseExtractorOptions {
  /** Pages of one document at most; more is `LIMIT`. Default 20,000. */
  readonly maxPages?: number
  /** UTF-16 code units of text in one document at most; more is `LIMIT`. Default 200,000,000. */
  readonly maxDocumentUnits?: number
}

const defaults: Required<PdfParseExtractorOptions> = { maxPages: 20_000, maxDocumentUnits: 200_000_000 }

/**
 * Reads PDF files with the optional package `pdf-parse` 2 (pdf.js, JavaScript only), page by page: slower than the default by several
 * times, and its memory is bounded by the V8 heap of the thread only. Errors are those of the default, but a document of empty pages
 * is `NO_TEXT` too, and `MISSING_PEER` when the package is not installed.
 */
export function createPdfParseExtractor(options: PdfParseExtractorOptions = {}): Extractor {
  const limits = { ...defaults, ...options }
  checkLimits(limits)
  return {
    id: 'pdf-parse',
    fingerprint: 'pdf-parse/1 pdf-parse/2',
    mediaTypes: ['application/pdf'],
    extract: (source, extractOptions) => extractPdf(source, extractOptions, limits),
  }
}

type Limits = Required<PdfParseExtractorOptions>
type Opened = Omit<Extraction, 'blocks'>

async function extractPdf(source: ExtractSource, options: ExtractOptions, limits: Limits): Promise<Extraction> {
  const reading = readDocument(source, options, limits)
  // The first value is the opened document. From here on `finally` runs when the reader stops, even before its first block.
  const opened = (await reading.next()).value as Opened
  return { ...opened, blocks: reading as AsyncGenerator<Block, void, undefined> }
}

async function* readDocument(
  source: ExtractSource,
  { signal, maxFileBytes }: ExtractOptions,
  { maxPages, maxDocumentUnits }: Limits,
): AsyncGenerator<Opened | Block, void, undefined> {
  const { name, password } = source
  signal?.throwIfAborted()
  const { PDFParse } = await importOptional('pdf-parse', () => import('pdf-parse'), 'npm i pdf-parse@2')
  const bytes = await source.bytes(maxFileBytes)
  if (bytes.length === 0) throw emptyError(name)
  // A copy, because pdf.js detaches what it is given.
  const parser = new PDFParse({ data: new Uint8Array(bytes), ...(password === undefined ? {} : { password }) })
  try {
    const { total, info } = await orTyped(name, parser.getInfo())
    if (total > maxPages) throw tooManyPages(name, total, maxPages)
    const title = toHeading(titleIn(info))
    yield title === undefined ? { pages: total } : { pages: total, title }
    let units = 0
    for (let page = 1; page <= total; page++) {
      signal?.throwIfAborted()
      const result = await orTyped(name, parser.getText({ first: page, last: page, pageJoiner: '' }))
      const text = cleanPageText(result.pages[0]?.text ?? '')
      units += text.length
      if (units > maxDocumentUnits)
        throw tooMuchText(name, { option: 'maxDocumentUnits', limit: maxDocumentUnits, page })
      yield* toBlocks(text, { kind: 'text', page })
    }
    if (units === 0) throw noTextInPdf(name, total)
  } finally {
    await parser.destroy()
  }
}

/** The document's information dictionary is whatever the file says it is. */
function titleIn(info: unknown): string {
  const title = typeof info === 'object' && info !== null && 'Title' in info ? info.Title : undefined
  return typeof title === 'string' ? title.toWellFormed() : ''
}

async function orTyped<Result>(name: string, work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    throw toTyped(name, error)
  }
}

function toTyped(name: string, error: unknown): RagError {
  if (RagError.isInstance(error)) return error
  if (error instanceof Error && error.name === 'PasswordException') {
    const { cause } = error
    // pdf.js: 1 asks for a password, 2 says that the one given is wrong.
    return encryptedPdf(name, typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === 2)
  }
  return corruptPdf(name, 'it is not a PDF file, or damaged beyond repair', { cause: error })
}
