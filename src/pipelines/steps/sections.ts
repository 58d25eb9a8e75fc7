import type { Section, SectionSpan } from '../../chunk/types.js'
import { indexedText } from '../../core/piece.js'
import type { Block } from '../../extract/types.js'

/** Code units of text after which a piece, and a section, is closed. */
export const pieceCharacters = 32 * 1024

/** A run of extracted text; `section`, when there is one, begins where it begins and is to be chunked. */
export interface TextPart {
  readonly text: string
  readonly section: Section | undefined
  readonly page?: number
  readonly headings: readonly string[]
}

/**
 * Joins blocks of one page under one heading path into sections of bounded size. A heading belongs to the extracted text but to no
 * chunk, since its words are indexed with every chunk below it; one that has nothing below it becomes a chunk of its own.
 */
export async function* sections(blocks: AsyncIterable<Block>, title: string): AsyncGenerator<TextPart> {
  let open: OpenSection | undefined
  let bareHeading: Block | undefined
  for await (const block of blocks) {
    if (block.text === '') continue
    const headings = block.headings ?? []
    if (open !== undefined && !open.accepts(block)) {
      yield open.close()
      open = undefined
    }
    if (block.kind === 'heading') {
      if (open !== undefined) yield open.close()
      open = undefined
      if (bareHeading !== undefined) {
        const hasChild = headings.length > (bareHeading.headings ?? []).length
        yield headingPart(bareHeading, { title, asChunk: !hasChild })
      }
      bareHeading = block
      continue
    }
    if (bareHeading !== undefined) {
      if (block.text.trim() === '') {
        bareHeading = { ...bareHeading, text: bareHeading.text + block.text }
        continue
      }
      yield headingPart(bareHeading, { title, asChunk: false })
      bareHeading = undefined
    }
    open ??= new OpenSection(block, title)
    open.add(block)
  }
  if (open !== undefined) yield open.close()
  if (bareHeading !== undefined) yield headingPart(bareHeading, { title, asChunk: true })
}

function headingPart(
  block: Block,
  { asChunk, title }: { readonly asChunk: boolean; readonly title: string },
): TextPart {
  const path = block.headings ?? []
  // As a chunk it stands below its parents only: its own words are its text.
  const headings = asChunk ? path.slice(0, -1) : path
  return {
    text: block.text,
    section: asChunk ? { text: block.text, whole: [], context: indexedText(title, headings, '').trimEnd() } : undefined,
    headings,
    ...(block.page === undefined ? {} : { page: block.page }),
  }
}

class OpenSection {
  readonly #title: string
  readonly #headings: readonly string[]
  readonly #path: string
  readonly #page: number | undefined
  readonly #texts: string[] = []
  readonly #whole: SectionSpan[] = []
  #length = 0

  constructor(first: Block, title: string) {
    this.#title = title
    this.#headings = first.headings ?? []
    this.#path = this.#headings.join('\u0000')
    this.#page = first.page
  }

  accepts(block: Block): boolean {
    return (
      block.page === this.#page &&
      this.#length + block.text.length <= pieceCharacters &&
      (block.headings ?? []).join('\u0000') === this.#path
    )
  }

  add(block: Block): void {
    if (block.kind === 'code' || block.kind === 'table') {
      this.#whole.push({ start: this.#length, end: this.#length + block.text.length })
    }
    this.#texts.push(block.text)
    this.#length += block.text.length
  }

  close(): TextPart {
    const text = this.#texts.join('')
    const context = indexedText(this.#title, this.#headings, '').trimEnd()
    const section: Section = { text, whole: this.#whole, context }
    const page = this.#page === undefined ? {} : { page: this.#page }
    return { text, section, headings: this.#headings, ...page }
  }
}
