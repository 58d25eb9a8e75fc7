import { RagError } from '../core/errors.js'
import { toHeading } from './blocks.js'
import { corruptPdf, encryptedPdf, tooManyPages, tooMuchText } from './pdf-common.js'
import { type CharacterBoxes, type Fragment, readFragments } from './pdf-lines.js'
import type { Pdfium, PdfiumFunctions } from './pdfium.js'

/** What a document may be, and how its pages are read; see `PdfExtractorOptions`. */
export interface PdfLimits {
  readonly layout: 'clean' | 'raw'
  readonly maxPages: number
  readonly maxPageUnits: number
  readonly maxDocumentUnits: number
  readonly maxWorkingBytes: number
}

/** A page as PDFium has it. */
export interface Page {
  readonly text: string
  /** Where the text stands; none in the layout `raw`. */
  readonly fragments: readonly Fragment[]
  /** Things drawn on the page: text, pictures, paths. */
  readonly objects: number
}

/** A document inside PDFium. Every call that enters PDFium goes through {@link PdfDocument.#call}. */
export class PdfDocument {
  readonly name: string
  readonly limits: PdfLimits
  readonly #pdfium: Pdfium
  #bytes = 0
  #handle = 0

  constructor(pdfium: Pdfium, name: string, limits: PdfLimits) {
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
