import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { RagError } from '../core/errors.js'
import { emptyError, toBlocks, toHeading } from './blocks.js'
import { CleanLayout } from './pdf-clean.js'
import {
  checkLimits,
  cleanPageText,
  corruptPdf,
  encryptedPdf,
  noTextInPdf,
  tooManyPages,
  tooMuchText,
} from './pdf-common.js'
import { type CharacterBoxes, type Fragment, readFragments } from './pdf-lines.js'
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

const defaults: Required<PdfExtractorOptions> = {
  layout: 'clean',
  maxPages: 20_000,
  maxPageUnits: 2_000_000,
  maxDocumentUnits: 200_000_000,
  maxWorkingBytes: 256 << 20,
}

/**
 * Reads PDF files with PDFium (package `@hyzyla/pdfium`, WebAssembly), page by page. PDFium is synchronous and its heap never shrinks:
 * run this in a worker thread, end the thread when a page takes too long, and replace it when {@link pdfHeldBytes} is large.
 *
 * Rejects with `ENCRYPTED` (no or a wrong password), `CORRUPT`, `EMPTY`, `NO_TEXT` (pictures only) or `LIMIT`. Files that need no
 * password to be opened are read whatever their permissions say. Pages that cannot be opened are skipped when others can.
 */
export function createPdfExtractor(options: PdfExtractorOptions = {}): Extractor {
  const limits = { ...defaults, ...options }
  const { maxPages, maxPageUnits, maxDocumentUnits, maxWorkingBytes } = limits
  checkLimits({ maxPages, maxPageUnits, maxDocumentUnits, maxWorkingBytes })
  return {
    id: 'pdf',
    fingerprint: `pdf/${limits.layout === 'raw' ? 1 : 2} pdfium-2.1 ${limits.layout}`,
    mediaTypes: ['application/pdf'],
    extract: (source, extractOptions) => extractPdf(source, extractOptions, limits),
  }
}

/**
 * Bytes of WebAssembly memory that the last PDF of this thread has left behind, 0 before the first. A large heap is let go, but the
 * memory returns only when the collector gets to it; ending the thread returns it at once.
 */
export function pdfHeldBytes(): number {
  return heldBytes
}

type Limits = Required<PdfExtractorOptions>

async function extractPdf(source: ExtractSource, options: ExtractOptions, limits: Limits): Promise<Extraction> {
  const reading = readDocument(source, options, limits)
  // The first value is the opened document. From here on `finally` runs when the reader stops, even before its first block.
  const opened = (await reading.next()).value as Opened
  return { ...opened, blocks: reading as AsyncGenerator<Block, void, undefined> }
}

type Opened = Omit<Extraction, 'blocks'>

async function* readDocument(
  source: ExtractSource,
  { signal, maxFileBytes }: ExtractOptions,
  limits: Limits,
): AsyncGenerator<Opened | Block, void, undefined> {
  signal?.throwIfAborted()
  const bytes = await source.bytes(maxFileBytes)
  if (bytes.length === 0) throw emptyError(source.name)
  const pdfium = await borrowPdfium()
  const document = new PdfDocument(pdfium, source.name, limits)
  try {
    document.open(fromHeader(bytes), source.password)
    signal?.throwIfAborted()
    const pages = document.pageCount()
    const title = document.title()
    yield title === undefined ? { pages } : { pages, title }
    yield* readPages(document, pages, signal)
  } finally {
    document.close()
    returnPdfium(pdfium)
  }
}

/** Files with something before the header (mail, HTTP) are read when the header is near; PDFium itself looks at 1 KiB only. */
function fromHeader(bytes: Uint8Array): Uint8Array {
  const place = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, headerWindow)).indexOf('%PDF-')
  return place > 0 ? bytes.subarray(place) : bytes
}

const headerWindow = 8192

async function* readPages(
  document: PdfDocument,
  pages: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Block, void, undefined> {
  const { name, limits } = document
  let units = 0
  let readable = 0
  let withObjects = false
  const clean = limits.layout === 'clean' ? new CleanLayout(pages, mendPageText) : undefined
  for (let number = 1; number <= pages; number++) {
    const page = document.readPage(number)
    if (page !== undefined) {
      readable++
      withObjects ||= page.objects > 0
      // Without control characters in either layout: a page that holds nothing else has no text.
      const text = cleanPageText(clean === undefined ? mendPageText(page.text) : page.text)
      units += text.length
      if (units > limits.maxDocumentUnits) {
        throw tooMuchText(name, { option: 'maxDocumentUnits', limit: limits.maxDocumentUnits, page: number })
      }
      if (clean === undefined) yield* toBlocks(text, { kind: 'text', page: number })
      else yield* clean.add(number, page.fragments)
    }
    // PDFium never waits, so without this neither an abort nor anything else of this thread would get a turn.
    await new Promise((resolve) => setImmediate(resolve))
    signal?.throwIfAborted()
  }
  if (clean !== undefined) yield* clean.end()
  if (units > 0) return
  if (readable === 0) throw corruptPdf(name, 'no page of it can be opened')
  if (!withObjects) throw emptyError(name)
  throw noTextInPdf(name, pages)
}

/** What PDFium leaves to be put right. Its line ends are CR LF; the cleaning leaves LF. */
function mendPageText(raw: string): string {
  return raw.replace(brokenLigature, (code) => ligatures[code] ?? '').replace(hyphenAtLineEnd, joinHyphenated)
}

/**
 * Old TeX fonts without a Unicode table give their ligatures as control characters, at the places of TeX's OT1 encoding. Only inside
 * words: mathematical fonts have other signs there.
 */
const ligatures: Readonly<Record<string, string>> = { '\v': 'ff', '\f': 'fi', '\r': 'fl', '\x0e': 'ffi', '\x0f': 'ffl' }
const brokenLigature = /(?<=[a-z]{2})[\v\f\r\x0e\x0f](?!\n)|(?<![A-Z])[\v\f\r\x0e\x0f](?=[a-z]{2})/g

/** PDFium puts U+FFFE where a line ends within a hyphenated word, and no line end. */
const hyphenAtLineEnd = /(\S?)\ufffe(?:\r?\n)?(\S?)/g

/**
 * What stood on both sides of a hyphen at a line end, with or without it: it goes between two small letters ("compi-lation"), unless
 * the word had a hyphen before ("state-of-the-art").
 */
function joinHyphenated(_match: string, before: string, after: string, place: number, text: string): string {
  const compound = /-\p{L}*$/u.test(text.slice(Math.max(0, place - 24), place + before.length))
  const broken = /[\p{Ll}\p{Lo}\p{M}]/u.test(before) && /[\p{Ll}\p{Lo}\p{M}]/u.test(after)
  return `${before}${broken && !compound ? '' : '-'}${after}`
}

interface Page {
  readonly text: string
  /** Where the text stands; none in the layout `raw`. */
  readonly fragments: readonly Fragment[]
  /** Things drawn on the page: text, pictures, paths. */
  readonly objects: number
}

/** A document inside PDFium. Every call that enters PDFium goes through {@link PdfDocument.#call}. */
class PdfDocument {
  readonly name: string
  readonly limits: Limits
  readonly #pdfium: Pdfium
  #bytes = 0
  #handle = 0

  constructor(pdfium: Pdfium, name: string, limits: Limits) {
    this.#pdfium = pdfium
    this.name = name
    this.limits = limits
  }

  open(bytes: Uint8Array, password: string | undefined): void {
    const { functions } = this.#pdfium
    this.#pdfium.allow(bytes.length + this.limits.maxWorkingBytes)
    this.#bytes = this.#call(undefined, () => this.#pdfium.copyIn(bytes))
    this.#handle = this.#call(undefined, () => {
      // PDFium reads a C string; it tries both UTF-8 and Latin-1, whichever the encryption calls for.
      const secret = password === undefined ? 0 : this.#pdfium.copyIn(Buffer.from(`${password}\0`))
      const handle = functions._FPDF_LoadMemDocument(this.#bytes, bytes.length, secret)
      if (secret !== 0) functions.wasmExports.free(secret)
      return handle
    })
    if (this.#handle === 0) throw this.#openError(functions._FPDF_GetLastError(), password !== undefined)
  }

  pageCount(): number {
    const pages = this.#call(undefined, () => this.#pdfium.functions._FPDF_GetPageCount(this.#handle))
    const { maxPages } = this.limits
    if (pages <= 0) throw corruptPdf(this.name, 'it has no pages')
    if (pages > maxPages) throw tooManyPages(this.name, pages, maxPages)
    return pages
  }

  title(): string | undefined {
    const { functions } = this.#pdfium
    return this.#call(undefined, () => {
      const tag = this.#pdfium.copyIn(Buffer.from('Title\0'))
      const size = Math.min(functions._FPDF_GetMetaText(this.#handle, tag, 0, 0), maxTitleBytes)
      // A buffer that is too small stays as it is, so a title beyond the limit reads as empty.
      const place = this.#pdfium.allocate(maxTitleBytes)
      functions.HEAPU8.fill(0, place, place + maxTitleBytes)
      functions._FPDF_GetMetaText(this.#handle, tag, place, maxTitleBytes)
      const text = this.#pdfium.utf16(place, Math.max(0, size / 2 - 1))
      functions.wasmExports.free(place)
      functions.wasmExports.free(tag)
      return toHeading(text.toWellFormed())
    })
  }

  /** Text of the page (1-based) as PDFium gives it; `undefined` when the page cannot be opened. */
  readPage(number: number): Page | undefined {
    const { functions } = this.#pdfium
    return this.#call(number, () => {
      const page = functions._FPDF_LoadPage(this.#handle, number - 1)
      if (page === 0) return undefined
      const objects = functions._FPDFPage_CountObjects(page)
      const textPage = functions._FPDFText_LoadPage(page)
      // Not in `finally`: after an exception the heap is in an unknown state and is thrown away as a whole.
      const text = textPage === 0 ? '' : this.#textOf(textPage, number)
      const fragments = text === '' || this.limits.layout === 'raw' ? [] : this.#fragmentsOf(textPage, text)
      if (textPage !== 0) functions._FPDFText_ClosePage(textPage)
      functions._FPDF_ClosePage(page)
      return objects < 0 ? undefined : { text, objects, fragments }
    })
  }

  /** Safe after a failed {@link open}. Never throws. */
  close(): void {
    const { functions, broken } = this.#pdfium
    if (broken) return
    try {
      this.#call(undefined, () => {
        if (this.#handle !== 0) functions._FPDF_CloseDocument(this.#handle)
        if (this.#bytes !== 0) functions.wasmExports.free(this.#bytes)
      })
    } catch {
      // What was read is right all the same; PDFium counts as broken now and is given up.
    }
  }

  #textOf(textPage: number, number: number): string {
    const { functions } = this.#pdfium
    const count = functions._FPDFText_CountChars(textPage)
    const { maxPageUnits } = this.limits
    if (count > maxPageUnits)
      throw tooMuchText(this.name, { option: 'maxPageUnits', limit: maxPageUnits, page: number })
    if (count <= 0) return ''
    // Room for a surrogate pair per character, whether or not this build of PDFium makes them.
    const place = this.#pdfium.allocate(4 * (count + 1))
    const written = functions._FPDFText_GetText(textPage, 0, count, place)
    const text = this.#pdfium.utf16(place, Math.max(0, written - 1))
    functions.wasmExports.free(place)
    return text
  }

  #fragmentsOf(textPage: number, text: string): Fragment[] {
    const { functions } = this.#pdfium
    const scratch = this.#pdfium.allocate(scratchBytes)
    const fragments = readFragments(text, new TextPageBoxes(functions, { textPage, scratch, text }))
    functions.wasmExports.free(scratch)
    return fragments
  }

  /** Runs `work` inside PDFium. An exception (a trap, no memory, no stack) leaves its heap in an unknown state: it is given up. */
  #call<Result>(page: number | undefined, work: () => Result): Result {
    const pdfium = this.#pdfium
    try {
      const result = work()
      // PDFium may go on without the memory it wanted, and then leave something out.
      if (!pdfium.refusedMemory) return result
    } catch (cause) {
      pdfium.broken = true
      if (RagError.isInstance(cause)) throw cause
      if (!pdfium.refusedMemory) throw corruptPdf(this.name, 'PDFium failed on it', { cause, page })
    }
    pdfium.broken = true
    throw new RagError('LIMIT', `Reading "${this.name}" takes more memory than is allowed.`, {
      data: { name: this.name, page, maxWorkingBytes: this.limits.maxWorkingBytes },
      hint: 'It may be a decompression bomb. If you trust it, raise "maxWorkingBytes" of the PDF extractor.',
    })
  }

  #openError(code: number, withPassword: boolean): RagError {
    const { name } = this
    if (code === 4) return encryptedPdf(name, withPassword)
    if (code === 5) {
      return new RagError('ENCRYPTED', `"${name}" is encrypted in a way that no password opens.`, {
        data: { name, reason: 'unknown-scheme' },
        hint: 'It is probably encrypted for a certificate: save a decrypted copy with the program that can open it.',
      })
    }
    return corruptPdf(name, 'it is not a PDF file, or damaged beyond repair', { pdfiumError: code })
  }
}

/** Room for a box, and for the name of a font. */
const scratchBytes = 16 + 128
const boldFont = /bold|black|heavy|demi|cmbx|sfbx/i

/** Asks PDFium about characters of an open text page, by index into its text. */
class TextPageBoxes implements CharacterBoxes {
  readonly current = { left: 0, bottom: 0, right: 0, top: 0 }
  readonly #functions: PdfiumFunctions
  readonly #textPage: number
  readonly #scratch: number
  /** The text leaves characters out that have no Unicode: then its places are not theirs. */
  readonly #isShifted: boolean

  constructor(
    functions: PdfiumFunctions,
    page: { readonly textPage: number; readonly scratch: number; readonly text: string },
  ) {
    this.#functions = functions
    this.#textPage = page.textPage
    this.#scratch = page.scratch
    this.#isShifted = functions._FPDFText_CountChars(page.textPage) !== page.text.length
  }

  box(index: number): boolean {
    const { current } = this
    const box = this.#scratch
    if (this.#functions._FPDFText_GetLooseCharBox(this.#textPage, this.#character(index), box) === 0) return false
    // The heap may have been replaced by the call.
    const { HEAPF32 } = this.#functions
    current.left = HEAPF32[box >> 2] as number
    current.top = HEAPF32[(box >> 2) + 1] as number
    current.right = HEAPF32[(box >> 2) + 2] as number
    current.bottom = HEAPF32[(box >> 2) + 3] as number
    if (current.top < current.bottom) [current.top, current.bottom] = [current.bottom, current.top]
    return Number.isFinite(current.left + current.top + current.right + current.bottom)
  }

  angle(index: number): number {
    return this.#functions._FPDFText_GetCharAngle(this.#textPage, this.#character(index))
  }

  isBold(index: number): boolean {
    const character = this.#character(index)
    const name = this.#scratch + 16
    if (this.#functions._FPDFText_GetFontWeight(this.#textPage, character) >= 700) return true
    const size = this.#functions._FPDFText_GetFontInfo(this.#textPage, character, name, scratchBytes - 16, 0)
    // A name that does not fit is not written.
    if (size <= 1 || size > scratchBytes - 16) return false
    return boldFont.test(Buffer.from(this.#functions.HEAPU8.buffer, name, size - 1).toString('latin1'))
  }

  #character(index: number): number {
    return this.#isShifted ? this.#functions._FPDFText_GetCharIndexFromTextIndex(this.#textPage, index) : index
  }
}

/** Room for the title in bytes of UTF-16, far above what {@link toHeading} keeps. */
const maxTitleBytes = 64 * 1024

/** A heap above this is given up with its document, because it never shrinks. */
const recycleBytes = 64 << 20

// PDFium is kept for the next document, one per thread. Documents open at the same time have one each: none can break another's.
let idle: Pdfium | undefined
let heldBytes = 0

async function borrowPdfium(): Promise<Pdfium> {
  const pdfium = idle
  idle = undefined
  return pdfium ?? Pdfium.create()
}

function returnPdfium(pdfium: Pdfium): void {
  heldBytes = pdfium.heapBytes
  if (!pdfium.broken && pdfium.heapBytes <= recycleBytes) idle = pdfium
}

/** The functions of PDFium that are used here; the package's own types leave some out. Handles and pointers are numbers, 0 is none. */
interface PdfiumFunctions {
  _FPDF_InitLibraryWithConfig(config: object): void
  _FPDF_LoadMemDocument(bytes: number, length: number, password: number): number
  _FPDF_GetLastError(): number
  _FPDF_CloseDocument(document: number): void
  _FPDF_GetPageCount(document: number): number
  /** Bytes of the UTF-16LE text with its final NUL; writes only when `length` suffices. */
  _FPDF_GetMetaText(document: number, tag: number, buffer: number, length: number): number
  _FPDF_LoadPage(document: number, index: number): number
  _FPDF_ClosePage(page: number): void
  _FPDFPage_CountObjects(page: number): number
  _FPDFText_LoadPage(page: number): number
  _FPDFText_ClosePage(textPage: number): void
  _FPDFText_CountChars(textPage: number): number
  /** Code units written, with the final NUL. */
  _FPDFText_GetText(textPage: number, start: number, count: number, buffer: number): number
  /** Writes left, top, right and bottom as floats, y upwards; 0 where there is no such character. */
  _FPDFText_GetLooseCharBox(textPage: number, index: number, box: number): number
  /** Radians, clockwise; -1 where there is no such character. */
  _FPDFText_GetCharAngle(textPage: number, index: number): number
  /** 100 to 900, -1 when it is not known. */
  _FPDFText_GetFontWeight(textPage: number, index: number): number
  /** Bytes of the font's name with its final NUL; writes only when `length` suffices. */
  _FPDFText_GetFontInfo(textPage: number, index: number, buffer: number, length: number, flags: number): number
  /** -1 where the text has no such place. */
  _FPDFText_GetCharIndexFromTextIndex(textPage: number, index: number): number
  readonly wasmExports: { malloc(size: number): number; free(pointer: number): void }
  /** Replaced whenever the heap grows: never keep it. */
  readonly HEAPU8: Uint8Array
  readonly HEAPF32: Float32Array
}

/** The import of PDFium that asks for a larger heap, in bytes; it answers 1 or 0. */
interface PdfiumImports {
  readonly env: { emscripten_resize_heap: (bytes: number) => number }
}

// Types of WebAssembly come with the DOM library only, which has no place in Node code.
interface WasmInstance {
  readonly exports: object
}
type WasmModule = object
declare const WebAssembly: {
  compile(bytes: Uint8Array): Promise<WasmModule>
  readonly Instance: new (program: WasmModule, imports: PdfiumImports) => WasmInstance
}

/** PDFium and its heap. */
class Pdfium {
  readonly functions: PdfiumFunctions
  /** Its heap is in an unknown state: nothing may be called any more. */
  broken = false
  /** It wanted more memory than {@link allow} permits. */
  refusedMemory = false
  #maxHeapBytes = Number.POSITIVE_INFINITY

  private constructor(functions: PdfiumFunctions) {
    this.functions = functions
  }

  static async create(): Promise<Pdfium> {
    const [{ PDFiumModule }, program] = await Promise.all([import('@hyzyla/pdfium'), compileProgram()])
    let pdfium: Pdfium | undefined
    const silent = () => {}
    const settings = {
      print: silent,
      printErr: silent,
      instantiateWasm(imports: PdfiumImports, done: (instance: WasmInstance) => void) {
        const grow = imports.env.emscripten_resize_heap
        imports.env.emscripten_resize_heap = (bytes) => (pdfium?.refuses(bytes >>> 0) ? 0 : grow(bytes))
        const instance = new WebAssembly.Instance(program, imports)
        done(instance)
        return instance.exports
      },
    }
    // The package types neither `print` nor the functions it leaves out; both are part of every Emscripten module.
    const functions = (await PDFiumModule(settings as never)) as unknown as PdfiumFunctions
    functions._FPDF_InitLibraryWithConfig({ version: 2 })
    pdfium = new Pdfium(functions)
    return pdfium
  }

  get heapBytes(): number {
    return this.functions.HEAPU8.length
  }

  /** Sets how large the heap may grow. */
  allow(bytes: number): void {
    this.#maxHeapBytes = bytes
  }

  refuses(heapBytes: number): boolean {
    if (heapBytes <= this.#maxHeapBytes) return false
    this.refusedMemory = true
    return true
  }

  allocate(bytes: number): number {
    const place = this.functions.wasmExports.malloc(bytes)
    if (place !== 0) return place >>> 0
    this.refusedMemory = true
    throw new RangeError('PDFium has no memory left.')
  }

  copyIn(bytes: Uint8Array): number {
    const place = this.allocate(bytes.length)
    this.functions.HEAPU8.set(bytes, place)
    return place
  }

  utf16(place: number, units: number): string {
    const { buffer } = this.functions.HEAPU8
    return Buffer.from(buffer, place, 2 * units).toString('utf16le')
  }
}

let program: Promise<WasmModule> | undefined

/** Compiled once per thread; a replaced PDFium is only instantiated again. */
async function compileProgram(): Promise<WasmModule> {
  program ??= readFile(createRequire(import.meta.url).resolve('@hyzyla/pdfium/pdfium.wasm')).then((bytes) =>
    WebAssembly.compile(bytes),
  )
  try {
    return await program
  } catch (error) {
    program = undefined
    throw error
  }
}
