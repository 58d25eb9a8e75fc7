import { emptyError } from './blocks.js'
import { checkLimits } from './pdf-common.js'
import { PdfDocument, type PdfLimits } from './pdf-document.js'
import { joinLanes, ownPages, toDocumentBlocks } from './pdf-pages.js'
import type { LaidPage } from './pdf-recent.js'
import { borrowPdfium, returnPdfium } from './pdfium.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from './types.js'

/** Options of {@link createPdfExtractor}. */
export interface PdfExtractorOptions {
  /**
   * How the text of a page is laid out. `'clean'` (default): as it is meant to be read. Columns follow each other, wrapped lines are
   * joined, running headers and footers left out, headings guessed, tables keep their rows. `'raw'`: the order of PDFium, a line end
   * per line, everything that is on the page.
   */
  readonly layout?: 'clean' | 'raw'
  /** Pages of one document at most; more is `LIMIT`. Default 20,000. */
  readonly maxPages?: number
  /** UTF-16 code units of text on one page at most; more is `LIMIT`. Default 2,000,000. */
  readonly maxPageUnits?: number
  /** UTF-16 code units of text in one document at most; more is `LIMIT`. Default 200,000,000. */
  readonly maxDocumentUnits?: number
  /**
   * Bytes that reading may take beyond the file itself: a page that unpacks to more is `LIMIT`. Default 256 MiB. Not above
   * 2 GiB in all, which is what PDFium can address.
   */
  readonly maxWorkingBytes?: number
}

const defaults: PdfLimits = {
  layout: 'clean',
  maxPages: 20_000,
  maxPageUnits: 2_000_000,
  maxDocumentUnits: 200_000_000,
  maxWorkingBytes: 256 << 20,
}

/**
 * Reads PDF files with PDFium (package `@hyzyla/pdfium`, WebAssembly), page by page. PDFium is synchronous and its heap never shrinks:
 * run this in a worker thread, end the thread when a page takes too long, and replace it when `pdfHeldBytes()` is large.
 *
 * Rejects with `ENCRYPTED` (no or a wrong password), `CORRUPT`, `EMPTY`, `NO_TEXT` (pictures only) or `LIMIT`. Files that need no
 * password to be opened are read whatever their permissions say. Pages that cannot be opened are skipped when others can.
 */
export function createPdfExtractor(options: PdfExtractorOptions = {}): Extractor {
  const limits: PdfLimits = { ...defaults, ...options }
  const { maxPages, maxPageUnits, maxDocumentUnits, maxWorkingBytes } = limits
  checkLimits({ maxPages, maxPageUnits, maxDocumentUnits, maxWorkingBytes })
  return {
    id: 'pdf',
    fingerprint: `pdf/${limits.layout === 'raw' ? 1 : 3} pdfium-2.1 ${limits.layout}`,
    mediaTypes: ['application/pdf'],
    extract: (source, extractOptions) => extractPdf(source, extractOptions, limits),
    split: {
      pages: async (source, extractOptions) => {
        const opened = await openPdf(source, extractOptions, limits)
        opened.close()
        return opened.pages
      },
      read: (source, extractOptions) => readLane(source, extractOptions, limits),
    },
  }
}

async function extractPdf(source: ExtractSource, options: ExtractOptions, limits: PdfLimits): Promise<Extraction> {
  const reading = readDocument(source, options, limits)
  // The first value is the opened document. From here on `finally` runs when the reader stops, even before its first block.
  const opened = (await reading.next()).value as Opened
  return { ...opened, blocks: reading as AsyncGenerator<Block, void, undefined> }
}

type Opened = Omit<Extraction, 'blocks'>

async function* readDocument(
  source: ExtractSource,
  options: ExtractOptions,
  limits: PdfLimits,
): AsyncGenerator<Opened | Block, void, undefined> {
  const { close, document, pages } = await openPdf(source, options, limits)
  try {
    const title = document.title()
    yield title === undefined ? { pages } : { pages, title }
    const others = (options.otherLanes ?? []) as readonly AsyncIterable<LaidPage>[]
    const own = ownPages(document, { pages, lane: 0, lanes: others.length + 1 }, options.signal)
    yield* toDocumentBlocks(joinLanes([own, ...others], { name: source.name, pages }), document)
  } finally {
    close()
  }
}

/** What one of several threads reads of a document. */
async function* readLane(
  source: ExtractSource,
  options: ExtractOptions & { readonly lane: number; readonly lanes: number },
  limits: PdfLimits,
): AsyncGenerator<LaidPage, void, undefined> {
  const { close, document, pages } = await openPdf(source, options, limits)
  try {
    yield* ownPages(document, { pages, lane: options.lane, lanes: options.lanes }, options.signal)
  } finally {
    close()
  }
}

interface OpenPdf {
  readonly document: PdfDocument
  readonly pages: number
  close(): void
}

async function openPdf(
  source: ExtractSource,
  { maxFileBytes, signal }: ExtractOptions,
  limits: PdfLimits,
): Promise<OpenPdf> {
  signal?.throwIfAborted()
  const bytes = await source.bytes(maxFileBytes)
  if (bytes.length === 0) throw emptyError(source.name)
  const pdfium = await borrowPdfium()
  const document = new PdfDocument(pdfium, source.name, limits)
  const close = (): void => {
    document.close()
    returnPdfium(pdfium)
  }
  try {
    document.open(fromHeader(bytes), source.password)
    signal?.throwIfAborted()
    return { document, pages: document.pageCount(), close }
  } catch (error) {
    close()
    throw error
  }
}

/** Files with something before the header (mail, HTTP) are read when the header is near; PDFium itself looks at 1 KiB only. */
function fromHeader(bytes: Uint8Array): Uint8Array {
  const place = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, headerWindow)).indexOf('%PDF-')
  return place > 0 ? bytes.subarray(place) : bytes
}

const headerWindow = 8192
