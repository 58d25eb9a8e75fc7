import { RagError } from '../core/errors.js'
import { refuseEmpty, toHeading } from './blocks.js'
import { type Book, type Chapter, readBook } from './epub-book.js'
import { readHtml } from './html.js'
import { decodeHtml } from './html-charset.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from './types.js'
import { ZipArchive, type ZipLimits } from './zip.js'

/**
 * Reads EPUB 2 and 3, a chapter at a time, in the order of the spine and each as HTML is read (see `html.ts`). The title of a chapter
 * in the table of contents is the outermost heading, unless the chapter begins with it. Chapters that are missing are skipped when
 * others can be read. Pictures, styles and scripts are never unpacked; nothing outside of the file is fetched.
 *
 * Rejects with `EMPTY`, `CORRUPT`, `ENCRYPTED` (bought books with copy protection) or `LIMIT` (see {@link ZipLimits}).
 */
export function createEpubExtractor(limits: ZipLimits = {}): Extractor {
  return {
    id: 'epub',
    fingerprint: 'epub/1',
    mediaTypes: ['application/epub+zip'],
    extract: (source, options) => extractEpub(source, options, limits),
  }
}

async function extractEpub(source: ExtractSource, options: ExtractOptions, limits: ZipLimits): Promise<Extraction> {
  const zip = await ZipArchive.open(source, options, limits)
  const book = await readBook(zip)
  return {
    ...(book.title === undefined ? {} : { title: book.title }),
    ...(book.language === undefined ? {} : { language: book.language }),
    blocks: refuseEmpty(bookBlocks(zip, book, options.signal), source.name),
  }
}

async function* bookBlocks(
  zip: ZipArchive,
  { chapters }: Book,
  signal: AbortSignal | undefined,
): AsyncGenerator<Block, void, undefined> {
  for (const chapter of chapters) {
    signal?.throwIfAborted()
    try {
      const { blocks } = await readHtml(decodeHtml(zip.bytes(chapter.part)), { name: zip.source, signal })
      yield* withTitle(blocks, chapter)
    } catch (error) {
      // A cover or a plate: the book has others.
      if (!RagError.isInstance(error, 'EMPTY')) throw error
    }
  }
}

/** Puts the chapter's title above its headings. */
async function* withTitle(blocks: AsyncIterable<Block>, { title }: Chapter): AsyncGenerator<Block, void, undefined> {
  const heading = title === undefined ? undefined : toHeading(title)
  if (heading === undefined) {
    yield* blocks
    return
  }
  let above: readonly string[] | undefined
  for await (const block of blocks) {
    const own = block.headings ?? []
    if (above === undefined) {
      above = saysTheSame(own[0], heading) ? [] : [heading]
      if (above.length > 0) yield { kind: 'heading', text: `${heading}\n\n`, headings: above }
    }
    const headings = [...above, ...own]
    yield headings.length === 0 ? block : { ...block, headings }
  }
}

/** "1. The Cave" in the table of contents is "The Cave" in the chapter. */
function saysTheSame(one: string | undefined, other: string): boolean {
  if (one === undefined) return false
  const letters = (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '')
  const [a, b] = [letters(one), letters(other)]
  return a !== '' && b !== '' && (a.includes(b) || b.includes(a))
}
