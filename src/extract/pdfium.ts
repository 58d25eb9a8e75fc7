import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

/** A heap above this is given up with its document, because it never shrinks. */
const recycleBytes = 64 << 20

// PDFium is kept for the next document, one per thread. Documents open at the same time have one each: none can break another's.
let idle: Pdfium | undefined
let heldBytes = 0

/** PDFium for one document. Give it back when the document is closed. */
export async function borrowPdfium(): Promise<Pdfium> {
  const pdfium = idle
  idle = undefined
  return pdfium ?? Pdfium.create()
}

export function returnPdfium(pdfium: Pdfium): void {
  heldBytes = pdfium.heapBytes
  if (!pdfium.broken && pdfium.heapBytes <= recycleBytes) idle = pdfium
}

/**
 * Bytes of WebAssembly memory that the last PDF of this thread has left behind, 0 before the first. A large heap is let go, but the
 * memory returns only when the collector gets to it; ending the thread returns it at once.
 */
export function pdfHeldBytes(): number {
  return heldBytes
}

/** The functions of PDFium that are used here; the package's own types leave some out. Handles and pointers are numbers, 0 is none. */
export interface PdfiumFunctions {
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
export class Pdfium {
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
