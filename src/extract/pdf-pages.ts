import { emptyError, toBlocks } from './blocks.js'
import { layOut } from './pdf-clean.js'
import { changedPdf, cleanPageText, corruptPdf, noTextInPdf, tooMuchText } from './pdf-common.js'
import type { PdfDocument } from './pdf-document.js'
import { HeadingPath, type Passage } from './pdf-layout.js'
import { mendPageText } from './pdf-mend.js'
import { bytesOf, type LaidPage, RecentPages, type Stretch } from './pdf-recent.js'
import type { Block } from './types.js'

/** Which pages of a document one of several readers takes: every so many-th stretch. */
export interface Lane {
  /** Of the document. */
  readonly pages: number
  readonly lane: number
  readonly lanes: number
}

/**
 * Pages that are laid out by themselves, with a look at those around: so a document comes out the same however many read it. Few pages
 * would be read twice for nothing; many would keep the others waiting.
 */
export const pagesPerStretch = 128

/** Reads and lays out the pages of a lane. */
export async function* ownPages(
  document: PdfDocument,
  { lane, lanes, pages }: Lane,
  signal: AbortSignal | undefined,
): AsyncGenerator<LaidPage, void, undefined> {
  const recent = new RecentPages(document)
  for (let first = 1 + lane * pagesPerStretch; first <= pages; first += lanes * pagesPerStretch) {
    const stretch = { first, last: Math.min(pages, first + pagesPerStretch - 1), pages }
    for (const page of document.limits.layout === 'raw' ? readRaw(recent, stretch) : layOut(recent, stretch)) {
      yield page
      // PDFium never waits, so without this neither an abort nor anything else of this thread would get a turn.
      await new Promise((resolve) => setImmediate(resolve))
      signal?.throwIfAborted()
    }
  }
}

/** The pages of a document in their order, of the lanes that read them. */
export async function* joinLanes(
  lanes: readonly AsyncIterable<LaidPage>[],
  { name, pages }: { readonly name: string; readonly pages: number },
): AsyncGenerator<LaidPage, void, undefined> {
  const readers = lanes.map((lane) => lane[Symbol.asyncIterator]())
  try {
    for (let page = 1; page <= pages; page++) {
      const reader = readers[Math.floor((page - 1) / pagesPerStretch) % readers.length]
      const next = await reader?.next()
      if (next?.done !== false || next.value.page !== page) throw changedPdf(name)
      yield next.value
    }
  } finally {
    for (const reader of readers) await reader.return?.()
  }
}

/** Makes blocks of the pages of a document, under the headings of all that came before. Throws when there is no text, or too much. */
export async function* toDocumentBlocks(
  pages: AsyncIterable<LaidPage>,
  { limits, name }: Pick<PdfDocument, 'limits' | 'name'>,
): AsyncGenerator<Block, void, undefined> {
  const headings = new HeadingPath()
  const seen = { pages: 0, units: 0, readable: 0, drawn: false }
  for await (const { drawn, page, passages, readable, units } of pages) {
    seen.pages++
    seen.units += units
    if (readable) seen.readable++
    seen.drawn ||= drawn
    if (seen.units > limits.maxDocumentUnits)
      throw tooMuchText(name, { option: 'maxDocumentUnits', limit: limits.maxDocumentUnits, page })
    yield* pageBlocks(page, passages, headings)
  }
  if (seen.units > 0) return
  if (seen.readable === 0) throw corruptPdf(name, 'no page of it can be opened')
  if (!seen.drawn) throw emptyError(name)
  throw noTextInPdf(name, seen.pages)
}

/** Consecutive paragraphs are one block. */
function* pageBlocks(
  page: number,
  passages: readonly Passage[],
  headings: HeadingPath,
): Generator<Block, void, undefined> {
  const under = (kind: Block['kind']): Omit<Block, 'text'> => {
    const { path } = headings
    return path.length === 0 ? { kind, page } : { kind, page, headings: path }
  }
  let paragraphs = ''
  const flush = (): Iterable<Block> => {
    const text = paragraphs
    paragraphs = ''
    return toBlocks(text, under('text'))
  }
  for (const passage of passages) {
    if (passage.kind === 'text') {
      paragraphs += passage.text
      continue
    }
    yield* flush()
    if (passage.kind === 'heading') headings.enter(passage)
    yield* toBlocks(passage.text, under(passage.kind))
  }
  yield* flush()
}

function* readRaw(recent: RecentPages, { first, last }: Stretch): Generator<LaidPage, void, undefined> {
  for (let number = first; number <= last; number++) {
    const { drawn, page, readable } = recent.read(number)
    const text = cleanPageText(mendPageText(page.text))
    const passages: readonly Passage[] = text === '' ? [] : [{ kind: 'text', text, size: 0, bold: false }]
    yield { page: number, readable, drawn, units: text.length, passages, bytes: bytesOf(passages) }
  }
}
