import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { createPdfExtractor } from '../../src/extract/pdf.js'
import type { ExtractSource } from '../../src/extract/types.js'

/** What the child of the `pdf` bench does: reads `files` one after the other, `rounds` times. */
export interface PdfReading {
  /** File URL of pdf-parse, or nothing for our own reader. */
  readonly rival?: string
  readonly files: readonly string[]
  readonly rounds: number
  /** Also return the text of each file (first round). */
  readonly withText: boolean
}

export interface PdfReadingResult {
  readonly pages: number
  readonly milliseconds: number
  /** CPU time of the process in the same stretches, helper threads included. */
  readonly cpuMilliseconds: number
  readonly texts: readonly string[]
}

type Read = (file: string, bytes: Uint8Array) => Promise<ReadPdf>

interface ReadPdf {
  readonly pages: number
  readonly text: string
}

/** Reads each file from disk first; the clock runs from bytes to text, after a warm-up. */
export default async function readPdfs(reading: PdfReading): Promise<PdfReadingResult> {
  const read = reading.rival === undefined ? readWithOurs : await rivalReader(reading.rival)
  const texts: string[] = []
  let pages = 0
  let milliseconds = 0
  let cpuMilliseconds = 0
  await warmUp(read, reading.files)
  for (let round = 0; round < reading.rounds; round++) {
    for (const file of reading.files) {
      const bytes = await readFile(file)
      const cpuBefore = process.cpuUsage()
      const began = performance.now()
      const result = await read(file, bytes)
      milliseconds += performance.now() - began
      const { user, system } = process.cpuUsage(cpuBefore)
      cpuMilliseconds += (user + system) / 1000
      pages += result.pages
      if (reading.withText && round === 0) texts.push(result.text)
    }
  }
  return { pages, milliseconds, cpuMilliseconds, texts }
}

/** Both readers are compiled to fast code only after a while: so many pages, of the first files. */
const warmUpPages = 150

async function warmUp(read: Read, files: readonly string[]): Promise<void> {
  let pages = 0
  for (const file of files) {
    if (pages >= warmUpPages) return
    pages += (await read(file, await readFile(file))).pages
  }
}

/** Reads one file with our reader in this thread. */
export async function readWithOurs(file: string, bytes: Uint8Array): Promise<ReadPdf> {
  const source: ExtractSource = {
    name: basename(file),
    mediaType: 'application/pdf',
    size: bytes.length,
    bytes: async () => bytes,
    async *stream() {
      yield bytes
    },
  }
  const { pages = 0, blocks } = await createPdfExtractor({ layout: 'raw' }).extract(source, { maxFileBytes: 1 << 30 })
  let text = ''
  for await (const block of blocks) text += block.text
  return { pages, text }
}

/** What is used of pdf-parse. */
interface Rival {
  readonly PDFParse: new (options: {
    readonly data: Uint8Array
  }) => {
    getText(options: { readonly pageJoiner: string }): Promise<{ readonly total: number; readonly text: string }>
    destroy(): Promise<void>
  }
}

async function rivalReader(url: string): Promise<Read> {
  const { PDFParse } = (await import(url)) as Rival
  return async (_file, bytes) => {
    const parser = new PDFParse({ data: bytes })
    try {
      const { total, text } = await parser.getText({ pageJoiner: '' })
      return { pages: total, text }
    } finally {
      await parser.destroy()
    }
  }
}
