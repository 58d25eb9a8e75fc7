import { readFile } from 'node:fs/promises'
import { createPdfExtractor } from '../../src/extract/pdf.js'
import type { Block } from '../../src/extract/types.js'

/** What the layouts make of one file. */
export interface PdfLayouts {
  readonly raw: string
  readonly clean: string
  /** The same without lines that stand on more than half of the pages. */
  readonly rawBody: string
  readonly cleanBody: string
  /** Lines with words that stand on more than half of the pages in the layout `raw`, and how many of them `clean` still has. */
  readonly repeated: number
  readonly leaked: number
  /** Milliseconds per layout. */
  readonly rawMs: number
  readonly cleanMs: number
}

/** Fewer pages say nothing of what repeats. */
const leastPages = 4

/** Reads each file in both layouts, the one and the other first in turns. */
export default async function readLayouts(files: readonly string[]): Promise<readonly PdfLayouts[]> {
  const results: PdfLayouts[] = []
  for (const [i, file] of files.entries()) {
    const bytes = await readFile(file)
    const order = i % 2 === 0 ? (['raw', 'clean'] as const) : (['clean', 'raw'] as const)
    const [first, second] = [await read(file, bytes, order[0]), await read(file, bytes, order[1])]
    const [raw, clean] = order[0] === 'raw' ? [first, second] : [second, first]
    const often = linesOfMostPages(raw)
    results.push({
      raw: textOf(raw.blocks),
      clean: textOf(clean.blocks),
      rawBody: withoutLines(raw.blocks, often),
      cleanBody: withoutLines(clean.blocks, often),
      repeated: countLines(raw.blocks, often),
      leaked: countLines(clean.blocks, often),
      rawMs: raw.milliseconds,
      cleanMs: clean.milliseconds,
    })
  }
  return results
}

interface ReadPdf {
  readonly pages: number
  readonly blocks: readonly Block[]
  readonly milliseconds: number
}

async function read(name: string, bytes: Uint8Array, layout: 'clean' | 'raw'): Promise<ReadPdf> {
  const began = performance.now()
  const source = {
    name,
    mediaType: 'application/pdf',
    size: bytes.length,
    bytes: async () => bytes,
    async *stream() {
      yield bytes
    },
  }
  const extraction = await createPdfExtractor({ layout }).extract(source, { maxFileBytes: 1 << 30 })
  const blocks: Block[] = []
  for await (const block of extraction.blocks) blocks.push(block)
  return { pages: extraction.pages ?? 0, blocks, milliseconds: performance.now() - began }
}

function textOf(blocks: readonly Block[]): string {
  return blocks.map(({ text }) => text).join('')
}

/** A line without its numbers. */
function keyOf(line: string): string {
  return line.normalize('NFKC').toLowerCase().replace(/\d+/g, '#').replace(/\s+/g, ' ').trim()
}

function linesOfMostPages({ blocks, pages }: ReadPdf): ReadonlySet<string> {
  if (pages < leastPages) return new Set()
  const places = new Map<string, Set<number>>()
  for (const { page = 0, text } of blocks) {
    for (const key of text.split('\n').map(keyOf)) {
      if (key !== '') places.set(key, (places.get(key) ?? new Set()).add(page))
    }
  }
  return new Set([...places].filter(([, on]) => 2 * on.size > pages).map(([key]) => key))
}

function withoutLines(blocks: readonly Block[], keys: ReadonlySet<string>): string {
  return textOf(blocks)
    .split('\n')
    .filter((line) => !keys.has(keyOf(line)))
    .join('\n')
}

/** Signs and numbers by themselves are of formulas and tables. */
const word = /\p{L}{3}/u

function countLines(blocks: readonly Block[], keys: ReadonlySet<string>): number {
  return textOf(blocks)
    .split('\n')
    .filter((line) => keys.has(keyOf(line)) && word.test(line)).length
}
